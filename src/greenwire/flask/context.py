"""The way from a Socket.IO event to a handler that Flask surrounds, and its errors back."""

import threading
from collections.abc import Callable
from typing import Any

import flask
from flask.ctx import RequestContext

from ..errors import ConnectionRefusedError
from ..http.wsgi import environ_of
from ..socketio.client import Member
from ..socketio.handlers import Handler, finished
from ..socketio.server import offered
from .given import GivenRequest
from .hooks import Hooks
from .light import Surroundings


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
                if handler.takes_all and len(args) == 1:  # without a star: see green/runner.py
                    result = handler.fn(args[0])
                else:
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
        environ = handshake_environ(client.peer)
        app = environ.setdefault("flask.app", None) or self._find_app()
        environ["flask.app"] = app
        made = Surroundings(app, environ)  # opens the session, which may take its time: nothing is locked meanwhile
        with self._lock:  # two first events at once: one session for both
            if client.context is None:
                environ["saved_session"] = made.session
                client.context = made
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
