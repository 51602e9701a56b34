"""One timer for a connection, moved as often as one likes.

Moving a deadline costs an assignment: the event loop's timer is left where it is, looks at the deadline when it
fires, and is armed again for what is left. A connection that is busy for hours arms one timer each half minute.
"""

import asyncio
from collections.abc import Callable

from ..loop import Loop

EARLY_S = 0.002  # uvloop's clock counts in milliseconds, and a timer may fire that much before its time


class Timer:
    """Calls *expired* once the time that was set last has come."""

    __slots__ = ("_at", "_expired", "_handle", "_handle_at", "_loop")

    def __init__(self, loop: Loop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._at: float | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._handle_at = 0.0

    @property
    def active(self) -> bool:
        """Whether a time is set."""
        return self._at is not None

    def set(self, at: float) -> None:
        """Expire at *at*, a time of the loop's clock, instead of what was set before."""
        self._at = at
        if self._handle is None:
            self._arm(at)
        elif at < self._handle_at - EARLY_S:
            self._handle.cancel()
            self._arm(at)

    def clear(self) -> None:
        """Expire never."""
        self._at = None

    def close(self) -> None:
        """Expire never, and let go of the event loop's timer and of the owner."""
        self._at = None
        self._expired = _nothing
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, at: float) -> None:
        self._handle_at = at
        self._handle = self._loop.call_later(max(0.0, at - self._loop.now()), self._fire)

    def _fire(self) -> None:
        self._handle = None
        at = self._at
        if at is None:
            return
        if self._loop.now() < at - EARLY_S:
            self._arm(at)
            return
        self._at = None
        self._expired()


def _nothing() -> None:
    pass
