"""Who watches which auction, in this process.

Events of one browser may be handled in several threads at once, and a `watch` may even be handled after the
`disconnect` that followed it: hence the lock, and the set of sockets that are known to be there.
"""

from collections import defaultdict
from dataclasses import dataclass
from threading import Lock

MAX_WATCHED = 100
"""Auctions that one socket may watch; a page watches one."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many watch an auction. Of two counts, the one with the higher revision is the newer."""

    item_id: int
    watchers: int
    revision: int


class Watchers:
    """The sockets that are here, and the auctions that each of them watches."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._revision = 0
        self._watched: dict[str, set[int]] = {}
        self._watching: defaultdict[int, set[str]] = defaultdict(set)

    def arrive(self, sid: str) -> None:
        """A socket is here."""
        with self._lock:
            self._watched.setdefault(sid, set())

    def watch(self, sid: str, item_id: int) -> Count | None:
        """The socket watches the auction; None if it has left, or watches too many already."""
        with self._lock:
            watched = self._watched.get(sid)
            if watched is None or len(watched | {item_id}) > MAX_WATCHED:
                return None
            watched.add(item_id)
            self._watching[item_id].add(sid)
            return self._count(item_id)

    def leave(self, sid: str, item_id: int) -> Count | None:
        """The socket watches the auction no longer; None if it never did."""
        with self._lock:
            watched = self._watched.get(sid, set())
            if item_id not in watched:
                return None
            watched.remove(item_id)
            return self._forget(sid, item_id)

    def depart(self, sid: str) -> list[Count]:
        """The socket is gone; the counts that this changes."""
        with self._lock:
            return [self._forget(sid, item_id) for item_id in self._watched.pop(sid, set())]

    def _forget(self, sid: str, item_id: int) -> Count:
        self._watching[item_id].discard(sid)
        count = self._count(item_id)
        if not count.watchers:
            del self._watching[item_id]
        return count

    def _count(self, item_id: int) -> Count:
        self._revision += 1
        return Count(item_id, len(self._watching[item_id]), self._revision)
