"""What goes beyond Flask-SocketIO: hooks, volatile, except_, timeouts, tasks that end, order, serializers."""

import json
import threading

import flask
import pytest
from flask import request, session

from greenwire.errors import ConfigurationError, ConnectionRefusedError, EncodeError
from greenwire.flask import SocketIO, emit, join_room, send
from support.engine import Client
from support.site import Site
from support.waiting import Log, wait_until


def names(client):
    return [event["name"] for event in client.get_received()]


# --- hooks


def test_on_any_sees_every_event(socketio, connect):
    seen = []

    @socketio.on_any
    def look(event, *args):
        seen.append((event, args, request.sid))

    @socketio.on("known")
    def known(value):
        return value

    client = connect()
    assert client.emit("known", 1, callback=True) == 1
    assert client.emit("unknown", 2, callback=True) is None
    assert seen == [("known", (1,), client.sid()), ("unknown", (2,), client.sid())]


def test_before_event_may_answer(socketio, connect):
    order = []

    @socketio.before_event
    def first(event, *args):
        order.append("first")

    @socketio.before_event
    def login_required(event, *args):
        return {"error": "log in"} if "user" not in session and event != "login" else None

    socketio.on("login")(lambda user: session.update(user=user))
    socketio.on("secret")(lambda: order.append("handler") or "secret")
    client = connect()
    assert client.emit("secret", callback=True) == {"error": "log in"}
    client.emit("login", "ada")
    assert client.emit("secret", callback=True) == "secret"
    assert order == ["first", "first", "first", "handler"]


def test_a_hook_that_fails_is_a_handler_that_fails(socketio, connect):
    @socketio.before_event
    def fail(event, *args):
        raise KeyError(event)

    socketio.on("e")(lambda: 1)
    client = connect()
    with pytest.raises(KeyError):
        client.emit("e")
    socketio.on_error()(lambda error: "handled")
    assert client.emit("e", callback=True) == "handled"


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_async_hooks(socketio, connect, kind):
    seen = []

    @socketio.on_any
    async def look(event, *args):
        seen.append(event)

    @socketio.before_event
    async def before(event, *args):
        return "stop" if args else None

    if kind == "async":

        @socketio.on("e")
        async def e(*args):
            return "handler"
    else:
        socketio.on("e")(lambda *args: "handler")
    client = connect()
    assert client.emit("e", callback=True) == "handler"
    assert client.emit("e", 1, callback=True) == "stop"
    assert seen == ["e", "e"]


@pytest.mark.parametrize("with_handler", [False, True])
def test_before_connect(socketio, connect, with_handler):
    seen = []

    @socketio.before_connect
    def check(auth):
        if not auth:
            raise ConnectionRefusedError("who are you?")
        return auth != {"bad": 1}

    @socketio.before_connect
    def note():
        seen.append(request.namespace)

    if with_handler:
        socketio.on("connect")(lambda: seen.append("handler"))
    assert connect().connect_error() == {"message": "who are you?"}
    assert connect(auth={"bad": 1}).connect_error() == {"message": "Connection rejected by server"}
    assert seen == []
    assert connect(auth={"good": 1}).is_connected()
    assert seen == (["/", "handler"] if with_handler else ["/"])


def test_hooks_are_judged_when_they_are_registered(socketio):
    with pytest.raises(ConfigurationError, match="before_connect.*takes"):
        socketio.before_connect(lambda one, two: None)
    for register in (socketio.on_any, socketio.before_event, socketio.before_connect):
        with pytest.raises(ConfigurationError, match="callable"):
            register("no function")


def test_a_hook_registered_while_clients_are_there(socketio, connect):
    socketio.on("e")(lambda: 1)
    client = connect()
    assert client.emit("e", callback=True) == 1
    socketio.before_event(lambda event: 2)
    assert client.emit("e", callback=True) == 2


# --- whom an emit reaches


def test_except_rooms(socketio, connect):
    socketio.on("join")(lambda *rooms: [join_room(room) for room in rooms] and None)
    a, b, both = connect(), connect(), connect()
    a.emit("join", "a")
    b.emit("join", "b")
    both.emit("join", "a", "b")
    socketio.emit("not a", except_="a")
    socketio.emit("a not b", to="a", except_=["b"])
    socketio.emit("nobody", except_=["a", "b"])
    socketio.emit("all", except_="unknown")
    assert [names(client) for client in (a, b, both)] == [["a not b", "all"], ["not a", "all"], ["all"]]


def test_except_in_a_handler(socketio, connect):
    @socketio.on("go")
    def go(others):
        emit("e", broadcast=True, except_=others)
        emit("mine", except_="elsewhere")

    one, two, three = connect(), connect(), connect()
    one.emit("go", [two.sid()])
    assert [names(client) for client in (one, two, three)] == [["e", "mine"], [], ["e"]]


def test_volatile_events_reach_who_can_take_them(socketio, connect):
    fast, slow = connect(), connect()
    slow._peer.writable = False
    socketio.emit("volatile", volatile=True)
    socketio.emit("normal")
    assert (names(fast), names(slow)) == (["volatile", "normal"], ["normal"])


def test_volatile_on_a_slow_connection(socketio):
    """A client that reads nothing: volatile events do not pile up, and it is not cut off."""
    blob = b"x" * 100_000
    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        for _ in range(200):  # 20 MB, beyond what a client may have waiting
            socketio.emit("blob", blob, volatile=True)
        member = site.service.loop.ask(lambda: next(iter(socketio._core._dispatcher.spaces["/"].members.values())))
        assert member.client.peer.socket.buffered_bytes < 8_000_000
        assert site.members == 1


def test_timeout_of_a_callback(socketio, connect):
    answers, late = [], []
    quick, slow = connect(), connect()
    quick.on("q", lambda: 1)
    socketio.emit("q", callback=answers.append, timeout=5, on_timeout=late.append)
    quick.advance(4.9)
    assert (answers, late) == ([1], [])
    quick.advance(0.2)
    assert (answers, late) == ([1], [slow.sid()])


def test_an_answer_after_the_timeout_does_not_count(socketio):
    answers, late = Log(), Log()
    with Site(socketio) as site, Client(site.port) as client:
        sid = client.join()
        socketio.emit("q", callback=answers.append, timeout=0.01, on_timeout=late.append)
        packet = client.receive()
        assert packet.endswith('["q"]')
        late.wait_for_item(sid)
        client.send_text("43" + packet[2 : packet.index("[")] + '["late"]')
        socketio.on("echo")(lambda: None)
        assert client.call("echo", ack=77) == []
    assert answers == []


def test_timeout_in_a_handler_runs_in_its_context(socketio, connect):
    late = []

    @socketio.on("ask")
    def ask():
        emit("q", callback=lambda: None, timeout=1, on_timeout=lambda sid: late.append((sid, request.sid)))

    client = connect()
    client.emit("ask")
    client.advance(2)
    assert late == [(client.sid(), client.sid())]


@pytest.mark.parametrize(
    "options",
    [{"timeout": 1}, {"on_timeout": print}, {"callback": print, "on_timeout": print}, {"callback": print, "timeout": 0},
     {"callback": print, "timeout": "1"}],
)  # fmt: skip
def test_timeouts_that_make_no_sense(socketio, connect, options):
    with pytest.raises(ConfigurationError, match="timeout"):
        socketio.emit("q", **options)
    with pytest.raises(ConfigurationError, match="timeout"):
        socketio.send("q", **options)
    refused = []

    @socketio.on("ask")
    def ask():
        for way in ({}, {"broadcast": True}, {"to": "room"}, {"namespace": "/other"}):
            for say in (emit, send):
                try:
                    say("q", **way, **options)
                except ConfigurationError as error:
                    refused.append(str(error))

    client = connect()
    client.emit("ask")
    assert len(refused) == 8, refused


# --- background tasks


def test_a_task_ends_with_the_server(socketio):
    ended, started = [], threading.Event()

    def work(name):
        try:
            started.set()
            while True:
                socketio.sleep(60)
        finally:
            ended.append(name)

    with Site(socketio):
        task = socketio.start_background_task(work, "mine")
        assert started.wait(10)
        assert not socketio.stopping.is_set()
        assert task.is_alive()
    task.join(10)
    assert ended == ["mine"]
    assert socketio.stopping.is_set()


def test_a_task_that_is_started_between_two_servers(socketio):
    with Site(socketio):
        pass
    steps = Log()

    def work():
        while True:
            socketio.sleep(0.001)
            steps.append(1)

    task = socketio.start_background_task(work)
    steps.wait_for(3)
    with Site(socketio):
        steps.wait_for(len(steps) + 3)
    task.join(10)
    assert not task.is_alive()


def test_a_task_may_look_whether_the_server_stops(socketio):
    ended = []
    with Site(socketio):
        task = socketio.start_background_task(lambda: ended.append(socketio.stopping.wait(60)))
    task.join(10)
    assert ended == [True]


def test_stop_from_a_handler_and_from_a_thread(socketio):
    socketio.on("stop")(lambda: socketio.stop())
    for kind in ("handler", "thread"):
        with Site(socketio) as site:
            with Client(site.port) as client:
                client.join()
                if kind == "handler":
                    client.emit("stop")
                else:
                    socketio.stop()
                wait_until(socketio.stopping.is_set, "it begins to stop")
            wait_until(lambda: socketio._service is None, "it has stopped")
    socketio.stop()


def test_what_is_no_function_is_no_task(socketio):
    with pytest.raises(ConfigurationError, match="start_background_task"):
        socketio.start_background_task(None)


# --- order


def test_without_async_handlers_one_thing_at_a_time(app):
    socketio = SocketIO(app, async_handlers=False)
    notes, gate = Log(), threading.Event()

    @socketio.on("connect")
    def connected():
        notes.append("connect")

    @socketio.on("first")
    def first():
        notes.append("first begins")
        assert gate.wait(10)
        notes.append("first ends")

    @socketio.on("second")
    async def second():
        notes.append("second")

    @socketio.on("other")
    def other():
        notes.append("other")
        return "other"

    @socketio.on("disconnect")
    def gone():
        notes.append("disconnect")

    with Site(socketio) as site, Client(site.port) as client, Client(site.port) as another:
        client.join()
        another.join()
        client.emit("first")
        notes.wait_for_item("first begins")
        client.emit("second")
        client.emit("other")
        client.send_text("41")
        assert another.call("other") == ["other"]  # clients do not wait for each other
        gate.set()
        notes.wait_for_item("disconnect")
    assert list(notes)[:8] == [
        "connect", "connect", "first begins", "other", "first ends", "second", "other", "disconnect",
    ]  # fmt: skip


def test_with_async_handlers_events_of_a_client_run_side_by_side(socketio):
    gate, begun = threading.Event(), threading.Event()

    @socketio.on("wait")
    def wait():
        begun.set()
        assert gate.wait(10)

    socketio.on("open")(gate.set)
    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        client.emit("wait")
        assert begun.wait(10)
        client.emit("open")
        assert gate.wait(10)


def test_a_lane_goes_on_after_a_failure(app, connect):
    socketio = SocketIO(app, async_handlers=False)

    @socketio.on("fail")
    def fail():
        raise KeyError

    @socketio.on("fail later")
    async def fail_later():
        raise KeyError

    socketio.on("e")(lambda: 1)
    client = connect()
    client.on("q", lambda: 2)
    for event in ("fail", "fail later"):
        with pytest.raises(KeyError):
            client.emit(event)
    answers = []
    socketio.emit("q", callback=answers.append)
    assert client.emit("e", callback=True) == 1
    assert answers == [2]
    assert socketio._core._dispatcher._lanes == {}


# --- json= and serializer=


class Shouting:
    """A JSON module of the user's."""

    @staticmethod
    def dumps(value, **options):
        assert options == {"separators": (",", ":")}
        return json.dumps(value, default=lambda item: "custom", **options)

    @staticmethod
    def loads(text):
        return json.loads(text)


class Bare:
    """One that takes no options, and gives bytes."""

    @staticmethod
    def dumps(value):
        return json.dumps(value).encode()

    loads = staticmethod(json.loads)


@pytest.mark.parametrize("module", [Shouting, Bare, json])
def test_a_json_module(app, connect, module):
    socketio = SocketIO(app, json=module)
    socketio.on("echo")(lambda *args: (*args, (1, 2)))
    client = connect()
    data = {"a": [b"1", {"b": b"2"}], "text": "é"}
    assert client.emit("echo", data, b"3", callback=True) == [data, b"3", [1, 2]]


def test_the_json_module_has_the_say(app, connect):
    socketio = SocketIO(app, json=Shouting)
    client = connect()
    socketio.emit("e", {"x": object(), "y": b"1"})
    assert client.get_received()[0]["args"] == [{"x": "custom", "y": b"1"}]
    SocketIO(app, json=Bare)
    with pytest.raises(EncodeError):
        SocketIO(app, json=Bare).emit("e", object())


def test_flask_json(app, connect):
    class Provider(flask.json.provider.DefaultJSONProvider):
        @staticmethod
        def default(value):
            return f"provided {type(value).__name__}"

    app.json = Provider(app)
    socketio = SocketIO(app, json=flask.json)
    socketio.on("e")(lambda: object())
    client = connect()
    assert client.emit("e", callback=True) == "provided object"
    socketio.emit("f", object())  # without an application context around it
    assert client.get_received()[0]["args"] == ["provided object"]


@pytest.fixture
def msgpack():
    return pytest.importorskip("msgpack")


def test_msgpack(app, connect, msgpack):
    socketio = SocketIO(app, serializer="msgpack")
    socketio.on("connect")(lambda auth: emit("hello", auth))
    socketio.on("echo")(lambda *args: args)
    client = connect(auth={"token": b"1"})
    assert client.get_received()[0]["args"] == [{"token": b"1"}]
    data = {"n": 1.5, "b": b"\0", "l": [None, True, "é"], "d": {"x": 2**40}}
    assert client.emit("echo", data, 2, callback=True) == [data, 2]
    client.on("q", lambda n: n + 1)
    assert socketio.call("q", 1, to=client.sid()) == 2
    assert connect("/nowhere").connect_error("/nowhere") == {"message": "Invalid namespace"}
    client.disconnect()


def test_what_msgpack_packets_are(msgpack):
    from greenwire.socketio.msgpack import MsgpackWire

    wire = MsgpackWire()

    def unpacked(packet):
        from base64 import b64decode

        return msgpack.unpackb(b64decode(packet.payload[1:]))

    assert unpacked(wire.event("/", ["e", b"\0"])) == {"type": 2, "nsp": "/", "data": ["e", b"\0"]}
    assert unpacked(wire.event("/n", ["e"], 7)) == {"type": 2, "nsp": "/n", "data": ["e"], "id": 7}
    assert unpacked(wire.ack("/", [], 0)) == {"type": 3, "nsp": "/", "data": [], "id": 0}
    assert unpacked(wire.connect("/", "S")) == {"type": 0, "nsp": "/", "data": {"sid": "S"}}
    assert unpacked(wire.disconnect("/")) == {"type": 1, "nsp": "/"}
    with pytest.raises(EncodeError):
        wire.event("/", ["e", object()])


def test_msgpack_of_the_javascript_parser(app, msgpack):
    """notepack: undefined and Date as extensions, keys in any order, options beside them."""
    socketio = SocketIO(app, serializer="msgpack")
    seen = Log()
    socketio.on("e")(lambda *args: seen.append(args))
    connect = msgpack.packb({"type": 0, "data": msgpack.ExtType(0, b"\0"), "nsp": "/", "options": {"compress": True}})
    date = msgpack.ExtType(0, (1_700_000_000_000).to_bytes(8, "big"))
    event = msgpack.packb({"nsp": "/", "type": 2, "data": ["e", date, msgpack.ExtType(0, b"\0"), b"x"]})
    with Site(socketio) as site, Client(site.port) as client:
        client.handshake()
        client.send_frame(2, connect)
        client.send_frame(2, event)
        ((date, undefined, data),) = seen.wait_for(1)
    assert date.timestamp() == 1_700_000_000
    assert (undefined, data) == (None, b"x")


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_msgpack_of_the_python_client(app, msgpack, transport):
    from support.heard import HeardClient

    socketio = SocketIO(app, serializer="msgpack")
    socketio.on("echo", namespace="/n")(lambda *args: args)

    @socketio.on("ask", namespace="/n")
    def ask():
        emit("q", b"1", callback=lambda value: socketio.emit("answered", value, namespace="/n"))

    received = Log()
    client = HeardClient(serializer="msgpack", reconnection=False)
    client.on("answered", received.append, namespace="/n")
    client.on("q", lambda data: data + b"2", namespace="/n")
    with Site(socketio) as site:
        client.connect(site.url, namespaces=["/n"], transports=[transport], wait_timeout=10)
        assert client.call("echo", ({"b": b"\0"}, 1), namespace="/n") == ({"b": b"\0"}, 1)
        client.emit("ask", namespace="/n")
        assert received.wait_for(1) == [b"12"]
        client.disconnect()
        client.wait()


@pytest.mark.parametrize(
    "packet",
    [{}, [], 7, {"type": 5, "nsp": "/"}, {"type": 2}, {"type": 2, "nsp": "x"}, {"type": 2, "nsp": "/", "data": {}},
     {"type": 3, "nsp": "/", "data": []}, {"type": 2, "nsp": "/", "data": ["e"], "id": "1"}, {"type": 4, "nsp": "/"}],
)  # fmt: skip
def test_msgpack_that_makes_no_sense(app, msgpack, connect, packet):
    from greenwire.errors import RemoteProtocolError

    SocketIO(app, serializer="msgpack")
    client = connect()
    with pytest.raises(RemoteProtocolError):
        client._site.client(client._peer).receive(msgpack.packb(packet))
