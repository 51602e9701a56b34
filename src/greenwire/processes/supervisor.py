"""The supervisor: starts worker processes on shared listening sockets, replaces them, and ends them.

It is a plain loop over signals, the lines to the workers (lifeline.py) and deadlines (child.py). It imports no
application and runs no event loop, so each worker is a fork of an empty process: it imports the application itself,
and new code arrives with new workers.

All workers accept from the *same* sockets, not each from one of its own by ``SO_REUSEPORT``: what waits in the queue
of a socket that is closed is reset by the kernel, and with one queue nothing is lost while workers come and go.

The first worker of a generation boots alone. When it cannot, nobody else tries: one traceback, not one for each.

======== =================================================================================
signal   what the supervisor does
======== =================================================================================
TERM INT ends: workers finish what runs, for ``graceful_s`` at most; the second one: at once
HUP      reloads: new workers start; when all are ready the old ones drain. When one cannot
         start, the old ones stay
USR1     opens log files anew, here and in the workers
TTIN     one worker more
TTOU     one worker less
CHLD     a worker has ended
======== =================================================================================
"""

import logging
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial

from ..limits import Limits
from ..net.accept import unix_file, unlink_if_ours
from ..net.share import Share, new_memory
from .child import BOOT_FAILED, SIGNALS, Child, State, fork
from .lifeline import Word, Worker

log = logging.getLogger("greenwire")

_PAUSE_FACTOR = 64  # a pause grows to so many times limits.restart_pause_s


class Phase(Enum):
    """Of the supervisor itself."""

    STARTING = auto()  # not all workers of the first generation are ready
    SERVING = auto()
    RELOADING = auto()
    STOPPING = auto()


class Hooks:
    """What the supervisor tells to whoever has made it. Override what is of interest."""

    def phase(self, phase: Phase) -> None:
        """The supervisor has entered *phase*."""

    def reopen_logs(self) -> None:
        """SIGUSR1; the workers get it, too."""

    def gone(self, worker: Worker, pid: int) -> None:
        """A worker's process has ended."""


class Supervisor:
    """*serve* is called in each worker process and gives its exit code. Make and run it in the main thread."""

    def __init__(
        self,
        serve: Callable[[Worker], int],
        sockets: Sequence[socket.socket],
        count: int,
        limits: Limits,
        directory: str,
        *,
        extra: Sequence[socket.socket] = (),
        hooks: Hooks | None = None,
    ) -> None:
        self.count = count
        self.phase = Phase.STARTING
        self._serve = serve
        self._sockets = sockets
        self._extra = extra
        self._limits = limits
        self._directory = directory
        self._hooks = hooks or Hooks()
        self._children: list[Child] = []
        self._generation = 0
        self._serial = 0
        self._exit_code = 0
        self._failed_starts = 0  # one after the other
        self._pause_s = 0.0
        self._not_before = 0.0  # no worker is started
        self._shares = new_memory()
        self._signals: deque[int] = deque()
        self._old_handlers: dict[int, object] = {}
        self._selector = selectors.PollSelector()  # not epoll: its set would be shared with the workers
        self._files = [found for sock in sockets if (found := unix_file(sock)) is not None]

    # --- the loop

    def run(self) -> int:
        """Supervise until a signal ends it. Returns the exit code."""
        self._take_signals()
        try:
            self._fill()
            while self.phase is not Phase.STOPPING or self._children:
                self._turn()
        finally:
            self._give_signals_back()
            self._selector.close()
        return self._exit_code

    def listen_to(self, fd: int, callback: Callable[[], object]) -> None:
        """Call *callback* whenever *fd* can be read."""
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def stop_listening_to(self, fd: int) -> None:
        """Nothing will come of it any more."""
        self._selector.unregister(fd)

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._patience()):
            key.data()
        while self._signals:
            getattr(self, f"on_{signal.Signals(self._signals.popleft()).name.lower()}")()
        self._check_deadlines()
        self._fill()

    def _patience(self) -> float | None:
        moments = [child.deadline for child in self._children]
        if self._missing() > 0:
            moments.append(self._not_before)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _take_signals(self) -> None:
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        self._selector.register(self._wake_in, selectors.EVENT_READ, self._woken)
        self._old_wakeup = signal.set_wakeup_fd(self._wake_out.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            self._old_handlers[number] = signal.signal(number, lambda number, _: self._signals.append(number))

    def _woken(self) -> None:
        self._wake_in.recv(4096)

    def _give_signals_back(self) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # as it was
        signal.set_wakeup_fd(self._old_wakeup)
        self._wake_in.close()
        self._wake_out.close()

    # --- signals

    def on_sigterm(self) -> None:
        """End; the second time: at once."""
        if self.phase is Phase.STOPPING:
            for child in self._children:
                child.tell_to_end_now()
        else:
            self._stop(0)

    on_sigint = on_sigterm

    def on_sighup(self) -> None:
        """Replace all workers by ones with new code and new certificates."""
        if self.phase is Phase.STOPPING:
            return
        log.info("reloading: new workers start, the old ones serve until all are ready")
        for child in self._children:
            unready = child.state is State.BOOTING
            if unready or (self.phase is Phase.RELOADING and child.generation == self._generation):
                child.tell_to_stop()  # it has code that is out of date again
            elif child.state is State.SERVING:
                child.state = State.RETIRING
        self._generation += 1
        self._pause_s = self._not_before = 0.0
        if self.phase is not Phase.STARTING:
            self._enter(Phase.RELOADING)

    def on_sigusr1(self) -> None:
        """Open log files anew."""
        self._hooks.reopen_logs()
        for child in self._children:
            child.kill(signal.SIGUSR1)

    def on_sigttin(self) -> None:
        """One worker more."""
        self.count += 1
        log.info("%d workers", self.count)

    def on_sigttou(self) -> None:
        """One worker less."""
        if self.phase is not Phase.STOPPING:
            self.count = max(self.count - 1, 1)
            log.info("%d workers", self.count)
            self._drain_surplus()

    def on_sigchld(self) -> None:
        """Look which workers have ended."""
        for child in list(self._children):
            pid, status = os.waitpid(child.pid, os.WNOHANG)  # not of any child: the program may have its own
            if pid:
                self._gone(child, os.waitstatus_to_exitcode(status))
        if os.getpid() == 1:
            self._reap_orphans()

    def _reap_orphans(self) -> None:
        """In a container we are process 1, and inherit what the workers' own children leave behind."""
        own = {child.pid for child in self._children}
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid in own:  # of a worker there will be another CHLD
                return
            os.waitpid(found.si_pid, 0)

    # --- starting workers

    def _missing(self) -> int:
        """How many workers may be started now, pauses aside."""
        if self.phase is Phase.STOPPING:
            return 0
        current = [child for child in self._children if child.state in (State.SERVING, State.BOOTING)]
        missing = self.count - len(current)
        proven = any(child.state is State.SERVING and child.generation == self._generation for child in current)
        return missing if proven else min(missing, 1 - len(current))

    def _fill(self) -> None:
        if time.monotonic() < self._not_before:
            return
        try:
            for _ in range(self._missing()):
                self._start()
        except OSError as error:  # no descriptors, no processes, no memory: workers that serve are not to suffer
            self._cannot_start(error)

    def _cannot_start(self, error: OSError) -> None:
        log.error("cannot start a worker: %s (limits of open files and processes: ulimit -n -u)", error.strerror)
        if self.phase is Phase.STARTING:
            self._stop(BOOT_FAILED)
        elif self.phase is Phase.RELOADING:
            self._abandon_reload()
        else:
            self._pause()

    def _start(self) -> None:
        taken = {child.worker.number for child in self._children}
        number = next(n for n in range(1, len(taken) + 2) if n not in taken)
        self._serial += 1
        ours, theirs = socket.socketpair()
        share = Share(self._shares, number)
        worker = Worker(number, self.count, self._directory, self._serial, self._sockets, self._extra, share, theirs)
        try:
            pid = fork(partial(self._forget, ours), partial(self._serve, worker))
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        child = Child(worker, pid, self._generation, ours, self._limits)
        self._children.append(child)
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._hear(child))

    def _forget(self, line: socket.socket) -> None:
        """In the worker: it keeps nothing of the supervisor's, else a line would outlive the supervisor in here."""
        line.close()
        for child in self._children:
            child.line.close()
        self._give_signals_back()

    # --- what workers say, and their ends

    def _hear(self, child: Child) -> None:
        try:
            words = child.line.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:
            self._selector.unregister(child.line)  # it has ended, or will: CHLD says so
            return
        if child.state is State.LEAVING:
            return
        child.is_heard()
        if child.state is State.BOOTING and Word.READY.value in words:
            self._ready(child)
        if Word.REPLACE_ME.value in words:
            log.info("%s has served its requests and is replaced", child)
            child.spent = True
            if child.state is State.SERVING:
                child.state = State.RETIRING

    def _ready(self, child: Child) -> None:
        child.state = State.SERVING
        self._failed_starts = 0
        if self._missing() > 0 or any(other.state is State.BOOTING for other in self._children):
            return
        if self.phase is Phase.RELOADING:
            log.info("reloaded: %d new workers serve, the old ones drain", self.count)
        if self.phase is not Phase.SERVING:
            self._enter(Phase.SERVING)
        for old in self._children:
            if old.state is State.RETIRING:
                old.tell_to_drain()
        self._drain_surplus()

    def _drain_surplus(self) -> None:
        serving = [child for child in self._children if child.state is State.SERVING]
        for child in sorted(serving, key=lambda child: child.worker.number)[self.count :]:
            child.tell_to_drain()

    def _gone(self, child: Child, code: int) -> None:
        self._children.remove(child)
        if child.line in self._selector.get_map():
            self._selector.unregister(child.line)
        child.line.close()
        if child.worker.share is not None:
            child.worker.share.leave()
        self._hooks.gone(child.worker, child.pid)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"has ended with exit code {code}"
        if child.state is State.LEAVING:
            log.info("%s has left", child)
        elif child.state is State.BOOTING:
            self._start_failed(child, how)
        else:
            self._rest(child)
            log.warning("%s %s; another one is started", child, how)

    def _start_failed(self, child: Child, how: str) -> None:
        log.error("%s %s before it could serve", child, how)
        if self.phase is Phase.STARTING:
            self._stop(BOOT_FAILED)
        elif self.phase is Phase.RELOADING:
            self._abandon_reload()
        else:
            self._rest(child)
            self._failed_starts += 1
            alone = not any(other.state in (State.SERVING, State.RETIRING) for other in self._children)
            if alone and self._failed_starts >= self._limits.worker_failed_starts:
                log.error("%d starts have failed one after the other, and no worker serves", self._failed_starts)
                self._stop(BOOT_FAILED)

    def _abandon_reload(self) -> None:
        for child in self._children:
            if child.generation == self._generation and child.state is not State.LEAVING:
                child.tell_to_stop()
            elif child.state is State.RETIRING and not child.spent:
                child.state = State.SERVING
        old = [child for child in self._children if child.state in (State.SERVING, State.RETIRING)]
        self._generation = max((child.generation for child in old), default=self._generation)
        self._enter(Phase.SERVING)
        log.error("the reload has failed: %d workers serve on as before. Mend it, and send HUP again", len(old))

    def _rest(self, child: Child) -> None:
        """The next start waits, and longer each time, unless *child* has lasted."""
        if time.monotonic() - child.born >= self._limits.restart_pause_s * _PAUSE_FACTOR:
            self._pause_s = self._not_before = 0.0
        else:
            self._pause()

    def _pause(self) -> None:
        first = self._limits.restart_pause_s
        self._pause_s = min(max(first, 2 * self._pause_s), first * _PAUSE_FACTOR)
        self._not_before = time.monotonic() + self._pause_s

    # --- ending workers

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._hooks.phase(phase)

    def _stop(self, code: int) -> None:
        self._exit_code = code
        self._enter(Phase.STOPPING)
        for sock in self._sockets:  # else clients would wait in the queue of a socket that nobody reads
            sock.close()
        for path, identity in self._files:
            unlink_if_ours(path, identity)
        for child in self._children:
            child.tell_to_stop()

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if now >= child.deadline:
                child.overdue(now)
