"""Where user code runs (design, rule 2).

Two runners here, one interface. :class:`ThreadRunner` keeps a pool of plain threads, so any blocking library
just works. :class:`TaskRunner` runs ``async def`` functions on the loop, in any mode. Both start what they are
given in order. What they are given must not raise: user code fails in one place, in the layer that hands it in.

The pool. A ``SimpleQueue`` feeds plain threads; ``concurrent.futures`` costs several µs more a call, and this
is the path of every event. One lock keeps three counters true::

    idle      threads that wait and are not promised to an item
    backlog   items that no thread is promised to, because the pool is at its maximum

so ``idle > 0`` and ``backlog > 0`` exclude each other, and a thread that has waited for nothing may leave only
while ``idle > 0``. A thread is started exactly when an item finds no idle one and the pool may still grow.
"""

import asyncio
import contextvars
import logging
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Protocol

from .limits import Limits
from .loop import Loop

log = logging.getLogger("greenwire")

Item = tuple[Callable[..., object], tuple[Any, ...]]
_LIBRARIES = tuple({str(Path(__file__).parent), *map(sysconfig.get_path, ("stdlib", "purelib", "platlib"))})


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

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end. May switch."""


class ThreadRunner:
    """A pool of plain daemon threads that grows on demand to ``limits.threads``."""

    def __init__(self, loop: Loop, limits: Limits, *, name: str = "greenwire") -> None:
        self.description = f"in up to {limits.threads} threads"
        self._loop = loop
        self._limits = limits
        self._name = name
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._backlog = 0
        self._workers: list[_Worker] = []
        self._born = 0
        self._watching = False

    @property
    def queued(self) -> int:
        return self._queue.qsize()

    def start(self, fn: Callable[..., object], *args: Any) -> None:
        spawn = False
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif len(self._workers) < self._limits.threads:
                spawn = True
            else:
                self._backlog += 1
        self._queue.put((fn, args))
        if spawn:
            self._spawn()
        elif self._backlog and not self._watching:
            self._watch()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def background(
        self, fn: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> threading.Thread:
        thread = threading.Thread(target=fn, args=args, kwargs=kwargs, daemon=True)
        thread.start()
        return thread

    def busy(self) -> int:
        with self._lock:
            return len(self._workers) - self._idle + self._backlog

    def stop(self) -> None:
        with self._lock:
            self._idle = 0
            leaving = len(self._workers)
        for _ in range(leaving):
            self._queue.put(None)

    # --- the threads

    def _spawn(self) -> None:
        self._born += 1
        worker = _Worker()
        with self._lock:
            self._workers.append(worker)
        thread = threading.Thread(
            target=self._work, args=(worker,), name=f"{self._name}-{self._born}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the machine gives no more threads: what runs will take the item in its turn
            log.warning("cannot start handler thread number %d", len(self._workers))
            with self._lock:
                self._workers.remove(worker)
                self._backlog += 1

    def _work(self, worker: "_Worker") -> None:
        worker.ident = threading.get_ident()
        get, lock, idle_s = self._queue.get, self._lock, self._limits.thread_idle_s
        while True:
            try:
                item = get(True, idle_s)
            except Empty:
                if self._may_leave(worker):
                    return
                continue
            if item is None:
                with lock:
                    self._workers.remove(worker)
                return
            worker.item = item
            fn, args = item
            try:
                fn(*args)
            except Exception:
                log.exception("internal error: %r has let an exception through", fn)
            worker.item = item = fn = args = None  # type: ignore[assignment]  # keep nothing alive while idle
            with lock:
                if self._backlog:
                    self._backlog -= 1
                else:
                    self._idle += 1

    def _may_leave(self, worker: "_Worker") -> bool:
        with self._lock:
            if not self._idle:  # an item is on its way to us
                return False
            self._idle -= 1
            self._workers.remove(worker)
            return True

    # --- the warning when all are busy: the loop looks twice, so handlers pay nothing for it

    def _watch(self) -> None:
        self._watching = True
        seen = {worker: worker.item for worker in self._workers}
        self._loop.call_later(self._limits.threads_busy_warning_s, self._look_again, seen)

    def _look_again(self, seen: "dict[_Worker, Item | None]") -> None:
        self._watching = False
        if not self._backlog:
            return
        stuck = [worker for worker, item in seen.items() if item is not None and worker.item is item]
        if stuck:
            log.warning(
                "all %d handler threads have been busy for %g s and %d calls wait; the oldest is %s. "
                "Raise the limit 'threads', or let it wait less.",
                len(self._workers),
                self._limits.threads_busy_warning_s,
                self._backlog,
                where(stuck[0].ident),
            )
        self._watch()


class _Worker:
    __slots__ = ("ident", "item")

    def __init__(self) -> None:
        self.ident = 0
        self.item: Item | None = None


def where(thread_ident: int) -> str:
    """The user's function that a thread is in, and the line it is at: ``on_bid (app.py:42)``."""
    frame = sys._current_frames().get(thread_ident)
    found: FrameType | None = frame
    while frame is not None:  # from the innermost outwards; the outermost that is the user's own wins
        if not frame.f_code.co_filename.startswith(_LIBRARIES):
            found = frame
        frame = frame.f_back
    if found is None:
        return "gone meanwhile"
    return f"{found.f_code.co_qualname} ({found.f_code.co_filename}:{found.f_lineno})"


class TaskRunner:
    """Runs coroutines on the loop. Not a pool: ``limits.events_in_flight`` bounds what one client can start."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self, coroutine: Coroutine[Any, Any, object], context: contextvars.Context | None = None) -> None:
        """Run *coroutine*, in *context* or a copy of the caller's. Loop thread only. It must not raise."""
        task = self._loop.aio.create_task(coroutine, context=context)
        self._tasks.add(task)  # asyncio itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)

    def busy(self) -> int:
        return len(self._tasks)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
