"""What ``patch()`` does to ``_thread``, ``threading`` and ``logging``.

``threading`` is Python code over a few names of ``_thread``. Those are replaced, in both, and the code stays: so a
class that was derived from ``threading.Thread`` before is green as well, and every oddity is the standard library's.
"""

import logging
import os
import sys
import threading
from collections.abc import Mapping
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from greenlet import GreenletExit

from ..errors import ContextError
from . import lowlevel, originals, tpool
from .hub import alone
from .lock import Lock, RLock, caller, caller_ident
from .sync import local
from .worker import HubClosedError, Job

NAMES = (
    *("allocate_lock", "allocate", "LockType", "lock", "RLock"),
    *("get_ident", "start_new_thread", "start_new", "_count", "_local"),
    *("_set_sentinel", "start_joinable_thread", "_ThreadHandle", "_make_thread_handle", "_shutdown"),
)


def replace() -> None:
    """``threading`` calls some of the names otherwise: they are known by what they are."""
    before = originals.original("_thread")
    new = {id(getattr(before, name)): getattr(lowlevel, name) for name in NAMES if hasattr(before, name)}
    names = vars(threading)
    for name, value in list(names.items()):
        if id(value) in new:
            names[name] = new[id(value)]
    for value in new.values():
        value.__module__ = "_thread"  # where everybody looks for them
    adapt(names, originals.original("threading")._active)
    names["_shutdown"] = _shutdown_of_both(names["_shutdown"])
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_name_main_thread)
    _replace_in_logging()


def adapt(names: dict[str, Any], real_threads: Mapping[int, threading.Thread]) -> None:
    """What in the code of ``threading``, with *names* for its globals, does not come by itself."""
    names["_active"] = _Active(names, real_threads)
    names["_make_invoke_excepthook"] = _hook_maker(names["_make_invoke_excepthook"])
    for name, value in list(names.items()):
        if type(value) is originals.original("_thread._local"):
            names[name] = local()
    _adapt_main(names["main_thread"](), names)


def _adapt_main(main: Any, names: dict[str, Any]) -> None:
    """A green thread that joins the main one would stop all."""
    if hasattr(main, "_handle"):  # Python 3.13
        main._handle = lowlevel._make_thread_handle(main.ident)
        return
    real_end, end = main._tstate_lock, Lock()
    end.acquire()
    main._tstate_lock = end
    if real_end in names["_shutdown_locks"]:  # not in a forked child, as a server for forks is
        names["_shutdown_locks"].symmetric_difference_update((real_end, end))


class _Active(dict[int, threading.Thread]):
    """``threading._active``, which also knows real threads of another module, and green ones that are no threads."""

    def __init__(self, names: dict[str, Any], others: Mapping[int, threading.Thread]) -> None:
        super().__init__(names["_active"])
        self._names = names
        self._others = others
        self._guests: WeakKeyDictionary[Job, threading.Thread] = WeakKeyDictionary()

    def __missing__(self, ident: int) -> threading.Thread:
        me = caller()
        if not isinstance(me, Job):
            return self._others[ident]
        if isinstance(me, lowlevel.ThreadJob) or me.ident != ident:
            raise KeyError(ident)
        guest = self._guests.get(me)
        if guest is None:
            guest = self._guests[me] = self._new_guest(ident)
        return guest

    def _new_guest(self, ident: int) -> threading.Thread:
        """``threading`` would keep it for ever, and there may be one for each event of a server."""
        guest: threading.Thread = self._names["_DummyThread"]()
        del self[ident]
        guest.name = f"Green-{ident & 0xFFFFFF}"
        return guest


def _hook_maker(make: Any) -> Any:
    """What a green thread is ended by has nothing to tell; Ctrl-C is for the main thread."""

    def make_invoke_excepthook() -> Any:
        real_hook = make()

        def invoke_excepthook(thread: threading.Thread) -> None:
            error = sys.exc_info()[1]
            if isinstance(caller(), Job):
                if isinstance(error, HubClosedError | GreenletExit):
                    return
                if isinstance(error, KeyboardInterrupt):
                    raise error
            real_hook(thread)

        return invoke_excepthook

    return make_invoke_excepthook


def _shutdown_of_both(shutdown: Any) -> Any:
    """The interpreter waits for the threads of ``threading``; the original module has some, too."""

    def shutdown_both() -> None:
        shutdown()
        real = originals.original("threading")
        while left := [one for one in real.enumerate() if not one.daemon and one is not real.main_thread()]:
            if alone():
                left[0].join()
            else:
                tpool.execute(left[0].join)  # so that green ones go on meanwhile

    return shutdown_both


def _name_main_thread() -> None:
    """In a forked child whoever has forked is the main thread: also a green thread that was no thread's."""
    if isinstance(threading.main_thread(), threading._DummyThread):
        vars(threading)["_main_thread"] = vars(threading)["_MainThread"]()


class RealThread(threading.Thread):
    """A thread of the system, for those who keep real ones, which green threads may wait for."""

    greenwire_is_real = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whoever starts it waits a moment, and may hold a real lock meanwhile: without letting others run.
        self._started = originals.original("threading.Event")()


class RealThreads(ModuleType):
    """``threading`` for those: real threads, but locks and events that keep only green threads waiting."""

    Thread = RealThread

    def __init__(self) -> None:
        super().__init__("threading")

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)


# --- logging


class LoggingLock(RLock):
    """A lock that never keeps a coroutine from logging.

    Where a green thread of the same thread waits while it writes a record, a coroutine or a callback of the loop cannot
    wait for it, and gets in: better two records mixed up than one lost, or a server that stands.
    """

    __slots__ = ("_let_in",)

    def __init__(self) -> None:
        super().__init__()
        self._let_in = 0

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """Take it, or get in without. May switch."""
        try:
            return super().acquire(blocking, timeout)
        except ContextError:
            self._let_in += 1
            return True

    __enter__ = acquire

    def release(self) -> None:
        """Undo one ``acquire``."""
        if self._let_in and self._owner != caller_ident():
            self._let_in -= 1
        else:
            super().release()


def _replace_in_logging() -> None:
    logging._lock = LoggingLock()  # type: ignore[attr-defined]
    for reference in list(logging._handlerList):  # type: ignore[attr-defined]
        handler = reference()
        if handler is not None and handler.lock is not None:
            handler.lock = LoggingLock()
    create = logging.Handler.createLock

    def create_green_lock(self: logging.Handler) -> None:
        create(self)  # registers it for forks
        self.lock = LoggingLock()  # type: ignore[assignment]

    logging.Handler.createLock = create_green_lock  # type: ignore[method-assign]
