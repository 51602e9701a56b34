"""Waiting for file descriptors.

A watch stays with the loop after the wait is over, since most descriptors are waited for again: it goes when the
descriptor becomes ready and nobody waits, when its owner closes, or when its owner is gone. That saves two system
calls for each wait.

One green thread of a hub may wait for one direction of one descriptor: a second would get half of the data.
"""

import contextvars
import weakref
from threading import get_ident
from typing import Any

from ..errors import ContextError
from .hub import Hub, Waiter, current_hub


class Watch:
    """One direction of one descriptor, on one hub."""

    __slots__ = ("__weakref__", "_owner", "fd", "hub", "waiter", "write")

    def __init__(self, hub: Hub, owner: Any, fd: int, write: bool) -> None:
        self.hub = hub
        self.fd = fd
        self.write = write
        self.waiter: Waiter | None = None
        self._owner = weakref.ref(owner, self._owner_is_gone)
        hub.watches[fd, write] = self
        add = hub.aio.add_writer if write else hub.aio.add_reader
        try:
            # In an empty context: the loop keeps it, and the caller's would keep a request alive.
            contextvars.Context().run(add, fd, self._ready)
        except BaseException:
            del hub.watches[fd, write]
            raise

    def belongs_to(self, owner: object) -> bool:
        """Whether *owner* has made it, and not one that had the same number before."""
        return self._owner() is owner

    def _ready(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is None:
            self.close()
        else:
            waiter.wake_now()

    def _owner_is_gone(self, _: object) -> None:
        """It was collected, in whatever thread, and its descriptor is closed."""
        if get_ident() == self.hub.thread:
            self.close()
        else:
            self.hub.call(self.close)

    def close(self) -> None:
        """Take it from the loop, where it still is there. The hub's thread only."""
        hub = self.hub
        if hub.watches.get((self.fd, self.write)) is self:
            del hub.watches[self.fd, self.write]
            remove = hub.aio.remove_writer if self.write else hub.aio.remove_reader
            remove(self.fd)

    def shut(self, error: BaseException) -> None:
        """The descriptor is about to be closed: whoever waits gets *error*. From any thread."""
        if get_ident() != self.hub.thread:
            self.hub.call(self.shut, error)
            return
        self.close()
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.throw(error)


def watch_for(owner: object, fd: int, write: bool) -> Watch:
    """The watch of *owner* on the caller's hub. Raises :class:`ContextError` where somebody waits already."""
    hub = current_hub()
    watch: Watch | None = hub.watches.get((fd, write))
    if watch is not None:
        if watch.waiter is not None:
            verb = "writing to" if write else "reading from"
            raise ContextError(f"two green threads are {verb} descriptor {fd} at once: give each its own, or a lock")
        if watch.belongs_to(owner):
            return watch
        watch.close()  # the number was somebody else's before
    return Watch(hub, owner, fd, write)


def wait_on(watch: Watch, timeout: float | None) -> bool:
    """Until the descriptor is ready; whether it was in time. May switch."""
    waiter = watch.waiter = Waiter(watch.hub)
    try:
        return waiter.wait(timeout)
    finally:
        if watch.waiter is waiter:
            watch.waiter = None
