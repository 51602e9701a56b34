"""One request and its answer: what a handler on the loop thread holds.

The answer is a small machine::

    WAITING ── respond() ──────────────→ OVER
       │ └──── upgrade() ──────────────→ OVER       the connection is no longer HTTP's
       └────── start() ──→ STREAMING ── end(), cut() → OVER

and OVER is also where the loss of the connection leads, from anywhere. Whatever is written when it is OVER goes
nowhere: a handler need not ask whether the client is still there.

Framing (RFC 9112 6): a length where it is known, else chunks for HTTP/1.1, else the end of the connection. An
answer to HEAD, 204 and 304 have no body, whatever is written. What is written beyond the length is dropped, and
when less was written the connection ends, so that the client can tell.
"""

import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from ..errors import RemoteProtocolError
from . import response
from .request import Request

if TYPE_CHECKING:
    import asyncio

    from .connection import HTTPConnection

log = logging.getLogger("greenwire")

_BODILESS = frozenset((204, 304))  # RFC 9110 6.4.1
_JOIN_BYTES = 65_536  # a larger body is not copied behind its head

Collected = Callable[[bytes | None, RemoteProtocolError | None], None]


class Answer(Enum):
    """See the picture at the head of this file."""

    WAITING = auto()
    STREAMING = auto()
    OVER = auto()


WAITING, STREAMING, OVER = Answer  # see parser.py: a look-up costs


class Exchange:
    """Loop thread only."""

    __slots__ = (
        "_answer",
        "_chunked",
        "_left",
        "_silent",
        "_started_at",
        "_status",
        "_written",
        "connection",
        "gone",
        "on_abandoned",
        "on_body",
        "request",
        "wants_upgrade",
    )

    # From _begin() on:
    _chunked: bool
    _silent: bool  # no body is sent, whatever is written
    _left: int | None  # of the Content-Length

    def __init__(self, connection: "HTTPConnection", request: Request, wants_upgrade: bool, now: float) -> None:
        self.connection = connection
        self.request = request
        self.wants_upgrade = wants_upgrade
        self.gone = False  # the connection is lost
        self.on_abandoned: Callable[[], None] | None = None
        self.on_body: Callable[[], None] | None = None  # there is more body, or its end, or an error
        self._answer = WAITING
        self._status = 0
        self._written = 0
        self._started_at = now

    def __repr__(self) -> str:
        return f"<Exchange {self.request.method} {self.request.target} {self._answer.name}>"

    # --- the request's body

    def collect(self, limit: int, done: Collected) -> None:
        """Read the whole body, and call ``done(body, None)``, or ``done(None, error)`` with a status to answer.

        Past *limit* bytes the error has status 413, at once where a Content-Length says so.
        """
        if self.connection.body_length_ahead > limit:
            done(None, RemoteProtocolError("the request body is too large", status=413))
            return
        parts: list[bytes] = []
        size = 0

        def more() -> None:
            nonlocal size
            error = self.body_error
            data = self.take_body()
            size += len(data)
            if error is None and size > limit:
                error = RemoteProtocolError("the request body is too large", status=413)
            if error is not None:
                self.on_body = None
                done(None, error)
                return
            parts.append(data)
            if self.body_ended:
                self.on_body = None
                done(b"".join(parts), None)
            else:
                self.on_body = more

        more()

    def take_body(self) -> bytes:
        """What has come of the body since the last call. Asks the client for more (100-continue, reading)."""
        return b"" if self._answer is OVER else self.connection.take_body()

    def whole_body(self) -> bytes | None:
        """The body, where all of it is here; else ``None``, and it can be taken bit by bit."""
        return self.connection.whole_body()

    @property
    def body_ended(self) -> bool:
        """Whether the whole body has come. Once the answer is over the connection's body is the next request's."""
        return self._answer is not OVER and self.connection.body_ended

    @property
    def body_error(self) -> RemoteProtocolError | None:
        """Why there will be no more of the body, although it has not ended."""
        if self._answer is OVER:
            return RemoteProtocolError("the request has been answered")
        return self.connection.body_error

    def invite_body(self, fields: bytes) -> None:
        """Send ``100 Continue`` with *fields*, where the client waits for one and no answer has begun."""
        if self._answer is WAITING:
            self.connection.invite_body(fields)

    @property
    def body_status(self) -> int:
        """The status to answer when the body failed. For any thread."""
        error = self.connection.body_error
        return error.status if error is not None else 400

    # --- the answer, all at once

    def respond(self, status: int, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        """Answer completely. Raises ValueError for a header that cannot be sent."""
        self.send(status, response.status_line(status), response.encode(headers), body)

    def send(self, status: int, line: bytes, fields: response.Fields, body: bytes) -> None:
        """Answer completely, with a head that is encoded already."""
        if self._answer is not WAITING:
            return
        request, connection = self.request, self.connection
        size, length = len(body), fields.length
        if status in _BODILESS or request.method == "HEAD":
            framing, body, size = self._without_body(status, fields, body), b"", 0
        elif length is None or length == size:
            framing = b"Content-Length: %d\r\n" % size
        else:
            self._begin(status, line, fields)
            self.write(body)
            self.end()
            return
        keep = connection.survives(final=True) and not fields.close
        framing += connection.alive[request.version] if keep else response.CLOSE
        head = connection.head(line, fields, framing)
        if size > _JOIN_BYTES:
            connection.output.write(head)
            connection.output.write(body)
        else:
            connection.output.write(head + body)
        self._status = status
        self._written = size
        self._close_books()
        connection.answered(keep)

    def _without_body(self, status: int, fields: response.Fields, body: bytes) -> bytes:
        """The framing of an answer that has no body, whatever is written."""
        if status in _BODILESS:
            return b""
        if fields.length is None and not body:  # HEAD, answered without the body's length
            return b""
        return b"Content-Length: %d\r\n" % (len(body) if fields.length is None else fields.length)

    # --- the answer, bit by bit

    def start(self, status: int, reason: str | None, headers: list[tuple[str, str]]) -> None:
        """Send the head. Raises ValueError for a header that cannot be sent."""
        self._begin(status, response.status_line(status, reason), response.encode(headers))

    def _begin(self, status: int, line: bytes, fields: response.Fields) -> None:
        """Send the head, encoded already."""
        if self._answer is not WAITING:
            return
        version = self.request.version
        bodiless = status in _BODILESS
        self._silent = bodiless or self.request.method == "HEAD"
        self._left = fields.length
        self._status = status
        self._chunked = False
        framing = b""
        if fields.length is not None and not bodiless:
            framing = b"Content-Length: %d\r\n" % fields.length
        elif not self._silent and version != "1.0":
            self._chunked = True
            framing = response.CHUNKED
        endless = not self._silent and self._left is None and version == "1.0"  # only its end ends the body
        if endless or fields.close or not self.connection.survives(final=False):
            self.connection.close_after_answer()
            framing += response.CLOSE
        else:
            framing += self.connection.alive[version]
        self._answer = STREAMING
        self.connection.output.write(self.connection.head(line, fields, framing))

    def begin(self, status: int, line: bytes, fields: response.Fields, data: bytes) -> None:
        """The head, encoded already, and the first bytes of the body."""
        self._begin(status, line, fields)
        self.write(data)

    def write(self, data: bytes) -> None:
        """Send *data* as a part of the body."""
        if self._answer is not STREAMING or self._silent or not data:
            return
        if self._left is not None:
            if len(data) > self._left:
                self._complain("is longer than its Content-Length; the rest is dropped")
                self._silent = True
                data = data[: self._left]
            self._left -= len(data)
        self._written += len(data)
        write = self.connection.output.write
        if not self._chunked:
            write(data)
        elif len(data) > _JOIN_BYTES:
            write(b"%x\r\n" % len(data))
            write(data)
            write(b"\r\n")
        else:
            write(b"%x\r\n%b\r\n" % (len(data), data))

    def lend(self, status: int, line: bytes, fields: response.Fields) -> int | None:
        """Send the head, and lend a descriptor of the socket for a body of known length; :meth:`give_back` ends that.

        None where the socket is not to be had: for TLS, while older bytes wait, and when the client is gone.
        """
        self._begin(status, line, fields)
        if self._answer is not STREAMING or self._silent:
            return None
        return self.connection.output.lend()

    def give_back(self, sent: int) -> None:
        """*sent* bytes of the body have been written to what was lent, and no more will be."""
        self._written += sent
        if self._left is not None:
            self._left -= sent
        self.end()

    def end(self) -> None:
        """The body is complete."""
        if self._answer is not STREAMING:
            return
        if self._left and not self._silent:
            self._complain(f"is {self._left} bytes shorter than its Content-Length; the connection is closed")
            self.cut()
            return
        if self._chunked:
            self.connection.output.write(response.LAST_CHUNK)
        keep = self.connection.survives(final=True)
        self._close_books()
        self.connection.answered(keep)

    def cut(self) -> None:
        """Break off: the connection ends in a way that tells the client that the body is not complete."""
        if self._answer is OVER:
            return
        # Where only the end of the connection ends the body, nothing short of a reset can tell.
        reset = self._answer is STREAMING and not self._chunked and self._left is None
        self._close_books()
        self.connection.cut(reset)

    def flush(self) -> None:
        """Give the kernel what was written, without waiting for the end of the turn."""
        if not self.gone:
            self.connection.output.flush()

    @property
    def buffered(self) -> int:
        """Bytes of this connection that the kernel has not taken yet."""
        return 0 if self.gone else self.connection.output.buffered

    def when_writable(self, call: Callable[[bool], None]) -> None:
        """Call ``call(True)`` once little is buffered, maybe at once; ``call(False)`` if the client is gone."""
        if self._answer is OVER:
            call(False)
        else:
            self.connection.output.when_writable(call)

    # --- other ends

    def upgrade(self) -> "tuple[asyncio.Transport, bytes]":
        """Hand the transport over, with the bytes that came behind the request. HTTP writes nothing any more.

        The caller sets its own protocol on the transport before it returns to the loop, and puts itself in the
        place of ``exchange.connection`` in the set of connections: ``connection.server.replace(…)``.
        """
        if self._answer is not WAITING or not self.wants_upgrade:
            raise RuntimeError(f"{self!r} cannot be upgraded")
        return self._hand_over()

    def pass_on(self) -> "tuple[asyncio.Transport, bytes]":
        """Likewise, to whoever will answer this request in our place."""
        if self._answer is not WAITING:
            raise RuntimeError(f"{self!r} is answered already")
        return self._hand_over()

    def _hand_over(self) -> "tuple[asyncio.Transport, bytes]":
        """Without a line in the access log: what takes over writes it, when it has ended."""
        self._answer = OVER
        self.on_abandoned = self.on_body = None
        return self.connection.hand_over()

    def abandon(self) -> None:
        """For the connection: the client has gone away, or says no more."""
        call, self.on_abandoned = self.on_abandoned, None
        if call is not None and self._answer is not OVER:
            call()

    def lose(self) -> None:
        """For the connection: it is lost."""
        self.gone = True
        call, self.on_body = self.on_body, None
        if call is not None:
            call()
        self.abandon()
        if self._answer is not OVER:
            self._close_books()

    def _close_books(self) -> None:
        self._answer = OVER
        self.on_abandoned = self.on_body = None
        access_log = self.connection.access_log
        if access_log is not None:
            seconds = self.connection.loop.now() - self._started_at
            access_log(self.request, self._status, self._written, seconds)

    def _complain(self, what: str) -> None:
        log.error("the answer to %s %s %s", self.request.method, self.request.target, what)
