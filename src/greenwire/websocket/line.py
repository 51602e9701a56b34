"""The frames that wait for a peer that does not keep up.

A line is made when the kernel has not taken everything, and is gone when it has: a peer that reads has none. Frames
wait here and not in the transport, which would keep private copies where frames of a turn are joined: one frame of a
broadcast waits in thousands of lines and is in memory once. The transport is given a part at a time.
"""

import asyncio
from collections.abc import Callable, Iterable

from ..unread import Unread, UnreadQueue

PART_BYTES = 65_536  # written before the turn ends; and no more than that shall be encrypted ahead
JOINED_BYTES = 16_384  # a larger private copy costs more than a system call, and thousands may not keep up


class Line:
    """``blocked`` says whether the transport holds something that the kernel has not taken."""

    __slots__ = ("_at", "_held", "_queue", "_sliced", "_transport", "blocked", "then")

    def __init__(self, transport: asyncio.Transport, unread: Unread, cut_off: Callable[[], object]) -> None:
        self.blocked = False
        self.then: Callable[[], object] | None = None  # called when nothing waits any more
        self._transport = transport
        self._queue: UnreadQueue[bytes] = UnreadQueue(unread, len, cut_off)
        self._held = 0  # bytes of the first in the queue, if that is what the transport holds
        # A frame that is encrypted is a private copy, and uvloop's TLS does not tell how much of it still waits.
        self._sliced = transport.get_extra_info("sslcontext") is not None
        self._at = 0  # so much of the first frame that waits has been given to the transport

    @property
    def waiting(self) -> int:
        """Bytes that wait, beside what the transport has."""
        return self._queue.bytes - self._held - self._at

    @property
    def empty(self) -> bool:
        """Whether the kernel has taken everything."""
        return not self.blocked and not self._queue

    def extend(self, frames: Iterable[bytes]) -> None:
        """These come behind the others. Whoever the limit over all demands, maybe this peer, is cut off meanwhile."""
        self._queue.extend(frames)

    def hold(self, data: bytes) -> None:
        """The transport was given *data* and is blocked by it."""
        self._held = len(data)
        self._queue.appendleft(data)

    def unblock(self) -> None:
        """The kernel has taken what the transport had."""
        self.blocked = False
        if self._held:
            self._held = 0
            self._queue.popleft()

    def advance(self) -> None:
        """Write until the transport is blocked, or nothing waits."""
        while self._queue and not self.blocked:
            part = self._next()
            self._transport.write(part)
            if self.blocked:
                self.hold(part)

    def _next(self) -> bytes:
        queue = self._queue
        if self._sliced and len(queue.first) > PART_BYTES:
            return self._slice()
        part = queue.popleft()
        if not queue or len(part) + len(queue.first) > JOINED_BYTES:
            return part
        parts, size = [part], len(part)
        while queue and size + len(queue.first) <= JOINED_BYTES:
            parts.append(queue.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _slice(self) -> bytes:
        frame = self._queue.first
        part = frame[self._at : self._at + PART_BYTES]
        self._at += PART_BYTES
        if self._at >= len(frame):
            self._at = 0
            self._queue.popleft()
        return part

    def clear(self) -> None:
        """Nothing will be written any more."""
        self._held = self._at = 0
        self._queue.clear()
