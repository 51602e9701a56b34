"""Background tasks end with the server.

A task that was started by ``start_background_task`` and waits in ``socketio.sleep`` ends there when the server
stops: its ``finally`` blocks run, nothing is logged. One that waits for something else can look at
``socketio.stopping``. Tasks of another server, and threads of the application's own, go on.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ..green.lock import caller
from ..green.sync import Event


class ServerStopped(BaseException):
    """Raised by ``sleep`` in a background task when the server stops. Not an ``Exception``: a task that goes on
    after every error should end all the same."""


class Stopping(Event):
    """Set when the server stops. Knows which background tasks that ends: those that sleep, until they have ended.

    To be waited for like a :class:`threading.Event`, in threads and in green threads.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asleep: set[Task] = set()


class Task:
    """One background task."""

    def __init__(self, stopping: Stopping) -> None:
        self.stopping = stopping
        self.caller = caller()  # what the task starts inherits its context, and is none


_current: ContextVar[Task | None] = ContextVar("greenwire_background_task", default=None)


def ending_with(stopping: Stopping, target: Callable[..., Any]) -> Callable[..., None]:
    """*target* as the body of a background task that ends when *stopping* is set."""

    def run(*args: Any, **kwargs: Any) -> None:
        task = Task(stopping)
        token = _current.set(task)
        try:
            target(*args, **kwargs)
        except ServerStopped:
            pass
        finally:
            _current.reset(token)
            stopping.asleep.discard(task)

    return run


def sleeps_in_task(stopping: Stopping, seconds: float) -> bool:
    """Sleep, if this is a background task of the server that *stopping* belongs to. ``False``: it is not."""
    task = _current.get()
    if task is None or task.stopping is not stopping or task.caller is not caller():
        return False
    stopping.asleep.add(task)
    if stopping.wait(seconds):
        raise ServerStopped
    stopping.asleep.discard(task)
    return True
