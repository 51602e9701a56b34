"""What becomes of green threads in a forked child: none but the one that has forked is there.

That one goes on as if it had never been given a greenlet, on a hub of its own, as soon as it waits. All others stay
where they stood, for ever, and so do the parent's loops. The child lets go of their epoll descriptor, which it shares
with its parent, and never closes such a loop: that would take the parent's descriptors out of it.

Like the threads of the standard library, a child that comes to the end of its green thread is at its own end.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from greenlet import getcurrent

from . import hub as hubs
from .hub import Hub
from .worker import Worker

_LOOPS = ("asyncio.unix_events", "uvloop.loop")
_lost: list[Hub] = []  # held for ever: what is freed is ended, and its ``finally`` blocks would run here


class Orphan(Worker):
    """The greenlet in which a green thread has forked, in the child. A stranger to every hub."""

    __slots__ = ()

    def throw_into(self, error: BaseException) -> None:
        hub = hubs._own.hub
        waiter = None if hub is None else hub.guests.get(self)
        if waiter is not None:
            waiter.throw(error)

    def leave(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(0)


def _in_child() -> None:
    if not hubs._hubs:
        return
    current = getcurrent()
    for hub in hubs._hubs.values():
        _let_go(hub)
    hubs._hubs.clear()
    hubs._own.hub = hubs._own.owner = None
    if type(current) is Worker:
        current.__class__ = Orphan  # not a wrapper: it is on the stack
        current.waiter = current.pending = None
    _drop_signals()


def _let_go(hub: Hub) -> None:
    _lost.append(hub)
    hub.closed = True
    hub.jobs.clear()
    hub._from_afar.clear()
    hub._close_loop = _nothing
    if hub.home is not getcurrent() or not hub.aio.is_running():  # else a callback forks, and the loop will go on
        _close_selector(hub.aio)


def _nothing() -> None:
    """How the loop of a parent is closed."""


def _close_selector(aio: asyncio.AbstractEventLoop) -> None:
    selector: Any = getattr(aio, "_selector", None)  # asyncio's loops
    if selector is not None:
        selector.close()
    elif hasattr(aio, "_get_backend_id"):  # uvloop's
        os.close(aio._get_backend_id())


def _drop_signals() -> None:
    """A signal to the child is no news for its parent: the loop's wake-up descriptor is the parent's, too."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if getattr(signal.getsignal(number), "__module__", None) in _LOOPS:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
