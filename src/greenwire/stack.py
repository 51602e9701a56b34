"""The composition root: the only file that knows all layers and puts them together.

A :class:`Service` is one process that serves: listening sockets, the loop, the runners, a WSGI application and
what is *mounted* beside it. A mount is a path prefix with an Engine.IO server behind it.

The end of a service, in order: nothing new is accepted; sessions are closed, so that clients are told and
disconnect handlers run; what runs, runs to its end, for ``limits.graceful_s`` at most; the rest is cut.
"""

import logging
import signal
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from . import garbage, logs
from .cluster.workers import Cluster
from .duties import Duties
from .engineio.options import Options
from .engineio.peer import Peer
from .engineio.serve import Engine
from .green.hub import own_hub
from .green.patch import is_patched
from .green.runner import GreenRunner, GreenWaiter
from .http.certificate import ClientCertificates
from .http.connection import HTTPConnection
from .http.exchange import Exchange
from .http.forwarded import Forwarding
from .http.log import AccessLog
from .http.log_file import LineFile
from .http.response import head_without
from .http.waiting import ThreadWaiter
from .http.wsgi import Gateway
from .limits import Limits
from .loop import Loop
from .net import systemd
from .net.listen import url_of
from .net.server import Server
from .processes.lifeline import Worker
from .quiet import QuietLog
from .run_options import RunOptions
from .runners import Background, Runner, TaskRunner, ThreadRunner, start_thread
from .socketio.dispatch import Dispatcher
from .socketio.server import Server as SocketIOServer
from .version import __version__
from .watchdog import Watchdog

log = logging.getLogger("greenwire")

# RFC 9110 9.3.7: what the server can do as a whole. No view is meant, and so none is asked.
_OPTIONS = [("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]
_LOOK_AGAIN_S = 0.02  # at shutdown: whether everything has ended


class Mount(Protocol):
    """What can be served beside the WSGI application."""

    path: str  # with a slash on both sides
    options: Options

    def bind(self, service: "Service") -> Callable[[Peer], None]:
        """The service runs; give what takes over each new session."""

    def ending(self) -> None:
        """The service begins to end."""

    def unbind(self) -> None:
        """The service has ended."""

    @property
    def busy(self) -> bool:
        """Whether sessions are still being ended."""


class SocketIOMount:
    """A Socket.IO server on a path."""

    def __init__(self, server: SocketIOServer, path: str, options: Options) -> None:
        self.server = server
        self.path = path
        self.options = options
        self._dispatcher: Dispatcher | None = None

    def bind(self, service: "Service") -> Callable[[Peer], None]:
        self._dispatcher = self.server.bind(
            service.loop,
            service.runner,
            service.tasks,
            service.quiet,
            lambda peer, error: service.engines[self.path].fail(peer, error),
        )
        service.duties.watch_dispatcher(self._dispatcher)
        return self._dispatcher.opened

    def ending(self) -> None:
        """Nothing: its sessions are closed by the service."""

    def unbind(self) -> None:
        self.server.unbind()

    @property
    def busy(self) -> bool:
        return self._dispatcher is not None and self._dispatcher.populated


class Service:
    """One serving process. Make it and run it in one thread; :meth:`stop` it from any."""

    def __init__(
        self,
        app: Callable[..., Any] | None,
        mounts: Sequence[Mount],
        options: RunOptions,
        limits: Limits,
        worker: Worker | None = None,
    ) -> None:
        """*worker*: what a process of several has been told about itself; without it the service listens by itself."""
        self.options = options
        self.limits = limits
        self._tls = options.tls()
        self._forwarders, announcers = options.forwarders(), options.announcers()
        access_log = AccessLog(options.access_log or "combined") if options.logs_requests else None
        self.worker = worker
        self.duties = Duties(options, limits, worker)
        self.cluster = _cluster_of(worker)
        self._sockets = list(worker.sockets) if worker is not None else options.listen(limits)
        self.urls = [url_of(sock, self._tls is not None) for sock in self._sockets]
        # Green threads of this thread run on its hub's loop; with patch() there may be some, whatever handlers run in.
        self.loop = Loop(own_hub().aio) if options.green or is_patched("thread") else Loop()
        self.quiet: QuietLog = self.duties.new_quiet(self.loop.now)
        self.loop.bound(limits, self.quiet)
        self.watchdog = Watchdog(self.loop, limits, log)
        self.runner: Runner = GreenRunner(self.loop) if options.green else ThreadRunner(self.loop, limits)
        self.tasks = TaskRunner(self.loop)
        self.mounts = mounts
        self.engines: dict[str, Engine] = {}
        for mount in mounts:
            self.engines[mount.path] = self.duties.new_engine(
                self.loop, limits, mount.options, self.quiet, mount.bind(self)
            )
        self._gateway = self._new_gateway(app) if app is not None else None
        self._head = head_without(server=options.server_header, date=options.date_header)
        self._access_file: LineFile | None = None
        self._access_log = self.duties.watch_answers(self._opened(access_log))
        self._watched_route = self._identified(self.duties.watch(self._route))
        self.server = Server(
            self.loop,
            self._sockets,
            self._connection,
            limits,
            self.quiet,
            self._tls,
            shares_sockets=self.duties.supervised,
            share=worker.share if worker is not None else None,
            proxy_protocol=announcers,
            forwarders=self._forwarders,
        )
        if self.cluster is not None:
            self.cluster.bind(self)
        self._stopping = False
        self._finishing = False  # it has meaning while stopping

    def _new_gateway(self, app: Callable[..., Any]) -> Gateway:
        new_waiter = GreenWaiter if self.options.green else ThreadWaiter
        return Gateway(app, self.runner, self.loop, self.limits, debug=self.options.debug, new_waiter=new_waiter)

    def _identified(self, route: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
        """*route*, and before it who the client is, where a certificate or a proxy can tell."""
        if self._tls is not None and self._tls.verify_mode is not ssl.CERT_NONE:
            route = ClientCertificates(route).handle
        if self._forwarders:
            route = Forwarding(self._forwarders, route, self.options.forwarded_headers or None).handle
        return route

    def _opened(self, access_log: AccessLog | None) -> AccessLog | None:
        """*access_log*, with a place for its lines."""
        if access_log is None:
            return None
        if self.options.access_log_file is None:
            _show_access_log()
        else:
            self._access_file = LineFile(self.options.access_log_file, self.loop.mark_dirty)
            access_log.write = self._access_file.write
        return access_log

    def reopen_logs(self) -> None:
        """Open log files anew: somebody has moved them away (logrotate). From any thread."""
        logs.reopen()
        if self._access_file is not None:
            self.loop.post(self._access_file.reopen)

    def reload_certificates(self) -> None:
        """Read the certificate files again; connections that are open keep theirs. From any thread.

        Raises :class:`ConfigurationError`, and then nothing has changed.
        """
        if self._tls is not None:
            self.loop.post(setattr, self.server, "ssl_context", self.options.tls())

    def _connection(self) -> HTTPConnection:
        return HTTPConnection(
            self.loop, self.limits, self._watched_route, self.server, self.quiet, self._access_log, head=self._head
        )

    def _route(self, exchange: Exchange) -> None:
        path = exchange.request.path
        for prefix, engine in self.engines.items():
            if path.startswith(prefix):
                engine.handle(exchange)
                return
        if path == "*":
            exchange.respond(200, _OPTIONS)
        elif self._gateway is not None:
            self._gateway.handle(exchange)
        else:
            exchange.respond(404, [("Content-Type", "text/plain")], b"nothing is served here\n")

    # --- life

    @garbage.tuned()
    def run(self) -> None:
        """Serve until :meth:`stop`, or a signal where this is the main thread."""
        aio = self.loop.aio
        signals = self._take_signals()
        if self.cluster is not None:
            self.cluster.start()
        self.server.start()
        self.watchdog.start()
        self.loop.call_soon(self._begin)
        try:
            aio.run_forever()
        except (KeyboardInterrupt, SystemExit):  # a signal handler of the application's own
            self._stop()
            aio.run_forever()
            raise
        finally:
            for number in signals:
                aio.remove_signal_handler(number)
            for mount in self.mounts:
                mount.unbind()
            if self.cluster is not None:
                self.cluster.stop()
            self.watchdog.stop()
            self.duties.close()
            self.quiet.flush()
            if self._access_file is not None:
                self._access_file.close()
            self.loop.close()

    def _begin(self) -> None:
        """In the first turn, and no earlier: who hears of us may send a signal, which is lost before it."""
        self.duties.begin(self)
        if not self.duties.supervised and not self._stopping:
            self._announce()
            systemd.ready(f"listens on {' and '.join(self.urls)}")

    def stop(self) -> None:
        """Stop gracefully. A second time: at once."""
        self.loop.post(self._stop)

    def _take_signals(self) -> list[int]:
        """Ours where nobody else's are, and only where Python lets us: in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return []
        taken: list[int] = []
        for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            if signal.getsignal(number) is default:
                self.loop.aio.add_signal_handler(number, self._stop)
                taken.append(number)
        if self._access_file is not None and not self.duties.supervised and hasattr(signal, "SIGUSR1"):
            self.loop.aio.add_signal_handler(signal.SIGUSR1, self.reopen_logs)
            taken.append(signal.SIGUSR1)
        return taken

    def _announce(self) -> None:
        lines = [f"Greenwire {__version__} listens on {' and '.join(self.urls)}"]
        lines.append(f"Handlers run {self.runner.description}; 1 worker. Ctrl-C stops.")
        logs.say("\n".join(lines))

    # --- the end

    def _stop(self) -> None:
        if self._stopping:
            self._finish()
            return
        self._stopping = True
        self.duties.ending()
        if not self.duties.supervised:
            systemd.stopping()
        self.server.stop_accepting()
        for mount in self.mounts:
            mount.ending()
        for engine in self.engines.values():
            engine.stop()
        if self.cluster is not None:
            self.cluster.ending()
        self.server.shutdown()
        self._wait_until(self.loop.now() + self.limits.graceful_s)

    def _wait_until(self, deadline: float) -> None:
        if not self._busy():
            self._finish()
        elif self.loop.now() >= deadline:
            log.warning("stopped after %g s with handlers or requests still running", self.limits.graceful_s)
            self._finish()
        else:
            self.loop.call_later(_LOOK_AGAIN_S, self._wait_until, deadline)

    def _busy(self) -> bool:
        return (
            not self.server.idle
            or any(mount.busy for mount in self.mounts)
            or self.runner.busy() > 0
            or self.tasks.busy() > 0
        )

    def _finish(self) -> None:
        if self._finishing:
            return
        self._finishing = True
        self.server.abort()
        self.tasks.stop()
        self.runner.stop()
        # Two turns: transports tell of their end in the first, tasks are cancelled in it.
        self.loop.call_soon(self.loop.call_soon, self.loop.aio.stop)


def _show_access_log() -> None:
    """Where nobody has set logging up, the lines that were asked for go to stderr."""
    access = logging.getLogger("greenwire.access")
    if access.level == logging.NOTSET:
        access.setLevel(logging.INFO)
    if not access.hasHandlers():
        access.addHandler(logging.StreamHandler())


def _cluster_of(worker: Worker | None) -> Cluster | None:
    """What makes one server of workers that a supervisor has given a directory. Also of one: its successor comes."""
    if worker is None or not worker.directory:
        return None
    return Cluster(worker.number, worker.count, worker.directory)


def background(
    service: Service | None, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Background:
    """Start a background task in the way of the service's runner; in a thread where nothing runs yet."""
    if service is not None:
        return service.runner.background(target, args, kwargs)
    return start_thread(target, args, kwargs)


def sleep(service: Service | None, seconds: float) -> None:
    """Sleep in the way of the service's runner."""
    if service is not None:
        service.runner.sleep(seconds)
    else:
        time.sleep(seconds)
