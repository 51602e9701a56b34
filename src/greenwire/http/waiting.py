"""The one place where user code waits for the loop: for a request's body, for a slow reader.

Threads wait on a lock. Another kind of runner brings its own waiter; nothing else in this folder knows what runs
the application.
"""

from threading import Lock
from typing import Protocol


class Waiter(Protocol):
    """Waits in user code, is woken from the loop thread."""

    def wait(self) -> None:
        """Return once :meth:`wake` has been called, or at once when it has been already. May switch."""

    def wake(self) -> None:
        """Let the one that waits go on; once for each wait."""


class ThreadWaiter:
    """For threads. A bare lock: an Event costs several µs more."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = Lock()
        self._lock.acquire()

    def wait(self) -> None:
        self._lock.acquire()

    def wake(self) -> None:
        self._lock.release()
