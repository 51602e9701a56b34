"""The user's handlers: registration, signatures, look-up.

A handler's signature is looked at once, here, when it is registered, and never guessed by calling it: a
``TypeError`` that a handler raises is the handler's own.
"""

import inspect
from collections.abc import Callable, Collection
from typing import Any

from ..errors import ConfigurationError

ANY = "*"
# What these two are offered; they may take it or leave it.
_OPTIONAL = {"connect": "auth", "disconnect": "reason"}


class Handler:
    """One function of the user's, and what is known about it."""

    __slots__ = ("event", "fn", "is_async", "namespace", "takes_extra")

    def __init__(self, event: str, namespace: str, fn: Callable[..., Any], before: int) -> None:
        if not callable(fn):
            raise ConfigurationError(f"the handler for {event!r} is {fn!r}: it must be a function")
        self.event = event
        self.namespace = namespace
        self.fn = fn
        self.is_async = inspect.iscoroutinefunction(fn)
        self.takes_extra = event not in _OPTIONAL or _takes_one(event, fn, before)

    def __repr__(self) -> str:
        return f"<Handler {self.namespace} {self.event}: {describe(self.fn)}>"


def describe(fn: Callable[..., Any]) -> str:
    """``on_bid (app.py:42)``."""
    inner = inspect.unwrap(fn)
    code = getattr(inner, "__code__", None)
    name = getattr(inner, "__qualname__", repr(inner))
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code is not None else name


def _takes_one(event: str, fn: Callable[..., Any], before: int) -> bool:
    """Whether a connect or disconnect handler wants its argument. Raises where it wants more."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):  # written in C: it gets everything
        return True
    for extra in (1, 0):
        try:
            signature.bind(*[None] * (before + extra))
        except TypeError:
            continue
        return bool(extra)
    first = ("sid",) * before
    raise ConfigurationError(
        f"the {event} handler {describe(fn)} takes {signature}: write it with"
        f" ({', '.join(first)}) or with ({', '.join((*first, _OPTIONAL[event]))})"
    )


class Handlers:
    """All handlers of a server, by namespace and event."""

    def __init__(self, namespaces: Collection[str] | str = (), arguments_before: int = 0) -> None:
        """*arguments_before*: how many arguments every handler gets before those of its event."""
        self._before = arguments_before
        self.functions: dict[str, dict[str, Handler]] = {}
        self._open: frozenset[str] = frozenset()
        self.open(namespaces)

    def open(self, namespaces: Collection[str] | str) -> None:
        """Accept clients in *namespaces*, ``"*"`` for any, beside ``/`` and those that have handlers."""
        self._open = frozenset({"/", *((namespaces,) if isinstance(namespaces, str) else namespaces)})

    def add(self, event: str, fn: Callable[..., Any], namespace: str | None = None) -> Handler:
        """Register *fn*; a later one for the same event replaces it."""
        namespace = normal_namespace(namespace)
        if not isinstance(event, str):
            raise ConfigurationError(f"the event name is {event!r}: it must be a string")
        handler = Handler(event, namespace, fn, self._before)
        self.functions.setdefault(namespace, {})[event] = handler
        return handler

    def accepts(self, namespace: str) -> bool:
        """Whether clients may connect to *namespace*: ``/`` always, others where something waits for them."""
        return namespace in self._open or namespace in self.functions or ANY in self._open

    def find(self, namespace: str, event: str) -> Handler | None:
        """The most specific handler; catch-alls do not get connect and disconnect."""
        here = self.functions.get(namespace)
        if here is not None:
            handler = here.get(event)
            if handler is not None:
                return handler
        everywhere = self.functions.get(ANY)
        if event in _OPTIONAL:
            return everywhere.get(event) if everywhere is not None else None
        if here is not None and ANY in here:
            return here[ANY]
        if everywhere is not None:
            return everywhere.get(event) or everywhere.get(ANY)
        return None


def normal_namespace(namespace: str | None) -> str:
    """``None`` and ``""`` mean ``/``; a missing slash is an error that is seen at once."""
    if not namespace:
        return "/"
    if not isinstance(namespace, str) or (namespace[0] != "/" and namespace != ANY):
        raise ConfigurationError(f"namespace={namespace!r}: a namespace is a string that begins with '/'")
    if "," in namespace or "?" in namespace:
        raise ConfigurationError(f"namespace={namespace!r}: ',' and '?' have a meaning on the wire")
    return namespace
