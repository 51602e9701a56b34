"""Where user code runs (design, rule 2).

Two runners here, one interface. :class:`ThreadRunner` keeps a pool of plain threads, so any blocking library
just works. :class:`TaskRunner` runs ``async def`` functions on the loop, in any mode. Both start what they are
given in order. What they are given must not raise: user code fails in one place, in the layer that hands it in.

The pool. Under the GIL one thread runs Python as fast as fifty, and without fifty wake-ups; more than one is of
use only while handlers *wait*. So a thread that is awake takes item after item, and another is woken

* at the end of a turn of the loop, where none is awake;
* at a tick of a millisecond, where items have waited for longer than that and either none was taken meanwhile
  or the processor was not busy: then those that are awake wait for something. The number woken doubles with
  each such tick, so a hundred handlers that block are all running some 7 ms after they came.

Measured against a pool that wakes a thread for each item, Flask handlers, server CPU per message: echo with 50
clients and 8 in flight 25.9 → 16.2 µs; broadcast to 500 with 4 in flight 6.1 → 1.7 µs a delivery, because what
one thread emits in a row leaves in one write.
A thread that finds nothing to do parks, the last parked is the first woken, and one that was parked for
``limits.thread_idle_s`` leaves.

Handlers are short, mostly. So when the loop has handed a turn's items over it stands by until they are all taken, for
half a millisecond and a little for each (``Loop.stand_by``): answers then need no wake-up of the loop and leave at
once, together. Where that was in vain, because handlers wait for something, it is not tried again for a number of
turns that doubles each time. Echo with 1 message in flight costs 1.0 to 1.3 times what Node costs with this, and 1.35
to 1.6 times without.
"""

import asyncio
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from .limits import Limits
from .loop import Loop
from .places import culprit

log = logging.getLogger("greenwire")

Item = tuple[Callable[..., object], tuple[Any, ...]]
_TICK_S = 0.001
_IDLE_TASKS = 64  # that wait for the next coroutine; more of them end
_RETRY_S = 0.1  # when the machine gives no thread
_PATIENCE_S = 0.0005
_PATIENCE_EACH_S = 0.00005  # more for each item: a turn may bring hundreds
_MAX_PATIENCE_S = 0.005  # the interpreter's switch interval: until then a thread that computes keeps the GIL anyway
_MAX_PENALTY = 1_024  # turns
_BUSY = 0.7  # of a core: below it the threads that are awake wait for something


class Runner(Protocol):
    """Runs user code. ``start`` and ``queued`` belong to the loop thread."""

    description: str

    @property
    def queued(self) -> int:
        """How many started items no thread (or greenlet) has taken yet."""

    def start(self, fn: Callable[..., object], *args: Any) -> None:
        """Run ``fn(*args)`` soon, in order of starting. It must not raise."""

    def sleep(self, seconds: float) -> None:
        """Wait in user code without keeping the server waiting. May switch."""

    def background(self, fn: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Background":
        """Run a long job beside the pool. From any thread."""

    def busy(self) -> int:
        """How many items run now."""

    def stop(self) -> None:
        """Let idle threads go; what runs, runs to its end."""


class Background(Protocol):
    """A job started by ``start_background_task``."""

    def join(self, timeout: float | None = None) -> object:
        """Wait for its end. May switch."""


def start_thread(fn: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> threading.Thread:
    """A thread beside the pool, which does not keep the process alive."""
    thread = threading.Thread(target=fn, args=args, kwargs=kwargs, daemon=True)
    thread.start()
    return thread


class ThreadRunner:
    """A pool of plain daemon threads that grows on demand to ``limits.threads``."""

    def __init__(self, loop: Loop, limits: Limits, *, name: str = "greenwire") -> None:
        self.description = f"in up to {limits.threads} threads"
        self._loop = loop
        self._limits = limits
        self._name = name
        self._items: deque[Item] = deque()
        self._taken = 0  # items; only roughly true when several threads count at once, and enough for a tick
        self._lock = threading.Lock()  # over the next three
        self._awake = 0
        self._parked: list[_Worker] = []
        self._workers: set[_Worker] = set()
        self._born = 0
        self._ticking = False
        self._handing_over = False  # at the end of this turn
        self._skip = 0  # turns, until standing by is tried again
        self._penalty = 1
        self._stopping = False

    @property
    def queued(self) -> int:
        return len(self._items)

    def start(self, fn: Callable[..., object], *args: Any) -> None:
        self._items.append((fn, args))
        if not self._handing_over:
            self._handing_over = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """The end of a turn in which items came."""
        self._handing_over = False
        if not self._items:
            return
        if not self._awake:
            self._wake(1)
        if self._skip:
            self._skip -= 1
        elif self._loop.stand_by(min(_PATIENCE_S + len(self._items) * _PATIENCE_EACH_S, _MAX_PATIENCE_S)):
            self._penalty = 1
        else:
            self._skip = self._penalty
            self._penalty = min(2 * self._penalty, _MAX_PENALTY)
        if self._items and not self._ticking:  # also where one was just woken: it may wait in its first item
            self._tick_later(_Look(self._taken + len(self._items), self._taken, 1))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def background(self, fn: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> threading.Thread:
        return start_thread(fn, args, kwargs)

    def busy(self) -> int:
        return self._awake + len(self._items)

    def stop(self) -> None:
        self._stopping = True
        with self._lock:
            self._awake += len(self._parked)
            for worker in self._parked:
                worker.gate.release()
            self._parked.clear()

    # --- the threads

    def _wake(self, number: int) -> None:
        """Wake up to *number* threads, parked or new."""
        for _ in range(number):
            with self._lock:
                if self._parked:
                    self._awake += 1
                    self._parked.pop().gate.release()
                    continue
                if len(self._workers) >= self._limits.threads:
                    return
                self._awake += 1
                self._born += 1
                worker = _Worker()
                self._workers.add(worker)
            self._give_birth(worker)

    def _give_birth(self, worker: "_Worker") -> None:
        thread = threading.Thread(target=self._work, args=(worker,), name=f"{self._name}-{self._born}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine gives no more: what runs will take the items in its turn
            log.warning("cannot start handler thread number %d", len(self._workers))
            with self._lock:
                self._awake -= 1
                self._workers.discard(worker)
            self._loop.call_later(_RETRY_S, self._wake, 1)  # or nothing runs

    def _work(self, worker: "_Worker") -> None:
        worker.ident = threading.get_ident()
        take = self._items.popleft
        while True:
            try:
                worker.item = item = take()
            except IndexError:
                if self._park(worker):
                    continue
                return
            worker.number = self._taken = self._taken + 1
            fn, args = item
            try:
                fn(*args)
            except BaseException:  # also SystemExit: it would end this thread, which stays counted as awake
                log.exception("internal error: %r has let an exception through", fn)
            worker.item = item = fn = args = None  # type: ignore[assignment]  # keep nothing alive while idle

    def _park(self, worker: "_Worker") -> bool:
        """Wait to be woken. ``False``: leave."""
        with self._lock:
            # First counted out, then looked: whoever puts an item either sees nobody awake, or is seen here.
            self._awake -= 1
            if self._items:
                self._awake += 1
                return True
            self._loop.no_more()
            if self._stopping:
                self._workers.discard(worker)
                return False
            self._parked.append(worker)
        if worker.gate.acquire(timeout=self._limits.thread_idle_s):
            return True
        with self._lock:
            if worker in self._parked:
                self._parked.remove(worker)
                self._workers.discard(worker)
                return False
        worker.gate.acquire()  # woken in the last moment
        return True

    # --- ticks, while items wait: the loop looks, so handlers pay nothing for it

    def _tick_later(self, look: "_Look") -> None:
        self._ticking = True
        self._loop.call_later(_TICK_S, self._tick, look)

    def _tick(self, look: "_Look") -> None:
        self._ticking = False
        if not self._items:
            return
        now, cpu, taken = time.monotonic(), time.process_time(), self._taken
        waiting = taken < look.put  # some that waited at the last look still do
        idle = cpu - look.cpu < _BUSY * (now - look.wall)
        number = look.number
        if waiting and (idle or taken == look.taken):
            if self._awake >= self._limits.threads:
                self._warn_when_stuck(look)
            else:
                self._wake(min(number, len(self._items)))
                number *= 2
        else:
            number = 1
        following = _Look(taken + len(self._items), taken, number)
        following.stuck_since, following.stuck = look.stuck_since, look.stuck
        self._tick_later(following)

    def _warn_when_stuck(self, look: "_Look") -> None:
        """All threads are awake, and wait: name the one that has for longest, once it has for long."""
        now, patience_s = time.monotonic(), self._limits.threads_busy_warning_s
        with self._lock:
            stuck = {worker: worker.item for worker in self._workers}
        same = [worker for worker, item in look.stuck.items() if item is not None and stuck.get(worker) is item]
        oldest = sorted(same, key=lambda worker: worker.number)
        if not oldest:
            look.stuck, look.stuck_since = stuck, now
        elif now - look.stuck_since >= patience_s:
            found = culprit(sys._current_frames().get(oldest[0].ident))
            log.warning(
                "all %d handler threads have been busy for %g s and %d calls wait; the oldest is in %s."
                " Let it wait less, or raise the limit 'threads'.",
                len(self._workers),
                patience_s,
                len(self._items),
                f"{found[0]} ({found[1]})" if found is not None else "gone meanwhile",
            )
            look.stuck, look.stuck_since = stuck, now


class _Look:
    """What a tick saw: how many items had been put and taken, the clocks, how many threads to wake next."""

    __slots__ = ("cpu", "number", "put", "stuck", "stuck_since", "taken", "wall")

    def __init__(self, put: int, taken: int, number: int) -> None:
        self.put = put
        self.taken = taken
        self.number = number
        self.wall = time.monotonic()
        self.cpu = time.process_time()
        self.stuck: dict[_Worker, Item | None] = {}
        self.stuck_since = self.wall


class _Worker:
    """A thread of the pool; *gate* is closed while it is parked."""

    __slots__ = ("gate", "ident", "item", "number")

    def __init__(self) -> None:
        self.ident = 0
        self.item: Item | None = None
        self.number = 0  # of the item: the lower, the longer it runs
        self.gate = threading.Lock()
        self.gate.acquire()


class TaskRunner:
    """Runs coroutines on the loop, in pooled tasks.

    A task of its own for each event costs as much as the event. So a task takes coroutine after coroutine, as a
    thread of the pool does, and another is woken or made where one of them waits for something. Not bounded here:
    ``limits.events_in_flight`` bounds what one client can start.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._items: deque[Coroutine[Any, Any, object]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio itself keeps only weak references
        self._idle: list[asyncio.Future[None]] = []
        self._awaited = 0  # coroutines that have begun and have not ended
        self._turning = False
        self._stopping = False

    def start(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run *coroutine* soon, in order of starting. Loop thread only. It must not raise."""
        self._items.append(coroutine)
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Have one more task take items, and look again when it has had its turn: it may wait meanwhile."""
        self._turning = bool(self._items)
        if not self._items:
            return
        if self._idle:
            self._idle.pop().set_result(None)
        else:
            task = self._loop.aio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._loop.call_soon(self._turn)

    async def _work(self) -> None:
        items = self._items
        while not self._stopping:
            while items:
                self._awaited += 1
                try:
                    await items.popleft()
                except Exception:
                    log.exception("internal error: a handler's coroutine has let an exception through")
                finally:
                    self._awaited -= 1
            if len(self._idle) >= _IDLE_TASKS or self._stopping:
                return
            woken = self._loop.aio.create_future()
            self._idle.append(woken)
            await woken

    def busy(self) -> int:
        return self._awaited + len(self._items)

    def stop(self) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        while self._items:
            self._items.popleft().close()
