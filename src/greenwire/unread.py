"""What clients have not read yet, counted for the whole process. Pure.

``limits.queued_bytes`` bounds each client; here is the bound over all of them, ``limits.output_bytes``. What a
broadcast sends is one object that waits in many queues: it counts once, and beside that only its places in them. So
the sum is the memory that is really held, and thousands of slow clients of one broadcast are no reason to cut anybody.

Only queues of clients that do not keep up are counted. Who reads has none, and costs nothing here.

Past the limit those with the longest queues are cut off, until the sum is a sixteenth below it: a look at all queues
is then not due again for each further packet.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_PLACE_BYTES = 16  # a place in a queue
_OBJECT_BYTES = 200  # an object beside its data, and the note of who holds it


def _nobody(total: int) -> None:
    pass


class Unread:
    """The sum over all queues. *on_full* is called with it whenever clients have to be cut off."""

    __slots__ = ("_cutting", "_holders", "_limit", "_on_full", "_queues", "bytes")

    def __init__(self, limit: float = inf, on_full: Callable[[int], object] = _nobody) -> None:
        self.bytes = 0
        self._limit = limit
        self._on_full = on_full
        self._queues: dict[UnreadQueue[Any], None] = {}  # that are not empty; of equals, who waits longest goes first
        self._holders: dict[int, int] = {}  # in how many places the object of this id waits
        self._cutting = False

    def hold(self, item: object, size: int) -> None:
        """*item* waits in one place more."""
        key = id(item)
        holders = self._holders.get(key, 0)
        self._holders[key] = holders + 1
        self.bytes += _PLACE_BYTES if holders else _PLACE_BYTES + _OBJECT_BYTES + size

    def release(self, item: object, size: int) -> None:
        """*item* waits in one place less."""
        key = id(item)
        holders = self._holders.pop(key) - 1
        if holders:
            self._holders[key] = holders
        self.bytes -= _PLACE_BYTES if holders else _PLACE_BYTES + _OBJECT_BYTES + size

    def enter(self, queue: "UnreadQueue[Any]") -> None:
        """*queue* is empty no longer."""
        self._queues[queue] = None

    def leave(self, queue: "UnreadQueue[Any]") -> None:
        """*queue* is empty."""
        self._queues.pop(queue, None)

    def check(self) -> None:
        """Cut off whom the limit demands."""
        if self.bytes <= self._limit or self._cutting:
            return
        self._cutting = True
        enough = self._limit - self._limit / 16
        try:
            self._on_full(self.bytes)
            for queue in sorted(self._queues, key=lambda queue: queue.bytes, reverse=True):
                if self.bytes <= enough:
                    break
                queue.clear()
                queue.cut_off()
        finally:
            self._cutting = False


class UnreadQueue(Generic[T]):
    """What one client has not read. *cut_off* ends the client; the queue is empty then.

    An item takes *copies* times its *size* in memory: one that is kept in several forms.
    """

    __slots__ = ("_copies", "_items", "_size", "_unread", "bytes", "cut_off")

    def __init__(
        self, unread: Unread, size: Callable[[T], int], cut_off: Callable[[], object], copies: int = 1
    ) -> None:
        self.bytes = 0  # the sum of the sizes
        self.cut_off = cut_off
        self._unread = unread
        self._size = size
        self._copies = copies
        self._items: deque[T] = deque()

    def append(self, item: T) -> None:
        """At the end. Whoever the limit over all demands, maybe this client, is cut off before it returns."""
        self._items.append(item)
        self._count(item)
        self._unread.check()

    def extend(self, items: Iterable[T]) -> None:
        """Likewise, all of them together."""
        for item in items:
            self._items.append(item)
            self._count(item)
        self._unread.check()

    def appendleft(self, item: T) -> None:
        """At the front; likewise."""
        self._items.appendleft(item)
        self._count(item)
        self._unread.check()

    def _count(self, item: T) -> None:
        if len(self._items) == 1:
            self._unread.enter(self)
        size = self._size(item)
        self.bytes += size
        self._unread.hold(item, size * self._copies)

    def popleft(self) -> T:
        """The first, which counts no longer."""
        item = self._items.popleft()
        self._discount(item)
        if not self._items:
            self._unread.leave(self)
        return item

    def _discount(self, item: T) -> None:
        size = self._size(item)
        self.bytes -= size
        self._unread.release(item, size * self._copies)

    def clear(self) -> None:
        """Nothing waits any more."""
        while self._items:
            self.popleft()

    @property
    def first(self) -> T:
        """What :meth:`popleft` would give."""
        return self._items[0]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)
