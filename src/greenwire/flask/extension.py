"""``SocketIO``: the object that a Flask application has."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar, overload

import flask
from werkzeug.debug import DebuggedApplication

from .. import stack
from ..errors import ConfigurationError
from ..run_options import RunOptions
from ..runners import Background
from ..socketio.client import Member
from ..socketio.rooms import Room
from ..socketio.server import Server
from . import options as option_rules
from .context import ContextCallback, FlaskFace
from .functions import _member

H = TypeVar("H", bound=Callable[..., Any])

_KNOWN = frozenset(
    "async_handlers async_mode always_connect channel client_manager connect_timeout json limits"
    " manage_session message_queue namespaces path resource serializer".split()
)


class SocketIO:
    """Socket.IO for a Flask application.

    ``SocketIO(app)``, or ``SocketIO()`` and :meth:`init_app` later. Options: those of Flask-SocketIO; see the
    reference. Handlers are registered with :meth:`on` or :meth:`event`; :meth:`run` serves the application.
    """

    def __init__(self, app: flask.Flask | None = None, **options: Any) -> None:
        self.server_options: dict[str, Any] = {}
        self.manage_session = True
        self._app: flask.Flask | None = None
        self._face = FlaskFace(self._find_app, lambda: self.manage_session)
        self._service: stack.Service | None = None
        self.server = Server(face=self._face)
        if app is not None:
            self.init_app(app, **options)
        else:
            self._configure(options)

    def init_app(self, app: flask.Flask, **options: Any) -> None:
        """Bind to *app*. Handlers that are registered already stay."""
        self._configure(options)
        self._app = app
        app.extensions["socketio"] = self

    def _configure(self, options: dict[str, Any]) -> None:
        option_rules.check(options, _KNOWN)
        self.server_options.update(options)
        self.manage_session = self.server_options.pop("manage_session", self.manage_session)
        self._engine_options = option_rules.engine_options(self.server_options)
        self.server.limits = option_rules.limits(self.server_options, self._engine_options)
        self.server.handlers.open(self.server_options.get("namespaces", ()))
        self.path = option_rules.resource_path(self.server_options)

    def _find_app(self) -> flask.Flask:
        if self._app is None:
            raise ConfigurationError("this SocketIO has no application: SocketIO(app), or init_app(app)")
        return self._app

    # --- handlers

    def on(self, message: str, namespace: str | None = None) -> Callable[[H], H]:
        """Decorator: this function handles the event *message* in *namespace*."""
        return self.server.on(message, namespace)

    def on_event(self, message: str, handler: Callable[..., Any], namespace: str | None = None) -> None:
        """Register *handler* for the event *message*."""
        self.server.handlers.add(message, handler, namespace)

    @overload
    def event(self, fn: H) -> H: ...
    @overload
    def event(self, fn: None = None, namespace: str | None = None) -> Callable[[H], H]: ...
    def event(self, fn: H | None = None, namespace: str | None = None) -> H | Callable[[H], H]:
        """Decorator: this function handles the event of its own name."""

        def register(fn: H) -> H:
            return self.on(fn.__name__, namespace)(fn)

        return register if fn is None else register(fn)

    def on_error(self, namespace: str | None = None) -> Callable[[H], H]:
        """Decorator: this function is given the exceptions of handlers of *namespace*."""

        def register(fn: H) -> H:
            if not callable(fn):
                raise ConfigurationError("exception_handler must be callable")
            self._face.error_handlers[namespace or "/"] = fn
            return fn

        return register

    def on_error_default(self, fn: H) -> H:
        """Decorator: this function is given the exceptions of handlers of all other namespaces."""
        if not callable(fn):
            raise ConfigurationError("exception_handler must be callable")
        self._face.default_error_handler = fn
        return fn

    # --- sending, from any thread

    def emit(
        self,
        event: str,
        *args: Any,
        namespace: str | None = "/",
        to: Room | Collection[Room] | None = None,
        room: Room | Collection[Room] | None = None,
        include_self: bool = True,
        skip_sid: str | Iterable[str] | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
        broadcast: bool = True,
    ) -> None:
        """Send an event to everybody in the namespace, or in *to*: a room, a sid, or several of them.

        A tuple is several arguments; one more positional argument than that is one more argument. *callback*
        gets each client's acknowledgement. Raises :class:`greenwire.errors.EncodeError`.
        """
        skip = [skip_sid] if isinstance(skip_sid, str) else list(skip_sid or ())
        member = _member()
        if not include_self and not skip:
            if member is None:
                raise ConfigurationError("include_self=False needs a Socket.IO handler around it: who is it?")
            skip = [member.sid]
        if callback is not None and member is not None:
            callback = ContextCallback(callback, member)
        self.server.emit(
            event, *spread(args), to=(to or room) or None, skip=skip, namespace=namespace, callback=callback
        )

    def reply(self, member: Member, event: str, args: tuple[Any, ...]) -> None:
        """Send to the one client *member*."""
        self.server.send_to(member, event, spread(args))

    def send(
        self,
        data: Any,
        json: bool = False,
        namespace: str | None = None,
        to: Room | Collection[Room] | None = None,
        callback: Callable[..., Any] | None = None,
        include_self: bool = True,
        skip_sid: str | Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Send *data* as the event ``message``, or ``json``. Otherwise like :meth:`emit`."""
        self.emit(
            "json" if json else "message",
            data,
            namespace=namespace,
            to=to,
            callback=callback,
            include_self=include_self,
            skip_sid=skip_sid,
            **kwargs,
        )

    def call(
        self,
        event: str,
        *args: Any,
        namespace: str | None = "/",
        to: Room | None = None,
        room: Room | None = None,
        timeout: float = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Send an event to one client and wait for its acknowledgement, *timeout* seconds at most."""
        recipient = to or room
        if not recipient:
            raise ConfigurationError("Cannot use call() to broadcast.")
        return self.server.call(event, *spread(args), to=recipient, namespace=namespace, timeout=timeout)

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take everybody out of *room*."""
        self.server.close_room(room, namespace)

    # --- life

    def run(self, app: flask.Flask, host: str | None = None, port: int | str | None = None, **kwargs: Any) -> None:
        """Serve *app* until :meth:`stop`, Ctrl-C or SIGTERM. A production server.

        *host* is ``127.0.0.1`` unless given; *port* is that of ``SERVER_NAME``, or 5000; 0 takes a free one.
        *debug* gives Flask's interactive debugger and the reloader. See the reference for the others.
        """
        if self._app is None:
            self.init_app(app)
        debug = kwargs.pop("debug", None)
        app.debug = app.debug if debug is None else bool(debug)
        options = RunOptions.take(kwargs, host=host, port=port, server_name=app.config.get("SERVER_NAME"))
        options.debug = app.debug
        mount = stack.SocketIOMount(self.server, self.path, self._engine_options)

        def serve() -> None:
            wsgi_app = DebuggedApplication(app, evalex=True) if app.debug else app
            self._service = stack.Service(wsgi_app, [mount], options, self.server.limits)
            try:
                self._service.run()
            finally:
                self._service = None

        if options.reloads:
            stack.run_with_reloader(serve, options)
        else:
            serve()

    def stop(self) -> None:
        """Stop :meth:`run` gracefully. From anywhere: a handler, a view, another thread."""
        if self._service is not None:
            self._service.stop()

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Background:
        """Run *target* beside the server; it has ``join()``. No Flask context is pushed."""
        return stack.background(self._service, target, args, kwargs)

    def sleep(self, seconds: float = 0) -> None:
        """Wait in a handler or background task without keeping the server waiting."""
        stack.sleep(self._service, seconds)


def spread(args: tuple[Any, ...]) -> list[Any]:
    """The data of an emit as event arguments: nothing for ``None``, several for a tuple."""
    if len(args) == 1:
        data = args[0]
        if data is None:
            return []
        return list(data) if isinstance(data, tuple) else [data]
    return list(args)
