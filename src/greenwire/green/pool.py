"""A bounded number of green threads."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

from ..errors import ContextError
from .hub import identity
from .queue import Queue
from .sync import Event, Semaphore
from .thread import GreenThread, spawn
from .worker import Job

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("greenwire")


class GreenPool:
    """At most *size* green threads at once; whoever wants one more waits."""

    def __init__(self, size: int = 1000) -> None:
        if size < 0:
            raise ValueError("the size of a pool cannot be negative")
        self.size = size
        self._room = Semaphore(size)
        self._debt = 0  # how many of those that end leave no room, since the pool was made smaller
        self._jobs: set[Job] = set()  # of those that run, or are about to
        self._empty = Event()
        self._empty.set()

    def __repr__(self) -> str:
        return f"<GreenPool, {self.running()} of {self.size} running>"

    def running(self) -> int:
        """How many run, or are about to."""
        return len(self._jobs)

    def free(self) -> int:
        """How many more may be started without waiting."""
        return self.size - len(self._jobs)

    def waiting(self) -> int:
        """How many wait in :meth:`spawn`."""
        return len(self._room._line)

    def resize(self, size: int) -> None:
        """Change the size; what runs, runs on."""
        more, self.size = size - self.size, size
        if more < 0:
            for _ in range(-more):
                if not self._room.acquire(blocking=False):
                    self._debt += 1
        for _ in range(more):
            self._give_room()

    def spawn(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> GreenThread[T]:
        """Like :func:`greenwire.green.spawn`, once there is room. May switch.

        One of the pool itself that finds no room runs *fn* at once, in its own place: it would wait for itself.
        """
        me = identity()
        if not self._room._free and me in self._jobs:
            return _done_in_place(fn, args, kwargs)
        self._room.acquire()
        try:
            thread = spawn(fn, *args, **kwargs)
        except BaseException:
            self._give_room()
            raise
        self._jobs.add(thread._job)
        self._empty.clear()
        thread.link(self._ended, thread._job)
        return thread

    def spawn_n(self, fn: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """:meth:`spawn`, for a function whose end nobody waits for. What it raises is logged."""
        self.spawn(_logged, fn, args, kwargs)

    def _ended(self, _: GreenThread[Any], job: Job) -> None:
        self._jobs.discard(job)
        self._give_room()
        if not self._jobs:
            self._empty.set()

    def _give_room(self) -> None:
        if self._debt:
            self._debt -= 1
        else:
            self._room.release()

    def waitall(self) -> None:
        """Until none runs. May switch."""
        me = identity()
        if me in self._jobs:
            raise ContextError("waitall() inside the pool would wait for itself")
        self._empty.wait()

    def starmap(self, fn: Callable[..., T], items: Iterable[Iterable[Any]]) -> Iterator[T]:
        """``itertools.starmap``, at most *size* calls at once; results in order of *items*."""
        pile: deque[GreenThread[T]] = deque()
        for args in items:
            if len(pile) >= max(self.size, 1):
                yield pile.popleft().wait()
            pile.append(self.spawn(fn, *args))
        while pile:
            yield pile.popleft().wait()

    def imap(self, fn: Callable[..., T], *items: Iterable[Any]) -> Iterator[T]:
        """``map``, at most *size* calls at once; results in order."""
        return self.starmap(fn, zip(*items, strict=False))


def _logged(fn: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        fn(*args, **kwargs)
    except Exception:
        log.exception("green thread %r failed", fn)


def _done_in_place(fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> GreenThread[T]:
    thread = GreenThread.of(fn, args, kwargs)
    thread.run_here()
    return thread


class GreenPile:
    """Start calls, then iterate over their results, in order of starting."""

    def __init__(self, size_or_pool: int | GreenPool = 1000) -> None:
        self.pool = size_or_pool if isinstance(size_or_pool, GreenPool) else GreenPool(size_or_pool)
        self._threads: Queue[GreenThread[Any]] = Queue()
        self._left = 0

    def spawn(self, fn: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Start one more. May switch."""
        self._left += 1
        try:
            self._threads.put(self.pool.spawn(fn, *args, **kwargs))
        except BaseException:
            self._left -= 1
            raise

    def __iter__(self) -> "GreenPile":
        return self

    def __next__(self) -> Any:
        """The next result, or raise what that call has raised. May switch."""
        if not self._left:
            raise StopIteration
        thread = self._threads.get()
        self._left -= 1
        return thread.wait()

    next = __next__
