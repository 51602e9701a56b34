"""Locks. The same for green threads, for real ones, and between them.

A lock of the system holds the state, so to take it and to give it back are atomic in every build of CPython. The line
is for those who find it held: whoever releases hands it to the first, and it never is free in between. It is a list:
most locks are never waited for, and a deque takes ten times as much.

Where the caller cannot switch it has to wait really, or not at all:

- a real thread in which no hub lives waits on a lock of the system of its own;
- a coroutine or a callback of the loop may wait for a lock that *another* thread of the system holds, as it would for
  any lock: that thread runs meanwhile. Where a green thread of its own thread holds it, that would be for ever, and it
  gets a ``ContextError``.
"""

from _thread import TIMEOUT_MAX, allocate_lock, get_ident
from asyncio import events
from collections import deque
from itertools import count
from time import monotonic
from types import TracebackType

from greenlet import getcurrent, greenlet

from ..errors import ContextError
from . import hub as hubs
from .hub import State, Waiter
from .worker import Job, Worker

_idents = count(1 << 56)  # the system's numbers are addresses, and lower
_LOOK_S = 0.05  # how often: whether the lock was handed to a green thread in the very moment


def caller() -> Job | greenlet:
    """The green thread that the caller is in; for a thread of the system its outermost greenlet.

    Greenlets that others make belong to what is above them, as they do without us.
    """
    current: greenlet = getcurrent()
    while True:
        if isinstance(current, Worker) and current.job is not None:
            return current.job
        if current.parent is None:
            return current
        current = current.parent


def caller_ident() -> int:
    """``threading.get_ident`` of what :func:`caller` gives. No green thread gets a number that another has had."""
    try:
        me = caller()
    except RuntimeError:  # the interpreter ends, and has no greenlets any more: destructors still take locks
        return get_ident()
    if not isinstance(me, Job):
        return get_ident()
    try:
        return me.ident
    except AttributeError:
        me.ident = new_ident()
        return me.ident


def new_ident() -> int:
    """A number for a green thread."""
    return next(_idents)


class ThreadWaiter:
    """:class:`Waiter` for a thread of the system that waits as a whole."""

    __slots__ = ("_claim", "_gate", "state", "thread")

    def __init__(self) -> None:
        self.state = State.PENDING
        self.thread = get_ident()
        self._claim = True
        self._gate = allocate_lock()
        self._gate.acquire()

    def wait(self, timeout: float | None = None) -> bool:
        """``True`` once woken, ``False`` at the timeout."""
        try:
            if self._opens(timeout):
                return True
            self._leave(State.EXPIRED)
        except BaseException:  # raised by a signal handler
            self._leave(State.THROWN)
            raise
        return self.state is State.WOKEN

    def _opens(self, timeout: float | None) -> bool:
        return self._gate.acquire(True, -1 if timeout is None else max(timeout, 0))

    def wake(self, value: object = None) -> bool:
        """End the wait, from any thread. ``False`` where it was over before."""
        if not self._leave(State.WOKEN):
            return False
        self._gate.release()
        return True

    def _leave(self, state: State) -> bool:
        try:
            del self._claim
        except AttributeError:
            return False
        self.state = state
        return True


class CallbackWaiter(ThreadWaiter):
    """Of a coroutine or a callback. It keeps its place in the line, and looks from there who has *lock*.

    :meth:`wait` raises :class:`ContextError` where that is a green thread of the same thread: it cannot run meanwhile.
    """

    __slots__ = ("_lock",)

    def __init__(self, lock: "Lock") -> None:
        super().__init__()
        self._lock = lock

    def _opens(self, timeout: float | None) -> bool:
        end = None if timeout is None else monotonic() + timeout
        seen = False
        while end is None or monotonic() + _LOOK_S < end:
            if super()._opens(_LOOK_S):
                return True
            before, seen = seen, self._lock._thread == self.thread
            if before and seen:  # seen once it may be on its way to us
                hubs.current_hub()  # says why not
        return super()._opens(end - monotonic())


AnyWaiter = Waiter | ThreadWaiter


def waiter_here() -> AnyWaiter:
    """To wait where the caller is. Raises :class:`ContextError` where it must not."""
    current = getcurrent()
    if type(current) is Worker:
        return Waiter(current.hub)
    if events._get_running_loop() is None:
        hub = hubs._own.hub
        return ThreadWaiter() if hub is None or hub.closed else Waiter(hub)
    return Waiter()


def _thread_of(waiter: AnyWaiter) -> int:
    return waiter.thread if isinstance(waiter, ThreadWaiter) else waiter.hub.thread


class Lock:
    """Held by one; anybody may release it."""

    __slots__ = ("__weakref__", "_line", "_state", "_thread")

    def __init_subclass__(cls) -> None:
        raise TypeError("a lock is not an acceptable base type")  # neither is the system's

    def __init__(self) -> None:
        self._state = allocate_lock()
        self._line: list[AnyWaiter] = []
        self._thread = 0  # of the system, which has it or is about to

    def __repr__(self) -> str:
        state = "locked" if self._state.locked() else "unlocked"
        return f"<{state} {type(self).__module__}.{type(self).__qualname__} object at {id(self):#x}>"

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """Take it; whether that was possible in time. May switch."""
        if timeout != -1:
            timeout = _checked(blocking, timeout)
        if self._state.acquire(False):
            self._thread = get_ident()
            return True
        return bool(blocking) and timeout != 0 and self._wait(None if timeout == -1 else timeout)

    __enter__ = acquire

    def release(self) -> None:
        """Give it to the one who has waited for longest. From any thread."""
        if not self._line:
            self._thread = 0  # who takes it next may be seen before it has said who it is
            self._state.release()  # raises where it is not held
            if not self._line:
                return
        elif not self._state.locked():
            raise RuntimeError("release unlocked lock")
        elif self._hand_over():
            return
        else:
            self._state.release()
        while self._line and self._state.acquire(False):  # somebody came meanwhile, and may not have seen it free
            if self._hand_over():
                return
            self._state.release()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._state.locked()

    acquire_lock = acquire  # its names of long ago
    release_lock = release
    locked_lock = locked

    def _at_fork_reinit(self) -> None:
        self._state._at_fork_reinit()  # type: ignore[attr-defined]
        self._line = []

    # --- those who wait

    def _hand_over(self) -> bool:
        """The lock, which is held, to the first who still waits. ``False``: to nobody."""
        line = self._line
        while line:
            try:
                waiter = line.pop(0)
            except IndexError:  # another thread was faster
                break
            self._thread = _thread_of(waiter)
            if waiter.wake():
                return True
        self._thread = 0
        return False

    def _wait(self, timeout: float | None) -> bool:
        try:
            waiter = waiter_here()
        except ContextError:
            return self._wait_in_callback(timeout)
        self._line.append(waiter)
        return self._stand(waiter, timeout)

    def _wait_in_callback(self, timeout: float | None) -> bool:
        """While another thread has it. In front of the line: green threads of this one cannot run meanwhile."""
        if self._thread == get_ident():
            hubs.current_hub()  # says why not
        waiter = CallbackWaiter(self)
        self._line.insert(0, waiter)
        return self._stand(waiter, timeout)

    def _stand(self, waiter: AnyWaiter, timeout: float | None) -> bool:
        """In the line."""
        try:
            if self._state.acquire(False):  # released before we stood there
                waiter._leave(State.WOKEN)
                leave(self._line, waiter)
                self._thread = get_ident()
                return True
            if waiter.wait(timeout):
                self._thread = get_ident()
                return True
        except BaseException:
            if waiter.state is State.WOKEN:  # it is ours, and we are not there to take it
                self.release()
            raise
        finally:
            if waiter.state is not State.WOKEN:  # else whoever woke it has taken it out: to look for it takes time
                leave(self._line, waiter)
        return False


def _checked(blocking: bool, timeout: float | None) -> float:
    if timeout is None:
        return -1
    if not blocking:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout < 0:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return timeout


def leave(line: "list[AnyWaiter] | deque[AnyWaiter]", waiter: AnyWaiter) -> None:
    """*waiter* does not stand in *line* any more."""
    try:
        line.remove(waiter)
    except ValueError:
        pass


class RLock:
    """A lock that its holder may take again."""

    __slots__ = ("__weakref__", "_block", "_count", "_owner")

    def __init__(self, *_: object, **__: object) -> None:  # the system's takes anything, too
        self._block = Lock()
        self._owner: int | None = None
        self._count = 0

    def __repr__(self) -> str:
        state = "locked" if self._block.locked() else "unlocked"
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        return f"<{state} {name} object owner={self._owner or 0} count={self._count} at {id(self):#x}>"

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """Take it, or take it once more. May switch."""
        me = caller_ident()
        if self._owner == me:
            self._count += 1
            return True
        if not self._block.acquire(blocking, timeout):
            return False
        self._owner = me
        self._count = 1
        return True

    __enter__ = acquire

    def release(self) -> None:
        """Undo one ``acquire``. Raises ``RuntimeError`` for all but the holder."""
        if self._owner != caller_ident():
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._owner = None
            self._block.release()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._block.locked()

    def _at_fork_reinit(self) -> None:
        self._block._at_fork_reinit()
        self._owner = None
        self._count = 0

    # --- for conditions

    def _is_owned(self) -> bool:
        return self._owner == caller_ident()

    def _recursion_count(self) -> int:
        return self._count if self._is_owned() else 0

    def _release_save(self) -> tuple[int, int | None]:
        if not self._count:
            raise RuntimeError("cannot release un-acquired lock")
        state = self._count, self._owner
        self._count, self._owner = 0, None
        self._block.release()
        return state

    def _acquire_restore(self, state: tuple[int, int | None]) -> None:
        """Our caller's block will release the lock: what is thrown at us meanwhile has to wait until we hold it."""
        try:
            self._block.acquire()
        except BaseException:
            self._block.acquire()
            self._count, self._owner = state
            raise
        self._count, self._owner = state
