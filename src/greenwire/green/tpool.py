"""Real threads, for what cannot be green: name look-ups, C libraries that block, long computations that let go."""

import contextvars
import os
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, ClassVar, ParamSpec, TypeVar

from .hub import State, Waiter

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = 20  # eventlet's number


class _Call:
    """One call, its outcome, and who waits for it."""

    __slots__ = ("args", "context", "error", "fn", "kwargs", "result", "waiter")

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.context = contextvars.copy_context()
        self.waiter = Waiter()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        if self.waiter.state is not State.PENDING:  # given up while it stood in the queue
            return
        try:
            self.result = self.context.run(self.fn, *self.args, **self.kwargs)
        except BaseException as error:  # whatever it is, the one that waits gets it
            self.error = error
        self.waiter.wake()


class ThreadPool:
    """Up to *size* daemon threads, each started when all others are at work.

    ``concurrent.futures`` waits for its threads at the end of the process; a name server that does not answer would
    hold that up.
    """

    _all: ClassVar[list["ThreadPool"]] = []

    def __init__(self, size: int = _THREADS) -> None:
        self.size = size
        self._begin()
        self._all.append(self)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """No threads yet; a forked child has none of its parent's."""
        self._calls: SimpleQueue[_Call] = SimpleQueue()
        self._idle: deque[None] = deque()  # one for each thread that waits for a call
        self._threads: deque[None] = deque()

    @classmethod
    def threads(cls) -> int:
        """How many of the process's threads are of pools like this: nobody's but Greenwire's."""
        return sum(len(pool._threads) for pool in cls._all)

    def execute(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``fn(*args, **kwargs)`` in a thread; its result or its exception. May switch.

        Whoever is killed meanwhile goes on at once. A call that no thread has begun then is not made; one that runs
        is finished for nobody.
        """
        call = _Call(fn, args, kwargs)
        try:
            self._idle.pop()
        except IndexError:
            if len(self._threads) < self.size:
                self._threads.append(None)
                start_new_thread(self._work, ())
        self._calls.put(call)
        call.waiter.wait()
        if call.error is not None:
            try:
                raise call.error
            finally:
                del call  # the error's traceback holds this frame
        result: T = call.result
        return result

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            call.run()
            del call  # keep nothing alive while idle
            self._idle.append(None)


_pool = ThreadPool()
execute = _pool.execute
