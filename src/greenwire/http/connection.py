"""One HTTP/1.1 connection on the server's side (RFC 9112).

One request at a time. The parser stops at the end of a message, so a client that pipelines has its later requests
waiting here as bytes, in order; past ``limits.pipelined_bytes`` of them reading pauses.

===========  ======================================================  =============================================
phase        meaning                                                 deadline
===========  ======================================================  =============================================
IDLE         not one byte of a request is here                       ``keep_alive_s`` → closed
HEAD         a head is coming in                                     ``header_timeout_s`` from its first byte → 408
RUNNING      an exchange is under way; its body may be coming in     body slower than ``body_min_bytes_s`` → 408
SKIPPING     answered; a small rest of the body is read away         ``header_timeout_s`` → closed
LINGERING    the last answer is out and our side is shut; what the   ``close_timeout_s`` → aborted
             client still sends is read away, because closing on
             unread input resets the connection, and the reset can
             overtake the answer (RFC 9112 9.6)
CLOSING      the transport flushes and closes                        ``write_stall_s`` → aborted
HANDED_OVER  the transport belongs to another protocol               –
CLOSED       it is gone                                              –
===========  ======================================================  =============================================

In any phase a client that takes nothing of what is buffered for it, for ``write_stall_s``, is cut off. While more
than half of ``response_buffer_bytes`` is buffered no further request is begun.

A client that shuts down its sending side (FIN) may have gone, or may still read. Who has set
``exchange.on_abandoned`` is told so and the connection ends; anybody else can still answer.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from enum import IntEnum, auto
from typing import Any, cast

from ..errors import RemoteProtocolError
from ..limits import Limits
from ..loop import Loop
from ..net.proxy_protocol import Header
from ..net.server import Server, shown
from ..quiet import QuietLog
from . import response
from .exchange import Exchange
from .output import Output
from .parser import CHUNKED, COMPLETE, LENGTH, RequestParser
from .timer import EARLY_S, Timer

log = logging.getLogger("greenwire")

AccessLog = Callable[..., None]  # of request, status, bytes, seconds, and of a WebSocket's close code
_SKIP_BYTES = 65_536  # of an unread body: reading them away is cheaper than a new connection


class Phase(IntEnum):
    """See the table at the head of this file. From LINGERING on there are no more requests."""

    IDLE = auto()
    HEAD = auto()
    RUNNING = auto()
    SKIPPING = auto()
    LINGERING = auto()
    CLOSING = auto()
    HANDED_OVER = auto()
    CLOSED = auto()


IDLE, HEAD, RUNNING, SKIPPING, LINGERING, CLOSING, HANDED_OVER, CLOSED = Phase  # see parser.py: a look-up costs


class HTTPConnection(asyncio.Protocol):
    """A protocol for asyncio's transports; loop thread only."""

    __slots__ = (
        "_advancing",
        "_at",
        "_begun",
        "_body_asked",
        "_body_since",
        "_closing",
        "_ended",
        "_exchange",
        "_held",
        "_limits",
        "_on_request",
        "_parser",
        "_paused_at",
        "_phase",
        "_quiet",
        "_timer",
        "_transport",
        "access_log",
        "alive",
        "announced",
        "body_error",
        "head",
        "kept",
        "loop",
        "output",
        "scheme",
        "server",
    )

    def __init__(
        self,
        loop: Loop,
        limits: Limits,
        on_request: Callable[[Exchange], None],
        server: Server,
        quiet: QuietLog,
        access_log: AccessLog | None = None,
        alive: Mapping[str, bytes] = response.ALIVE,
        head: response.Head = response.head,
    ) -> None:
        self.loop = loop
        self.server = server
        self.access_log = access_log
        self.alive = alive  # what an answer says where the connection goes on after it, by HTTP version
        self.announced: Header | None = None  # who a proxy says that the client is, before its first byte
        self.head = head  # how the head of an answer is written
        self.scheme: str | None = None  # where another process has taken TLS off
        self.kept: object = None  # what whoever answers wants to find again at the next request
        self.body_error: RemoteProtocolError | None = None  # of the exchange under way
        self._limits = limits
        self._on_request = on_request
        self._quiet = quiet
        self._phase = IDLE
        self.output: Output
        self._transport: asyncio.Transport
        self._parser: RequestParser
        self._timer = Timer(loop, self._expired)
        # in
        self._held = b""  # received; from _at on not parsed yet
        self._at = 0
        self._exchange: Exchange | None = None
        self._begun = False  # whether on_request has been called for it
        self._advancing = False  # _advance() is at work, maybe further up the stack
        self._closing = False  # no request after this one
        self._ended = False  # the client has shut down its side: no request after those that are here
        self._paused_at: float | None = None  # since when reading is paused
        self._body_asked = False  # somebody wants the body; 100 Continue is sent by that
        self._body_since: float | None = None  # when reading of the body began, pauses taken out

    # --- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = RequestParser(self._limits, *self.ends)
        self.output = Output(self.loop, self._transport, self._limits, self._quiet)
        self._timer.set(self.loop.now() + self._limits.keep_alive_s)
        self.server.opened(self)
        if self._held:
            self._advance()

    @property
    def ends(self) -> tuple[Any, Any, str]:
        """Whose connection it is, to where, and its scheme: as its requests have them."""
        info = self._transport.get_extra_info
        scheme = self.scheme or ("https" if info("sslcontext") is not None else "http")
        if self.announced is not None:
            return self.announced.source or "", self.announced.destination or "", scheme
        return info("peername") or "", info("sockname") or "", scheme

    def begin_with(self, data: bytes) -> None:
        """Before it is connected: *data* has been read from it already, by another process."""
        self._held = data

    def data_received(self, data: bytes) -> None:
        if self._phase >= LINGERING:
            return
        if self._held:
            data = self._held[self._at :] + data
        self._held = data
        self._at = 0
        self._advance()

    def eof_received(self) -> bool:
        exchange = self._exchange
        if exchange is None:
            return False  # the transport closes itself
        self._ended = True
        if not self.body_ended:
            self._fail_body(RemoteProtocolError("the request body ended early"))
        if exchange.on_abandoned is not None:
            exchange.abandon()
            return False
        return self._transport.can_write_eof()  # TLS has no half-closed connections

    def connection_lost(self, exc: Exception | None) -> None:
        if self._phase is HANDED_OVER:  # and its new owner has not set its own protocol: there is no more to end
            self.server.closed(self)
            return
        self._phase = CLOSED
        self._timer.close()
        self._held, self._at = b"", 0
        exchange, self._exchange = self._exchange, None
        if exchange is not None and self._begun:
            if not self.body_ended and self.body_error is None:
                self.body_error = RemoteProtocolError("the client went away")
            exchange.lose()
        self._parser.close()
        self.output.lose()
        self.server.closed(self)

    def pause_writing(self) -> None:
        self.output.pause()

    def resume_writing(self) -> None:
        self.output.resume()
        self._advance()

    @property
    def repeatable(self) -> list[tuple[str, str]]:
        """The last header fields that are short enough to be remembered: a request that repeats them has this list."""
        return self._parser.known_headers

    @property
    def secured(self) -> ssl.SSLObject | None:
        """The TLS of this connection."""
        found: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        return found

    # --- called by the server

    def drain(self) -> None:
        """The next answer is the last one, and says so; an idle client may have sent its request already."""
        self._closing = True

    def shutdown(self) -> None:
        """End when the exchange under way has been answered; at once when there is none."""
        self._closing = True
        if self._phase is IDLE:
            self._close()
        elif self._phase is SKIPPING:
            self._linger()

    def abort(self) -> None:
        """End now."""
        self._transport.abort()

    # --- in: from bytes to exchanges

    def _advance(self) -> None:
        """Go as far as the bytes, the exchange and the client's reading of answers allow."""
        if self._advancing:
            return  # the loop below goes on when we return to it
        self._advancing = True
        try:
            while True:
                if self._at < len(self._held) and self._hungry():
                    self._feed()
                elif self._exchange is not None and not self._begun:
                    self._begin(self._exchange)
                else:
                    break
        except RemoteProtocolError as error:
            self._reject(error)
        finally:
            self._advancing = False
        if self._phase < LINGERING:
            self._regulate()

    def _hungry(self) -> bool:
        """Whether the parser may have more."""
        phase = self._phase
        if phase is IDLE or phase is HEAD:
            return self.output.writable
        if phase is RUNNING:
            parser = self._parser
            if parser.framing is COMPLETE or self.body_error is not None:
                return False
            return parser.body_size < self._limits.body_buffer_bytes
        return phase is SKIPPING

    def _feed(self) -> None:
        parser = self._parser
        self._at = parser.feed(self._held, self._at)
        exchange = self._exchange
        if exchange is not None:
            if self._begun and exchange.on_body is not None:
                exchange.on_body()
        elif self._phase is SKIPPING:
            parser.take_body()
            if parser.framing is COMPLETE:
                self._next()
        elif parser.request is not None:
            self._phase = RUNNING
            self._begun = False
            started_at = self.loop.now() if self.access_log is not None else 0.0
            self._exchange = exchange = Exchange(self, parser.request, parser.wants_upgrade, started_at)
            if parser.framing is COMPLETE:  # else first comes what is here of the body
                self._begin(exchange)
        elif self._phase is IDLE and parser.started:
            self._phase = HEAD
            self._timer.set(self.loop.now() + self._limits.header_timeout_s)

    def _begin(self, exchange: Exchange) -> None:
        self._begun = True
        try:
            self._on_request(exchange)
        except Exception:
            log.exception("internal error with %r", exchange)
            exchange.respond(500, [("Content-Type", "text/plain; charset=utf-8")], b"Internal Server Error\n")
            exchange.cut()

    def _next(self) -> None:
        """The message is over and answered: ready for the next one."""
        self._parser.next()
        self._phase = IDLE
        self._body_asked = False
        self._body_since = None
        if self._ended and self._at >= len(self._held):
            self._close()
        else:
            self._timer.set(self.loop.now() + self._limits.keep_alive_s)

    def _reject(self, error: RemoteProtocolError) -> None:
        """What the client sends is no HTTP. It hears so, unless a handler runs that will answer."""
        if self._exchange is not None and self._begun:
            self._fail_body(error)
            return
        if self._phase is SKIPPING:
            self._linger()
            return
        self._exchange = None
        if self.access_log is not None:
            self.access_log(self._parser.unreadable(), error.status, 0, 0.0)
        self.output.write(response.plain(error.status, str(error), self.head))
        self._linger()

    def _regulate(self) -> None:
        """Pause or resume reading, and set the deadline, after bytes have moved."""
        waiting = len(self._held) - self._at
        if not waiting:
            self._held, self._at = b"", 0
            if self._paused_at is None and self._parser.framing is COMPLETE:  # a request without a body runs: most
                return
        if self._ended and self._phase is HEAD:  # the rest of it will not come
            self._close()
            return
        parser, limits = self._parser, self._limits
        full = waiting > limits.pipelined_bytes or parser.body_size >= limits.body_buffer_bytes
        if full is (self._paused_at is None):
            if full:
                self._pause_reading()
            else:
                self._resume_reading()
        if self._phase is RUNNING:
            if parser.framing is COMPLETE or self.body_error is not None:
                self._timer.clear()
            else:
                self._watch_body()

    def _pause_reading(self) -> None:
        self._paused_at = self.loop.now()
        self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._paused_at is not None:
            if self._body_since is not None:
                self._body_since += self.loop.now() - self._paused_at
            self._paused_at = None
            self._transport.resume_reading()

    # --- in: the body, for the exchange

    @property
    def body_ended(self) -> bool:
        """Whether the whole body has come."""
        return self._parser.framing is COMPLETE

    @property
    def body_length_ahead(self) -> int:
        """How many bytes of body there are at least: taken or not, here or still to come."""
        return self._parser.received + self._parser.left

    def whole_body(self) -> bytes | None:
        """All of the body of the request that runs, unless more is to come or some was taken."""
        parser = self._parser
        if parser.framing is not COMPLETE or parser.body_size != parser.received:
            return None
        return parser.take_body() if parser.received else b""

    def take_body(self) -> bytes:
        """The body's bytes that are here; more may be read instead."""
        if self._phase is not RUNNING:
            return b""
        parser = self._parser
        data = parser.take_body()
        if parser.framing is not COMPLETE:
            if not self._body_asked:
                self._ask_for_body()
            if not self._advancing:  # else what made room for more is further up the stack
                self._advance_soon()
        return data

    def _advance_soon(self) -> None:
        """Not at once: the caller has not seen yet what it has taken."""
        if self._at < len(self._held) or self._paused_at is not None or self._body_since is None:
            self.loop.call_soon(self._advance)

    def _ask_for_body(self) -> None:
        waited = self._client_waits
        self._body_asked = True
        if waited:  # RFC 9110 10.1.1: needless once the body has begun
            self.output.write(response.CONTINUE)

    def invite_body(self, fields: bytes) -> None:
        """``100 Continue`` with header *fields*, to a client that has asked for one; again and again if one likes."""
        if self._parser.expects_continue and self._phase is RUNNING:
            self._body_asked = True
            self.output.write(b"HTTP/1.1 100 Continue\r\n%b\r\n" % fields)

    def _fail_body(self, error: RemoteProtocolError) -> None:
        """Nothing more of the body will come; the exchange hears why, and nobody can follow it."""
        self.body_error = error
        self._closing = True
        self._held, self._at = b"", 0
        self._timer.clear()
        exchange = self._exchange
        if exchange is not None and exchange.on_body is not None:
            exchange.on_body()

    def _watch_body(self) -> None:
        if self._client_waits:
            self._timer.clear()
            return
        if self._body_since is None:
            self._body_since = self.loop.now()
        if self._paused_at is not None:
            self._timer.clear()
        else:
            self._timer.set(self._body_due())

    def _body_due(self) -> float:
        """When a body at the minimum rate would have brought no more than this one has."""
        limits, since = self._limits, self._body_since or 0.0
        return since + limits.body_grace_s + self._parser.received / limits.body_min_bytes_s

    # --- the end of an exchange, for the exchange

    def survives(self, *, final: bool) -> bool:
        """Whether there may be another request after this one's answer; asked before its head is written.

        *final*: nobody will read the body any more.
        """
        parser = self._parser
        if self._closing or not parser.keep_alive:
            return False
        framing = parser.framing
        if framing is COMPLETE:
            return True
        if framing is LENGTH:  # a rest that is small, and sure to come without our asking
            return parser.left <= _SKIP_BYTES and not self._client_waits
        if framing is CHUNKED and final:
            self._skip_chunks()
            return self.body_ended
        return False

    @property
    def _client_waits(self) -> bool:
        """Whether the client does not send the body before it has seen 100 Continue."""
        parser = self._parser
        return parser.expects_continue and not (self._body_asked or parser.received)

    def _skip_chunks(self) -> None:
        """Throw away what is here of the body: of chunks that are still to come nobody knows how many."""
        parser = self._parser
        try:
            while self._at < len(self._held) and parser.framing is CHUNKED:
                self._at = parser.feed(self._held, self._at)
                parser.take_body()
        except RemoteProtocolError:
            self._held, self._at = b"", 0

    def close_after_answer(self) -> None:
        """The head says ``Connection: close``."""
        self._closing = True

    def answered(self, keep: bool) -> None:
        """The answer has been written to its end. *keep*: the connection survives, and the answer says so."""
        self._exchange = None
        if not keep:
            self._part()
        elif self._parser.framing is COMPLETE:
            self._next()
        else:
            self._parser.take_body()
            self._phase = SKIPPING
            self._timer.set(self.loop.now() + self._limits.header_timeout_s)
        if (self._at < len(self._held) or self._paused_at is not None) and self._phase < LINGERING:
            self._advance()

    def cut(self, reset: bool) -> None:
        """End without the end of the answer; with *reset* in a way that no client takes for a proper end."""
        self._exchange = None
        if reset:
            with contextlib.suppress(OSError, AttributeError):
                sock = self._transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.output.flush()
            self._phase = CLOSING
            self._transport.abort()
        else:
            self._part()

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """See :meth:`Exchange.upgrade`."""
        self.output.flush()
        self.output.forget()
        rest = self._held[self._at :]
        self._held, self._at = b"", 0
        self._resume_reading()
        self._phase = HANDED_OVER
        self._exchange = None
        self._timer.close()
        self._parser.close()
        return self._transport, rest

    # --- the end of the connection

    def _part(self) -> None:
        """Close, so that the client can read the answer even while it still sends."""
        if self._at < len(self._held) or self._parser.framing is not COMPLETE or self.body_error:
            self._linger()
        else:
            self._close()

    def _linger(self) -> None:
        self.output.flush()
        self._phase = LINGERING
        self._held, self._at = b"", 0
        self._timer.set(self.loop.now() + self._limits.close_timeout_s)
        if not self._transport.is_closing():  # else it has been aborted in this turn
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._resume_reading()

    def _close(self) -> None:
        self.output.flush()
        self._phase = CLOSING
        self._transport.close()
        self.output.watch()

    # --- deadlines

    def _expired(self) -> None:
        phase = self._phase
        if phase is IDLE:
            if self._transport.get_write_buffer_size():  # it reads its answer slowly
                self.output.watch()
                self._timer.set(self.loop.now() + self._limits.keep_alive_s)
            else:
                self._close()
        elif phase is HEAD:
            self._reject(RemoteProtocolError("the request head took too long", status=408))
        elif phase is RUNNING:
            self._expire_body()
        elif phase is SKIPPING:
            self._close()
        elif phase is LINGERING:
            self._transport.abort()

    def _expire_body(self) -> None:
        if self.body_ended:  # meanwhile: moving or clearing the timer for each request would cost more
            return
        due = self._body_due()  # later than it was when the timer was set, when more has come
        if self.loop.now() < due - EARLY_S:
            self._timer.set(due)
        else:
            self._fail_body(RemoteProtocolError("the request body came too slowly", status=408))

    def __repr__(self) -> str:
        peer: Any = self._transport.get_extra_info("peername") if hasattr(self, "_transport") else None
        return f"<HTTPConnection {shown(peer)} {self._phase.name}>"
