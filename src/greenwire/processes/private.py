"""The folder that the processes of one supervisor share, and nobody else: Unix sockets between them, figures.

It is to go with the last of these processes, however they end. So there is a lock on it (``flock``), which workers
inherit by the fork and the kernel takes away. A folder without a lock is nobody's any more, and is removed by

* the supervisor, at its end;
* the last worker of a supervisor that was killed;
* the next supervisor, where all of them were killed.
"""

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator

from .privileges import Identity

_PREFIX = "greenwire-w-"


class PrivateFolder:
    """At :attr:`path`. Made, and locked, by :func:`private_folder`."""

    def __init__(self, path: str, lock: int) -> None:
        self.path = path
        self._lock = lock

    def leave(self) -> None:
        """A worker ends. If it is the last one, and its supervisor is dead, it removes the folder.

        The lock alone tells. A worker hears of its supervisor's death before it has another parent.
        """
        os.close(self._lock)
        _remove_if_unlocked(self.path, {os.geteuid()})


@contextlib.contextmanager
def private_folder(wanted: Identity | None) -> Iterator[PrivateFolder]:
    """One that belongs to *wanted*; without, to whoever we are."""
    owners = {os.geteuid(), *([wanted.uid] if wanted is not None else ())}
    for path in glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), _PREFIX + "?" * 8)):
        _remove_if_unlocked(path, owners)
    made = tempfile.mkdtemp(prefix=f".{_PREFIX}")  # mode 0700; it gets its name when it is locked
    lock = os.open(made, os.O_RDONLY)
    with contextlib.suppress(OSError):  # a file system without locks: then nobody else removes it either
        fcntl.flock(lock, fcntl.LOCK_EX)
    path = os.path.join(os.path.dirname(made), os.path.basename(made).removeprefix("."))
    if wanted is not None:
        os.chown(made, wanted.uid, wanted.gid)
    os.rename(made, path)
    try:
        yield PrivateFolder(path, lock)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _remove_if_unlocked(path: str, owners: set[int]) -> None:
    try:
        found = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # it is gone meanwhile, or somebody else's
        return
    try:
        if os.fstat(found).st_uid in owners:
            fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    except OSError:  # somebody is there
        pass
    finally:
        os.close(found)
