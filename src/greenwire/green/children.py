"""Waiting for child processes, while others run.

Whoever waits looks first, without waiting (``WNOHANG``), then waits until there may be something new, and looks again;
so each result is taken by the one that gets it. Until there may be something new: a *pidfd* (Linux 5.3) becomes
readable at the end of its process. Where there is none, or for one of many children, or for their stops, a thread of
the system waits in ``waitid`` and leaves what it sees to be taken (``WNOWAIT``).
"""

import os
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from time import monotonic
from typing import Any, ClassVar, TypeVar

from .hub import Waiter, sleep
from .watch import watch_for

Question = tuple[int, int, int]  # kind, number and options of ``waitid``
T = TypeVar("T")

_LOOK_AGAIN_S = 1.0  # a traced child that stops is a result for its parent, and no pidfd tells of it
_STEP_S = 0.05  # where the system has neither of them
_pidfd_open: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
_waitid: Callable[..., Any] | None = getattr(os, "waitid", None)


class _Process:
    """Owns a pidfd while somebody waits on it."""

    __slots__ = ("__weakref__", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def wait(self, seconds: float | None) -> None:
        try:
            watch = watch_for(self, self.fd, False)
            try:
                watch.wait(seconds)
            finally:
                watch.close()
        finally:
            os.close(self.fd)


class _Thread:
    """A thread of the system that waits for one question; green threads wait for it."""

    _all: ClassVar["dict[Question, _Thread]"] = {}
    _lock = allocate_lock()

    def __init__(self, question: Question) -> None:
        self._question = question
        self._line: list[Waiter] = []

    @classmethod
    def wait(cls, question: Question, seconds: float | None) -> None:
        waiter = Waiter()
        with cls._lock:
            thread = cls._all.get(question)
            if thread is None:
                thread = cls(question)
                start_new_thread(thread._run, ())
                cls._all[question] = thread
            thread._line.append(waiter)
        waiter.wait(seconds)

    def _run(self) -> None:
        try:
            assert _waitid is not None
            kind, number, options = self._question
            _waitid(kind, number, options | os.WNOWAIT)
        except OSError:  # no such child: whoever looks again finds that
            pass
        with self._lock:
            del self._all[self._question]
        for waiter in self._line:
            waiter.wake()

    @classmethod
    def forget_all(cls) -> None:
        """In a forked child: none of them is here."""
        cls._lock = allocate_lock()
        cls._all = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Thread.forget_all)


def first(look: Callable[[], T | None], pid: int, options: int = 0, seconds: float | None = None) -> T | None:
    """What *look* finds about ``waitpid(pid, options)``; ``None`` after so many seconds. May switch."""
    return first_of(look, _question(pid, options), seconds)


def first_of(look: Callable[[], T | None], question: Question, seconds: float | None = None) -> T | None:
    """The same for ``waitid(*question)``. May switch."""
    end = None if seconds is None else monotonic() + seconds
    while (found := look()) is None:
        left = None if end is None else end - monotonic()
        if left is not None and left <= 0:
            return None
        _until_news(question, left)
    return found


def _question(pid: int, options: int) -> Question:
    """The arguments of ``waitid`` that ask for the same as those of ``waitpid``."""
    states = os.WEXITED
    if options & os.WUNTRACED:
        states |= os.WSTOPPED
    if options & os.WCONTINUED:
        states |= os.WCONTINUED
    if pid > 0:
        return os.P_PID, pid, states
    if pid == -1:
        return os.P_ALL, 0, states
    return os.P_PGID, -pid or os.getpgrp(), states


def _until_news(question: Question, seconds: float | None) -> None:
    """Until there may be an answer, or for so many seconds at most. May switch."""
    kind, number, states = question
    if kind == os.P_PID and states == os.WEXITED and _pidfd_open is not None:
        try:
            process = _Process(_pidfd_open(number))
        except ProcessLookupError:
            return
        except OSError:  # no descriptor left, or a sandbox that does not know the call
            pass
        else:
            process.wait(_LOOK_AGAIN_S if seconds is None else min(seconds, _LOOK_AGAIN_S))
            return
    if _waitid is None:
        sleep(_STEP_S if seconds is None else min(seconds, _STEP_S))
    else:
        _Thread.wait(question, seconds)
