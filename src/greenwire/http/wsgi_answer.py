"""``start_response``, ``write`` and the returned iterable: from the application's thread to the exchange.

An answer that is complete when it is first seen takes one post to the loop: that is the hot path. Any other is
sent piece by piece as the application yields it, without waiting for the next piece (PEP 3333). Once half of
``limits.response_buffer_bytes`` has been posted, the application waits until the client has read most of it.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable
from enum import Enum, auto
from types import TracebackType
from typing import Any

from ..limits import Limits
from ..loop import Loop
from . import response, wsgi_file
from .exchange import Exchange
from .waiting import ThreadWaiter, Waiter
from .wsgi_file import FileWrapper

log = logging.getLogger("greenwire")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

_STATUS = re.compile(r"([2-9]\d\d) ([\t\x20-\x7e\x80-\xff]*)").fullmatch
_LINES: dict[str, tuple[int, bytes]] = {}  # statuses that have been judged
_LINES_KEPT = 256
_TEXT = [("Content-Type", "text/plain; charset=utf-8")]


class _Sent(Enum):
    """How much of the answer has been posted to the loop."""

    NOTHING = auto()
    HEAD = auto()
    ALL = auto()


_NOTHING, _HEAD, _ALL = _Sent  # see parser.py: a look-up costs


class ClientGone(OSError):
    """The client is not there any more, or takes nothing: there is nobody to answer."""


class WSGIAnswer:
    """One answer, seen from the thread that runs the application. Methods may switch."""

    __slots__ = (
        "_alive",
        "_code",
        "_exchange",
        "_fields",
        "_limits",
        "_line",
        "_loop",
        "_new_waiter",
        "_posted",
        "_state",
        "_waiter",
    )

    # With _fields:
    _code: int
    _line: bytes

    _alive: bool  # what we have been told, behind a wait

    def __init__(self, exchange: Exchange, loop: Loop, limits: Limits, new_waiter: Callable[[], Waiter]) -> None:
        self._exchange = exchange
        self._limits = limits
        self._loop = loop
        self._new_waiter = new_waiter
        self._waiter: Waiter | None = None
        self._posted = 0  # bytes since we asked last
        self._state = _NOTHING
        self._fields: response.Fields | None = None

    # --- what PEP 3333 gives to the application

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """Say what the head will be; it is sent with the first bytes of the body."""
        if exc_info is not None:
            try:
                if self._state is not _NOTHING:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # break the cycle through the traceback
        elif self._fields is not None:
            raise RuntimeError("start_response was called a second time without exc_info")
        self._code, self._line = _LINES.get(status) or _judge_status(status)
        self._fields = response.encode(headers)
        return self.write

    def write(self, data: bytes) -> None:
        """Send *data* now: what ``start_response`` returns."""
        if data.__class__ is not bytes:
            raise TypeError(f"a WSGI application sends bytes, not {type(data).__name__}")
        if self._state is _ALL:
            if data:
                self._too_long()
            return
        if self._exchange.gone:  # else a stream that says little would go on for nobody
            raise ClientGone("the client has gone away")
        if self._state is _NOTHING:
            fields = self._head()
            self._state = _HEAD
            self._loop.post(self._exchange.begin, self._code, self._line, fields, data)
        elif data:
            self._loop.post(self._exchange.write, data)
        self._posted += len(data)
        if self._posted >= self._limits.response_buffer_bytes // 2:  # that much may be posted without asking
            self._wait_for_reader()

    # --- for the gateway

    def deliver(self, result: Iterable[bytes]) -> None:
        """Send what the application has returned."""
        if (result.__class__ is list or result.__class__ is tuple) and self._state is _NOTHING:
            body, fields = b"".join(result), self._fields
            if fields is not None:
                self._state = _ALL
                self._loop.post(self._exchange.send, self._code, self._line, fields, body)
                return
        if result.__class__ is FileWrapper and self._send_file(result):
            return
        for data in result:
            if self._state is _NOTHING:
                if not data:
                    continue
                if self._head().length == len(data):
                    self._complete(data)
                    continue
                if self._exchange.request.method == "HEAD":  # a stream may have no end, and nobody wants it
                    self._complete(b"")
                    return
            self.write(data)
        if self._state is _NOTHING:
            self._complete(b"")
        elif self._state is _HEAD:
            self._loop.post(self._exchange.end)

    def fail(self, status: int, text: str) -> None:
        """Answer with an error where nothing has been sent, else break off in a way that the client notices."""
        if self._state is _NOTHING:
            self._state = _ALL
            self._loop.post(self._exchange.respond, status, _TEXT, text.encode(errors="backslashreplace"))
        else:
            self._loop.post(self._exchange.cut)

    def _complete(self, body: bytes) -> None:
        fields = self._head()
        self._state = _ALL
        self._loop.post(self._exchange.send, self._code, self._line, fields, body)

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """By the kernel, where it can; see wsgi_file.py."""
        exchange, extent = self._exchange, wsgi_file.extent_of(wrapper.file)
        threads = self._new_waiter is ThreadWaiter  # in the loop's own thread nobody may wait for a socket
        if extent is None or not threads or self._state is not _NOTHING or exchange.request.method == "HEAD":
            return False
        fields = self._head()
        if fields.length is None:
            fields.length = extent.size
        if not 0 < fields.length <= extent.size:
            return False
        self._state = _HEAD
        lent = self._loop.ask(exchange.lend, self._code, self._line, fields)
        if lent is None:  # the head is on its way; the body goes the usual one
            return False
        try:
            sent = wsgi_file.send(lent, extent, fields.length, self._limits, lambda: exchange.gone)
        except wsgi_file.NotPossible:
            return False
        except wsgi_file.ReaderGone:
            self._loop.post(exchange.cut)
            raise ClientGone("the client has gone away, or reads nothing") from None
        finally:
            os.close(lent)
        self._loop.post(exchange.give_back, sent)
        self._state = _ALL
        return True

    def _head(self) -> response.Fields:
        if self._fields is None:
            raise RuntimeError("the application has not called start_response")
        return self._fields

    def _too_long(self) -> None:
        log.error("the answer to %r is longer than its Content-Length; the rest is dropped", self._exchange)

    # --- waiting for a slow reader

    def _wait_for_reader(self) -> None:
        self._posted = 0
        if self._waiter is None:
            self._waiter = self._new_waiter()
        self._loop.post(self._exchange.when_writable, self._told)
        self._waiter.wait()
        if not self._alive:
            raise ClientGone("the client has gone away, or reads nothing")

    def _told(self, alive: bool) -> None:
        """In the loop thread."""
        self._alive = alive
        if self._waiter is not None:
            self._waiter.wake()


def _judge_status(status: Any) -> tuple[int, bytes]:
    match = _STATUS(status) if isinstance(status, str) else None
    if match is None:
        raise ValueError(f"status {status!r} is not like '200 OK'")
    code = int(match[1])
    judged = code, response.status_line(code, match[2])
    if len(_LINES) < _LINES_KEPT:
        _LINES[status] = judged
    return judged
