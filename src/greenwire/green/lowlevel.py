"""The module ``_thread`` over green threads: what ``threading`` is built on.

A thread that is started in the main thread of the process, or by a green thread, is green. One that is started by
another real thread is real: nobody else would run a green one there while that thread does something else. Both
kinds use the same locks, and are waited for alike.
"""

import _thread as _real
import contextvars
import os
import sys
from asyncio import events
from collections.abc import Callable
from threading import main_thread
from types import SimpleNamespace
from typing import Any

from greenlet import GreenletExit

from . import hub as hubs
from .lock import Lock, RLock, caller, caller_ident, new_ident
from .sync import local
from .tpool import ThreadPool
from .worker import HubClosedError, Job

__all__ = ["LockType", "RLock", "allocate_lock", "get_ident", "start_joinable_thread", "start_new_thread"]

allocate_lock = allocate = LockType = lock = Lock
get_ident = caller_ident
_local = local

_real_start = _real.start_new_thread
_real_count = _real._count
_real_ident = _real.get_ident
_real_shutdown: Any = getattr(_real, "_shutdown", None)
_main_ident = main_thread().ident
_here = _real._local()  # of a real thread that was started here: its ``body``


class Body:
    """What a thread runs, and who is to be told of its end."""

    __slots__ = ("_args", "_fn", "_kwargs", "end")

    def __init__(self, fn: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._fn = fn
        self._args = args
        self._kwargs = kwargs
        self.end: Lock | None = None  # held until the thread has ended

    def run(self) -> None:
        """In the thread."""
        if self.end is not None:
            self.end._thread = _real_ident()  # it is this one that holds it
        try:
            self._fn(*self._args, **self._kwargs)
        except (SystemExit, GreenletExit, HubClosedError):
            pass
        except KeyboardInterrupt:  # in a green thread it belongs to the main one
            raise
        except BaseException as error:
            sys.unraisablehook(_unraisable(error, self._fn))

    def tell(self) -> None:
        """Whoever joins it goes on."""
        end, self.end = self.end, None
        if end is not None and end.locked():
            end.release()


def _unraisable(error: BaseException, fn: object) -> Any:
    """As the interpreter would report it."""
    text, about = "Exception ignored in thread started by", fn
    if sys.version_info >= (3, 13):
        text, about = f"{text} {fn!r}", None
    return SimpleNamespace(
        exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, err_msg=text, object=about
    )


class ThreadJob(Job):
    """A green thread that looks like a thread."""

    __slots__ = ("body",)
    running = 0

    def __init__(self, body: Body) -> None:
        super().__init__(contextvars.Context(), body.run, (), self._abandoned)
        self.body = body
        ThreadJob.running += 1

    def run(self) -> None:
        try:
            self.body.run()
        finally:
            self._ended()

    def _ended(self) -> None:
        ThreadJob.running -= 1
        self.body.tell()

    def _abandoned(self, _: BaseException) -> None:
        self._ended()


def _real_main(body: Body) -> None:
    _here.body = body
    try:
        body.run()
    finally:
        body.tell()


def start_new_thread(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, /
) -> int:
    """``_thread.start_new_thread``: a green thread, or where there is nobody to run it a real one."""
    if not callable(function):
        raise TypeError("first arg must be callable")
    if not isinstance(args, tuple):
        raise TypeError("2nd arg must be a tuple")
    if kwargs is not None and not isinstance(kwargs, dict):
        raise TypeError("optional 3rd arg must be a dictionary")
    return _start(Body(function, args, kwargs or {}), _wants_a_real_one(function))


start_new = start_new_thread


def _wants_a_real_one(function: Callable[..., object]) -> bool:
    return getattr(getattr(function, "__self__", None), "greenwire_is_real", False)


def _start(body: Body, real: bool) -> int:
    if real or not (isinstance(caller(), Job) or _real_ident() == _main_ident):
        return _real_start(_real_main, (body,))
    job = ThreadJob(body)
    job.ident = new_ident()
    hub = hubs.starting_hub()
    if events._get_running_loop() is None or hubs.can_wait():
        hub.start(job)
    else:
        hub.run_at_once(job)
    return job.ident


def _body_here() -> Body | None:
    me = caller()
    return me.body if isinstance(me, ThreadJob) else getattr(_here, "body", None)


def _count() -> int:
    """How many threads run that this module or the real one has started."""
    return ThreadJob.running + _real_count() - ThreadPool.threads()


def __getattr__(name: str) -> Any:
    return getattr(_real, name)


# --- up to Python 3.12: a lock that is released at the end

if hasattr(_real, "_set_sentinel"):
    _real_sentinel = _real._set_sentinel

    def _set_sentinel() -> Any:
        """A lock that is released when the calling thread has ended."""
        body = _body_here()
        if body is None:
            return _real_sentinel()
        body.end = Lock()
        return body.end


# --- from Python 3.13 on: handles

if hasattr(_real, "_ThreadHandle"):

    class _ThreadHandle:
        """A thread that can be waited for. After a fork only the one that has forked is not done."""

        def __init__(self) -> None:
            self.ident = 0
            self._end: Lock | None = None
            self._process = os.getpid()

        def __repr__(self) -> str:
            return f"<_ThreadHandle object: ident={self.ident}>"

        def _run(self, function: Callable[..., object], ident: int = 0) -> Body:
            if self._end is not None:
                raise RuntimeError("thread already started")
            self.ident, self._process = ident, os.getpid()
            self._end = Lock()
            self._end.acquire()
            body = Body(self._begin, (function,), {})
            body.end = self._end
            return body

        def _begin(self, function: Callable[..., object]) -> None:
            self.ident = caller_ident()
            function()

        def is_done(self) -> bool:
            if self._end is None or not self._end.locked():
                return self._end is not None
            return os.getpid() != self._process and caller_ident() != self.ident

        def join(self, timeout: float | None = None) -> None:
            """Wait for its end. May switch."""
            if self._end is None:
                raise RuntimeError("thread not started")
            if self.is_done():
                return
            if caller_ident() == self.ident:
                raise RuntimeError("Cannot join current thread")
            if self._end.acquire(timeout=-1 if timeout is None or timeout < 0 else timeout):
                self._end.release()

        def _set_done(self) -> None:
            if self._end is None:
                raise RuntimeError("thread not started")
            if self._end.locked():
                self._end.release()

    _handles: set[_ThreadHandle] = set()  # of those that the end of the process waits for

    def start_joinable_thread(
        function: Callable[..., object], handle: _ThreadHandle | None = None, daemon: bool = True
    ) -> _ThreadHandle:
        """``_thread.start_joinable_thread``."""
        if not callable(function):
            raise TypeError("thread function must be callable")
        if handle is not None and not isinstance(handle, _ThreadHandle):
            raise TypeError("'handle' must be a _ThreadHandle")
        handle = handle or _ThreadHandle()
        body = handle._run(function)
        _handles.difference_update([one for one in _handles if one.is_done()])
        if not daemon:
            _handles.add(handle)
        try:
            handle.ident = _start(body, _wants_a_real_one(function))
        except BaseException:
            handle._end = None
            raise
        return handle

    def _make_thread_handle(ident: int) -> _ThreadHandle:
        """For a thread that runs already."""
        handle = _ThreadHandle()
        handle._run(_nothing, ident)
        return handle

    def _nothing() -> None:
        """What a thread does that others have started."""

    def _shutdown() -> None:
        """Wait for the threads that are no daemons. May switch."""
        me = caller_ident()
        while left := [one for one in list(_handles) if not one.is_done() and one.ident != me]:
            left[0].join()
        _real_shutdown()
