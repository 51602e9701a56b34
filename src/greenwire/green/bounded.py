"""User code in so many greenlets at once and no more: what comes beyond that waits, in order of coming."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from ..loop import Loop
from .queue import Queue
from .runner import GreenRunner
from .thread import GreenThread, spawn

Item = tuple[Callable[..., object], tuple[Any, ...]]


class Pool(Protocol):
    """What a user may bring: :class:`greenwire.green.GreenPool`, or whatever starts functions like it."""

    def spawn(self, fn: Callable[..., object], /, *args: Any) -> object:
        """Run ``fn(*args)`` once there is room. May switch."""


class BoundedRunner(GreenRunner):
    """A :class:`GreenRunner` of at most *size* items at once."""

    def __init__(self, loop: Loop, size: int) -> None:
        super().__init__(loop)
        self.description = f"in up to {size} greenlets"
        self._size = size
        self._waiting: deque[Item] = deque()

    def start(self, fn: Callable[..., object], *args: Any) -> None:
        """Run ``fn(*args)`` soon, or once there is room."""
        if self._unfinished < self._size:
            super().start(fn, *args)
        else:
            self._waiting.append((fn, args))

    def ended(self) -> None:
        """An item has run to its end: room for the next."""
        super().ended()
        if self._waiting:
            fn, args = self._waiting.popleft()
            super().start(fn, *args)

    def busy(self) -> int:
        """How many items run or wait."""
        return super().busy() + len(self._waiting)


class PoolRunner:
    """Runs items in a pool of the user's own. One green thread hands them over, and waits where the pool is full."""

    def __init__(self, pool: Pool, failed: Callable[[BaseException], object]) -> None:
        """*failed* is told when the pool refuses an item, after which nothing is started any more."""
        self._pool = pool
        self._failed = failed
        self._items: Queue[Item] = Queue()
        self._busy = 0
        self._feeder: GreenThread[None] = spawn(self._feed)
        self._feeder.link(self._fed)

    def start(self, fn: Callable[..., object], *args: Any) -> None:
        """Run ``fn(*args)`` once the pool has room."""
        self._busy += 1
        self._items.put((fn, args))

    def _feed(self) -> None:
        while True:
            fn, args = self._items.get()
            self._pool.spawn(self._run, fn, args)

    def _run(self, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            fn(*args)
        finally:
            self._busy -= 1

    def _fed(self, feeder: GreenThread[None]) -> None:
        if isinstance(feeder.error, Exception):
            self._busy = 0
            self._failed(feeder.error)

    def busy(self) -> int:
        """How many items run or wait."""
        return self._busy

    def stop(self) -> None:
        """Hand over nothing more."""
        self._feeder.kill()
