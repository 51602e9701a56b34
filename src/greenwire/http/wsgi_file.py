"""``wsgi.file_wrapper``: a file as an answer, by ``sendfile`` where that can be (PEP 3333, "Optional
Platform-Specific File Handling").

The kernel then copies from the file to the socket, and Python sees none of it. It can be where the file is a real
one, the connection is not TLS, nothing waits in the transport before it, and the application runs in a thread: the
calls are made in that thread, because a disk may be slow and the loop must not wait. Everywhere else the file is read
block by block like any other answer.

The socket's descriptor is *lent* to the thread as a duplicate: the transport may close its own at any time, and a
number that has been closed may by then be somebody else's.
"""

import errno
import io
import os
import select
import stat
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..limits import Limits

_WORTH_BYTES = 65_536  # of a smaller file head and body leave in one call, which is cheaper
_PIECE_BYTES = 1_048_576
_LOOK_S = 1.0  # how often: whether the client is still there
_UNKNOWN = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))
_GONE = frozenset((errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ETIMEDOUT, errno.EBADF))


class FileWrapper:
    """``wsgi.file_wrapper``: a file as an iterator of blocks, which can seek and be closed where the file can.

    An iterator, not only an iterable: Werkzeug wraps ``iter()`` of it for a range, seeks in that and closes that.
    """

    def __init__(self, file: Any, block_bytes: int = 65_536) -> None:
        self.file = file
        self._block_bytes = block_bytes
        for name in ("close", "seek", "tell", "seekable"):
            if hasattr(file, name):
                setattr(self, name, getattr(file, name))

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if data := self.file.read(self._block_bytes):
            return data  # type: ignore[no-any-return]
        raise StopIteration


class Extent(NamedTuple):
    """A part of a file: from *start* to its end."""

    descriptor: int
    start: int
    size: int


def extent_of(file: Any) -> Extent | None:
    """What *file* has still to give, where the kernel can read it by itself and it is worth it."""
    if isinstance(file, tempfile._TemporaryFileWrapper):
        file = file.file
    # Not whatever has a fileno(): that of a GzipFile, for example, is the compressed file's.
    raw = file.raw if isinstance(file, io.BufferedReader | io.BufferedRandom) else file
    if not isinstance(raw, io.FileIO) or not hasattr(os, "sendfile"):
        return None
    try:
        found = os.fstat(raw.fileno())
        start = file.tell()
    except (OSError, ValueError):
        return None
    size = found.st_size - start
    if not stat.S_ISREG(found.st_mode) or size < _WORTH_BYTES:
        return None
    return Extent(raw.fileno(), start, size)


class ReaderGone(Exception):
    """The client has gone away, or takes nothing."""


class NotPossible(Exception):
    """This kernel cannot send from this file system. Nothing has been sent."""


def send(to: int, extent: Extent, size: int, limits: Limits, gone: Callable[[], bool]) -> int:
    """Have the kernel copy *size* bytes to the non-blocking socket *to*; fewer where the file has become shorter.

    Waits for a slow reader, ``limits.write_stall_s`` at most without progress. Raises :class:`ReaderGone` and
    :class:`NotPossible`. May switch.
    """
    poll = select.poll()
    poll.register(to, select.POLLOUT)
    sent = 0
    waited = 0.0
    while sent < size:
        if gone():
            raise ReaderGone
        try:
            count = os.sendfile(to, extent.descriptor, extent.start + sent, min(size - sent, _PIECE_BYTES))
        except BlockingIOError:
            if not poll.poll(_LOOK_S * 1_000):
                waited += _LOOK_S
                if waited >= limits.write_stall_s:
                    raise ReaderGone from None
            continue
        except OSError as error:
            if error.errno in _GONE:
                raise ReaderGone from None
            if error.errno in _UNKNOWN and not sent:
                raise NotPossible from None
            raise
        if not count:
            break
        sent += count
        waited = 0.0
    return sent
