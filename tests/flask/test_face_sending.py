"""Reference 1.8, the sending methods of `SocketIO`, and 1.9, the functions that know the current client."""

import datetime
import decimal
import uuid
from dataclasses import dataclass

import pytest
from flask import request

from greenwire.errors import ConfigurationError, ContextError, DisconnectedError, EncodeError, NotRunningError
from greenwire.flask import (
    SocketIO,
    call,
    close_room,
    disconnect,
    emit,
    join_room,
    leave_room,
    rooms,
    send,
)


@pytest.fixture
def run(socketio):
    """``run(client, fn)``: what *fn* returns in a handler of that client's."""
    calls = []
    socketio.on("run")(lambda: calls.pop()())
    socketio.on("run", namespace="/n")(lambda: calls.pop()())

    def run(client, fn, namespace="/"):
        calls.append(fn)
        return client.emit("run", namespace=namespace, callback=True)

    return run


def names(client, namespace="/"):
    return [event["name"] for event in client.get_received(namespace)]


# --- 1.8


def test_emit_reaches_everybody(socketio, connect):
    clients = [connect() for _ in range(3)]
    socketio.emit("e", 1)
    assert [client.get_received()[0]["args"] for client in clients] == [[1]] * 3


@pytest.mark.parametrize("to", [None, "", [], 0, ()])
def test_falsy_rooms_are_everybody(socketio, connect, to):
    client = connect()
    socketio.emit("e", to=to)
    socketio.emit("f", room=to)
    assert names(client) == ["e", "f"]


@pytest.mark.parametrize("room", ["a", 7, ("x", 1), frozenset({1}), b"bytes"])
def test_rooms_have_any_hashable_name(socketio, connect, run, room):
    inside, outside = connect(), connect()
    run(inside, lambda: join_room(room))
    to = [room] if isinstance(room, tuple | frozenset) else room  # these are several rooms
    socketio.emit("e", to=to)
    assert (names(inside), names(outside)) == (["e"], [])


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_several_rooms_one_copy(socketio, connect, run, kind):
    both, one, none = connect(), connect(), connect()
    run(both, lambda: join_room("a"))
    run(both, lambda: join_room("b"))
    run(one, lambda: join_room("b"))
    socketio.emit("e", to=kind(["a", "b", "unknown"]))
    assert (names(both), names(one), names(none)) == (["e"], ["e"], [])


def test_an_unknown_room_is_nobody(socketio, connect):
    client = connect()
    socketio.emit("e", to="unknown")
    assert names(client) == []


@pytest.mark.parametrize("kind", [str, list, tuple, set])
def test_skip_sid(socketio, connect, kind):
    one, two = connect(), connect()
    socketio.emit("e", skip_sid=one.sid() if kind is str else kind([one.sid()]))
    assert (names(one), names(two)) == ([], ["e"])


@pytest.mark.parametrize("wrong", [7, 1.5, object()])
def test_skip_sid_that_is_none(socketio, wrong):
    with pytest.raises(ConfigurationError, match="skip_sid=.*give a sid"):
        socketio.emit("e", skip_sid=wrong)


@pytest.mark.parametrize("wrong", [None, "1", -1, float("inf")])
def test_call_with_a_timeout_that_is_none(socketio, wrong):
    with pytest.raises(ConfigurationError, match="it takes seconds"):
        socketio.call("e", to="x", timeout=wrong)


def test_include_self(socketio, connect, run):
    one, two = connect(), connect()
    run(one, lambda: socketio.emit("e", include_self=False))
    run(one, lambda: socketio.send("e", include_self=False, skip_sid=[]))
    assert (names(one), names(two)) == ([], ["e", "message"])
    with pytest.raises(ValueError, match="include_self=False"):
        socketio.emit("e", include_self=False)


def test_include_self_beside_skip_sid(socketio, connect, run):
    one, two, three = connect(), connect(), connect()
    run(one, lambda: socketio.emit("e", include_self=False, skip_sid=two.sid()))
    assert [names(client) for client in (one, two, three)] == [[], [], ["e"]]


def test_broadcast_is_accepted(socketio, connect):
    client = connect()
    socketio.emit("e", broadcast=True)
    assert names(client) == ["e"]


@pytest.mark.parametrize(
    ("data", "args"),
    [((), []), ((None,), []), (((),), []), ((1,), [1]), (((1, 2),), [1, 2]), (([1, 2],), [[1, 2]]), ((1, 2), [1, 2])],
)
def test_arguments(socketio, connect, data, args):
    client = connect()
    socketio.emit("e", *data)
    assert client.get_received()[0]["args"] == args


def test_what_is_emitted_is_encoded_at_once(socketio, connect):
    client = connect()
    data = {"a": [1]}
    socketio.emit("e", data)
    data["a"].append(2)
    assert client.get_received()[0]["args"] == [{"a": [1]}]


@pytest.mark.parametrize("wrong", [object(), {"a": object()}, [{1, object()}]])
def test_what_cannot_be_encoded(socketio, connect, run, wrong):
    with pytest.raises(EncodeError, match="object"):
        socketio.emit("e", wrong)
    with pytest.raises(TypeError):
        run(connect(), lambda: emit("e", wrong))


def test_what_json_has_no_form_for(socketio, connect):
    @dataclass
    class Bid:
        price: decimal.Decimal

    client = connect()
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    name = uuid.UUID(int=1)
    bid = Bid(decimal.Decimal("1.10"))
    socketio.emit("e", {"nan": float("nan"), "inf": float("-inf"), "at": moment, "id": name, "bid": bid})
    assert client.get_received()[0]["args"] == [
        {"nan": None, "inf": None, "at": "2026-01-02T03:04:05+00:00", "id": str(name), "bid": {"price": "1.10"}}
    ]


@pytest.mark.parametrize("wrong", [None, "", 7, b"e"])
def test_an_event_has_a_name(socketio, wrong):
    with pytest.raises(ConfigurationError, match="name of an event"):
        socketio.emit(wrong)


@pytest.mark.parametrize("wrong", [{}, {"a": 1}, [["a"]], [{"a"}]])
def test_a_room_that_cannot_be_hashed(socketio, connect, run, wrong):
    if wrong:
        with pytest.raises(ConfigurationError, match="must be hashable"):
            socketio.emit("e", to=wrong)
    with pytest.raises(ConfigurationError, match="room="):
        run(connect(), lambda: join_room(wrong))


@pytest.mark.parametrize("wrong", ["chat", 7, "/a,b", "/a?b"])
def test_a_namespace_begins_with_a_slash(socketio, wrong):
    with pytest.raises(ConfigurationError, match="namespace="):
        socketio.emit("e", namespace=wrong)


def test_send(socketio, connect):
    client = connect()
    socketio.send("text")
    socketio.send({"a": 1}, json=True, room=client.sid())
    received = [(event["name"], event["args"]) for event in client.get_received()]
    assert received == [("message", "text"), ("json", {"a": 1})]


def test_a_callback_from_elsewhere_runs_without_a_context(socketio, connect):
    answers = []
    clients = [connect(), connect()]
    for n, client in enumerate(clients):
        client.on("q", lambda n=n: (n, "x"))
    socketio.emit("q", callback=lambda *args: answers.append((args, bool(request))))
    assert answers == [((0, "x"), False), ((1, "x"), False)]


def test_a_callback_in_a_handler_runs_in_that_clients_context(socketio, connect, run):
    answers = []
    one, two = connect(), connect()
    two.on("q", lambda: "yes")

    def ask():
        socketio.emit("q", to=two.sid(), callback=answer)

    def answer(value):
        answers.append((value, request.sid, request.namespace, request.event))

    run(one, ask)
    assert answers == [("yes", one.sid(), "/", {"message": None, "args": ("yes",)})]


def test_call(socketio, connect, run):
    client = connect()
    client.on("none", lambda: None)
    client.on("one", lambda: 1)
    client.on("two", lambda *args: (1, *args))
    sid = client.sid()
    assert socketio.call("none", to=sid) is None
    assert socketio.call("one", to=sid) == 1
    assert socketio.call("two", 2, room=sid) == (1, 2)
    assert run(client, lambda: call("two", (2, 3))) == [1, 2, 3]


def test_call_in_an_ordered_handler(app, connect):
    socketio = SocketIO(app, async_handlers=False)
    client = connect()
    client.on("q", lambda: 42)
    socketio.on("e")(lambda: call("q"))
    assert client.emit("e", callback=True) == 42


def test_call_to_nobody(socketio, connect):
    with pytest.raises(NotRunningError):
        socketio.call("e", to="x")
    client = connect()
    for to in (None, "", 0):
        with pytest.raises(ConfigurationError, match=r"Cannot use call\(\) to broadcast"):
            socketio.call("e", to=to)
    with pytest.raises(DisconnectedError, match="'nobody'"):
        socketio.call("e", to="nobody")
    assert client.is_connected()


def test_call_without_an_answer(socketio, connect):
    from greenwire.errors import TimeoutError

    client = connect()
    with pytest.raises(TimeoutError, match="in 0.01 s"):
        socketio.call("e", to=client.sid(), timeout=0.01)


def test_close_room(socketio, connect, run):
    one, two = connect(), connect()
    for client in (one, two):
        run(client, lambda: join_room("a"))
    socketio.close_room("a")
    socketio.emit("e", to="a")
    assert names(one) == names(two) == []
    assert run(one, rooms) == [one.sid()]


def test_a_room_that_is_a_client_is_not_closed_nor_entered(socketio, connect, run):
    one, two = connect(), connect()
    with pytest.raises(ValueError, match="cannot close a sid room"):
        socketio.close_room(one.sid())
    with pytest.raises(ValueError, match="cannot enter a sid room"):
        run(two, lambda: join_room(one.sid()))
    run(one, lambda: join_room(request.sid))


# --- 1.9


@pytest.mark.parametrize(
    ("options", "sender", "other", "in_room"),
    [
        ({}, 1, 0, 0),
        ({"broadcast": True}, 1, 1, 1),
        ({"broadcast": True, "include_self": False}, 0, 1, 1),
        ({"include_self": False}, 0, 0, 0),
        ({"to": "r"}, 1, 0, 1),
        ({"room": "r", "include_self": False}, 0, 0, 1),
        ({"to": []}, 1, 0, 0),
        ({"to": ""}, 1, 0, 0),
        ({"nonsense": 1}, 1, 0, 0),
    ],
)
@pytest.mark.parametrize("function", [emit, send])
def test_whom_emit_and_send_reach(connect, run, function, options, sender, other, in_room):
    clients = [connect(), connect(), connect()]
    for client in (clients[0], clients[2]):
        run(client, lambda: join_room("r"))
    run(clients[0], lambda: function("e", **options))
    assert [len(client.get_received()) for client in clients] == [sender, other, in_room]


def test_the_namespace_is_the_current_one(socketio, connect, run):
    client = connect()
    client.connect("/n")
    run(client, lambda: emit("e"), "/n")
    run(client, lambda: emit("f", broadcast=True, namespace="/"), "/n")
    run(client, lambda: emit("g", broadcast=True, namespace=None), "/n")
    assert names(client, "/n") == ["e"]
    assert names(client) == ["f", "g"]


def test_rooms_of_others(socketio, connect, run):
    one, two = connect(), connect()
    run(one, lambda: join_room("a", sid=two.sid(), namespace="/"))
    run(one, lambda: join_room("b", two.sid()))
    found = run(one, lambda: rooms(sid=two.sid(), namespace="/"))
    assert found[0] == two.sid()
    assert sorted(found[1:]) == ["a", "b"]
    run(one, lambda: leave_room("a", two.sid()))
    run(one, lambda: close_room("b"))
    assert run(two, rooms) == [two.sid()]
    run(one, lambda: disconnect(two.sid()))
    assert not two.is_connected()


def test_join_room_of_nobody(connect, run):
    with pytest.raises(Exception, match="'nobody'"):
        run(connect(), lambda: join_room("a", sid="nobody", namespace="/"))


def test_in_a_view(app, socketio, connect):
    client = connect()

    @app.get("/announce")
    def announce():
        emit("to", to=client.sid(), namespace="/")
        emit("all", broadcast=True, namespace="/")
        socketio.emit("method")
        join_room("a", sid=client.sid(), namespace="/")
        return rooms(sid=client.sid(), namespace="/")

    assert app.test_client().get("/announce").json == [client.sid(), "a"]
    assert names(client) == ["to", "all", "method"]


@pytest.mark.parametrize(
    "use",
    [
        lambda: emit("e"),
        lambda: send("e"),
        lambda: emit("e", to="a"),
        lambda: emit("e", namespace="/"),
        lambda: call("e"),
        lambda: join_room("a"),
        lambda: leave_room("a"),
        lambda: close_room("a"),
        lambda: rooms(),
        lambda: disconnect(),
    ],
)
def test_outside_of_a_handler(app, socketio, use):
    with pytest.raises(ContextError, match="application context|outside of"):
        use()
    with app.test_request_context(), pytest.raises(ContextError, match="outside of a Socket.IO handler"):
        use()
    with app.app_context(), pytest.raises(RuntimeError):
        use()


def test_without_a_socketio(app):
    with app.test_request_context(), pytest.raises(ContextError, match=r"SocketIO\(app\)"):
        emit("e", broadcast=True, namespace="/")


def test_nobody_is_there_yet(app, socketio):
    socketio.emit("e")
    socketio.close_room("a")
    with pytest.raises(NotRunningError):
        socketio.server.enter_room("x", "a")
