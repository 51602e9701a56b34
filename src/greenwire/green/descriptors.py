"""Reading and writing of bare descriptors, as ``os`` does it, while others run.

Nothing here makes a descriptor non-blocking: that belongs to the open file, which a pipe's other users share. A shell
pipeline (``Popen(stdin=other.stdout)``) would hand such a pipe to a program that knows nothing of it. So each call
first waits until the system says that it would not block, and writes to a pipe go in pieces that then fit (POSIX:
a pipe that is writable takes ``PIPE_BUF`` bytes).

In a callback or a coroutine nobody can wait; there the calls do what they do without us: asyncio itself makes them.
"""

import io
import os
import socket
import stat
import warnings
from asyncio.events import _get_running_loop
from collections.abc import Callable
from select import PIPE_BUF, POLLIN, POLLOUT
from select import poll as _poll
from typing import Any

from . import select as green_select
from .hub import alone, can_wait, sleep

_READABLE = POLLIN
_WRITABLE = POLLOUT
_RETRY_S = 0.005
_read = os.read  # before anybody replaces them
_write = os.write
_Socket = socket.socket


def until_ready(fd: int, mask: int) -> None:
    """Until an operation on *fd* would not block; at once where that cannot be waited for. May switch."""
    if _is_ready(fd, mask) or not _may_wait() or not os.get_blocking(fd):
        return
    waiting = green_select.poll()
    waiting.register(fd, mask)
    waiting.poll()


def _may_wait() -> bool:
    """Whether there is anybody to run meanwhile, and the caller can let them."""
    return not alone() and (_get_running_loop() is None or can_wait())


def _is_ready(fd: int, mask: int) -> bool:
    """Also where *fd* is none: whoever asked gets the system's own error."""
    looking = _poll()
    try:
        looking.register(fd, mask)
    except (OverflowError, TypeError, ValueError):
        return True
    return bool(looking.poll(0))


def read(fd: int, length: int, /) -> bytes:
    """``os.read``. May switch."""
    until_ready(fd, _READABLE)
    return _read(fd, length)


def write(fd: int, data: Any, /) -> int:
    """``os.write``: all of *data*, where the descriptor is a blocking one. May switch."""
    once = _once(fd)
    if once is None:
        return _write(fd, data)
    with memoryview(data) as view, view.cast("B") as rest:
        done = 0
        while True:
            until_ready(fd, _WRITABLE)
            try:
                done += once(fd, rest[done:])
            except BlockingIOError:  # a message that needs more room than there is, and no event tells of that
                sleep(_RETRY_S)
                continue
            if done >= len(rest):
                return done


def _once(fd: int) -> Callable[[int, memoryview], int] | None:
    """How to write a part to *fd* without blocking; ``None``: it never blocks, or does so on purpose."""
    try:
        mode = os.fstat(fd).st_mode
        if not _may_wait() or not os.get_blocking(fd):
            return None
    except (OSError, OverflowError, TypeError):
        return None  # the real call complains
    if stat.S_ISFIFO(mode):
        return _piece
    return _datagram if stat.S_ISSOCK(mode) else None


def _piece(fd: int, rest: memoryview) -> int:
    return _write(fd, rest[:PIPE_BUF])


def _datagram(fd: int, rest: memoryview) -> int:
    """A socket says by itself that it would block, and its messages must not be cut."""
    sock = _Socket(fileno=fd)
    try:
        sock.settimeout(None)  # there may be a default
        sent: int = sock.send(rest, socket.MSG_DONTWAIT)
        return sent
    finally:
        sock.detach()


class Pipe(io.FileIO):
    """One end of a pipe as a raw file."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Read once. May switch."""
        until_ready(self.fileno(), _READABLE)
        return super().readinto(buffer)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read once, or all. May switch."""
        if size is None or size < 0:
            return self.readall()
        until_ready(self.fileno(), _READABLE)
        return super().read(size)

    def readall(self) -> bytes:
        """Read up to the end. May switch."""
        parts = []
        while part := self.read(io.DEFAULT_BUFFER_SIZE):
            parts.append(part)
        return b"".join(parts)

    def write(self, data: Any, /) -> int:
        """Write all. May switch."""
        if self.closed or not self.writable():
            return super().write(data)  # which says why not
        return write(self.fileno(), data)


def open_pipe(fd: int, mode: str, buffering: int = -1) -> Any:
    """``io.open`` of a pipe's end, binary."""
    raw = Pipe(fd, mode)
    if buffering == 0:
        return raw
    if buffering == 1:
        text = "line buffering (buffering=1) isn't supported in binary mode, the default buffer size will be used"
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    size = io.DEFAULT_BUFFER_SIZE if buffering in (-1, 1) else buffering
    return io.BufferedReader(raw, size) if raw.readable() else io.BufferedWriter(raw, size)
