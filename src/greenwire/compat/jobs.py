"""Threads with the names that eventlet and gevent give to greenlets: ``spawn``, ``spawn_later``, ``joinall``."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any


class Job:
    """What ``spawn`` returns: one call in a thread of its own."""

    def __init__(self, delay_s: float, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._result: Future[Any] = Future()
        self._call = (fn, args, kwargs)
        self._delay_s = delay_s
        self._cancelled = threading.Event()
        threading.Thread(target=self._run, name=f"spawn {getattr(fn, '__name__', fn)}", daemon=True).start()

    def _run(self) -> None:
        if self._delay_s and self._cancelled.wait(self._delay_s):
            self._result.set_result(None)
            return
        fn, args, kwargs = self._call
        try:
            self._result.set_result(fn(*args, **kwargs))
        except BaseException as error:  # shown, as for any thread, and given to who waits
            shown = threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
            threading.excepthook(shown)
            self._result.set_exception(error)

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for the end of the call and give what it returned or raise what it raised."""
        return self._result.result(timeout)

    get = wait

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the call, whatever it is."""
        try:
            self._result.exception(timeout)
        except TimeoutError:
            pass

    def cancel(self) -> None:
        """Do not begin, if it has not begun."""
        self._cancelled.set()

    def ready(self) -> bool:
        """Whether the call has ended."""
        return self._result.done()

    @property
    def dead(self) -> bool:
        """Whether the call has ended."""
        return self.ready()

    def __getattr__(self, name: str) -> Any:
        if name == "kill":
            raise AttributeError("a thread cannot be killed: let the function look at a threading.Event and return")
        raise AttributeError(f"a spawned thread under greenwire.compat has no {name!r}: it has wait, get and join")


def sleep(seconds: float = 0, ref: bool = True) -> None:
    """Wait. Other threads run meanwhile."""
    time.sleep(seconds)


def spawn(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Job:
    """Run ``fn(*args, **kwargs)`` in a thread."""
    return Job(0, fn, args, kwargs)


def spawn_later(seconds: float, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Job:
    """Run ``fn(*args, **kwargs)`` in a thread, in *seconds*."""
    return Job(seconds, fn, args, kwargs)


def joinall(jobs: Iterable[Job], timeout: float | None = None, raise_error: bool = False) -> list[Job]:
    """Wait for all *jobs*, *timeout* seconds altogether. Gives those that have ended."""
    deadline = None if timeout is None else time.monotonic() + timeout
    jobs = list(jobs)
    for job in jobs:
        job.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
    ended = [job for job in jobs if job.ready()]
    if raise_error:
        for job in ended:
            job.get()
    return ended


def execute(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call *fn*: what called this is in a thread already, and may block."""
    return fn(*args, **kwargs)
