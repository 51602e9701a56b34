"""Reference 1.12, the test client."""

import gc
import threading

import flask
import pytest
from flask import request, session

from greenwire.errors import ConfigurationError, ConnectionRefusedError, EncodeError
from greenwire.flask import SocketIO, SocketIOTestClient, disconnect, emit, join_room
from support.site import Site


def test_it_connects_when_it_is_made(socketio, connect):
    seen = []
    socketio.on("connect")(lambda auth: seen.append(auth))
    client = connect(auth={"token": 1})
    assert client.is_connected()
    assert client.connected == {"/": True}
    assert seen == [{"token": 1}]


def test_attributes(app, socketio, connect):
    client = connect()
    assert (client.app, client.socketio, client.flask_test_client) == (app, socketio, None)
    assert len(client.eio_sid) == 32
    assert SocketIOTestClient.clients[client.eio_sid] is client
    assert client.queue == []
    assert client.acks == {}


def test_it_is_the_class_of_all_names():
    from greenwire.flask.test_client import SocketIOTestClient as again
    from greenwire.flask.testing import SocketIOTestClient as origin

    assert SocketIOTestClient is again is origin


def test_it_can_be_made_directly(app, socketio):
    client = SocketIOTestClient(app, socketio, namespace="/")
    assert client.is_connected()
    client.close()


def test_more_namespaces_with_connect(socketio, connect):
    socketio.on("hi", namespace="/a")(lambda: "a")
    client = connect()
    assert not client.is_connected("/a")
    client.connect("/a")
    assert client.is_connected("/a")
    assert client.emit("hi", namespace="/a", callback=True) == "a"
    with pytest.raises(RuntimeError, match="already connected"):
        client.connect("/a")


@pytest.mark.parametrize("query", ["?a=1&b=2", "a=1&b=2", {"a": "1", "b": "2"}])
def test_query_string_and_headers(socketio, connect, query):
    @socketio.on("connect")
    def connected():
        emit("seen", {**request.args, "header": request.headers["X-Test"], "path": request.path})

    client = connect(query_string=query, headers={"X-Test": "yes"})
    assert client.get_received()[0]["args"] == [{"a": "1", "b": "2", "header": "yes", "path": "/socket.io/"}]


def test_connect_again_with_another_query_string(socketio, connect):
    socketio.on("where")(lambda: request.args.get("n"))
    client = connect(query_string="n=1")
    assert client.emit("where", callback=True) == "1"
    client.disconnect()
    client.connect(query_string="n=2")
    assert client.emit("where", callback=True) == "2"


def test_disconnect(socketio, connect):
    reasons = []
    socketio.on("disconnect")(reasons.append)
    client = connect()
    client.disconnect()
    assert reasons == ["client disconnect"]
    assert client.connected == {}
    with pytest.raises(RuntimeError, match="not connected"):
        client.disconnect()
    client.connect()
    assert client.is_connected()


def test_close_is_a_browser_that_goes_away(socketio, connect):
    reasons = []
    for namespace in ("/", "/a"):
        socketio.on("disconnect", namespace=namespace)(lambda reason: reasons.append((request.namespace, reason)))
    client = connect()
    client.connect("/a")
    client.close()
    assert reasons == [("/", "transport close"), ("/a", "transport close")]
    assert not client.is_connected()
    client.close()


def test_the_server_disconnects_it(socketio, connect):
    socketio.on("leave")(lambda: disconnect())
    client = connect()
    client.emit("leave")
    assert not client.is_connected()
    assert client.connected == {"/": False}
    with pytest.raises(RuntimeError, match="not connected"):
        client.get_received()


def test_emit_with_several_arguments(socketio, connect):
    socketio.on("add")(lambda *numbers: sum(numbers))
    assert connect().emit("add", 1, 2, 3, callback=True) == 6


@pytest.mark.parametrize(
    ("result", "answer"),
    [(None, []), ((), []), (7, 7), (False, False), ([1, 2], [1, 2]), ((1, 2), [1, 2]), (b"x", b"x"), ([b"y"], [b"y"])],
)
def test_what_emit_returns(socketio, connect, result, answer):
    socketio.on("ask")(lambda: result)
    client = connect()
    assert client.emit("ask", callback=True) == answer
    assert client.emit("ask") is None


def test_no_acknowledgement_is_none(connect, socketio):
    assert connect().emit("unknown", callback=True) is None


def test_other_keywords_are_ignored(socketio, connect):
    socketio.on("ask")(lambda: 1)
    assert connect().emit("ask", callback=True, broadcast=True) == 1


def test_send(socketio, connect):
    socketio.on("message")(lambda data: f"text {data}")
    socketio.on("json")(lambda data: {"json": data})
    client = connect()
    assert client.send("hello", callback=True) == "text hello"
    assert client.send({"a": 1}, json=True, callback=True) == {"json": {"a": 1}}


def test_get_received_drains(socketio, connect):
    client = connect()
    socketio.emit("n", (1, (2, 3)))
    socketio.send("text")
    socketio.send({"a": 1}, json=True)
    assert client.get_received() == [
        {"name": "n", "args": [1, [2, 3]], "namespace": "/"},
        {"name": "message", "args": "text", "namespace": "/"},
        {"name": "json", "args": {"a": 1}, "namespace": "/"},
    ]
    assert client.get_received() == []


def test_get_received_of_a_namespace(socketio, connect):
    socketio.on("x", namespace="/a")(lambda: None)
    client = connect()
    client.connect("/a")
    socketio.emit("one")
    socketio.emit("two", namespace="/a")
    assert [event["name"] for event in client.get_received("/a")] == ["two"]
    assert [event["name"] for event in client.get_received()] == ["one"]
    with pytest.raises(RuntimeError, match="not connected"):
        client.get_received("/b")


def test_what_is_sent_is_encoded(socketio, connect):
    @socketio.on("go")
    def go(data):
        emit("back", {"tuple": (1, 2), "binary": [b"\0\xff", data]})

    client = connect()
    client.emit("go", b"payload")
    assert client.get_received()[0]["args"] == [{"tuple": [1, 2], "binary": [b"\0\xff", b"payload"]}]
    with pytest.raises(EncodeError, match="object"):
        client.emit("go", object())


def test_exceptions_of_handlers_propagate(socketio, connect):
    @socketio.on("fail")
    def fail():
        raise KeyError("mine")

    @socketio.on("disconnect")
    def gone():
        raise ValueError("gone")

    client = connect()
    with pytest.raises(KeyError, match="mine"):
        client.emit("fail", callback=True)
    assert client.is_connected()
    with pytest.raises(ValueError, match="gone"):
        client.disconnect()


def test_what_is_sent_before_an_exception_has_come(socketio, connect):
    @socketio.on("fail")
    def fail():
        emit("before")
        raise KeyError

    client = connect()
    with pytest.raises(KeyError):
        client.emit("fail")
    assert [event["name"] for event in client.get_received()] == ["before"]


def test_exceptions_of_the_connect_handler_propagate(app, socketio):
    @socketio.on("connect")
    def fail():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        socketio.test_client(app)


@pytest.mark.parametrize(
    ("refusal", "payload"),
    [
        (False, {"message": "Connection rejected by server"}),
        (ConnectionRefusedError("no"), {"message": "no"}),
        (ConnectionRefusedError("no", {"code": 7}), {"message": "no", "data": {"code": 7}}),
        (ConnectionRefusedError("no", 1, 2), {"message": "no", "data": [1, 2]}),
    ],
)
def test_a_refusal_can_be_read(socketio, connect, refusal, payload):
    @socketio.on("connect")
    def refuse():
        if isinstance(refusal, Exception):
            raise refusal
        return refusal

    client = connect()
    assert not client.is_connected()
    assert client.connect_error() == payload


def test_a_namespace_that_is_not_open_refuses(socketio, connect):
    client = connect("/nowhere")
    assert client.connect_error("/nowhere") == {"message": "Invalid namespace"}
    assert client.connect_error() is None


def test_several_clients(socketio, connect):
    @socketio.on("say")
    def say(text):
        emit("said", text, broadcast=True, include_self=False)

    one, two, three = connect(), connect(), connect()
    one.emit("say", "hello")
    assert one.get_received() == []
    for other in (two, three):
        assert [event["args"] for event in other.get_received()] == [["hello"]]


def test_callbacks_of_the_server(socketio, connect):
    answers = []

    @socketio.on("ask")
    def ask():
        emit("question", 6, callback=lambda *args: answers.append((request.sid, args)))

    client = connect()
    client.on("question", lambda n: (n, n * 7))
    client.emit("ask")
    assert answers == [(client.sid(), (6, 42))]
    assert client.get_received() == []


def test_exceptions_of_callbacks_propagate(socketio, connect):
    client = connect()
    client.on("question", lambda: 1)

    def fail(value):
        raise KeyError(value)

    with pytest.raises(KeyError):
        socketio.emit("question", callback=fail)


def test_call(socketio, connect):
    client = connect()

    @client.on("double")
    def double(n):
        return 2 * n

    assert socketio.call("double", 21, to=client.sid()) == 42


def test_a_cookie_of_the_flask_client(app, socketio, connect):
    @app.get("/login")
    def login():
        session["user"] = "ada"
        return "ok"

    socketio.on("who")(lambda: session.get("user"))
    browser = app.test_client()
    browser.get("/login")
    assert connect(flask_test_client=browser).emit("who", callback=True) == "ada"
    assert connect().emit("who", callback=True) == []


def test_environ_of_the_flask_client(app, socketio, connect):
    browser = app.test_client()
    browser.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    socketio.on("where")(lambda: request.remote_addr)
    assert connect(flask_test_client=browser).emit("where", callback=True) == "192.0.2.7"
    assert connect().emit("where", callback=True) == "127.0.0.1"


def test_handlers_run_in_the_thread_of_the_test_and_in_order(socketio, connect):
    threads, order = [], []

    @socketio.on("outer")
    def outer():
        threads.append(threading.get_ident())
        socketio.emit("nested", callback=lambda: order.append("callback"))
        order.append("outer")

    client = connect()
    client.on("nested", lambda: None)
    client.emit("outer")
    assert threads == [threading.get_ident()]
    assert order == ["outer", "callback"]


def test_coroutines_run_to_their_end(socketio, connect):
    import asyncio

    @socketio.on("slow")
    async def slow(n):
        await asyncio.sleep(0)
        emit("progress", n)
        return n + 1

    client = connect()
    assert client.emit("slow", 1, callback=True) == 2
    assert client.get_received()[0]["name"] == "progress"


def test_in_a_test_that_is_a_coroutine(socketio, connect):
    import asyncio

    @socketio.on("e")
    async def e(n):
        await asyncio.sleep(0)
        socketio.emit("question", callback=lambda value: emit("answered", value, to=client.sid(), namespace="/"))
        return n + 1

    @socketio.on("fail")
    async def fail():
        raise KeyError("mine")

    client = connect()
    client.on("question", lambda: 42)

    async def test():
        assert client.emit("e", 1, callback=True) == 2
        with pytest.raises(KeyError, match="mine"):
            client.emit("fail")

    asyncio.run(test())
    assert client.get_received()[0] == {"name": "answered", "args": [42], "namespace": "/"}


def test_the_fixture_finds_the_application(socketio, socketio_client):
    assert socketio_client().is_connected()


def test_a_thread_may_emit(socketio, connect):
    client = connect()
    task = socketio.start_background_task(socketio.emit, "tick", 1)
    task.join(10)
    assert [event["args"] for event in client.get_received()] == [[1]]


def test_a_handler_may_wait_for_a_thread_that_emits(socketio, connect):
    @socketio.on("go")
    def go():
        task = socketio.start_background_task(socketio.emit, "from the thread")
        task.join(10)
        return not task.is_alive()

    client = connect()
    assert client.emit("go", callback=True)
    assert client.get_received()[0]["name"] == "from the thread"


def test_nothing_leaks_between_tests(app, socketio):
    gone = []
    socketio.on("disconnect")(lambda: gone.append(1))
    client = socketio.test_client(app)
    join = client.sid()
    socketio.server.enter_room(join, "room")
    assert list(socketio.server.manager.get_participants("/", "room"))
    del client
    gc.collect()
    assert not socketio._core.running
    other = socketio.test_client(app)
    assert list(socketio.server.manager.get_participants("/", "room")) == []
    assert [sid for sid, _ in socketio.server.manager.get_participants("/", None)] == [other.sid()]
    assert gone == []
    other.close()
    assert gone == [1]
    assert socketio._memory is None


def test_it_works_before_init_app(app):
    socketio = SocketIO()
    client = socketio.test_client(app)
    assert app.extensions["socketio"] is socketio
    assert client.is_connected()
    client.close()


def test_inside_an_application_context(app, socketio, connect):
    socketio.on("who")(lambda: flask.g.get("mine"))
    with app.test_request_context("/elsewhere"):
        flask.g.mine = "the test's"
        client = connect()
        assert client.emit("who", callback=True) == []
        assert request.path == "/elsewhere"


@pytest.mark.parametrize("async_handlers", [True, False])
def test_async_handlers_as_configured(app, connect, async_handlers):
    socketio = SocketIO(app, async_handlers=async_handlers)
    seen = []

    @socketio.on("n")
    def n(number):
        seen.append(number)
        if number < 3:
            connect_again.emit("n", number + 1)

    connect_again = connect()
    connect_again.emit("n", 1)
    assert seen == [1, 2, 3]


def test_a_client_that_breaks_the_protocol_is_told(socketio, connect):
    from greenwire.errors import RemoteProtocolError

    client = connect()
    with pytest.raises(RemoteProtocolError):
        client.emit("disconnect")


def test_not_beside_a_running_server(app, socketio):
    with Site(socketio), pytest.raises(ConfigurationError, match="real client"):
        socketio.test_client(app)


def test_rooms_across_clients(socketio, connect):
    socketio.on("join")(join_room)
    one, two = connect(), connect()
    one.emit("join", "a")
    socketio.emit("only", to="a")
    assert len(one.get_received()) == 1
    assert two.get_received() == []
