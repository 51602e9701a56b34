"""From options to processes: one that serves, or a supervisor above several. Below it nothing knows of options.

The order is that of what may fail, and of who may do it: the ports are opened first, by whoever has started us; then
a worker reads the certificates, becomes another user, and only then sees the application.
"""

import contextlib
import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from .. import metrics
from ..errors import ConfigurationError
from ..http.forwarded import believed_headers
from ..http.log import AccessLog
from ..http.log_file import STDOUT
from ..limits import Limits
from ..net.listen import could_listen, listen_on, url_of
from ..run_options import Path as FilePath
from ..run_options import RunOptions
from .lifeline import Worker
from .privileges import Identity, become, identity

log = logging.getLogger("greenwire")

# Serves in this process until it is stopped.
Serve = Callable[[RunOptions, Worker], None]


_importing: ContextVar[bool] = ContextVar("greenwire_importing", default=False)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """The command imports an application: one that runs itself, too, is not to serve meanwhile."""
    token = _importing.set(True)
    try:
        yield
    finally:
        _importing.reset(token)


def ignored(what: str) -> bool:
    """Whether this call of *what* has no effect, as it comes from :func:`importing`. Says so."""
    if _importing.get():
        log.warning("%s is ignored here: the command serves; put it under `if __name__ == '__main__':`", what)
    return _importing.get()


def run(options: RunOptions, limits: Limits, serve: Serve) -> None:
    """Call *serve* in this process, or in each worker. Raises :class:`SystemExit` where a supervisor has failed."""
    supervised, wanted = options.supervised, identity(options.user, options.group)
    if supervised and not hasattr(os, "fork"):
        raise ConfigurationError("several workers need a system that can fork; here one process serves: workers=1")
    with contextlib.ExitStack() as stack:
        if options.umask is not None:
            stack.callback(os.umask, os.umask(options.umask))
        sockets = options.listen(limits)
        stack.callback(_close, sockets)
        extra = listen_on([options.metrics], backlog=limits.backlog) if options.metrics else []
        stack.callback(_close, extra)
        if options.metrics is not None:
            metrics.check()
            log.info("figures for Prometheus on %s/metrics", url_of(extra[0], False))
        if options.pid is not None:
            stack.enter_context(_pid_file(Path(options.pid)))
        if not supervised:
            serve(_as_user(options, wanted), Worker(1, 1, "", sockets=sockets, extra=extra))
            return
        from .supervising import supervise  # not above: it needs a system that can fork

        code = supervise(options, limits, partial(_work, options, wanted, serve), sockets, extra, wanted)
    if code:
        raise SystemExit(code)


def check(options: RunOptions) -> None:
    """Raise what :func:`run` would raise before the application is seen, and become who would see it.

    Where somebody listens, or a process of the pid file is alive: that is whom the server is to replace.
    """
    wanted = identity(options.user, options.group)
    could_listen([*options.bind, *([options.metrics] if options.metrics else [])], unix_owner=options.unix_owner)
    if options.metrics is not None:
        metrics.check()
    if options.pid is not None:
        _could_write("pid file", options.pid)
    options.tls()
    become(wanted)
    _ = options.forwarders(), options.announcers(), believed_headers(options.forwarded_headers or None)
    AccessLog(options.access_log or "combined")
    if options.access_log_file not in (None, STDOUT):
        _could_write("access_log_file", options.access_log_file)


def _could_write(what: str, path: FilePath) -> None:
    """Makes no file where there is none."""
    folder = os.path.dirname(path) or os.curdir
    try:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))
        except FileNotFoundError:
            os.stat(folder)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
    except OSError as error:
        raise ConfigurationError(f"{what} {os.fspath(path)}: {error.strerror}") from None


def _work(options: RunOptions, wanted: Identity | None, serve: Serve, worker: Worker) -> int:
    serve(_as_user(options, wanted), worker)
    return 0


def _as_user(options: RunOptions, wanted: Identity | None) -> RunOptions:
    """Keys are often root's to read: they are read before this process becomes somebody else."""
    if wanted is not None:
        options = replace(options, ssl_context=options.tls())
        become(wanted)
    return options


@contextlib.contextmanager
def _pid_file(path: Path) -> Iterator[None]:
    """Not over that of a server that runs; over one that a dead server has left."""
    try:
        old = _living(path)
        if old is not None:
            raise ConfigurationError(f"pid file {path}: process {old} is alive; stop it, or choose another file")
        path.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise ConfigurationError(f"pid file {path}: {error.strerror}") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if path.read_text() == f"{os.getpid()}\n":
                path.unlink()


def _living(path: Path) -> int | None:
    try:
        pid = int(path.read_text())
        os.kill(pid, 0)
    except PermissionError:  # alive, and somebody else's
        return pid
    except (FileNotFoundError, ValueError, ProcessLookupError, OverflowError):
        return None
    return None if pid in (os.getpid(), 0) else pid


def _close(sockets: list[Any]) -> None:
    for sock in sockets:
        sock.close()
