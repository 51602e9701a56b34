"""The hub: plain blocking code in greenlets, over the event loop of its thread.

Who is who::

    event loop     asyncio's or uvloop's; the running one (a server's), or one that the hub owns
    home           the greenlet in which the loop runs; its callbacks and coroutines are there, and never wait
    Worker         a pooled greenlet (worker.py); takes job after job, and switches home wherever a job waits
    Waiter         one wait: one-shot, with a state; whatever comes second finds it closed and is ignored

A green thread waits by making a :class:`Waiter`, giving ``waiter.wake`` to whatever will happen, and calling
``waiter.wait()``, which switches home. Nothing holds a greenlet's ``switch``: a late timer or a reader that fires
after the wait is over cannot wake the next one by mistake.

There is one hub for each event loop, and so one for each thread that asks. Where no loop runs, as in a plain
script, the greenlet that waits runs the thread's own loop itself until it is woken: between two green calls no
loop is running there, so ``asyncio.run`` and servers work as if there were no hub.

A greenlet stays in its thread. ``wake``, ``throw`` and ``Hub.call`` may be called from any other.
"""

import asyncio
import contextvars
import logging
import threading
import weakref
from asyncio import events
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from enum import Enum
from threading import get_ident
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

from ..errors import ContextError
from ..loop import new_event_loop
from .depth import from_below
from .stubborn import Refusals
from .worker import HubClosedError, Job, Worker

T = TypeVar("T")
log = logging.getLogger("greenwire")

_OTHER_THREAD = "this waiter belongs to another thread: wait where it was made"
_UVLOOPS_SIGNALS = "_read_from_self"  # its callback that calls their handlers
_IDLE_WORKERS = 256  # of one hub; each holds some 6 KB


class State(Enum):
    """Of a :class:`Waiter`. It leaves PENDING once."""

    PENDING = "pending"
    WOKEN = "woken"
    EXPIRED = "expired"
    THROWN = "thrown"


_PENDING, _WOKEN, _EXPIRED, _THROWN = State  # a look-up in an Enum class takes ten times as long


class Waiter:
    """One wait of one green thread. Make it where you will wait; wake it from anywhere."""

    __slots__ = ("_claim", "error", "greenlet", "hub", "state", "value")

    def __init__(self, hub: "Hub | None" = None) -> None:
        self.hub = current_hub() if hub is None else hub
        self.state = _PENDING
        self.value: Any = None
        self.error: BaseException | None = None
        self.greenlet: greenlet | None = None  # while it waits
        # Deleting a slot is atomic in every build of CPython: of several threads one gets to leave PENDING.
        self._claim = True

    def wait(self, timeout: float | None = None) -> bool:
        """``True`` once woken, ``False`` at the timeout; raises what was thrown. May switch."""
        if self.state is _PENDING:
            hub = self.hub
            if timeout is None:
                hub.suspend(self)
            else:
                timer = hub.aio.call_later(max(timeout, 0), self.expire, context=hub.context)
                try:
                    hub.suspend(self)
                finally:
                    timer.cancel()
        if self.error is not None:
            raise self.error
        return self.state is _WOKEN

    def wake(self, value: object = None) -> bool:
        """End the wait, from any thread. ``False`` where it was over before."""
        if not self._leave(_WOKEN):
            return False
        self.value = value
        self.hub.call(self._resume)
        return True

    def wake_now(self, value: object = None) -> None:
        """Like :meth:`wake`, from a callback of the loop: the green thread runs before this returns."""
        try:
            del self._claim  # not by _leave: each message comes this way
        except AttributeError:
            return
        self.state = _WOKEN
        self.value = value
        self._resume()

    def expire(self) -> None:
        """The time is up. Callback of the loop."""
        if self._leave(_EXPIRED):
            self._resume()

    def throw(self, error: BaseException) -> None:
        """Have :meth:`wait` raise *error*, also where it is woken and has not run since. The hub's thread only."""
        self.error = error
        if self._leave(_THROWN):
            self.hub.call(self._resume)

    def abandon(self) -> None:
        """Nothing may wake it any more."""
        self.greenlet = None
        self._leave(_THROWN)

    def _leave(self, state: State) -> bool:
        try:
            del self._claim
        except AttributeError:
            return False
        self.state = state
        return True

    def _resume(self) -> None:
        """Switch to the one that waits. Callback of the loop, so this runs in its greenlet: home."""
        target = self.greenlet
        if target is None:  # it was woken before it began to wait
            return
        self.greenlet = None
        hub = self.hub
        hub.home = here = getcurrent()
        if target is here:
            hub.aio.stop()
        else:
            target.switch()


class Hub:
    """What the green threads of one event loop share."""

    def __init__(self, aio: asyncio.AbstractEventLoop) -> None:
        self.aio = aio
        self.thread = get_ident()
        self.home = getcurrent()  # a guess until the first callback runs
        self.context = contextvars.Context()  # one for all our callbacks: a copy for each costs more than they do
        self.closed = False
        self.workers: set[Worker] = set()  # strong references: greenlets that nobody holds are ended
        self.guests: dict[greenlet, Waiter] = {}  # waits of greenlets that are not ours
        self.watches: dict[tuple[int, bool], Any] = {}  # descriptors, by the file ``watch``
        self._idle: list[Worker] = []
        self.jobs: deque[Job] = deque()  # that have not begun
        self._from_afar: deque[Job] = deque()  # started in other threads
        self._due = False
        self._budget = 0  # jobs that may still begin in this turn
        self._refusals = Refusals()
        self._failure: BaseException | None = None  # raised by the handler of a signal
        self._close_loop = aio.close
        aio.close = self.close  # type: ignore[method-assign]  # a loop tells nobody else that it closes

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self.workers)} greenlets"
        return f"<Hub of thread {self.thread}, {state}>"

    def call(self, fn: Callable[..., object], *args: Any) -> None:
        """Run *fn* as a callback of the loop, soon. From any thread; does nothing once the loop is closed."""
        try:
            if get_ident() == self.thread:
                self.aio.call_soon(fn, *args, context=self.context)
            else:
                self.aio.call_soon_threadsafe(fn, *args, context=self.context)
        except RuntimeError:
            if not self.aio.is_closed():
                raise

    # --- jobs

    def start(self, job: Job) -> None:
        """Have a worker run *job*, in order of starting, in the next turn. From any thread."""
        if get_ident() != self.thread:
            self._from_afar.append(job)
            if self.closed:
                self._abandon_jobs(self._from_afar)
            else:
                self.call(self._fetch_jobs)
            return
        if self.closed:
            raise HubClosedError("the event loop of this thread is closed")
        self.jobs.append(job)
        if not self._due:
            self._due = True
            self.aio.call_soon(self._run_jobs, context=self.context)

    def _fetch_jobs(self) -> None:
        while self._from_afar:
            self.start(self._from_afar.popleft())

    def _abandon_jobs(self, jobs: deque[Job]) -> None:
        while True:
            try:
                job = jobs.popleft()
            except IndexError:  # also where two threads do this at once
                return
            if job.abandon is not None:
                job.abandon(HubClosedError("the event loop was closed before this green thread began"))

    def _run_jobs(self) -> None:
        """A job that waits brings us back here, and the next one gets another worker."""
        self.home = getcurrent()
        self._due = False
        self._budget = len(self.jobs)  # not more: jobs that start jobs must not keep sockets waiting
        while self._budget and self.jobs:
            self._switch_to_worker()
        if self.jobs and not self._due:
            self._due = True
            self.aio.call_soon(self._run_jobs, context=self.context)

    def _switch_to_worker(self) -> None:
        if self._idle:
            self._idle.pop().switch()
        else:
            worker = Worker(self)
            self.workers.add(worker)
            from_below(worker.switch)

    def run_at_once(self, job: Job) -> None:
        """Run *job* until it first waits. For coroutines and callbacks: those could not wait for it to begin."""
        self.home = getcurrent()
        self.jobs.appendleft(job)
        budget, self._budget = self._budget, 1
        try:
            self._switch_to_worker()
        finally:
            self._budget = budget

    def next_job(self) -> Job | None:
        """For a worker: the next job of this turn."""
        if not self._budget or not self.jobs:
            return None
        self._budget -= 1
        return self.jobs.popleft()

    def rests(self, worker: Worker) -> bool:
        """Keep *worker* for later. ``False``: enough rest already, it ends."""
        if self.closed or len(self._idle) >= _IDLE_WORKERS:
            self.workers.discard(worker)
            return False
        self._idle.append(worker)
        return True

    @property
    def waiting(self) -> int:
        """How many green threads wait."""
        return sum(worker.waiter is not None for worker in self.workers)

    @property
    def busy(self) -> bool:
        """Whether a green thread is on its way."""
        return bool(self.jobs or self._from_afar or len(self.workers) > len(self._idle))

    # --- waiting

    def suspend(self, waiter: Waiter) -> None:
        """Wait until *waiter* is resumed. May switch."""
        current = getcurrent()
        if type(current) is not Worker:
            self._suspend_guest(current, waiter)
            return
        if current.pending is not None or self.closed or current.hub is not self:
            self._refuse(current, waiter)
        current.waiter = waiter
        waiter.greenlet = current
        try:
            while waiter.greenlet is not None:  # a bare switch from elsewhere wakes nobody
                self.home.switch()
        except BaseException:  # thrown by greenlet itself: nobody holds this greenlet any more
            waiter.abandon()
            raise
        finally:
            current.waiter = None

    def _refuse(self, current: Worker, waiter: Waiter) -> None:
        """It may not wait."""
        waiter.abandon()
        if current.pending is not None:
            error, current.pending = current.pending, None
            raise error
        if current.hub is not self:
            raise ContextError(_OTHER_THREAD)
        self._refusals.refuse(current)

    def _suspend_guest(self, current: greenlet, waiter: Waiter) -> None:
        """A greenlet that is not ours: it has a worker above it, or no loop runs and it runs ours."""
        if get_ident() != self.thread:
            raise ContextError(_OTHER_THREAD)
        if self.closed:
            raise HubClosedError("the event loop of this thread is closed")
        running = events._get_running_loop() is not None
        self.guests[current] = waiter
        waiter.greenlet = current
        try:
            while waiter.greenlet is not None:
                if running:
                    self.home.switch()
                else:
                    self._run_loop()
        except BaseException:  # KeyboardInterrupt, out of the loop
            waiter.abandon()
            raise
        finally:
            self.guests.pop(current, None)

    def _run_loop(self) -> None:
        self.aio.run_forever()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def hear_signals(self) -> None:
        """Have what the handler of a signal raises end the wait of the one who runs this loop, as in ``time.sleep``.

        asyncio's loop raises it by itself. uvloop calls handlers in a callback, and takes what that raises for an
        error of the callback.
        """
        self.aio.set_exception_handler(self._heed)

    def _heed(self, aio: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and context["message"].endswith(_UVLOOPS_SIGNALS):
            self._failure = error
            aio.stop()
        else:
            aio.default_exception_handler(context)

    # --- the end

    def close(self) -> None:
        """Close the loop. Every green thread that waits gets a :class:`HubClosedError` first, and runs to its end."""
        if self.aio.is_running() or self.closed:
            self._close_loop()
            return
        self.closed = True
        self.home = getcurrent()
        self._abandon_jobs(self.jobs)
        self._abandon_jobs(self._from_afar)
        for guest, waiter in list(self.guests.items()):
            self._dismiss(guest, waiter)
        for worker in list(self.workers):
            if worker.waiter is not None or worker.job is None:
                self._dismiss(worker, worker.waiter)
        _hubs.pop(self.aio, None)
        self._idle.clear()
        self.watches.clear()
        self._close_loop()

    def _dismiss(self, target: greenlet, waiter: Waiter | None) -> None:
        if waiter is not None:
            waiter.throw(HubClosedError("the event loop was closed under a green thread that waits"))
            waiter.greenlet = None
        try:
            if not target.dead:
                target.switch()
        except KeyboardInterrupt:
            log.warning("interrupted while the green threads were ended")


# --- which hub

_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


class _Own(threading.local):
    """The hub of a thread in which no loop runs."""

    hub: Hub | None = None
    owner: "_Owner | None" = None


class _Owner:
    """Dies with its thread."""


_own = _Own()


def hub_of(aio: asyncio.AbstractEventLoop) -> Hub:
    """The hub around *aio*. Call it in the thread that runs it."""
    hub = _hubs.get(aio)
    if hub is None:
        hub = _hubs[aio] = Hub(aio)
    return hub


def own_hub() -> Hub:
    """The hub of this thread while no loop runs here. Its loop ends with the thread."""
    hub = _own.hub
    if hub is None or hub.closed:
        hub = _own.hub = hub_of(new_event_loop())
        hub.hear_signals()
        _own.owner = _Owner()
        weakref.finalize(_own.owner, _close_quietly, hub)
    return hub


def _close_quietly(hub: Hub) -> None:
    if not hub.closed and not hub.aio.is_running():
        hub.aio.close()


def starting_hub() -> Hub:
    """The hub on which the caller may start something: coroutines and callbacks may, too."""
    current = getcurrent()
    if type(current) is Worker:
        return current.hub
    running = events._get_running_loop()
    return own_hub() if running is None else hub_of(running)


def _above() -> Worker | None:
    """The worker that the caller runs in, maybe in a greenlet of its own."""
    above: greenlet | None = getcurrent()
    while above is not None:
        if type(above) is Worker:
            return above
        above = above.parent
    return None


def can_wait() -> bool:
    """Whether the caller is in a green thread."""
    return _above() is not None


def alone() -> bool:
    """Whether nothing green can run in this thread: whatever the caller waits for keeps nobody waiting."""
    hub = _own.hub
    return (hub is None or hub.closed) and events._get_running_loop() is None


def current_hub() -> Hub:
    """The hub on which the caller may wait. Raises :class:`ContextError` where it may not."""
    current = getcurrent()
    if type(current) is Worker:
        return current.hub
    if events._get_running_loop() is None:
        return own_hub()
    worker = _above()
    if worker is not None:
        return worker.hub
    raise ContextError(
        "a green call inside a coroutine or a callback of the event loop would keep it waiting for ever:"
        " await something there, or run this in a green thread (await green.to_green(fn), green.spawn(fn))"
    )


def identity() -> Job | greenlet:
    """What tells the caller's green thread from all others. Workers are used again, jobs are not."""
    current = getcurrent()
    return (isinstance(current, Worker) and current.job) or current


def throw(target: Job | greenlet, error: BaseException, hub: Hub) -> None:
    """Have the green thread that *target* is the identity of raise *error* where it waits. The hub's thread only."""
    if not isinstance(target, Job):
        waiter = hub.guests.get(target)
        if waiter is not None and waiter.error is None:
            waiter.throw(error)
        elif waiter is not None:  # two at once: one after the other
            hub.call(throw, target, error, hub)
    elif target.worker is not None:
        target.worker.throw_into(error)


# --- waiting for time, and for asyncio


def sleep(seconds: float = 0) -> None:
    """Let others run for *seconds*; 0: all that are ready, once. May switch."""
    waiter = Waiter()
    if seconds <= 0:
        hub = waiter.hub
        waiter.state = _WOKEN
        hub.aio.call_soon(waiter._resume, context=hub.context)
        hub.suspend(waiter)
        if waiter.error is not None:
            raise waiter.error
    else:
        waiter.wait(seconds)


def wait(awaitable: "Awaitable[T] | Future[T]", timeout: float | None = None) -> T:
    """Run any awaitable on the loop; its result, or its exception. May switch.

    Raises ``TimeoutError`` after *timeout* seconds. Whoever stops waiting, for that or because it is killed,
    cancels what it waited for.
    """
    waiter = Waiter()
    aio = waiter.hub.aio
    future: asyncio.Future[T]
    if isinstance(awaitable, Future):
        future = asyncio.wrap_future(awaitable, loop=aio)
    else:
        future = asyncio.ensure_future(awaitable, loop=aio)
    future.add_done_callback(waiter.wake_now, context=waiter.hub.context)
    try:
        if not waiter.wait(timeout):
            raise TimeoutError(f"not done after {timeout} s")
    except BaseException:
        _give_up(future, waiter)
        raise
    return future.result()


def _give_up(future: "asyncio.Future[Any]", waiter: Waiter) -> None:
    future.remove_done_callback(waiter.wake_now)
    if not waiter.hub.closed:
        future.cancel()
