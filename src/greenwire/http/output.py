"""The way out of one connection (design, rule 4): what is written in a turn of the loop leaves in one call.

It also knows whether the client keeps up. While the transport holds more than half of
``limits.response_buffer_bytes`` the output is not *writable*; a client that then takes nothing at all for
``limits.write_stall_s`` is cut off. Streams wait for it; but a whole answer is given to the transport at once, however
large, and so what is not taken counts for ``limits.output_bytes``.
"""

import asyncio
import os
from collections.abc import Callable

from ..limits import Limits
from ..loop import Loop
from ..net.server import shown
from ..quiet import QuietLog
from ..unread import UnreadQueue
from .timer import Timer

_FLUSH_BYTES = 65_536  # written in one turn: more is given to the transport before the turn ends


class Output:
    """Loop thread only."""

    __slots__ = (
        "_bytes",
        "_limits",
        "_loop",
        "_on_writable",
        "_parts",
        "_quiet",
        "_stall",
        "_taken",
        "_transport",
        "_unread",
        "_written",
        "writable",
    )

    def __init__(self, loop: Loop, transport: asyncio.Transport, limits: Limits, quiet: QuietLog) -> None:
        self.writable = True
        self._loop = loop
        self._transport = transport
        self._limits = limits
        self._quiet = quiet
        self._parts: list[bytes] = []
        self._bytes = 0  # in these parts
        self._written = 0  # bytes given to the transport
        self._taken = 0  # of these, by the kernel, when we looked last
        self._stall: Timer | None = None
        self._on_writable: Callable[[bool], None] | None = None
        self._unread: UnreadQueue[bytes] | None = None  # while not writable: what the transport holds
        transport.set_write_buffer_limits(high=limits.response_buffer_bytes // 2)

    def write(self, data: bytes) -> None:
        """Send *data* at the end of this turn of the loop."""
        parts = self._parts
        if not parts:
            self._loop.mark_dirty(self)
        parts.append(data)
        self._bytes += len(data)
        if self._bytes > _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Give the transport what was written: in one call, unless it is so much that a copy costs more."""
        parts = self._parts
        if not parts:
            return
        size, self._parts, self._bytes = self._bytes, [], 0
        transport = self._transport
        if transport.is_closing():
            return
        self._written += size
        if len(parts) > 1 and size <= _FLUSH_BYTES:
            parts = [b"".join(parts)]
        for data in parts:
            transport.write(data)
        if self._unread is not None:
            self._unread.extend(parts)

    def lend(self) -> int | None:
        """A descriptor of the socket, to be closed by the borrower, while nothing waits to be written before."""
        self.flush()
        transport = self._transport
        sock = transport.get_extra_info("socket")
        secured = transport.get_extra_info("sslcontext") is not None
        if secured or sock is None or transport.is_closing() or transport.get_write_buffer_size():
            return None
        try:
            return os.dup(sock.fileno())
        except OSError:  # there are no more descriptors: it is no reason to fail
            return None

    @property
    def buffered(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._bytes + self._transport.get_write_buffer_size()

    def when_writable(self, call: Callable[[bool], None]) -> None:
        """``call(True)`` once little is buffered, maybe at once; ``call(False)`` when the client is gone."""
        self.flush()
        if self.writable:
            call(True)
        else:
            self._on_writable = call

    # --- called by the connection

    def pause(self) -> None:
        """The transport holds much."""
        self.writable = False
        if self._unread is None:
            self._unread = UnreadQueue(self._loop.unread, len, self._cut_off)
        self.watch()

    def resume(self) -> None:
        """The transport holds little again."""
        self.writable = True
        self.forget()
        if self._stall is not None:
            self._stall.clear()
        self._tell(True)

    def forget(self) -> None:
        """What the transport holds is taken, or somebody else's."""
        unread, self._unread = self._unread, None
        if unread is not None:
            unread.clear()

    def _cut_off(self) -> None:
        self._transport.abort()

    def lose(self) -> None:
        """The transport is gone."""
        self._parts, self._bytes = [], 0
        self.forget()
        if self._stall is not None:
            self._stall.close()
        self._tell(False)

    def watch(self) -> None:
        """Cut the client off unless it takes what is buffered."""
        if self._stall is None:
            self._stall = Timer(self._loop, self._look)
        taken = self._written - self._transport.get_write_buffer_size()
        if taken > self._taken or not self._stall.active:
            self._taken = taken
            self._stall.set(self._loop.now() + self._limits.write_stall_s)

    def _look(self) -> None:
        waiting = self._transport.get_write_buffer_size()
        if not waiting and not self._transport.is_closing():
            return
        if self._written - waiting > self._taken:
            self.watch()
            return
        self._quiet.warning(
            "stall",
            "cut off %s: it has taken nothing of its answer for %g s (limit 'write_stall_s')",
            shown(self._transport.get_extra_info("peername")),
            self._limits.write_stall_s,
        )
        self._transport.abort()

    def _tell(self, alive: bool) -> None:
        call, self._on_writable = self._on_writable, None
        if call is not None:
            call(alive)
