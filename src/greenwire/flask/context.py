"""What surrounds a handler: Flask's ``request``, ``session``, ``g`` and ``current_app``.

Building a request context from an environ for each event costs 63-89 µs, more than everything else on the path
of an event. So it is built once for each connection, from the handshake, and each event is run in a light copy
of it: a copy of the request object, a fresh ``g``, the session of the connection. The copy costs about 4 µs.
Teardown functions and signals work; the URL is not matched again and ``before_request`` is not run, as in
Flask-SocketIO.

The light copy knows how Flask 3.0 and 3.1 keep a context current. With any other Flask each event is run in a
whole context of its own, made by public calls only: slower, and right.
"""

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flask
from flask.ctx import AppContext, RequestContext
from flask.sessions import SessionMixin
from flask.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_tearing_down,
)
from werkzeug.exceptions import NotFound

from ..errors import ConnectionRefusedError
from ..http.wsgi import environ_of
from ..socketio.client import Member
from ..socketio.handlers import Handler, finished
from ..socketio.server import offered
from .given import GivenRequest
from .hooks import Hooks

try:
    from flask.globals import _cv_app, _cv_request

    _attributes = vars(flask.Flask(__name__).test_request_context())
    LIGHT = "_cv_tokens" in _attributes
    # Flask 3.1.3 made `session` a property over `_session`; before, it was a plain attribute.
    _SESSION = "_session" if "_session" in _attributes else "session"
except (ImportError, AttributeError):  # pragma: no cover - another Flask
    LIGHT = False


class ManagedSession(dict[str, Any], SessionMixin):
    """A connection's copy of the user's session: changes last as long as the connection."""


@contextmanager
def _current(context: RequestContext) -> Iterator[None]:
    """*context* is current, but no event: nothing is torn down. For a session interface that looks at it."""
    if not LIGHT:
        with context:  # public calls only: teardown functions are run
            yield
        return
    app_token = _cv_app.set(context.app.app_context())
    request_token = _cv_request.set(context)
    try:
        yield
    finally:
        _cv_request.reset(request_token)
        _cv_app.reset(app_token)


def open_session(app: flask.Flask, request: flask.Request) -> SessionMixin:
    """The session of *request*, as Flask opens it for a view."""
    interface = app.session_interface
    session = interface.open_session(app, request)
    return interface.make_null_session(app) if session is None else session  # an empty one is false, too


class EventContext(RequestContext):
    """The context of one event: a light copy of the connection's. Entering it is what Flask's own does, unrolled."""

    _app_context: AppContext | None = None  # in the next block; a copy that Flask itself makes has none yet
    _app_token: "contextvars.Token[Any]"
    _request_token: "contextvars.Token[Any]"

    def __enter__(self) -> "EventContext":
        app_context = self._app_context
        if app_context is None:
            app_context = self._app_context = self.app.app_context()
        self._app_token = _cv_app.set(app_context)
        self._request_token = _cv_request.set(self)
        if appcontext_pushed.receivers:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        app = self.app
        try:
            # Each of these is a no-op nearly always, and costs more than a handler does.
            if None in app.teardown_request_funcs or request_tearing_down.receivers:
                app.do_teardown_request(error)
            _cv_request.reset(self._request_token)
            if app.teardown_appcontext_funcs or appcontext_tearing_down.receivers:
                app.do_teardown_appcontext(error)
        finally:
            if _cv_request.get(None) is self:  # a teardown function failed
                _cv_request.reset(self._request_token)
            _cv_app.reset(self._app_token)
            self._app_context = None
        if appcontext_popped.receivers:
            appcontext_popped.send(app, _async_wrapper=app.ensure_sync)

    def push(self) -> None:
        self.__enter__()

    def pop(self, exc: BaseException | None = None) -> None:
        self.__exit__(None, exc, None)


class OpeningContext(EventContext):
    """One that opens the session of the application, as Flask does: when it is current."""

    def __enter__(self) -> "OpeningContext":
        super().__enter__()
        try:
            set_session(self, open_session(self.app, self.request))
        except BaseException as error:
            self.pop(error)
            raise
        return self


class Surroundings:
    """One connection's: the handshake's environ, the context that is copied, the managed session.

    A copy is made of attribute dictionaries: a third of what it costs to set the attributes one by one.
    """

    __slots__ = ("_app_context", "_context", "_request", "_request_class", "app", "environ", "session")

    def __init__(self, app: flask.Flask, environ: dict[str, Any]) -> None:
        self.app = app
        self.environ = environ
        context = app.request_context(environ)
        with _current(context):
            self.session = ManagedSession(open_session(app, context.request))
        # What lives as long as the connection is small: a request that has looked at nothing yet.
        request = app.request_class(environ)
        request.json_module = app.json
        request.routing_exception = NotFound()  # no view is behind /socket.io/
        environ["saved_session"] = self.session
        self._request_class = type(request)
        self._request = vars(request)
        self._context = vars(context) | {"request": None, "flashes": None}
        # Of an application that makes contexts of its own kind nothing is known.
        self._app_context = vars(app.app_context()) if type(app).app_context is flask.Flask.app_context else None

    def context(
        self, managed: bool, member: Member, message: str | None, args: tuple[Any, ...]
    ) -> RequestContext:
        """A context for one event, with what Flask's ``request`` has in a handler."""
        told = {
            "sid": member.sid,
            "namespace": member.namespace,
            "event": {"message": message, "args": args},
            "greenwire_member": member,
        }
        if not LIGHT:
            return self._whole_context(managed, told)
        request = object.__new__(self._request_class)
        request.__dict__ = self._request | told
        context: RequestContext = object.__new__(EventContext if managed else OpeningContext)
        context.__dict__ = self._context | {
            "request": request,
            _SESSION: self.session if managed else None,
            "_after_request_functions": [],
            "_cv_tokens": [],
            "_app_context": self._new_app_context(),
        }
        return context

    def _new_app_context(self) -> AppContext | None:
        if self._app_context is None:
            return None
        context = object.__new__(AppContext)
        context.__dict__ = self._app_context | {"g": self.app.app_ctx_globals_class(), "_cv_tokens": []}
        return context

    def _whole_context(self, managed: bool, told: dict[str, Any]) -> RequestContext:
        context = self.app.request_context(self.environ)
        vars(context.request).update(told)
        if managed:
            set_session(context, self.session)
        return context


def current_member() -> Member | None:
    """The client whose event is being handled, if one is."""
    if not LIGHT:
        return getattr(flask.request, "greenwire_member", None) if flask.request else None
    # Past Flask's proxies: they cost each emit more than its packet does.
    context = _cv_request.get(None)
    return None if context is None else context.request.__dict__.get("greenwire_member")


def current_app() -> flask.Flask | None:
    """The application whose context this is, if there is one."""
    if not LIGHT:
        return flask.current_app if flask.current_app else None
    context = _cv_app.get(None)
    return None if context is None else context.app


def set_session(context: RequestContext, session: SessionMixin) -> None:
    """Make *session* what ``flask.session`` is in *context*."""
    vars(context)[_SESSION] = session


def handshake_environ(peer: Any) -> dict[str, Any]:
    """The environ of a connection's first request: made of the request, unless it was given with it."""
    request = peer.request
    return request.environ if isinstance(request, GivenRequest) else environ_of(request)


def _save_session(context: RequestContext) -> None:
    """After a handler that did not raise: a session of the application's interface is saved."""
    session: Any = context.session
    if getattr(session, "modified", True):
        app = context.app
        app.session_interface.save_session(app, session, app.response_class())


class FlaskFace:
    """Calls handlers as Flask-SocketIO does: without the sid, in a request context."""

    def __init__(self, find_app: Callable[[], flask.Flask]) -> None:
        self.managed = True  # sessions are the connection's own, not those of the application's interface
        self.error_handlers: dict[str, Callable[..., Any]] = {}
        self.default_error_handler: Callable[..., Any] | None = None
        self.hooks = Hooks()
        # The doors of socketio.dispatch.Face. They lead past the hooks until there are any.
        self.run = self._run
        self.run_async = self._run_async
        self._find_app = find_app
        self._lock = threading.Lock()

    def use_hooks(self) -> None:
        """There are hooks from now on."""
        self.run = self._run_hooked
        self.run_async = self._run_async_hooked

    def _run_hooked(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Any:
        return self._run(self.hooks.around(handler, name, args), member, name, args)

    async def _run_async_hooked(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Any:
        return await self._run_async(self.hooks.around_async(handler, name, args), member, name, args)

    def _run(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Any:
        with self._context(handler, member, name, args) as context:
            try:
                result = handler.fn(*(args if handler.takes_all else offered(handler, name, args)))
                if not self.managed:
                    _save_session(context)
                return result
            except Exception as error:
                answer = finished(self._on_error(handler, member, error))
                return False if name == "connect" else answer

    async def _run_async(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Any:
        with self._context(handler, member, name, args) as context:
            try:
                result = await handler.fn(*(args if handler.takes_all else offered(handler, name, args)))
                if not self.managed:
                    _save_session(context)
                return result
            except Exception as error:
                answer = self._on_error(handler, member, error)
                if hasattr(answer, "__await__"):
                    answer = await answer
                return False if name == "connect" else answer

    def run_callback(self, callback: Callable[..., object], member: Member, args: list[Any]) -> None:
        if not isinstance(callback, ContextCallback):
            callback(*args)
            return
        with self.enter(callback.member, None, tuple(args)) as context:
            callback(*args)
            if not self.managed:
                _save_session(context)

    # --- contexts

    def enter(self, member: Member, message: str | None, args: tuple[Any, ...]) -> RequestContext:
        """The context in which code for *member* runs."""
        surroundings: Surroundings = member.client.context or self._surround(member)
        return surroundings.context(self.managed, member, message, args)

    def environ_of(self, member: Member) -> dict[str, Any]:
        """The environ of the handshake of *member*'s connection, with its ``saved_session``."""
        surroundings: Surroundings = member.client.context or self._surround(member)
        return surroundings.environ

    def _context(self, handler: Handler, member: Member, name: str, args: list[Any]) -> RequestContext:
        surroundings: Surroundings = member.client.context or self._surround(member)
        if name == "connect":
            return surroundings.context(self.managed, member, name, (surroundings.environ, *args))
        if handler.event == "*":
            return surroundings.context(self.managed, member, "*", (name, *args))
        return surroundings.context(self.managed, member, name, tuple(args))

    def _surround(self, member: Member) -> Surroundings:
        client = member.client
        with self._lock:  # two first events at once: one session for both
            if client.context is None:
                environ = handshake_environ(client.peer)
                app = environ.setdefault("flask.app", None) or self._find_app()
                environ["flask.app"] = app
                client.context = Surroundings(app, environ)
            surroundings: Surroundings = client.context
            return surroundings

    def _on_error(self, handler: Handler, member: Member, error: Exception) -> Any:
        if isinstance(error, ConnectionRefusedError):
            raise error
        handlers = self.error_handlers  # the namespace of a handler may be `*`
        on_error = handlers.get(member.namespace) or handlers.get(handler.namespace) or self.default_error_handler
        if on_error is None:
            on_error = getattr(handler.owner, "error", None)
        if on_error is None:
            raise error
        return on_error(error)


class ContextCallback:
    """A callback given inside a handler: it runs in a request context of that handler's client."""

    __slots__ = ("fn", "member")

    def __init__(self, fn: Callable[..., Any], member: Member) -> None:
        self.fn = fn
        self.member = member

    def __call__(self, *args: Any) -> Any:
        return self.fn(*args)
