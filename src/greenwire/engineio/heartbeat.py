"""Heartbeats of all sessions: two first-in-first-out queues of deadlines and one timer. Pure.

Every session has the same interval and timeout, so deadlines are appended in the order in which they fall due,
and a ping for 10,000 clients costs 10,000 deque operations, not 10,000 timers::

    start ──► due ──(interval)──► ping is sent ──► late ──(timeout)──► the session is lost
      ▲                                              │
      └───────────────────── pong ───────────────────┘

An entry is never searched for: it carries the *beat* at which it was made, and a session whose beat has moved
on since then has answered, or is gone. An even beat says that a pong is awaited, so one that nobody asked for is
known by an odd one, and makes no entry. It keeps no session alive: one that is gone would else hold what belongs to it
until its deadline. Time is an argument: monotonic seconds.
"""

from collections import deque
from typing import Generic, Protocol, TypeVar
from weakref import ref

# A tick that comes later than this means that the process stood still: pongs may lie unread in the sockets,
# so nobody is declared lost before there was a chance to read them.
STALL_S = 0.5
RELIEF_S = 0.1


class Beating(Protocol):
    """What has a heartbeat. *beat* grows each time a deadline of it becomes meaningless.

    0 before the start, then odd while the next ping is awaited, even while its pong is, odd after the end.
    """

    beat: int


S = TypeVar("S", bound=Beating)


class Heartbeats(Generic[S]):
    """Says whom to ping and who is lost."""

    def __init__(self, interval_s: float, timeout_s: float) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._due: deque[tuple[float, ref[S], int]] = deque()
        self._late: deque[tuple[float, ref[S], int]] = deque()

    def start(self, session: S, now: float) -> None:
        """A session has opened, or its pong has come: the next ping is due an interval from now."""
        if session.beat % 2:
            return  # a pong without a ping: else each would leave an entry here until the interval is over
        session.beat += 1
        self._due.append((now + self._interval_s, ref(session), session.beat))

    def stop(self, session: S) -> None:
        """The session has closed."""
        session.beat += 1 + session.beat % 2

    def tick(self, now: float) -> tuple[list[S], list[S]]:
        """What is due by *now*: the sessions to ping, and those whose pong did not come in time."""
        stalled = bool(self._late) and now - self._late[0][0] > STALL_S
        lost = [] if stalled else [session for _, session in self._take(self._late, now)]
        if stalled:
            self._late[0] = (now + RELIEF_S, *self._late[0][1:])
        pinged = []
        for deadline, session in self._take(self._due, now):
            session.beat += 1
            # From the deadline, not from now: a session is gone when interval + timeout have passed, not
            # later. After a stall that would be unfair, so then it counts from now.
            start = now if now - deadline > STALL_S else deadline
            self._late.append((start + self._timeout_s, ref(session), session.beat))
            pinged.append(session)
        return pinged, lost

    def next_deadline(self) -> float | None:
        """When :meth:`tick` has something to do next."""
        heads = [queue[0][0] for queue in (self._due, self._late) if queue]
        return min(heads, default=None)

    @staticmethod
    def _take(queue: deque[tuple[float, ref[S], int]], now: float) -> list[tuple[float, S]]:
        taken = []
        while queue and queue[0][0] <= now:
            deadline, reference, beat = queue.popleft()
            session = reference()
            if session is not None and session.beat == beat:
                taken.append((deadline, session))
        return taken
