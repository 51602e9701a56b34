"""Reference 1.5, connect and disconnect, and `always_connect`."""

import pytest
from flask import request, session

from greenwire.errors import ConnectionRefusedError
from greenwire.flask import SocketIO, disconnect, emit, join_room, rooms


@pytest.mark.parametrize("result", [None, 0, "", [], True, "a redirect"])
def test_anything_but_false_accepts(socketio, connect, result):
    socketio.on("connect")(lambda: result)
    assert connect().is_connected()


def test_false_refuses_and_leaves_nothing(socketio, connect):
    socketio.on("connect")(lambda: join_room("a") or False)
    gone = []
    socketio.on("disconnect")(lambda: gone.append(1))
    client = connect()
    assert not client.is_connected()
    assert socketio.server.manager.get_namespaces() == []
    client.close()
    assert gone == []


def test_a_failing_connect_handler_leaves_nothing(app, socketio, connect):
    @socketio.on("connect")
    def fail():
        join_room("a")
        raise KeyError

    with pytest.raises(KeyError):
        connect()
    assert socketio.server.manager.rooms == {}


def test_pythons_own_connection_refused_error(socketio, connect):
    import builtins

    @socketio.on("connect")
    def refuse():
        raise builtins.ConnectionRefusedError

    assert connect().connect_error() == {"message": "Connection refused by server"}


def test_the_connection_lives_on_after_a_refusal(socketio, connect):
    socketio.on("connect")(lambda auth: bool(auth))
    client = connect()
    assert not client.is_connected()
    client.connect(auth={"token": 1})
    assert client.is_connected()
    assert client.connect_error() is None


def test_what_connect_does_counts(socketio, connect):
    @socketio.on("connect")
    def connected():
        join_room("lounge")
        assert rooms() == [request.sid, "lounge"]
        emit("mine")
        emit("all", broadcast=True)
        emit("room", to="lounge")

    client = connect()
    assert [event["name"] for event in client.get_received()] == ["mine", "all", "room"]


def test_the_disconnect_handler_sees_rooms_and_session(socketio, connect):
    seen = []

    @socketio.on("enter")
    def enter():
        join_room("lounge")
        session["name"] = "ada"

    @socketio.on("disconnect")
    def gone(reason):
        emit("left", session["name"], to="lounge", include_self=False)
        seen.append((reason, rooms() == [request.sid, "lounge"]))
        seen.append(socketio.server.manager.is_connected(request.sid, "/"))

    leaves, stays = connect(), connect()
    leaves.emit("enter")
    stays.emit("enter")
    leaves.disconnect()
    assert seen == [("client disconnect", True), False]
    assert stays.get_received()[0]["args"] == ["ada"]


def test_after_disconnect_nothing_is_sent(socketio, connect):
    @socketio.on("leave")
    def leave():
        disconnect()
        emit("after")
        socketio.emit("after", to=request.sid)

    client = connect()
    client.emit("leave")
    assert client.queue == []


def test_every_namespace_has_a_sid_and_a_disconnect_of_its_own(socketio, connect):
    gone = []
    for namespace in ("/", "/a"):
        socketio.on("disconnect", namespace=namespace)(lambda: gone.append(request.namespace))
    client = connect()
    client.connect("/a")
    assert client.sid() != client.sid("/a")
    client.disconnect("/a")
    assert gone == ["/a"]
    assert client.is_connected()


# --- always_connect


def test_always_connect_accepts_first(app, connect):
    socketio = SocketIO(app, always_connect=True)
    order = []

    @socketio.on("connect")
    def connected():
        order.append(client_connected())
        emit("hello")

    clients = []

    def client_connected():
        peer = next(iter(socketio._memory.peers.values()))
        return peer._deliver.__self__.connected

    clients.append(connect())
    assert order == [{"/": True}]
    assert clients[0].get_received()[0]["name"] == "hello"
    socketio.on("e")(lambda: 1)
    assert clients[0].emit("e", callback=True) == 1


@pytest.mark.parametrize("refusal", [False, ConnectionRefusedError("no")])
def test_always_connect_puts_out_who_is_refused(app, connect, refusal):
    socketio = SocketIO(app, always_connect=True)
    gone = []
    socketio.on("disconnect")(lambda: gone.append(1))

    @socketio.on("connect")
    def refuse():
        if refusal:
            raise refusal
        return False

    client = connect()
    assert client.connected == {"/": False}
    assert client.connect_error() is None
    assert gone == []
    assert socketio.server.manager.rooms == {}


def test_always_connect_and_leaving_within_the_handler(app, connect):
    socketio = SocketIO(app, always_connect=True)
    socketio.on("connect")(lambda: disconnect())
    assert connect().connected == {"/": False}


def test_always_connect_without_a_handler(app, connect):
    socketio = SocketIO(app, always_connect=True)
    socketio.on("e")(lambda: 1)
    client = connect()
    assert client.emit("e", callback=True) == 1
    client.disconnect()
    assert socketio.server.manager.rooms == {}
