"""A TypeError in a connect or disconnect handler calls it again, as Flask-SocketIO does; plain Greenwire does not."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import flask_socketio
import pytest
import socketio

from compat.serving import close, served
from greenwire.compat.extension import SocketIO, repeating
from support.site import Site, new_socketio
from support.waiting import Log, wait_until

Calls = list[tuple[Any, ...]]


def nothing(calls: Calls):
    def handler():
        calls.append(())

    return handler


def failing(calls: Calls):
    def handler():
        calls.append(())
        raise TypeError("on purpose")

    return handler


def second_chance(calls: Calls):
    def handler():
        calls.append(())
        if len(calls) == 1:
            raise TypeError("on purpose")

    return handler


def auth(calls: Calls):
    def handler(auth):
        calls.append((auth,))
        return auth["token"]

    return handler


def auth_or_none(calls: Calls):
    def handler(auth=None):
        calls.append((auth,))
        return auth["token"]

    return handler


def anything(calls: Calls):
    def handler(*args):
        calls.append(args)
        return args[0]["token"] if args else None

    return handler


def undressed(calls: Calls):
    def connect():
        return None

    def wrapped(*args, **kwargs):
        calls.append(args)
        return connect(*args, **kwargs)

    return wrapped


def injecting(calls: Calls):
    def connect(user):
        calls.append((user,))

    def wrapped(*args, **kwargs):
        return connect("ann", *args, **kwargs)

    return wrapped


class Refusing:
    """A callable object that asks for a keyword."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def __call__(self, auth=None, *, secret="x"):
        self.calls.append((auth,))
        if secret:
            raise flask_socketio.ConnectionRefusedError("no")


SHAPES = [nothing, failing, second_chance, auth, auth_or_none, anything, undressed, injecting, Refusing]


def theirs(make: Callable[[Calls], Any], sent: Any, is_handled: bool) -> tuple[Calls, bool]:
    """The calls that Flask-SocketIO makes, and whether the client is accepted."""
    app = flask.Flask("theirs")
    sio = flask_socketio.SocketIO(app, async_mode="threading")
    calls: Calls = []
    handler = make(calls)
    if not hasattr(handler, "__name__"):
        handler = functools.update_wrapper(functools.partial(handler), make)
    sio.on("connect")(handler)
    if is_handled:
        sio.on_error_default(lambda error: False)
    try:
        return calls, sio.test_client(app, auth=sent).is_connected()
    except (TypeError, KeyError):
        return calls, False


def ours(make: Callable[[Calls], Any], sent: Any, is_handled: bool) -> tuple[Calls, bool]:
    """Likewise, of a handler that is wrapped under greenwire.compat."""
    calls: Calls = []
    try:
        return calls, repeating("connect", make(calls), lambda: is_handled)(sent) is not False
    except (TypeError, KeyError, flask_socketio.ConnectionRefusedError):
        return calls, False


@pytest.mark.parametrize("make", SHAPES)
@pytest.mark.parametrize("sent", [None, {}, {"token": 5}, {"wrong": 5}], ids=["no auth", "empty", "auth", "other auth"])
@pytest.mark.parametrize("is_handled", [False, True], ids=["", "with on_error"])
def test_the_calls_are_those_of_flask_socketio(make, sent, is_handled):
    assert ours(make, sent, is_handled) == theirs(make, sent, is_handled)


def test_a_decorator_with_functools_wraps_is_called_once():
    calls: Calls = []

    def connect():
        return None

    @functools.wraps(connect)
    def wrapped(*args):
        calls.append(args)
        return connect(*args)

    assert repeating("connect", wrapped, lambda: False)({"token": 5}) is None
    assert calls == [()]


def test_a_coroutine_function_and_other_events_are_left_alone():
    async def connect(auth): ...

    def event(auth): ...

    sio = SocketIO(flask.Flask("ours"))
    assert sio._repeating("connect", connect, "/") is connect
    assert sio._repeating("bid", event, "/") is event


def test_a_handler_that_cannot_be_called_is_an_error_at_its_line():
    sio = SocketIO(flask.Flask("ours"))
    with pytest.raises(ValueError, match=r"the connect handler .*too_many .*repeat.py:\d+\) takes \(a, b\)"):

        @sio.on("connect")
        def too_many(a, b): ...


def test_decorators_give_back_the_function():
    sio = SocketIO(flask.Flask("ours"))

    def connect(): ...

    assert sio.on("connect")(connect) is connect
    assert sio.event(connect) is connect


# --- whole applications


@pytest.mark.parametrize("under", [("-m", "greenwire.compat"), ()], ids=["greenwire.compat", "flask_socketio"])
def test_an_application_that_is_accepted_only_by_the_repeat(under: tuple[str, ...]):
    with served(*under, "habits.py", "0") as app:
        counts, accepted, goodbye = Log(), Log(), Log()
        first = app.connect(on={"counts": counts.append, "goodbye": goodbye.append})
        assert counts.wait_for(1) == [{"connect": 2}]  # wrapped(None), and wrapped()
        second = app.connect(namespaces=["/second-chance"], on={"accepted": accepted.append})
        assert accepted.wait_for(1) == [2]
        assert first.call("refuse", timeout=10) == {"message": "a", "data": "b"}
        third = app.connect()
        sid = third.get_sid()
        third.emit("leave")
        assert goodbye.wait_for(1) == [sid]
        assert second.connected
        if under:
            wait_until(lambda: len(app.notices()) >= 3, "the reader has what it said before")
        notices = app.notices()
    if under:
        source = (Path(__file__).parent / "apps" / "habits.py").read_text().splitlines()
        called, failed = (
            f"habits.py:{source.index(line) + 1}"
            for line in ("        return handler(*args)", "        return None + 1")
        )
        assert [line.partition(": ")[0] for line in notices] == [called, failed, called]
        assert [line.split(": ", 1)[1].partition(". It is called again")[0] for line in notices] == [
            "the connect handler raised TypeError: connect() takes 0 positional arguments but 1 was given",
            "the connect handler raised TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'",
            "the disconnect handler raised TypeError: disconnect() takes 0 positional arguments but 1 was given",
        ]


def test_plain_greenwire_calls_once_and_refuses(caplog):
    sio = new_socketio()
    calls: Calls = []
    sio.on("connect")(second_chance(calls))
    sio.on("connect", "/undressed")(undressed(calls))
    with Site(sio) as site:
        for namespace in ("/", "/undressed"):
            refused = Log()
            client = socketio.Client(reconnection=False, handle_sigint=False)
            client.on("connect_error", refused.append, namespace=namespace)
            with pytest.raises(socketio.exceptions.ConnectionError):
                client.connect(site.url, namespaces=[namespace], transports=["websocket"], wait_timeout=10)
            assert refused == [{"message": "Internal server error"}]
            close(client)
    assert calls == [(), (None,)]
    assert [record.getMessage().split(" (")[0] for record in caplog.records if record.exc_info] == [
        "handler 'connect' of / failed: second_chance.<locals>.handler",
        "handler 'connect' of /undressed failed: undressed.<locals>.wrapped",
    ]
