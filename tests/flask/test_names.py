"""Every public name of Flask-SocketIO is here, with the same parameters in the same order and with the same defaults.

What the two packages say about themselves is compared, and what differs must be in ``ON_PURPOSE``, no more and no
less. Where Flask-SocketIO takes ``**kwargs``, the keywords are those that its documentation names or its code takes.
"""

import inspect
import re
import types
from collections.abc import Callable, Iterator
from typing import Any

import flask
import flask_socketio
import pytest
import socketio as python_socketio

import greenwire.flask

ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

# Names of theirs that are nobody's business: what they import, and private parts without an underscore.
NOT_PUBLIC = {
    "DebuggedApplication",
    "SessionMixin",
    "flask_json",
    "gevent_socketio_found",
    "has_request_context",
    "run_with_reloader",
    "wraps",
}

_UNKNOWN = "a keyword that is not known is an error here; there it was one further inside, or lost"
_INSIDE = "nothing but python-socketio itself uses it"
_ADMIN = "there is no admin page; the method is there to say so, whatever it is given"
ON_PURPOSE: dict[str, str] = {
    "SocketIO.call: no **kwargs": _UNKNOWN,
    "SocketIO.emit: no **kwargs": _UNKNOWN,
    "SocketIO.event: no **kwargs": _UNKNOWN,
    "SocketIO.event: no *args": "the function or the namespace is the one positional argument",
    "call: no **kwargs": _UNKNOWN,
    "no server.is_asyncio_based": _INSIDE,
    "no server.manager_initialized": _INSIDE,
    "no server.not_handled": _INSIDE,
    "no server.reserved_events": _INSIDE,
    "server.event: no **kwargs": _UNKNOWN,
    "server.event: no *args": "the function is the one positional argument",
    "server.instrument: no auth": _ADMIN,
    "server.instrument: no mode": _ADMIN,
    "server.instrument: no namespace": _ADMIN,
    "server.instrument: no read_only": _ADMIN,
    "server.instrument: no server_id": _ADMIN,
    "server.instrument: no server_stats_interval": _ADMIN,
}


def own_names(module: types.ModuleType) -> set[str]:
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name not in NOT_PUBLIC
    }


def members(cls: type, instance: object) -> set[str]:
    return {name for name in {*dir(cls), *vars(instance)} - {*dir(Exception)} if not name.startswith("_")}


def keywords_of(fn: Callable[..., Any]) -> set[str]:
    """What *fn* takes in its ``**kwargs``: the keywords that its documentation names, and those that it asks for."""
    asked = re.findall(r"kwargs\.(?:pop|get)\('(\w+)'", inspect.getsource(fn))
    return {*re.findall(r":param (\w+):", inspect.getdoc(fn) or ""), *asked}


def differences(name: str, theirs: Callable[..., Any], ours: Callable[..., Any]) -> Iterator[str]:
    """What a caller of *theirs* would notice about *ours*."""
    expected, found = inspect.signature(theirs).parameters, inspect.signature(ours).parameters
    kinds = {parameter.kind for parameter in found.values()}
    for kind, mark in zip(ANY, ("*args", "**kwargs"), strict=True):
        if kind in {parameter.kind for parameter in expected.values()} and kind not in kinds:
            yield f"{name}: no {mark}"
    positions = [parameter.name for parameter in found.values() if parameter.kind is NAMED[0]]
    for position, parameter in enumerate(p for p in expected.values() if p.kind in NAMED):
        here = found.get(parameter.name)
        if here is None:
            yield f"{name}: no {parameter.name}"
            continue
        if parameter.kind is NAMED[0] and positions[position : position + 1] != [parameter.name]:
            yield f"{name}: {parameter.name} at another place"
        if here.default != parameter.default:
            yield f"{name}: {parameter.name}={here.default!r}, theirs is {parameter.default!r}"
    if ANY[1] in {parameter.kind for parameter in expected.values()} and ANY[1] not in kinds:
        for keyword in sorted(keywords_of(theirs) - set(found) - set(expected)):
            yield f"{name}: no {keyword}"


def all_differences() -> Iterator[str]:
    for name in sorted(own_names(flask_socketio)):
        if not hasattr(greenwire.flask, name):
            yield f"no {name}"
            continue
        theirs, ours = getattr(flask_socketio, name), getattr(greenwire.flask, name)
        if not isinstance(theirs, type):
            yield from differences(name, theirs, ours)
    for name, theirs, ours in instances():
        if name != "server":  # applications do not make one
            yield from differences(name, type(theirs), type(ours))
        for member in sorted(members(type(theirs), theirs)):
            if not hasattr(ours, member):
                yield f"no {name}.{member}"
            elif inspect.isroutine(getattr(theirs, member)):
                yield from differences(f"{name}.{member}", getattr(theirs, member), getattr(ours, member))


def instances() -> Iterator[tuple[str, Any, Any]]:
    """One of theirs and one of ours, of each class that an application meets."""
    their_app, our_app = flask.Flask("theirs"), flask.Flask("ours")
    theirs, ours = flask_socketio.SocketIO(their_app, async_mode="threading"), greenwire.flask.SocketIO(our_app)
    yield "SocketIO", theirs, ours
    yield "ConnectionRefusedError", flask_socketio.ConnectionRefusedError(), greenwire.flask.ConnectionRefusedError()
    pair = flask_socketio.Namespace("/x"), greenwire.flask.Namespace("/x")
    theirs.on_namespace(pair[0])
    ours.on_namespace(pair[1])
    yield "Namespace", *pair
    yield "test client", theirs.test_client(their_app), ours.test_client(our_app)
    assert isinstance(theirs.server, python_socketio.Server)
    yield "server", theirs.server, ours.server


def test_what_differs_differs_on_purpose():
    assert sorted(all_differences()) == sorted(ON_PURPOSE)


@pytest.mark.parametrize("name", sorted(greenwire.flask.__all__))
def test_every_name_is_documented(name: str):
    assert inspect.getdoc(getattr(greenwire.flask, name))


def test_the_reasons_of_a_disconnect_have_the_same_names():
    names = [name for name in vars(flask_socketio.SocketIO.reason) if name.isupper()]
    assert {name: getattr(greenwire.flask.SocketIO.reason, name) for name in names} == {
        name: getattr(flask_socketio.SocketIO.reason, name) for name in names
    }
