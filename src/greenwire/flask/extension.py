"""``SocketIO``: the object that a Flask application has."""

import datetime
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import flask
from flask.testing import FlaskClient
from werkzeug.debug import DebuggedApplication

from .. import stack
from ..cluster import MessageQueue
from ..cluster.emitter import CallerLoop, Emitter
from ..cluster.queue import Queue
from ..engineio.peer import Peer
from ..errors import ConfigurationError, NotRunningError
from ..processes import launch
from ..processes.lifeline import Worker
from ..run_options import RunOptions
from ..runners import Background
from ..socketio.adapter import Seen
from ..socketio.neighbours import PeerLike
from ..socketio.rooms import Room
from ..socketio.server import Server
from . import background, patched
from . import options as option_rules
from .context import FlaskFace
from .guest import GuestServer, Host, Middleware
from .registration import Registration
from .reloading import run_with_reloader
from .sending import Sending
from .server import DisconnectReason, ServerFace

if TYPE_CHECKING:
    from .memory import MemorySite
    from .testing import SocketIOTestClient


log = logging.getLogger("greenwire")


@dataclass(frozen=True, slots=True)
class Connection:
    """A client in a namespace, as :meth:`SocketIO.connections` saw it."""

    sid: str
    namespace: str
    rooms: tuple[Room, ...]
    transport: str  # "polling" or "websocket"
    address: str  # of the client, or of the proxy in front; "" for a Unix socket
    since: datetime.datetime  # of the connection, in UTC


class _Mount(stack.SocketIOMount):
    """The server on its path, and the background tasks that end with it, by whichever way it is stopped."""

    def __init__(self, socketio: "SocketIO") -> None:
        super().__init__(socketio._core, socketio.path, socketio._engine_options)
        self._stopping = socketio.stopping
        self.queue = socketio.queue  # a cluster looks for it

    def bind(self, service: stack.Service) -> Callable[[Peer], None]:
        opened = super().bind(service)
        if self.queue is not None:
            self.queue.begin(service.loop, service.quiet)
        return opened

    def ending(self) -> None:
        self._stopping.set()

    def unbind(self) -> None:
        if self.queue is not None:
            self.queue.end()
        super().unbind()

    @property
    def busy(self) -> bool:
        return super().busy or bool(self._stopping.asleep)


class _Start(Enum):
    """Of a server that :meth:`SocketIO.run` makes: as long as there is no service, it cannot be stopped yet."""

    NONE = auto()
    UNDERWAY = auto()
    CANCELLED = auto()


class SocketIO(Registration, Sending):
    """Socket.IO for a Flask application.

    ``SocketIO(app)``, or ``SocketIO()`` and :meth:`init_app` later. Options: those of Flask-SocketIO; see the
    reference. Handlers are registered with :meth:`on` or :meth:`event`; :meth:`run` serves the application.

    ``stopping`` is a :class:`threading.Event` that is set when the server stops. ``server`` has the public methods
    of ``socketio.Server``.
    """

    reason = DisconnectReason

    def __init__(self, app: flask.Flask | None = None, **options: Any) -> None:
        super().__init__()
        self.server_options: dict[str, Any] = {}
        self.async_mode = "threading"
        self.stopping = background.Stopping()
        self._life_lock = threading.RLock()  # a signal handler may stop what its own thread is starting
        self._start = _Start.NONE
        self._app: flask.Flask | None = None
        self._face = FlaskFace(self._find_app)
        self._service: stack.Service | None = None
        self._guest: GuestServer | None = None  # under somebody else's WSGI server
        self.queue = None
        self._memory: MemorySite | None = None  # where test clients are, while there are any
        self._core = Server(face=self._face)
        self.server = ServerFace(self)
        if app is not None:
            self.init_app(app, **options)
        else:
            self._configure(options)

    @property
    def manage_session(self) -> bool:
        """Whether a client's session is a copy of its own, and not that of the application's interface."""
        return self._face.managed

    @manage_session.setter
    def manage_session(self, managed: bool) -> None:
        self._face.managed = managed

    def init_app(self, app: flask.Flask | None, **options: Any) -> None:
        """Bind to *app*. Handlers that are registered already stay.

        ``None`` with a ``message_queue`` is for emitting only, to the clients of servers that run elsewhere.
        """
        if app is None and (options.get("message_queue") or isinstance(options.get("client_manager"), MessageQueue)):
            self._configure(options)  # it emits to the clients of others, and is no server
            return
        if app is None or not hasattr(app, "wsgi_app"):
            raise ConfigurationError(f"init_app({app!r}): give a Flask application")
        self._configure(options)
        self._app = app
        app.extensions["socketio"] = self
        if not (isinstance(app.wsgi_app, Middleware) and app.wsgi_app.socketio is self):
            app.wsgi_app = Middleware(self, app.wsgi_app)  # type: ignore[method-assign]  # as Flask wants it
        self.sockio_mw = app.wsgi_app

    def _configure(self, options: dict[str, Any]) -> None:
        option_rules.check(options)
        merged = {**self.server_options, **options}
        message_queue = option_rules.queue(merged)
        manage_session = merged.pop("manage_session", self.manage_session)
        self._engine_options = option_rules.engine_options(merged)
        self.path = option_rules.resource_path(merged)
        self.async_mode = option_rules.async_mode(merged)
        core = self._core
        core.limits = option_rules.limits(merged)
        core.handlers.open(option_rules.namespaces(merged))
        core.wire = option_rules.wire(merged, self._find_app)
        core.async_handlers = bool(merged.get("async_handlers", True))
        core.always_connect = bool(merged.get("always_connect", False))
        merged.setdefault("client_manager", self.server.manager)
        if message_queue is not None and (self.queue is None or self.queue.broker is not message_queue.broker):
            self.queue = Queue(core, message_queue.broker)
            core.rest_with(CallerLoop(), Emitter(core, message_queue.broker))
        self.manage_session = manage_session
        self.server_options.update(merged)

    def _find_app(self) -> flask.Flask:
        if self._app is None:
            raise ConfigurationError("this SocketIO has no application: SocketIO(app), or init_app(app)")
        return self._app

    # --- who is there

    def connections(self, namespace: str | None = None) -> list[Connection]:
        """All clients that are connected, or those of one namespace. A client in two namespaces is in it twice."""
        return [_connection(seen) for seen in self._core.connections(namespace)]

    def _peers(self) -> dict[str, PeerLike]:
        """The Engine.IO sessions by sid."""
        if self._memory is not None:
            return dict(self._memory.peers)
        host = self._running()
        if host is None:
            return {}
        peers: dict[str, PeerLike] = host.loop.ask(dict, host.engine.peers)
        return peers

    def _running(self) -> Host | None:
        """The Engine.IO server, where one runs."""
        service = self._service
        if service is None:
            return self._guest.host if self._guest is not None else None
        return Host(service.loop, service.engines[self.path])

    def _host(self, *, multiprocess: bool) -> Host:
        """The Engine.IO server; under another WSGI server it is started by the first request."""
        if self._memory is not None:
            raise NotRunningError("test clients are connected: they and real requests do not go together")
        with self._life_lock:
            host = self._running()
            if host is None:
                patched.check()
                if multiprocess:
                    log.warning("this WSGI server has several processes, which know nothing of each other: use one")
                self._guest = GuestServer(self)
                host = self._guest.host
        return host

    # --- life

    def run(self, app: flask.Flask, host: str | None = None, port: int | str | None = None, **kwargs: Any) -> None:
        """Serve *app* until :meth:`stop`, Ctrl-C or SIGTERM. A production server.

        *host* is ``127.0.0.1`` unless given; *port* is that of ``SERVER_NAME``, or 5000; 0 takes a free one.
        *debug* gives Flask's interactive debugger and the reloader. See the reference for the others.
        """
        if self._app is None:
            self.init_app(app)
        if os.environ.get("FLASK_RUN_FROM_CLI") == "true" and "run" in sys.argv[1:]:
            log.warning("socketio.run() is ignored under `flask run`, which serves already; put it under __main__")
            return
        if launch.ignored("socketio.run()"):
            return
        patched.check()
        debug = kwargs.pop("debug", None)
        app.debug = app.debug if debug is None else bool(debug)
        options = RunOptions.take(kwargs, host=host, port=port, server_name=app.config.get("SERVER_NAME"))
        options.debug = app.debug
        limits = options.bounded(self._core.limits)
        if options.reloads and options.supervised:
            raise ConfigurationError("the reloader of run() has one process: leave out workers, or use_reloader=False")
        if not options.supervised:  # a supervisor is no server: its workers are
            self._start = _Start.UNDERWAY
        try:
            if options.reloads:
                run_with_reloader(lambda: self.serve(app, options), self.stop, options, limits.graceful_s)
            else:
                launch.run(options, limits, lambda options, worker: self.serve(app, options, worker))
        finally:
            self._start = _Start.NONE

    def serve(self, app: flask.Flask, options: RunOptions, worker: Worker | None = None) -> None:
        """Serve *app* in this process. :meth:`run` and the command do so; there is seldom a reason to call it."""
        if options.green:
            self.async_mode = option_rules.GREEN
        options = replace(options, green=self.async_mode == option_rules.GREEN)
        bounds, engine = self._core.limits, self._engine_options
        self._core.limits = options.bounded(bounds)
        if options.ws_compression is not None:
            self._engine_options = replace(engine, ws_compression=options.ws_compression)
        try:
            self._serve(app, options, worker)
        finally:
            self._core.limits, self._engine_options = bounds, engine

    def _serve(self, app: flask.Flask, options: RunOptions, worker: Worker | None) -> None:
        mount = _Mount(self)
        wsgi_app = DebuggedApplication(app, evalex=True) if app.debug else app
        service = stack.Service(wsgi_app, [mount], options, self._core.limits, worker)
        self.stopping.clear()
        with self._life_lock:
            self._service = service
            if self._start is _Start.CANCELLED:
                service.stop()
        try:
            service.run()
        finally:
            self.stopping.set()
            self._service = None

    @property
    def wsgi_server(self) -> stack.Service | None:
        """What serves now; it has ``stop()``."""
        return self._service

    def stop(self) -> None:
        """Stop :meth:`run` gracefully. From anywhere: a handler, a view, another thread."""
        with self._life_lock:
            running = self._service or self._guest
            if self._service is None:
                self._guest = None
                if self._start is _Start.UNDERWAY:
                    self._start = _Start.CANCELLED
        if running is not None:
            self.stopping.set()
            running.stop()

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Background:
        """Run *target* beside the server; what it returns has ``join()``. No Flask context is pushed.

        When the server stops, the task ends where it calls :meth:`sleep`; see also ``stopping``.
        """
        if not callable(target):
            raise ConfigurationError(f"start_background_task({target!r}): give a function, and its arguments after it")
        if self._service is None and self._guest is None:
            self.stopping.clear()  # that was another server's end
        return stack.background(self._service, background.ending_with(self.stopping, target), args, kwargs)

    def sleep(self, seconds: float = 0) -> None:
        """Wait in a handler or background task without keeping the server waiting."""
        if not background.sleeps_in_task(self.stopping, seconds):
            stack.sleep(self._service, seconds)

    # --- tests

    def test_client(
        self,
        app: flask.Flask,
        namespace: str | None = None,
        query_string: str | Mapping[str, Any] | None = None,
        headers: Any = None,
        auth: Mapping[str, Any] | None = None,
        flask_test_client: FlaskClient | None = None,
    ) -> "SocketIOTestClient":
        """A client for tests, connected to *namespace*: the real server, no network, handlers run at once.

        With *flask_test_client* it has that client's cookies.
        """
        from .testing import SocketIOTestClient

        return SocketIOTestClient(app, self, namespace, query_string, headers, auth, flask_test_client)

    def _memory_site(self, app: flask.Flask) -> "MemorySite":
        from .memory import MemorySite

        if self._running() is not None:
            raise ConfigurationError("test_client(): the server runs in this process; connect a real client to it")
        if self._app is None:
            self.init_app(app)
        if self._memory is None:
            self._memory = MemorySite(self._core, self._memory_gone)
        return self._memory

    def _memory_gone(self) -> None:
        self._memory = None


def _connection(seen: Seen) -> Connection:
    since = datetime.datetime.fromtimestamp(seen.since_s, datetime.UTC)
    return Connection(seen.sid, seen.namespace, seen.rooms, seen.transport, seen.address, since)
