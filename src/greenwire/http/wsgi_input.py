"""``wsgi.input`` of a request whose body is still coming in (PEP 3333, io.BufferedIOBase).

The application asks, the loop answers: it hands over whatever is there, and lets reading go on while the
application works. So at most ``limits.body_buffer_bytes`` and one read from the socket are held, and nothing is
shared between the threads but one piece at a time.

A body that ends early, is malformed or comes too slowly raises :class:`TruncatedBodyError`, from then on at every
read: nobody takes half an upload for a whole one.
"""

import io
from collections.abc import Callable, Iterator

from ..errors import RemoteProtocolError, TruncatedBodyError
from ..loop import Loop
from . import response
from .exchange import Exchange
from .waiting import Waiter

Headers = list[tuple[str, str]]


class _Uninvited:
    """No client waits for a 100, since the body is here."""

    def set_hundred_continue_response_headers(self, headers: Headers) -> None:
        """Nothing."""

    def send_hundred_continue_response(self) -> None:
        """Nothing."""


class WholeInput(_Uninvited, io.BytesIO):
    """A body that has come already."""


class NoInput(_Uninvited, io.BufferedIOBase):
    """No body. It has no state, so one does for all requests: closing it closes nothing."""

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Nothing."""
        return b""

    read1 = readline = read

    def close(self) -> None:
        """Nothing."""


NO_INPUT = NoInput()


class BodyInput(io.BufferedIOBase):
    """File-like, for the thread that runs the application. All methods may switch."""

    def __init__(self, exchange: Exchange, loop: Loop, new_waiter: Callable[[], Waiter]) -> None:
        self._exchange = exchange
        self._loop = loop
        self._new_waiter = new_waiter
        self._waiter: Waiter | None = None
        self._piece = b""  # what the loop has handed over; from _at on not read yet
        self._at = 0
        self._taken = b""  # for the loop to hand over
        self._ended = False
        self._error: RemoteProtocolError | None = None
        self._fields = b""  # to be sent with 100 Continue

    # --- 100 Continue, which is sent at the first read otherwise

    def set_hundred_continue_response_headers(self, headers: Headers) -> None:
        """Header fields for the ``100 Continue``. Raises ValueError for one that cannot be sent."""
        self._fields = response.encode(headers).block

    def send_hundred_continue_response(self) -> None:
        """Send it now, with these fields, if the client waits for one. To be called once for each that it expects."""
        self._loop.post(self._exchange.invite_body, self._fields)
        self._fields = b""

    # --- what PEP 3333 asks for

    def read(self, size: int | None = -1) -> bytes:
        """Up to *size* bytes, fewer only at the end of the body; all of it for a negative size or None."""
        if size is None or size < 0:
            return b"".join(self._pieces())
        parts: list[bytes] = []
        while size > 0 and self._fill():
            part = self._take(size)
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read1(self, size: int = -1) -> bytes:
        """Up to *size* bytes of what is there; waits only when nothing is."""
        if size == 0 or not self._fill():
            return b""
        return self._take(size if size > 0 else len(self._piece))

    def readline(self, size: int | None = -1) -> bytes:
        """Up to and with the next line feed, at most *size* bytes."""
        room = size if size is not None and size >= 0 else None
        parts: list[bytes] = []
        while (room is None or room > 0) and self._fill():
            end = self._piece.find(b"\n", self._at) + 1
            part = self._take((end or len(self._piece)) - self._at, room)
            parts.append(part)
            if part.endswith(b"\n"):
                break
            if room is not None:
                room -= len(part)
        return b"".join(parts)

    def readable(self) -> bool:
        """It is. (Lines, iteration and the rest are ``io``'s own, made of the methods above.)"""
        return True

    # --- pieces

    def _pieces(self) -> Iterator[bytes]:
        while self._fill():
            yield self._take(len(self._piece))

    def _take(self, size: int, room: int | None = None) -> bytes:
        at = self._at
        end = at + (size if room is None else min(size, room))
        part = self._piece[at:end] if at or end < len(self._piece) else self._piece
        self._at = at + len(part)
        return part

    def _fill(self) -> bool:
        """Have a piece with unread bytes; False at the end of the body."""
        if self._at < len(self._piece):
            return True
        if not self._ended and self._error is None:
            if self._fields:
                self.send_hundred_continue_response()
            if self._waiter is None:
                self._waiter = self._new_waiter()
            if not self._loop.ask(self._fetch):
                self._waiter.wait()
            self._piece, self._at, self._taken = self._taken, 0, b""
        if self._error is not None:
            raise TruncatedBodyError(str(self._error))
        return bool(self._piece)

    # --- in the loop thread

    def _fetch(self) -> bool:
        """Hand over what is there; where nothing is, have :meth:`_arrived` called when there is."""
        exchange = self._exchange
        self._error = exchange.body_error
        self._taken = exchange.take_body()
        self._ended = exchange.body_ended and not self._taken
        if self._taken or self._ended or self._error is not None:
            return True
        exchange.on_body = self._arrived
        return False

    def _arrived(self) -> None:
        if self._fetch() and self._waiter is not None:
            self._exchange.on_body = None
            self._waiter.wake()
