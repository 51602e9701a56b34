"""Background tasks that end with the server.

A task that was started by ``start_background_task`` and waits in ``socketio.sleep`` ends there when the server
stops: its ``finally`` blocks run, nothing is logged. One that waits for something else can look at
``socketio.stopping``. Tasks of another server, and threads of the application's own, go on.
"""

import threading
from collections.abc import Callable
from typing import Any

_here = threading.local()


class ServerStopped(BaseException):
    """Raised by ``sleep`` in a background task when the server stops. Not an ``Exception``: a task that goes on
    after every error should end all the same."""


class Stopping(threading.Event):
    """Set when the server stops. Knows which background tasks that ends: those that sleep, until they have ended."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep: set[int] = set()  # their threads


def ending_with(stopping: Stopping, target: Callable[..., Any]) -> Callable[..., None]:
    """*target* as the body of a background task that ends when *stopping* is set."""

    def run(*args: Any, **kwargs: Any) -> None:
        _here.stopping = stopping
        try:
            target(*args, **kwargs)
        except ServerStopped:
            pass
        finally:
            _here.stopping = None
            stopping.asleep.discard(threading.get_ident())

    return run


def sleeps_in_task(stopping: Stopping, seconds: float) -> bool:
    """Sleep, if this is a background task of the server that *stopping* belongs to. ``False``: it is not."""
    if getattr(_here, "stopping", None) is not stopping:
        return False
    stopping.asleep.add(threading.get_ident())
    if stopping.wait(seconds):
        raise ServerStopped
    stopping.asleep.discard(threading.get_ident())
    return True
