"""``--reload``: a process that looks at source files, and says so when one has changed.

It is a process of its own, because the supervisor forks and so may have no threads; ``watchfiles`` has one, and is
used where it is installed. Without it the times of files are compared.
"""

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

_EVERY_S = 0.5
_CALM_S = 0.1  # an editor or a checkout writes several files at once
_PATTERNS = ("*.py",)
# Where no source of the application is, and thousands of other files are.
_PASSED_OVER = ("__pycache__", ".*", "node_modules", "site-packages")


class Watcher:
    """Looks at the files below *folder*. :attr:`fd` can be read when one has changed; :meth:`take` says which."""

    def __init__(self, folder: str, include: Sequence[str], exclude: Sequence[str]) -> None:
        files = Files(Path(folder).resolve(), [*_PATTERNS, *include], [*_PASSED_OVER, *exclude])
        before = files.times()  # not in the other process: until that looks, a worker may have imported them
        self.fd, theirs = os.pipe()
        os.set_blocking(self.fd, False)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _look(files, before, theirs, parent)
        os.close(theirs)

    def take(self) -> list[str] | None:
        """The files that have changed since the last call; None when nobody looks any more."""
        try:
            return os.fsdecode(os.read(self.fd, 65_536)).split() or None
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Look no more."""
        with contextlib.suppress(ProcessLookupError, ChildProcessError):  # it has ended, and as process 1 we reap all
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self.fd)


class Files:
    """Which files count. Those of a virtual environment do not: it has a file ``pyvenv.cfg``."""

    def __init__(self, folder: Path, include: Sequence[str], exclude: Sequence[str]) -> None:
        self.folder = folder
        self._include = include
        self._exclude = exclude

    def counts(self, path: Path) -> bool:
        """Whether a change of *path* is of interest."""
        try:
            parts = path.relative_to(self.folder).parts
        except ValueError:
            parts = path.parts
        relative = "/".join(parts)
        if any(_matches(part, self._exclude) for part in parts) or _matches(relative, self._exclude):
            return False
        return _matches(parts[-1] if parts else "", self._include) or _matches(relative, self._include)

    def times(self) -> dict[str, int]:
        """Each file that counts, and when it was changed."""
        return dict(self._walk())

    def _walk(self) -> Iterator[tuple[str, int]]:
        for folder, folders, names in os.walk(self.folder):
            folders[:] = [
                each
                for each in folders
                if not _matches(each, self._exclude) and not os.path.exists(os.path.join(folder, each, "pyvenv.cfg"))
            ]
            for name in names:
                path = Path(folder, name)
                if self.counts(path):
                    try:
                        yield str(path), path.stat().st_mtime_ns
                    except OSError:  # it is gone meanwhile
                        continue


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _look(files: Files, before: dict[str, int], fd: int, parent: int) -> None:
    """In the process that looks. Never returns; ends with its parent."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the supervisor decides when this ends
    try:
        look = _by_watchfiles(files, before) or (lambda: _by_times(files, before))
        for changed in look():
            if os.getppid() != parent:
                break
            if changed:
                os.write(fd, os.fsencode(" ".join(Path(path).name for path in changed) + " "))
    except Exception:
        if os.getppid() == parent:  # else nobody is there to be told
            traceback.print_exc()
    finally:
        os._exit(0)


def _by_times(files: Files, before: dict[str, int]) -> Iterator[list[str]]:
    while True:
        time.sleep(_EVERY_S)
        now = files.times()
        changed = _changed(before, now)
        while changed and (later := _after_calm(files)) != now:
            now = later
        before = now
        yield changed


def _changed(before: dict[str, int], now: dict[str, int]) -> list[str]:
    return sorted({path for path, _ in now.items() ^ before.items()})


def _after_calm(files: Files) -> dict[str, int]:
    time.sleep(_CALM_S)
    return files.times()


def _by_watchfiles(files: Files, before: dict[str, int]) -> Callable[[], Iterator[list[str]]] | None:
    try:
        from watchfiles import watch
    except ImportError:
        return None

    def look() -> Iterator[list[str]]:
        missed = True  # what has changed before the library began to look
        for changes in watch(
            files.folder,
            watch_filter=lambda _, path: files.counts(Path(path)),
            rust_timeout=int(_EVERY_S * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            changed = {path for _, path in changes}
            if missed:
                changed.update(_changed(before, files.times()))
                missed = False
            yield sorted(changed)

    return look
