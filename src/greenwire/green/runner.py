"""User code in greenlets on the loop: the second runner (design, rule 2).

Items start in order at the end of the turn in which they came, and run until they first wait. An item that does
not wait costs one function call: the worker that has finished it takes the next without a switch. One that waits
leaves its worker behind, and the rest of the turn's items get another.

What runs here is on the loop's thread, so answers need no wake-up and leave in this turn's flush. The price: code
that computes keeps the loop waiting.
"""

import contextvars
import logging
import threading
from collections.abc import Callable
from typing import Any

from ..loop import Loop
from .hub import Waiter, can_wait, hub_of, sleep
from .thread import GreenThread
from .worker import Job

log = logging.getLogger("greenwire")


class GreenRunner:
    """Runs user code in pooled greenlets. Make it in the thread of the loop."""

    def __init__(self, loop: Loop) -> None:
        self.description = "in greenlets"
        self._loop = loop
        self._hub = hub_of(loop.aio)
        self._context = contextvars.Context()  # empty, and copied for each item: it is not inside any other
        self._unfinished = 0  # items

    @property
    def queued(self) -> int:
        return len(self._hub.jobs)

    def start(self, fn: Callable[..., object], *args: Any) -> None:
        self._unfinished += 1
        self._hub.start(_Item(self, self._context.copy(), fn, args))

    def ended(self) -> None:
        """An item has run to its end."""
        self._unfinished -= 1

    def abandoned(self, _: BaseException) -> None:
        """An item will never run."""
        self._unfinished -= 1

    def sleep(self, seconds: float) -> None:
        sleep(seconds)

    def background(
        self, fn: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> GreenThread[object]:
        thread = GreenThread(self._hub, fn, args, kwargs, self._context.copy())
        thread.start()
        return thread

    def busy(self) -> int:
        return self._unfinished

    def stop(self) -> None:
        """Idle greenlets cost nothing; what runs, runs until the loop closes."""


class _Item(Job):
    """A job that is counted. Not a function around it: each that waits would hold another 0.6 KB of stack."""

    __slots__ = ("_runner",)

    def __init__(
        self, runner: GreenRunner, context: contextvars.Context, fn: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        super().__init__(context, fn, args, runner.abandoned)
        self._runner = runner

    def run(self) -> None:
        fn, args = self.fn, self.args
        try:
            if len(args) == 2:  # events; a star leads through C: another 0.4 KB of stack for each that waits
                fn(args[0], args[1])
            else:
                fn(*args)
        except Exception:
            log.exception("internal error: %r has let an exception through", self.fn)
        finally:
            self._runner.ended()


class Gate:
    """A lock for one that waits and one that wakes it, in whatever thread: a line of waiters would cost 1.3 KB."""

    __slots__ = ("_open", "_waiter")

    def __init__(self) -> None:
        self._open = True
        self._waiter: Waiter | None = None  # of the one that waits

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Close it, once it is open; whether that was in time. May switch."""
        if not self._open and blocking:
            self._wait(None if timeout == -1 else timeout)
        was_open, self._open = self._open, False
        return was_open

    def _wait(self, timeout: float | None) -> None:
        waiter = self._waiter = Waiter()
        if self._open:  # opened meanwhile, by another thread
            waiter.wake()
        try:
            waiter.wait(timeout)
        finally:
            self._waiter = None

    def release(self) -> None:
        """Open it. From any thread."""
        self._open = True
        waiter = self._waiter
        if waiter is not None:
            waiter.wake()

    def locked(self) -> bool:
        """Whether it is closed."""
        return not self._open


def new_lock() -> "Gate | threading.Lock":
    """What to wait on, for whoever calls: in a green thread a gate, in a plain thread the system's lock."""
    return Gate() if can_wait() else threading.Lock()


class GreenWaiter:
    """Waits in user code, is woken from the loop thread: ``http.waiting.Waiter`` for greenlets and threads alike."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = new_lock()
        self._lock.acquire()

    def wait(self) -> None:
        """Return once :meth:`wake` has been called, or at once when it has been already. May switch."""
        self._lock.acquire()

    def wake(self) -> None:
        """Let the one that waits go on; once for each wait."""
        self._lock.release()
