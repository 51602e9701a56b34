"""Waiting for file descriptors.

A watch stays with the loop after the wait is over, since most descriptors are waited for again: it goes when the
descriptor becomes ready and nobody waits, when its owner closes, or when its owner is gone. That saves two system
calls for each wait. Its timer stays in the same way: one that is early looks how far the wait has moved since.

One green thread of a hub may wait for one direction of one descriptor: a second would get half of the data.
"""

import asyncio
import contextvars
import weakref
from threading import get_ident
from time import monotonic
from typing import Any

from ..errors import ContextError
from .hub import Hub, State, Waiter, current_hub

_WOKEN = State.WOKEN


class Watch:
    """One direction of one descriptor, on one hub."""

    __slots__ = (
        *("__weakref__", "_end", "_owner", "_timer", "_timer_at"),
        *("armed", "fd", "hub", "quiet", "stream", "waiter", "write"),
    )

    def __init__(self, hub: Hub, owner: Any, fd: int, write: bool) -> None:
        self.hub = hub
        self.fd = fd
        self.write = write
        self.waiter: Waiter | None = None
        self.armed = False  # the loop has it
        self.stream = False  # the owner's note, too
        self.quiet = False  # the owner's note: nothing was there at the last look. Gone as soon as there may be
        self._end = 0.0  # of the present wait, where that has an end
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._owner = weakref.ref(owner, self._owner_is_gone)

    def belongs_to(self, owner: object) -> bool:
        """Whether *owner* has made it, and not one that had the same number before."""
        return self._owner() is owner

    # --- the wait

    def wait(self, timeout: float | None) -> bool:
        """Until the descriptor is ready; whether it was in time. May switch."""
        if self.waiter is not None:
            raise self._taken()
        if not self.armed:
            self._arm()
        hub = self.hub
        waiter = self.waiter = Waiter(hub)
        if timeout is not None:
            self._set_end(timeout)
        try:
            hub.suspend(waiter)
        finally:
            self.waiter = None
            self._end = 0.0
        if waiter.error is not None:
            raise waiter.error
        return waiter.state is _WOKEN

    def _taken(self) -> ContextError:
        verb = "writing to" if self.write else "reading from"
        return ContextError(f"two green threads are {verb} descriptor {self.fd} at once: give each its own, or a lock")

    def _arm(self) -> None:
        hub = self.hub
        other: Watch | None = hub.watches.get((self.fd, self.write))
        if other is not None:
            if other.waiter is not None:
                raise self._taken()
            other.close()  # the number was somebody else's before
        add = hub.aio.add_writer if self.write else hub.aio.add_reader
        # In an empty context: the loop keeps it, and the caller's would keep a request alive.
        contextvars.Context().run(add, self.fd, self._ready)
        self.armed = True
        hub.watches[self.fd, self.write] = self

    def _ready(self) -> None:
        """Callback of the loop."""
        self.quiet = False
        if self.waiter is None:
            self.disarm()
        else:
            self.waiter.wake_now()

    # --- its end

    def _set_end(self, timeout: float) -> None:
        end = self._end = monotonic() + timeout
        if self._timer is None or end < self._timer_at:
            self._set_timer(timeout)

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = monotonic() + seconds
        self._timer = self.hub.aio.call_later(seconds, self._time_is_up, context=self.hub.context)

    def _time_is_up(self) -> None:
        """Callback of the loop."""
        self._timer = None
        waiter = self.waiter
        if waiter is None or not self._end:
            return
        left = self._end - monotonic()
        if left > 0:
            self._set_timer(left)
        else:
            waiter.expire()

    # --- the end

    def _owner_is_gone(self, _: object) -> None:
        """It was collected, in whatever thread, and its descriptor is closed."""
        if get_ident() == self.hub.thread:
            self.close()
        else:
            self.hub.call(self.close)

    def disarm(self) -> None:
        """Take it from the loop, where it still is there. The hub's thread only."""
        self.armed = self.quiet = False
        hub = self.hub
        if hub.watches.get((self.fd, self.write)) is self:
            del hub.watches[self.fd, self.write]
            remove = hub.aio.remove_writer if self.write else hub.aio.remove_reader
            remove(self.fd)

    def close(self) -> None:
        """Nobody will wait here again. The hub's thread only."""
        self.disarm()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def shut(self, error: BaseException) -> None:
        """The descriptor is about to be closed: whoever waits gets *error*. From any thread."""
        if get_ident() != self.hub.thread:
            self.hub.call(self.shut, error)
            return
        self.close()
        if self.waiter is not None:
            self.waiter.throw(error)


def watch_for(owner: object, fd: int, write: bool) -> Watch:
    """The watch of *owner* on the caller's hub."""
    hub = current_hub()
    watch: Watch | None = hub.watches.get((fd, write))
    if watch is not None and watch.belongs_to(owner):
        return watch
    return Watch(hub, owner, fd, write)
