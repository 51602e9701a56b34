"""The half of ``SocketIO`` that takes handlers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from ..errors import ConfigurationError
from ..socketio.handlers import ANY, Handler, normal_namespace
from ..socketio.server import Server
from .context import FlaskFace
from .namespace import Namespace

if TYPE_CHECKING:
    from .extension import SocketIO

H = TypeVar("H", bound=Callable[..., Any])
ErrorHandler = Callable[..., Any]


class Registration:
    """Decorators return the function that they are given, so they can be stacked. A later handler for the same
    event replaces an earlier one. All of them may be used before ``init_app``."""

    def __init__(self) -> None:
        self._face: FlaskFace
        self._core: Server
        self.namespace_handlers: list[Namespace] = []

    # --- events

    def on(self, message: str, namespace: str | None = None) -> Callable[[H], H]:
        """Decorator: this function handles the event *message* in *namespace*.

        ``connect`` and ``disconnect`` handlers may take ``auth`` and ``reason``, or nothing. ``"*"`` catches the
        events, and as *namespace* the namespaces, for which nothing else is registered; the event's name comes first.
        """
        return self._core.on(message, namespace)

    def on_event(self, message: str, handler: Callable[..., Any], namespace: str | None = None) -> None:
        """Register *handler* for the event *message*."""
        self._core.handlers.add(message, handler, namespace)

    @overload
    def event(self, fn: H) -> H: ...
    @overload
    def event(self, fn: str | None = None, namespace: str | None = None) -> Callable[[H], H]: ...
    def event(self, fn: H | str | None = None, namespace: str | None = None) -> H | Callable[[H], H]:
        """Decorator: this function handles the event of its own name, in *namespace*, which may come first."""
        where = fn if isinstance(fn, str) else namespace

        def register(fn: H) -> H:
            return self.on(fn.__name__, where)(fn)

        return register if fn is None or isinstance(fn, str) else register(fn)

    def on_namespace(self, namespace_handler: Namespace) -> None:
        """Register a class-based namespace: an object, which serves all clients."""
        if not isinstance(namespace_handler, Namespace):
            raise ConfigurationError(f"Not a namespace instance: {namespace_handler!r}; give Namespace('/name')")
        namespace_handler._set_socketio(cast("SocketIO", self))
        same = [known for known in self.namespace_handlers if known.namespace == namespace_handler.namespace]
        for known in same:
            self.namespace_handlers.remove(known)
        self.namespace_handlers.append(namespace_handler)

    @property
    def handlers(self) -> list[tuple[str, Callable[..., Any], str]]:
        """The registered functions: event, function, namespace."""
        functions = self._core.handlers.functions
        return [(name, found.fn, space) for space, events in functions.items() for name, found in events.items()]

    # --- errors

    def on_error(self, namespace: str | None = None) -> Callable[[H], H]:
        """Decorator: this function is given the exceptions of handlers of *namespace*. Its result is the answer;
        a client whose connect handler has failed is refused all the same."""
        space = normal_namespace(namespace)

        def register(fn: H) -> H:
            self._face.error_handlers[space] = _callable(fn)
            return fn

        return register

    def on_error_default(self, exception_handler: H) -> H:
        """Decorator: this function is given the exceptions of handlers of all other namespaces."""
        self._face.default_error_handler = _callable(exception_handler)
        return exception_handler

    @property
    def exception_handlers(self) -> dict[str, ErrorHandler]:
        """The error handlers by namespace."""
        return self._face.error_handlers

    @property
    def default_exception_handler(self) -> ErrorHandler | None:
        """The error handler of all other namespaces."""
        return self._face.default_error_handler

    @default_exception_handler.setter
    def default_exception_handler(self, fn: ErrorHandler | None) -> None:
        self._face.default_error_handler = fn

    # --- hooks

    def on_any(self, fn: H) -> H:
        """Decorator: this function sees every event before its handler: ``fn(event, *args)``. Also those that
        nobody handles."""
        self._face.hooks.on_any.append(_callable(fn))
        self._core.handlers.observer = Handler(ANY, ANY, _nothing, 0)
        self._face.use_hooks()
        return fn

    def before_event(self, fn: H) -> H:
        """Decorator: this function is called before each event's handler: ``fn(event, *args)``. Returning anything
        but ``None`` answers the event in the handler's place; an exception is treated as the handler's own."""
        self._face.hooks.before_event.append(_callable(fn))
        self._face.use_hooks()
        return fn

    def before_connect(self, fn: H) -> H:
        """Decorator: this function is called before each connect handler, in all namespaces, with ``auth`` if it
        takes an argument. It refuses by returning ``False`` or by raising ``ConnectionRefusedError``."""
        self._face.hooks.add_before_connect(_callable(fn))
        self._core.handlers.any_connect = Handler("connect", ANY, _nothing, 0)
        self._face.use_hooks()
        return fn


def _nothing(*args: Any) -> None:
    pass


def _callable(fn: Any) -> Any:
    if not callable(fn):
        raise ConfigurationError(f"exception_handler must be callable, and so must any hook: {fn!r} is not")
    return fn
