"""The accept loop of one listening socket.

It is our own, because those of the event loops are not fit for the day when descriptors run out:
asyncio calls its exception handler hundreds of times a second, uvloop accepts and drops clients without a word.
Its rules:

* It never ends because of what ``accept`` says. A client that is gone again is passed over; when the process or
  the kernel lacks something, accepting rests (``limits.accept_pause_s``, doubling to eight times that) and one
  line says so; whatever else comes is logged and survived.
* It takes at most ``_BATCH`` connections a turn, so that a flood of new ones does not starve the old ones.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from ..limits import Limits
from ..loop import Loop
from ..quiet import QuietLog
from .listen import Inherited
from .share import HEAD_START_S

_BATCH = 64
_SHARED_BATCH = 8  # between two looks at how many the other processes have
_MAX_PAUSE_FACTOR = 8
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
# accept(2): errors of the new connection, not of the listening socket; "treat them like EAGAIN by retrying".
_OF_THE_CLIENT = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "ECONNRESET", "EPERM", "EPROTO", "EINTR", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN"),
        *("ENONET", "EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH", "ETIMEDOUT", "EPIPE", "ENOTCONN", "ESHUTDOWN"),
    )
    if hasattr(errno, name)
)


class Listener:
    """One listening socket and its pause."""

    def __init__(
        self,
        sock: socket.socket,
        take: Callable[[socket.socket, Any], None],
        gives_way: Callable[[], bool],
        loop: Loop,
        limits: Limits,
        quiet: QuietLog,
        *,
        shared: bool,
    ) -> None:
        """*take* gets each connection and the address of its client. *shared*: by other processes, whom this one
        lets go first while *gives_way* says so."""
        self._take = take
        self._gives_way = gives_way
        self._sock = sock
        self._loop = loop
        self._limits = limits
        self._quiet = quiet
        self._pause_s = limits.accept_pause_s
        self._timer: asyncio.TimerHandle | None = None
        self._shared = shared
        self._file = None if shared else unix_file(sock)
        self._fd = sock.fileno()

    def resume(self) -> None:
        """Accept, from the next turn of the loop on."""
        self._timer = None
        self._loop.aio.add_reader(self._fd, self._accept)

    def _accept(self) -> None:
        if self._gives_way():
            self._loop.aio.remove_reader(self._fd)
            self._timer = self._loop.call_later(HEAD_START_S, self._accept_the_rest)
        else:
            self._take_some()

    def _accept_the_rest(self) -> None:
        """The others have had their moment."""
        self.resume()
        self._take_some()

    def _take_some(self) -> None:
        for _ in range(_SHARED_BATCH if self._shared else _BATCH):
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if self._rests(error):
                    return
                continue
            self._pause_s = self._limits.accept_pause_s
            self._take(sock, peer)

    def _rests(self, error: OSError) -> bool:
        """Whether accepting has to pause after *error*."""
        if error.errno in _OF_THE_CLIENT:
            return False
        if error.errno in _EXHAUSTED:
            self._quiet.warning(
                "accept",
                "cannot accept connections: %s; trying again in %g s (raise the limit of open files, ulimit -n)",
                error.strerror,
                self._pause_s,
            )
        else:
            self._quiet.warning("accept", "cannot accept connections: %s; trying again", error)
        self._pause()
        return True

    def _pause(self) -> None:
        self._loop.aio.remove_reader(self._fd)
        self._timer = self._loop.call_later(self._pause_s, self.resume)
        self._pause_s = min(self._pause_s * 2, self._limits.accept_pause_s * _MAX_PAUSE_FACTOR)

    def close(self) -> None:
        """Accept no more, and remove the file of a Unix socket that is ours alone."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.aio.remove_reader(self._fd)
        self._sock.close()
        if self._file is not None:
            unlink_if_ours(*self._file)


def unix_file(sock: socket.socket) -> tuple[str, tuple[int, int]] | None:
    """Path and identity of a Unix socket's file, as long as it is there."""
    if sock.family != getattr(socket, "AF_UNIX", None) or isinstance(sock, Inherited):
        return None
    path = os.fsdecode(sock.getsockname())
    try:
        found = os.lstat(path)
    except (OSError, ValueError):  # an abstract one, or removed by somebody
        return None
    return path, (found.st_dev, found.st_ino)


def unlink_if_ours(path: str, identity: tuple[int, int]) -> None:
    """A successor may have put its own socket there meanwhile."""
    try:
        found = os.lstat(path)
        if (found.st_dev, found.st_ino) == identity:
            os.unlink(path)
    except OSError:
        pass
