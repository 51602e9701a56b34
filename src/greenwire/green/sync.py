"""What green threads tell one another with: events, locks, semaphores, conditions, values of their own.

The names and meanings of ``threading``. Those who wait are served in order of coming. Each may be signalled from
any thread, and waited on by green threads of several hubs at once.

No lock guards the insides: everything is an atomic operation on a deque. So a destructor or a signal handler that
comes in the middle finds nothing that it would have to wait for. The rule for those who wait: first enter the
line, then look again, so that whoever signals either sees you or has been seen.
"""

from collections import deque
from collections.abc import Callable
from itertools import repeat
from time import monotonic
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from greenlet import greenlet

from .hub import State
from .lock import AnyWaiter, Lock, RLock, caller, leave, waiter_here
from .worker import Job

__all__ = ["BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore", "local"]

_WOKEN = State.WOKEN


def _limit(blocking: bool, timeout: float | None) -> float | None:
    """``threading``'s two arguments as one; below zero is an error, but for its own -1."""
    if timeout is None or timeout == -1:
        return None
    if not blocking:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout < 0:
        raise ValueError("timeout value must be a non-negative number")
    return timeout


class Event:
    """A flag that can be waited for."""

    def __init__(self) -> None:
        self._flag = False
        self._line: deque[AnyWaiter] = deque()

    def __repr__(self) -> str:
        return f"<green Event {'set' if self._flag else 'unset'}, {len(self._line)} waiting>"

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return self._flag

    def set(self) -> None:
        """Set the flag and wake all that wait. From any thread."""
        self._flag = True
        line = self._line
        for _ in range(len(line)):
            try:
                line.popleft().wake()
            except IndexError:  # another thread sets it, too
                return

    def clear(self) -> None:
        """Unset the flag."""
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        """Until the flag is set; whether it was in time. May switch."""
        if self._flag:
            return True
        waiter = waiter_here()
        self._line.append(waiter)
        if self._flag:
            waiter.wake()
        try:
            return waiter.wait(timeout)
        finally:
            leave(self._line, waiter)


class Semaphore:
    """*value* of them may be held at once."""

    def __init__(self, value: int = 1) -> None:
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self._free: deque[None] = deque(repeat(None, value))
        self._line: deque[AnyWaiter] = deque()

    def __repr__(self) -> str:
        return f"<green {type(self).__name__} {len(self._free)} free, {len(self._line)} waiting>"

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take one; whether there was one in time. May switch."""
        timeout = _limit(blocking, timeout)
        if not self._line:  # those who wait come first
            try:
                self._free.pop()
            except IndexError:
                pass
            else:
                return True
        return blocking and timeout != 0 and self._wait(timeout)

    def _wait(self, timeout: float | None) -> bool:
        waiter = waiter_here()
        self._line.append(waiter)
        self._match()
        try:
            if waiter.wait(timeout):
                return True
        except BaseException:
            if waiter.state is _WOKEN:  # one is ours, and we are not there to take it
                self._give()
            raise
        finally:
            if waiter.state is not _WOKEN:  # else whoever woke it has taken it out: to look for it takes time
                leave(self._line, waiter)
        return False

    def release(self, n: int = 1) -> None:
        """Give *n* back; they go to those who have waited for longest. From any thread."""
        if n < 1:
            raise ValueError("n must be one or more")
        for _ in range(n):
            self._give()

    def _give(self) -> None:
        self._free.append(None)
        if self._line:
            self._match()

    def _match(self) -> None:
        """Hand what is free to those who wait."""
        while self._line:
            try:
                self._free.pop()
            except IndexError:
                return
            try:
                while not self._line.popleft().wake():
                    pass
            except IndexError:  # nobody left: put it back, and look whether someone came meanwhile
                self._free.append(None)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class BoundedSemaphore(Semaphore):
    """A semaphore that cannot be released more often than it was acquired."""

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._most = value

    def release(self, n: int = 1) -> None:
        """Give *n* back. Raises ``ValueError`` where so many were not taken."""
        if len(self._free) + n > self._most:
            raise ValueError("Semaphore released too many times")
        super().release(n)


class Condition:
    """Wait for something that is true under a lock."""

    def __init__(self, lock: Lock | RLock | None = None) -> None:
        self._lock = RLock() if lock is None else lock
        self._line: deque[AnyWaiter] = deque()
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __repr__(self) -> str:
        return f"<green Condition over {self._lock!r}, {len(self._line)} waiting>"

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Let the lock go until notified, and take it again; whether that was in time. May switch."""
        self._require_lock("wait on")
        waiter = waiter_here()
        self._line.append(waiter)
        lock = self._lock
        state = None
        if isinstance(lock, RLock):
            state = lock._release_save()
        else:
            lock.release()
        try:
            return waiter.wait(timeout)
        except BaseException:
            if waiter.state is _WOKEN:  # the one notified will not see to it
                self._wake(1)
            raise
        finally:
            if waiter.state is not _WOKEN:
                leave(self._line, waiter)
            self._take_back(state)

    def _take_back(self, state: tuple[int, int | None] | None) -> None:
        """Our caller's block will release the lock: what is thrown at us meanwhile has to wait until we hold it."""
        try:
            self._restore(state)
        except BaseException:
            self._restore(state)
            raise

    def _restore(self, state: tuple[int, int | None] | None) -> None:
        if state is None:
            self._lock.acquire()
        elif isinstance(self._lock, RLock):
            self._lock._acquire_restore(state)

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Until ``predicate()`` is true; its last value. May switch."""
        end = None if timeout is None else monotonic() + timeout
        result = predicate()
        while not result:
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    def notify(self, n: int = 1) -> None:
        """Wake the *n* who have waited for longest."""
        self._require_lock("notify")
        self._wake(n)

    def notify_all(self) -> None:
        """Wake all."""
        self.notify(len(self._line))

    def _wake(self, n: int) -> None:
        while n > 0 and self._line:
            try:
                n -= self._line.popleft().wake()
            except IndexError:
                return

    def _require_lock(self, verb: str) -> None:
        lock = self._lock
        if not (lock._is_owned() if isinstance(lock, RLock) else lock.locked()):
            raise RuntimeError(f"cannot {verb} un-acquired lock")


class local:  # threading's name
    """Attributes of which each green thread has its own. ``__init__`` of a subclass runs once for each."""

    _values: "WeakKeyDictionary[Job | greenlet, dict[str, Any]]"
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, /, *args: Any, **kwargs: Any) -> "local":
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError("Initialization arguments are not supported")
        self = super().__new__(cls)
        object.__setattr__(self, "_values", WeakKeyDictionary())
        object.__setattr__(self, "_arguments", (args, kwargs))
        object.__getattribute__(self, "_values")[caller()] = {}  # ``__init__`` follows for this one
        return self

    def __getattribute__(self, name: str) -> Any:
        values = _values_of(self)
        if name == "__dict__":
            return values
        if name in values:
            return values[name]
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "__dict__":
            raise AttributeError(f"{type(self).__name__!r} object attribute '__dict__' is read-only")
        if hasattr(getattr(type(self), name, None), "__set__"):  # a property
            object.__setattr__(self, name, value)
        else:
            _values_of(self)[name] = value

    def __delattr__(self, name: str) -> None:
        if name == "__dict__":
            raise AttributeError(f"{type(self).__name__!r} object attribute '__dict__' is read-only")
        values = _values_of(self)
        if name in values:
            del values[name]
        else:
            object.__delattr__(self, name)


def _values_of(one: local) -> dict[str, Any]:
    every = object.__getattribute__(one, "_values")
    me = caller()
    values: dict[str, Any] | None = every.get(me)
    if values is None:
        values = every[me] = {}
        args, kwargs = object.__getattribute__(one, "_arguments")
        type(one).__init__(one, *args, **kwargs)
    return values
