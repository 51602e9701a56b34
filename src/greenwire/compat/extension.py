"""``SocketIO`` with the one habit of Flask-SocketIO that Greenwire's own rightly lacks: the repeated call.

There, a handler's signature is found out by calling it: ``connect(auth)``, and on *any* ``TypeError``, also one
from deep inside, ``connect()``; where the client has sent no ``auth`` and no error handler takes the exception, both
once more. ``disconnect`` likewise with ``reason``, one round. An application may be accepted only because of it: one
whose decorator passes on an argument that the handler does not take, say.

Handlers are wrapped when they are registered. A call that cannot bind has no effect, so it is left out, and the
first call is the one that Greenwire makes by itself.
"""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..flask.extension import SocketIO as PlainSocketIO
from ..flask.options import GREEN_NAMES, THREADS
from ..green.patch import is_patched
from .notices import calling_line, raising_line, say

if TYPE_CHECKING:
    from ..flask import Namespace

H = TypeVar("H", bound=Callable[..., Any])
_REPEATED = ("connect", "disconnect")
_ONE_ARGUMENT = inspect.Signature([inspect.Parameter("value", inspect.Parameter.POSITIONAL_ONLY)])


class SocketIO(PlainSocketIO):
    """``greenwire.flask.SocketIO`` whose connect and disconnect handlers are called again after a TypeError."""

    def _configure(self, options: dict[str, Any]) -> None:
        mode = options.get("async_mode")
        if mode in GREEN_NAMES and not is_patched("thread"):  # its monkey patch did nothing, so it would block
            say(calling_line(), f"async_mode={mode!r} is threads here; see docs/migrate.md for greenlets")
            options = {**options, "async_mode": THREADS}
        super()._configure(options)

    def on(self, message: str, namespace: str | None = None) -> Callable[[H], H]:
        """Decorator: this function handles the event *message* in *namespace*."""
        plain = super().on(message, namespace)

        def register(fn: H) -> H:
            plain(self._repeating(message, fn, namespace or "/"))
            return fn

        return register

    def on_event(self, message: str, handler: Callable[..., Any], namespace: str | None = None) -> None:
        """Register *handler* for the event *message*."""
        super().on_event(message, self._repeating(message, handler, namespace or "/"), namespace)

    def on_namespace(self, namespace_handler: "Namespace") -> None:
        """Register a class-based namespace."""
        for event in _REPEATED:
            method = getattr(namespace_handler, f"on_{event}", None)
            if method is not None:
                wrapped = self._repeating(event, method, namespace_handler.namespace)
                setattr(namespace_handler, f"on_{event}", wrapped)
        super().on_namespace(namespace_handler)

    def _repeating(self, event: str, fn: Callable[..., Any], namespace: str) -> Callable[..., Any]:
        if event not in _REPEATED or inspect.iscoroutinefunction(fn) or not _attempts(fn, None, 1):
            return fn  # also what cannot be called at all: Greenwire says so better
        handled = functools.partial(self._has_error_handler, namespace)
        return repeating(event, fn, handled)

    def _has_error_handler(self, namespace: str) -> bool:
        return self.exception_handlers.get(namespace, self.default_exception_handler) is not None


def repeating(event: str, fn: Callable[..., Any], is_handled: Callable[[], bool]) -> Callable[..., Any]:
    """*fn*, called again with fewer arguments while it raises ``TypeError``."""

    @functools.wraps(fn)
    def call(value: Any) -> Any:
        first: TypeError | None = None
        value = value or None  # there, an empty `auth` is none
        attempts = _attempts(fn, value, 2 if event == "connect" and not value and not is_handled() else 1)
        for number, args in enumerate(attempts, 1):
            try:
                return fn(*args)
            except TypeError as error:
                first = first or error
                if number < len(attempts):
                    _tell(event, error)
        assert first is not None
        raise first

    call.__signature__ = _ONE_ARGUMENT  # type: ignore[attr-defined]  # not that of fn
    return call


def _attempts(fn: Callable[..., Any], value: Any, rounds: int) -> list[tuple[Any, ...]]:
    """The calls of *fn* to be made, one after the other. Empty: it cannot be called."""
    attempts: list[tuple[Any, ...]] = [(value,), ()] * rounds
    can = [args for args in attempts if _binds(fn, args, follow_wrapped=False)]
    # A decorator takes anything; what it decorates, seen through functools.wraps, is what Greenwire goes by.
    wants = [_binds(fn, args, follow_wrapped=True) for args in can]
    return can[wants.index(True) :] if True in wants else can


def _binds(fn: Callable[..., Any], args: tuple[Any, ...], *, follow_wrapped: bool) -> bool:
    try:
        inspect.signature(fn, follow_wrapped=follow_wrapped).bind(*args)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature: who knows
        return True
    return True


def _tell(event: str, error: TypeError) -> None:
    say(
        raising_line(error.__traceback__),
        f"the {event} handler raised TypeError: {error}. It is called again with fewer arguments, as Flask-SocketIO"
        " does. greenwire.flask without compat does not: mend this line (a decorator needs functools.wraps)",
    )
