"""The context of one event: as much of Flask's request context as the handler looks at.

Building a request context from an environ for each event costs 63-89 µs, more than everything else on the path
of an event. So it is built once for each connection, from the handshake. What an event gets is current like
Flask's own, and knows the client; ``request``, ``g``, ``session`` and the rest are made of the connection's when the
handler first asks for them, and are as fresh as Flask's. A handler that asks for none pays about 1 µs.
Teardown functions and signals work; the URL is not matched again and ``before_request`` is not run, as in
Flask-SocketIO.

This knows how Flask 3.0 and 3.1 keep a context current. With any other Flask each event is run in a whole context of
its own, made by public calls only: slower, and right.
"""

from collections.abc import Iterator
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

from ..socketio.client import Member

try:
    from flask.globals import _cv_app, _cv_request

    _attributes = vars(flask.Flask(__name__).test_request_context())
    LIGHT = "_cv_tokens" in _attributes
    # Flask 3.1.3 made `session` a property over `_session`; before, it was a plain attribute.
    _SESSION = "_session" if "_session" in _attributes else "session"
except (ImportError, AttributeError):  # pragma: no cover - another Flask
    LIGHT = False

_LISTS = frozenset({"_cv_tokens", "_after_request_functions"})  # an empty one for each context


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


class EventAppContext(AppContext):
    """An application context whose parts are made when they are asked for."""

    def __init__(self, app: flask.Flask) -> None:
        self.app = app

    def __getattr__(self, name: str) -> Any:
        if name == "g":
            made: Any = self.app.app_ctx_globals_class()
        elif name == "url_adapter":
            made = self.app.create_url_adapter(None)
        elif name in _LISTS:
            made = []
        else:
            raise AttributeError(name)
        return vars(self).setdefault(name, made)  # another thread may have been quicker


class EventContext(RequestContext):
    """The context of one event. Entering it is what Flask's own does, unrolled."""

    _cv_tokens: Any = None  # of its entries, the last of which is left first

    def __init__(
        self, surroundings: "Surroundings", member: Member, message: str | None, args: tuple[Any, ...]
    ) -> None:
        self.app = surroundings.app
        self.member = member
        self._surroundings = surroundings
        self._event = message, args

    def __getattr__(self, name: str) -> Any:
        if name == "request":
            made: Any = self._surroundings.request(self.member, *self._event)
        elif name == _SESSION:
            made = self._surroundings.session
        elif name in _LISTS:
            made = []
        else:
            made = self._surroundings.attribute(name)
        return vars(self).setdefault(name, made)

    def copy(self) -> "EventContext":
        """For ``flask.copy_current_request_context``: the same request and session."""
        other = type(self)(self._surroundings, self.member, *self._event)
        other.request = self.request
        set_session(other, self.session)
        other._cv_tokens = []  # not an event's own: it shares the application context in which it is entered
        return other

    def __enter__(self) -> "EventContext":
        if self._cv_tokens is not None:
            return self._enter_again()
        app_context = self._surroundings.app_context()
        app_context._cv_tokens = [_cv_app.set(app_context)]
        self._cv_tokens = [(_cv_request.set(self), app_context)]
        if appcontext_pushed.receivers:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)
        return self

    def _enter_again(self) -> "EventContext":
        """By ``flask.stream_with_context``, say: inside of the event, or in another thread."""
        around = _cv_app.get(None)
        app_context = self._surroundings.app_context() if around is None or around.app is not self.app else None
        if app_context is not None:
            app_context.push()
        self._cv_tokens.append((_cv_request.set(self), app_context))
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        app = self.app
        try:
            # Each of these is a no-op nearly always, and costs more than a handler does.
            if (None in app.teardown_request_funcs or request_tearing_down.receivers) and len(self._cv_tokens) == 1:
                app.do_teardown_request(error)
        finally:
            request_token, app_context = self._cv_tokens.pop()
            _cv_request.reset(request_token)
            if app_context is not None:
                self._leave(app_context, error)

    def _leave(self, app_context: AppContext, error: BaseException | None) -> None:
        app = self.app
        try:
            if app.teardown_appcontext_funcs or appcontext_tearing_down.receivers:
                app.do_teardown_appcontext(error)
        finally:
            _cv_app.reset(app_context._cv_tokens.pop())
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
        if _SESSION in vars(self):
            return self
        try:
            set_session(self, open_session(self.app, self.request))
        except BaseException as error:
            self.pop(error)
            raise
        return self


class Surroundings:
    """One connection's: the handshake's environ, what contexts are made of, the managed session."""

    __slots__ = ("_makes_app_contexts", "_request", "_request_class", "_template", "app", "environ", "session")

    def __init__(self, app: flask.Flask, environ: dict[str, Any]) -> None:
        self.app = app
        self.environ = environ
        self._template = context = app.request_context(environ)
        with _current(context):
            self.session = ManagedSession(open_session(app, context.request))
        # What lives as long as the connection is small: a request that has looked at nothing yet.
        context.request = request = app.request_class(environ)
        request.json_module = app.json
        request.routing_exception = NotFound()  # no view is behind /socket.io/
        self._request_class = type(request)
        self._request = vars(request)
        self._makes_app_contexts = type(app).app_context is not flask.Flask.app_context  # of a kind of its own

    def context(self, managed: bool, member: Member, message: str | None, args: tuple[Any, ...]) -> RequestContext:
        """A context for one event."""
        if LIGHT:
            return (EventContext if managed else OpeningContext)(self, member, message, args)
        context = self.app.request_context(self.environ)
        vars(context.request).update(_told(member, message, args))
        if managed:
            set_session(context, self.session)
        return context

    # --- what a light context is made of

    def app_context(self) -> AppContext:
        """A fresh application context."""
        return self.app.app_context() if self._makes_app_contexts else EventAppContext(self.app)

    def request(self, member: Member, message: str | None, args: tuple[Any, ...]) -> flask.Request:
        """A copy of the handshake's request. Of its dictionary: setting one by one takes three times as long."""
        request = object.__new__(self._request_class)
        request.__dict__ = self._request | _told(member, message, args)
        return request

    def attribute(self, name: str) -> Any:
        """What any context of this connection has under *name*."""
        try:
            return vars(self._template)[name]
        except KeyError:
            raise AttributeError(name) from None


def _told(member: Member, message: str | None, args: tuple[Any, ...]) -> dict[str, Any]:
    """What Flask's ``request`` has in a handler, beside its own."""
    return {
        "sid": member.sid,
        "namespace": member.namespace,
        "event": {"message": message, "args": args},
        "greenwire_member": member,
    }


def current_member() -> Member | None:
    """The client whose event is being handled, if one is."""
    return current()[1]


def current() -> tuple[flask.Flask | None, Member | None]:
    """The application whose context this is, and the client whose event is being handled; each if there is one."""
    if not LIGHT:
        member = getattr(flask.request, "greenwire_member", None) if flask.request else None
        return flask.current_app if flask.current_app else None, member
    # Past Flask's proxies: they cost each emit more than its packet does.
    app_context, context = _cv_app.get(None), _cv_request.get(None)
    if isinstance(context, EventContext):
        member = context.member
    else:
        member = None if context is None else vars(context.request).get("greenwire_member")
    return None if app_context is None else app_context.app, member


def set_session(context: RequestContext, session: SessionMixin) -> None:
    """Make *session* what ``flask.session`` is in *context*."""
    vars(context)[_SESSION] = session
