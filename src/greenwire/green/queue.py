"""Queues between green threads, with the names and meanings of the module ``queue``. From any thread, too."""

from _thread import allocate_lock
from collections import deque
from heapq import heapify, heappop, heappush
from queue import Empty, Full
from typing import Any, Generic, TypeVar

from .sync import Event, Lock, Semaphore

T = TypeVar("T")

__all__ = ["Empty", "Full", "LifoQueue", "PriorityQueue", "Queue", "SimpleQueue"]


class Queue(Generic[T]):
    """First in, first out, with room for *maxsize* items; 0: for any number."""

    def __init__(self, maxsize: int = 0) -> None:
        self.maxsize = maxsize
        self._items = self._make()
        self._filled = Semaphore(0)
        self._room = Semaphore(maxsize) if maxsize > 0 else None
        self._counting = allocate_lock()  # of the system: it is held for two instructions
        self._unfinished = 0
        self._all_done = Event()
        self._all_done.set()

    def __repr__(self) -> str:
        return f"<green {type(self).__name__}, {self.qsize()} items>"

    # --- what kind of queue: these three

    def _make(self) -> Any:
        return deque()

    def _put(self, item: T) -> None:
        self._items.append(item)

    def _get(self) -> T:
        item: T = self._items.popleft()
        return item

    # --- the rest is the same

    def qsize(self) -> int:
        """How many items are in it."""
        return len(self._items)

    def empty(self) -> bool:
        """Whether there is none."""
        return not self._items

    def full(self) -> bool:
        """Whether there is no room."""
        return 0 < self.maxsize <= len(self._items)

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Add an item. Raises ``Full`` where there is no room in time. May switch."""
        if self._room is not None and not self._room.acquire(block, _seconds(block, timeout)):
            raise Full
        with self._counting:
            self._unfinished += 1
            self._all_done.clear()
        try:
            self._put(item)
        except BaseException:  # items that cannot be compared
            self.task_done()
            if self._room is not None:
                self._room.release()
            raise
        self._filled.release()

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Take an item. Raises ``Empty`` where there is none in time. May switch."""
        if not self._filled.acquire(block, _seconds(block, timeout)):
            raise Empty
        item = self._get()
        if self._room is not None:
            self._room.release()
        return item

    def put_nowait(self, item: T) -> None:
        """Add an item, or raise ``Full``."""
        self.put(item, block=False)

    def get_nowait(self) -> T:
        """Take an item, or raise ``Empty``."""
        return self.get(block=False)

    def task_done(self) -> None:
        """One item that was taken is dealt with."""
        with self._counting:
            if not self._unfinished:
                raise ValueError("task_done() called too many times")
            self._unfinished -= 1
            if self._unfinished:
                return
        self._all_done.set()

    def join(self) -> None:
        """Until every item that was put is dealt with. May switch."""
        self._all_done.wait()


class LifoQueue(Queue[T]):
    """Last in, first out."""

    def _make(self) -> Any:
        return []

    def _get(self) -> T:
        item: T = self._items.pop()
        return item


class PriorityQueue(Queue[T]):
    """The least item first."""

    def __init__(self, maxsize: int = 0) -> None:
        self._sorting = Lock()  # comparing runs code, and that may let another thread in, or a green one
        super().__init__(maxsize)

    def _make(self) -> Any:
        return []

    def _put(self, item: T) -> None:
        with self._sorting:
            try:
                heappush(self._items, item)
            except BaseException:  # it cannot be compared, and stands somewhere in the heap by now
                del self._items[max(at for at, other in enumerate(self._items) if other is item)]
                heapify(self._items)
                raise

    def _get(self) -> T:
        with self._sorting:
            item: T = heappop(self._items)
        return item


class SimpleQueue(Generic[T]):
    """First in, first out, without limit. ``put`` never waits, and may come from a destructor or a signal."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._filled = Semaphore(0)

    def qsize(self) -> int:
        """How many items are in it."""
        return len(self._items)

    def empty(self) -> bool:
        """Whether there is none."""
        return not self._items

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Add an item."""
        self._items.append(item)
        self._filled.release()

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Take an item. Raises ``Empty`` where there is none in time. May switch."""
        if not self._filled.acquire(block, _seconds(block, timeout)):
            raise Empty
        return self._items.popleft()

    def put_nowait(self, item: T) -> None:
        """Add an item."""
        self.put(item)

    def get_nowait(self) -> T:
        """Take an item, or raise ``Empty``."""
        return self.get(block=False)


def _seconds(block: bool, timeout: float | None) -> float | None:
    if not block or timeout is None:
        return None
    if timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    return timeout
