"""A worker process as its supervisor sees it, and how it comes to be.

========= ==================================================== ==============================================
worker is meaning                                              deadline
========= ==================================================== ==============================================
BOOTING   forked; imports the application                      ``worker_boot_s`` → killed
SERVING   ready, and one of those that are wanted              ``worker_silence_s`` after each beat → killed
RETIRING  serves on until its successors are ready             likewise
LEAVING   told to end, by DRAIN or STOP                        ``drain_s`` and ``graceful_s`` → killed
========= ==================================================== ==============================================

It is always told before it is killed: by a word on its line; then by ABRT, which makes it say where it hangs; then
by KILL.
"""

import atexit
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NoReturn

from ..limits import Limits
from .lifeline import Word, Worker

log = logging.getLogger("greenwire")

BOOT_FAILED = 1  # exit code

# What a supervisor hears, and a worker therefore has to unlearn.
SIGNALS = tuple(getattr(signal, f"SIG{name}") for name in "TERM INT HUP USR1 TTIN TTOU CHLD".split())
# What a worker leaves to its supervisor: a terminal sends these to all of them. Not SIG_IGN, which subprocesses keep.
_NOT_OURS = (signal.SIGINT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1)

_MARGIN_S = 2.0  # beyond what a worker needs to end by itself
_ABORT_S = 1.0  # for the traceback of one that hangs


class State(Enum):
    """See the table at the head of this file."""

    BOOTING = auto()
    SERVING = auto()
    RETIRING = auto()
    LEAVING = auto()


_COMPLAINTS = {
    State.BOOTING: "takes too long to start (limit 'worker_boot_s')",
    State.SERVING: "does not answer any more (limit 'worker_silence_s')",
    State.RETIRING: "does not answer any more (limit 'worker_silence_s')",
    State.LEAVING: "does not end (limit 'graceful_s')",
}


@dataclass(eq=False, slots=True)
class Child:
    """One worker process; *line* is the supervisor's end."""

    worker: Worker
    pid: int
    generation: int
    line: socket.socket
    limits: Limits
    state: State = State.BOOTING
    spent: bool = False  # it has asked to be replaced
    born: float = field(default_factory=time.monotonic)
    deadline: float = field(init=False)
    kill_with: list[signal.Signals] = field(default_factory=lambda: [signal.SIGKILL, signal.SIGABRT])

    def __post_init__(self) -> None:
        self.deadline = self.born + self.limits.worker_boot_s

    def __str__(self) -> str:
        return f"worker {self.worker.number} (pid {self.pid})"

    def is_heard(self) -> None:
        """It has said something: its loop turns."""
        self.deadline = time.monotonic() + self.limits.worker_silence_s

    def tell_to_stop(self) -> None:
        """End gracefully."""
        if self.state is State.BOOTING:  # it does not listen yet, and has nobody to say goodbye to
            self.kill(signal.SIGKILL)
        self._say(Word.STOP)
        self._leaves(0.0)

    def tell_to_drain(self) -> None:
        """Others serve now: end when the clients have left."""
        self._say(Word.DRAIN)
        self._leaves(self.limits.drain_s)

    def tell_to_end_now(self) -> None:
        """And do not wait long for it."""
        self._say(Word.NOW)
        self.deadline = time.monotonic() + _ABORT_S
        self.kill_with = [signal.SIGKILL]

    def overdue(self, now: float) -> None:
        """Its deadline is over: kill it with the next stronger signal."""
        if len(self.kill_with) > 1:
            log.error("%s %s: it is killed", self, _COMPLAINTS[self.state])
        if self.kill_with:
            self.kill(self.kill_with.pop())
        self.deadline = now + _ABORT_S

    def kill(self, number: signal.Signals) -> None:
        """Send it a signal."""
        try:
            os.kill(self.pid, number)  # its pid is its own until it is waited for
        except ProcessLookupError:
            pass

    def _say(self, word: Word) -> None:
        try:
            self.line.send(word.value)
        except OSError:  # it is dead, or does not listen: the deadline is for that
            pass

    def _leaves(self, more_s: float) -> None:
        self.state = State.LEAVING
        self.deadline = time.monotonic() + more_s + self.limits.graceful_s + _MARGIN_S


def fork(forget: Callable[[], None], serve: Callable[[], int]) -> int:
    """Start a process that drops by *forget* what is the supervisor's, and ends with what *serve* returns.

    Returns its pid, and never returns in it. Raises :class:`OSError` where the system has no room for a process.
    """
    # From the fork until its handlers are set, a signal to the worker waits, lest it runs one of the supervisor's.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _become(forget, serve, mask)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _become(forget: Callable[[], None], serve: Callable[[], int], mask: set[int | signal.Signals]) -> NoReturn:
    code = BOOT_FAILED
    try:
        atexit._clear()  # what was registered is the supervisor's to do, at its own end
        forget()
        for number in SIGNALS:
            signal.signal(number, _leave_it if number in _NOT_OURS else signal.SIG_DFL)
        faulthandler.enable()  # SIGABRT says where it hangs
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = serve()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        _exit(code)


def _leave_it(*_: object) -> None:
    """A signal that is the supervisor's."""


def _exit(code: int) -> NoReturn:
    """What Python does at its end; but not through the frames of the supervisor that are above us."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
        atexit._run_exitfuncs()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
