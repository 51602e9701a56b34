"""A limit on how long a block of plain code may wait."""

import asyncio
from types import TracebackType
from typing import Literal

from greenlet import getcurrent, greenlet

from .hub import Hub, current_hub, identity, throw
from .worker import Job, Worker


class Timeout(BaseException):
    """``with Timeout(2): …`` raises itself inside the block where that waits for longer than two seconds.

    Not an ``Exception``, so that ``except Exception`` in the block does not swallow it. *exception* is raised in its
    place; with ``False`` the block just ends. Timeouts nest, each ends its own block. The time runs from the
    constructor to the end of the block, or to :meth:`cancel`. Code that computes is not interrupted.
    """

    def __init__(
        self,
        seconds: float | None = None,
        exception: BaseException | type[BaseException] | Literal[False] | None = None,
    ) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.exception = exception
        self._timer: asyncio.Handle | None = None
        self._thrown: BaseException | None = None
        self.start()

    def __str__(self) -> str:
        return "no time limit" if self.seconds is None else f"{self.seconds:g} seconds"

    @property
    def pending(self) -> bool:
        """Whether the time still runs."""
        return self._timer is not None

    def start(self) -> None:
        """Let the time run, from now, for the calling green thread."""
        self.cancel()
        if self.seconds is not None:
            hub = current_hub()
            self._timer = hub.aio.call_later(max(self.seconds, 0), self._fire, hub, identity(), context=hub.context)

    def cancel(self) -> None:
        """Stop the time."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        thrown, self._thrown = self._thrown, None
        current = getcurrent()
        if thrown is not None and isinstance(current, Worker) and current.pending is thrown:
            current.pending = None  # another error came first, and ended our block

    def _fire(self, hub: Hub, target: Job | greenlet) -> None:
        waiter = None if isinstance(target, Job) else hub.guests.get(target)
        if waiter is not None and waiter.error is not None:  # that comes first, and may end our block
            self._timer = hub.aio.call_soon(self._fire, hub, target, context=hub.context)
            return
        self._timer = None
        error = self.exception or self
        self._thrown = error() if isinstance(error, type) else error
        throw(target, self._thrown, hub)

    def __enter__(self) -> "Timeout":
        if self._timer is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.cancel()
        return error is self and self.exception is False
