"""Who waits for the acknowledgement of a packet that we sent."""

from collections.abc import Callable, Iterable
from typing import Any

from ..green.runner import new_lock
from .client import Member


class AckSink:
    """Takes an acknowledgement in the loop thread itself, where a user's callback is called in a runner."""

    __slots__ = ()

    def __call__(self, *args: Any) -> None:
        """The answer has come."""
        raise NotImplementedError

    def fail(self) -> None:
        """The answer will not come: the client is gone."""


class Waiter(AckSink):
    """Waits in a runner for one answer, such as the acknowledgement that ``call()`` wants."""

    __slots__ = ("_lock", "args")

    def __init__(self) -> None:
        self.args: tuple[Any, ...] | None = None
        self._lock = new_lock()
        self._lock.acquire()

    @property
    def done(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return not self._lock.locked()

    def __call__(self, *args: Any) -> None:
        """The answer has come. Loop thread."""
        if self._lock.locked():
            self.args = args
            self._lock.release()

    def fail(self) -> None:
        """The answer will not come: the client is gone. Loop thread."""
        if self._lock.locked():
            self._lock.release()

    def wait(self, timeout_s: float) -> bool:
        """``True`` when the wait is over, ``False`` at the timeout. May switch."""
        return self._lock.acquire(timeout=timeout_s)


class Timed:
    """A callback that is waited for only so long: what is kept beside it until then. Loop thread."""

    __slots__ = ("callback", "unanswered")

    def __init__(self, callback: Callable[..., object], unanswered: set[Member]) -> None:
        self.callback = callback
        self.unanswered = unanswered

    def __call__(self, *args: Any) -> object:
        return self.callback(*args)


def fail_all(callbacks: Iterable[Callable[..., object]]) -> None:
    """Acknowledgements that will not come."""
    for callback in callbacks:
        if isinstance(callback, AckSink):
            callback.fail()
