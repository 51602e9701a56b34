"""What is around a supervisor: its private directory, what it says and to whom, the figures of the dead, the watcher.

Imported only where several processes are wanted: it needs a system that can fork.
"""

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial

from .. import logs, metrics
from ..limits import Limits
from ..net import systemd
from ..net.listen import url_of
from ..run_options import RunOptions
from ..version import __version__
from .lifeline import Worker
from .private import PrivateFolder, private_folder
from .privileges import Identity
from .supervisor import Hooks, Phase, Supervisor
from .watching import Watcher

log = logging.getLogger("greenwire")


def supervise(
    options: RunOptions,
    limits: Limits,
    work: Callable[[Worker], int],
    sockets: Sequence[socket.socket],
    extra: Sequence[socket.socket],
    wanted: Identity | None,
) -> int:
    """Have *work* done in each worker until a signal ends it. Gives the exit code."""
    secure = options.tls() is not None  # also so that a certificate that is missing is one error, not one for each
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(private_folder(wanted))
        shelf = _shelf(folder.path, wanted) if options.metrics is not None else None
        hooks = _Voice([url_of(sock, secure) for sock in sockets], shelf)
        count = options.worker_count
        work = partial(_work_in, folder, work)
        supervisor = Supervisor(work, sockets, count, limits, folder.path, extra=extra, hooks=hooks)
        hooks.supervisor = supervisor
        if options.watches:
            _watch(options, supervisor, stack)
        return supervisor.run()


def _work_in(folder: PrivateFolder, work: Callable[[Worker], int], worker: Worker) -> int:
    try:
        return work(worker)
    finally:
        folder.leave()


_NOTICES = {Phase.SERVING: systemd.ready, Phase.RELOADING: systemd.reloading, Phase.STOPPING: systemd.stopping}


class _Voice(Hooks):
    """What the supervisor says, and to whom."""

    def __init__(self, urls: list[str], shelf: metrics.Shelf | None) -> None:
        self.supervisor: Supervisor
        self._shelf = shelf
        self._urls = urls

    def phase(self, phase: Phase) -> None:
        if phase is Phase.SERVING and self._urls:
            count, pid = self.supervisor.count, os.getpid()
            workers = "1 worker" if count == 1 else f"{count} workers"
            logs.say(
                f"Greenwire {__version__} listens on {' and '.join(self._urls)}\n"
                f"{workers} under supervisor {pid}: HUP reloads, TERM or Ctrl-C ends."
            )
            self._urls = []  # once
        if phase in _NOTICES:
            _NOTICES[phase]()

    def reopen_logs(self) -> None:
        logs.reopen()

    def gone(self, worker: Worker, pid: int) -> None:
        if self._shelf is not None:
            try:
                self._shelf.bury(worker.serial, pid)
            except (OSError, ValueError, KeyError, TypeError) as error:  # a full disk, or half a file: no reason to end
                log.warning("metrics: what %d has counted is lost: %s: %s", pid, type(error).__name__, error)


def _watch(options: RunOptions, supervisor: Supervisor, stack: contextlib.ExitStack) -> None:
    watcher = Watcher(os.getcwd(), options.reload_include, options.reload_exclude)
    stack.callback(watcher.close)

    def changed() -> None:
        names = watcher.take()
        if names is None:
            supervisor.stop_listening_to(watcher.fd)
            log.error("--reload: the process that looks at the files has ended; changes are not seen until a restart")
        elif names:
            log.info("%s %s changed", " and ".join(names[:3]), "has" if len(names) == 1 else "have")
            supervisor.on_sighup()

    supervisor.listen_to(watcher.fd, changed)


def _shelf(directory: str, wanted: Identity | None) -> metrics.Shelf:
    shelf = metrics.Shelf(directory)
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # the library's own way for several processes
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = shelf.library
        _make_directory(shelf.library, wanted)
    return shelf


def _make_directory(path: str, wanted: Identity | None) -> None:
    os.makedirs(path, 0o700, exist_ok=True)
    if wanted is not None:
        os.chown(path, wanted.uid, wanted.gid)
