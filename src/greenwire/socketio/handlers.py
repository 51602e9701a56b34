"""The user's handlers: registration, signatures, look-up.

A handler's signature is looked at once, here, when it is registered, and never guessed by calling it: a
``TypeError`` that a handler raises is the handler's own.
"""

import asyncio
import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from ..errors import ConfigurationError

ANY = "*"
_NO_NAMESPACE = frozenset(",?\x1e")
# What these two are offered; they may take it or leave it.
_OPTIONAL = {"connect": "auth", "disconnect": "reason"}


class Handler:
    """One function of the user's, and what is known about it."""

    __slots__ = ("event", "fn", "is_async", "namespace", "owner", "takes_all", "takes_extra")

    def __init__(self, event: str, namespace: str, fn: Callable[..., Any], before: int, owner: object = None) -> None:
        if not callable(fn):
            raise ConfigurationError(f"the handler for {event!r} is {fn!r}: it must be a function")
        self.event = event
        self.namespace = namespace
        self.fn = fn if is_async(fn) or not is_async(inspect.unwrap(fn)) else _finishing(fn)
        self.owner = owner  # the class-based namespace that it is a method of
        self.is_async = is_async(fn)
        self.takes_extra = event not in _OPTIONAL or takes_one(f"the {event} handler", fn, _OPTIONAL[event], before)
        self.takes_all = self.takes_extra and event != ANY  # just the event's arguments
        if event not in _OPTIONAL:
            _check_callable(event, fn, before + (event == ANY))

    def __repr__(self) -> str:
        return f"<Handler {self.namespace} {self.event}: {describe(self.fn)}>"


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether *fn* is an ``async def`` function, or an object that is called like one."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)


def _finishing(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A plain decorator around an ``async def`` function: what it lets through is run to its end, in a thread."""

    @functools.wraps(fn)
    def call(*args: Any) -> Any:
        return finished(fn(*args))

    return call


def finished(result: Any) -> Any:
    """*result*, or what becomes of it where it is a coroutine. In a thread without an event loop."""
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def describe(fn: Callable[..., Any]) -> str:
    """``on_bid (app.py:42)``."""
    inner = inspect.unwrap(fn)
    code = getattr(inner, "__code__", None)
    name = getattr(inner, "__qualname__", repr(inner))
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code is not None else name


def takes_one(what: str, fn: Callable[..., Any], argument: str, before: int = 0) -> bool:
    """Whether *fn* wants *argument*, which it may leave out, behind *before* others. Raises where it wants more."""
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
        f"{what} {describe(fn)} takes {signature}: write it with"
        f" ({', '.join(first)}) or with ({', '.join((*first, argument))})"
    )


def _check_callable(event: str, fn: Callable[..., Any], least: int) -> None:
    """Raise where *fn* cannot be called with *least* arguments or more, and nothing by name."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    room_for_all = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    by_name = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if by_name:
        raise ConfigurationError(
            f"the handler {describe(fn)} for {event!r} needs {by_name[0]!r} by name, and an event's arguments have"
            " no names: give it a default, or take it by position"
        )
    if len(places) < least and not room_for_all:
        raise ConfigurationError(
            f"the handler {describe(fn)} for {event!r} takes {len(places)} arguments and is given {least} or more:"
            " the event's name, then what was sent; write it with (event, *args)"
        )


class Handlers:
    """All handlers of a server, by namespace and event.

    Look-up, most specific first: function here, catch-all function here, function everywhere (namespace ``*``),
    catch-all function everywhere, class here, class everywhere. What is found under its own name is kept.
    """

    def __init__(self, namespaces: Collection[str] | str = (), arguments_before: int = 0) -> None:
        """*arguments_before*: how many arguments every handler gets before those of its event."""
        self._before = arguments_before
        self.functions: dict[str, dict[str, Handler]] = {}
        self.classes: dict[str, ClassHandlers] = {}
        self.any_connect: Handler | None = None  # for connects that nobody else handles
        self.observer: Handler | None = None  # for events that nobody handles; they are not acknowledged
        self._found: dict[str, dict[str, Handler]] = {}
        self._open: frozenset[str] = frozenset()
        self.open(namespaces)

    def open(self, namespaces: Collection[str] | str) -> None:
        """Accept clients in *namespaces*, ``"*"`` for any, beside ``/`` and those that have handlers."""
        self._open = frozenset({"/", *((namespaces,) if isinstance(namespaces, str) else namespaces)})

    @property
    def opened(self) -> frozenset[str]:
        """What :meth:`open` was told, and ``/``."""
        return self._open

    def add(self, event: str, fn: Callable[..., Any], namespace: str | None = None) -> Handler:
        """Register *fn*; a later one for the same event replaces it."""
        namespace = normal_namespace(namespace)
        if not isinstance(event, str):
            raise ConfigurationError(f"the event name is {event!r}: it must be a string")
        handler = Handler(event, namespace, fn, self._before)
        self.functions.setdefault(namespace, {})[event] = handler
        self._found = {}  # a new one: a look-up under way may still put what it has found into the old
        return handler

    def add_class(
        self,
        namespace: str,
        methods: Mapping[str, Callable[..., Any]],
        owner: object,
        other: Callable[..., Any] | None = None,
    ) -> None:
        """Register the methods of a class-based namespace, by event.

        *other* is given the name and the arguments of events without a method.
        """
        namespace = normal_namespace(namespace)
        handlers = {event: Handler(event, namespace, fn, self._before, owner) for event, fn in methods.items()}
        fallback = Handler(ANY, namespace, _nothing if other is None else other, self._before, owner)
        self.classes[namespace] = ClassHandlers(handlers, fallback)
        self._found = {}

    def accepts(self, namespace: str) -> bool:
        """Whether clients may connect to *namespace*: ``/`` always, others where something waits for them."""
        return namespace in self._open or namespace in self.functions or namespace in self.classes or ANY in self._open

    def find(self, namespace: str, event: str) -> Handler | None:
        """The most specific handler; catch-alls do not get connect and disconnect."""
        found = self._found
        here = found.get(namespace)
        if here is not None:
            handler = here.get(event)
            if handler is not None:
                return handler
        handler = self._search(namespace, event)
        if handler is not None and handler.event == event and handler.namespace == namespace:
            found.setdefault(namespace, {})[event] = handler  # not more than were registered
        return handler

    def _search(self, namespace: str, event: str) -> Handler | None:
        for place in (self.functions.get(namespace), self.functions.get(ANY)):
            if place is not None:
                handler = place.get(event) or (None if event in _OPTIONAL else place.get(ANY))
                if handler is not None:
                    return handler
        for methods in (self.classes.get(namespace), self.classes.get(ANY)):
            if methods is not None:
                if event in _OPTIONAL:
                    return methods.handlers.get(event) or self._default(event)
                return methods.handlers.get(event) or methods.other
        return self._default(event)

    def _default(self, event: str) -> Handler | None:
        return self.any_connect if event == "connect" else None


class ClassHandlers(NamedTuple):
    """The methods of a class-based namespace; *other* is for events that it has no method for."""

    handlers: dict[str, Handler]
    other: Handler


def _nothing(*args: Any) -> None:
    """An event that a class-based namespace ignores is acknowledged with nothing."""


def normal_namespace(namespace: str | None) -> str:
    """``None`` and ``""`` mean ``/``; a missing slash is an error that is seen at once."""
    if not namespace:
        return "/"
    if not isinstance(namespace, str) or (namespace[0] != "/" and namespace != ANY):
        raise ConfigurationError(f"namespace={namespace!r}: a namespace is a string that begins with '/'")
    if not _NO_NAMESPACE.isdisjoint(namespace):
        raise ConfigurationError(f"namespace={namespace!r}: ',', '?' and U+001E have a meaning on the wire")
    return namespace
