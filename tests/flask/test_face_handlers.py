"""Reference 1.3, registration and dispatch; 1.4, what surrounds a handler; 1.7, acknowledgements."""

import functools
import threading

import flask
import pytest
from flask import current_app, g, request, session

from greenwire.errors import ConfigurationError, ConnectionRefusedError
from greenwire.flask import Namespace, SocketIO, emit

# --- 1.3 registration


def test_decorators_return_the_function(socketio):
    def handler(*args): ...

    assert socketio.on("a")(handler) is handler
    assert socketio.event(handler) is handler
    assert socketio.event(namespace="/n")(handler) is handler
    assert socketio.on_error()(handler) is handler
    assert socketio.on_error_default(handler) is handler
    assert socketio.on_event("b", handler) is None


def test_stacked_decorators(socketio, connect):
    @socketio.on("a")
    @socketio.on("b")
    @socketio.event
    def c():
        return request.event["message"]

    client = connect()
    assert [client.emit(name, callback=True) for name in "abc"] == ["a", "b", "c"]


def test_a_later_registration_replaces_an_earlier_one(socketio, connect):
    socketio.on("a")(lambda: 1)
    client = connect()
    assert client.emit("a", callback=True) == 1
    socketio.on("a")(lambda: 2)
    assert client.emit("a", callback=True) == 2


def test_under_further_decorators(socketio, connect):
    def twice(fn):
        @functools.wraps(fn)
        def call(*args):
            return fn(*args) * 2

        return call

    @socketio.on("n")
    @twice
    def n(value):
        return value

    assert connect().emit("n", 21, callback=True) == 42


def test_event_takes_a_namespace(socketio, connect):
    @socketio.event(namespace="/x")
    def hello():
        return request.namespace

    assert connect("/x").emit("hello", namespace="/x", callback=True) == "/x"


def test_handlers_are_listed(socketio):
    def fn(): ...

    socketio.on("a", namespace="/n")(fn)
    assert socketio.handlers == [("a", fn, "/n")]
    assert socketio.server.handlers.get("/n") == {"a": fn}
    assert socketio.server.handlers.get("/") is None


def test_catch_all_events(socketio, connect):
    seen = []

    @socketio.on("*")
    def anything(event, *args):
        seen.append((event, args, request.event))
        return event

    socketio.on("known")(lambda: "known")
    client = connect()
    assert client.emit("unknown", 1, 2, callback=True) == "unknown"
    assert client.emit("known", callback=True) == "known"
    assert seen == [("unknown", (1, 2), {"message": "*", "args": ("unknown", 1, 2)})]
    client.disconnect()
    assert len(seen) == 1  # neither connect nor disconnect


def test_catch_all_namespaces(app, connect):
    socketio = SocketIO(app, namespaces="*")
    socketio.on("a", namespace="*")(lambda n: (request.namespace, n))
    connected = []
    socketio.on("connect", namespace="*")(lambda: connected.append(request.namespace))
    client = connect("/one")
    assert client.emit("a", 1, namespace="/one", callback=True) == ["/one", 1]
    client.connect("/two")
    assert client.emit("a", 2, namespace="/two", callback=True) == ["/two", 2]
    assert connected == ["/one", "/two"]


def test_a_catch_all_namespace_does_not_open_namespaces(socketio, connect):
    socketio.on("a", namespace="*")(lambda: 1)
    assert not connect("/one").is_connected("/one")


def test_catch_all_events_of_all_namespaces(app, connect):
    socketio = SocketIO(app, namespaces="*")
    socketio.on("*", namespace="*")(lambda event, *args: [request.namespace, event, *args])
    assert connect("/x").emit("e", 1, namespace="/x", callback=True) == ["/x", "e", 1]


def test_the_order_of_dispatch(app, connect):
    socketio = SocketIO(app, namespaces="*")

    class Here(Namespace):
        def on_e(self):
            return "class here"

        def on_f(self):
            return "f"

    class Everywhere(Namespace):
        def on_e(self):
            return "class everywhere"

    client = connect("/n")

    def answer():
        return client.emit("e", namespace="/n", callback=True)

    assert answer() is None
    for register, expected in [
        (lambda: socketio.on_namespace(Everywhere("*")), "class everywhere"),
        (lambda: socketio.on_namespace(Here("/n")), "class here"),
        (lambda: socketio.on("*", namespace="*")(lambda event: "all of all"), "all of all"),
        (lambda: socketio.on("e", namespace="*")(lambda: "e of all"), "e of all"),
        (lambda: socketio.on("*", namespace="/n")(lambda event: "all of n"), "all of n"),
        (lambda: socketio.on("e", namespace="/n")(lambda: "e of n"), "e of n"),
    ]:
        register()
        assert answer() == expected
    assert client.emit("f", namespace="/n", callback=True) == "all of n"


def test_nothing_found_is_not_acknowledged(socketio, connect):
    socketio.on("other")(lambda: 1)
    assert connect().emit("unknown", callback=True) is None


@pytest.mark.parametrize(
    ("handler", "seen"),
    [
        (lambda auth: ("one", auth), ("one", {"a": 1})),
        (lambda: ("none",), ("none",)),
        (lambda *args: ("all", *args), ("all", {"a": 1})),
        (lambda auth=None: ("default", auth), ("default", {"a": 1})),
    ],
)
def test_connect_with_and_without_auth(socketio, connect, handler, seen):
    notes = []
    socketio.on("connect")(functools.wraps(handler)(lambda *args: notes.append(handler(*args))))
    connect(auth={"a": 1})
    assert notes == [seen]


@pytest.mark.parametrize(
    ("handler", "seen"),
    [(lambda reason: reason, "client disconnect"), (lambda: "x", "x"), (lambda *a: a[0], "client disconnect")],
)
def test_disconnect_with_and_without_reason(socketio, connect, handler, seen):
    notes = []
    socketio.on("disconnect")(functools.wraps(handler)(lambda *args: notes.append(handler(*args))))
    connect().disconnect()
    assert notes == [seen]


def test_a_type_error_of_a_handler_is_its_own(app, socketio):
    calls = []

    @socketio.on("connect")
    def connected(auth):
        calls.append(auth)
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        socketio.test_client(app)
    assert calls == [None]


def test_a_disconnect_handler_without_reason_beside_an_error_handler(socketio, connect):
    seen = []
    socketio.on_error_default(lambda error: seen.append(error))
    socketio.on("disconnect")(lambda: seen.append("gone"))
    connect().disconnect()
    assert seen == ["gone"]


@pytest.mark.parametrize("event", ["connect", "disconnect"])
def test_impossible_signatures(socketio, event):
    def greedy(one, two): ...

    with pytest.raises(ConfigurationError, match=rf"{event} handler .*greedy.*takes \(one, two\)"):
        socketio.on(event)(greedy)


def test_impossible_signatures_of_events(socketio):
    def by_name(*, data): ...

    with pytest.raises(ConfigurationError, match="by_name.*needs 'data' by name"):
        socketio.on("bid")(by_name)

    def nothing(): ...

    with pytest.raises(ConfigurationError, match=r"nothing.*takes 0 arguments.*\(event, \*args\)"):
        socketio.on("*")(nothing)

    class Bad(Namespace):
        def on_connect(self, one, two): ...

    with pytest.raises(ConfigurationError, match="on_connect"):
        socketio.on_namespace(Bad("/bad"))


@pytest.mark.parametrize("wrong", [None, "name", 7])
def test_a_handler_is_a_function(socketio, wrong):
    with pytest.raises(ConfigurationError, match="must be a function"):
        socketio.on("bid")(wrong)
    with pytest.raises(ValueError, match="must be callable"):
        socketio.on_error()(wrong)
    with pytest.raises(ValueError, match="must be callable"):
        socketio.on_error_default(wrong)


def test_an_event_has_a_name(socketio):
    with pytest.raises(ConfigurationError, match="event name is 7"):
        socketio.on(7)(lambda: 1)


# --- error handlers


def test_on_error_by_namespace_and_default(socketio, connect):
    @socketio.on("fail")
    @socketio.on("fail", namespace="/a")
    def fail():
        raise KeyError("x")

    socketio.on_error("/a")(lambda error: ("a", repr(error), request.event["message"]))
    socketio.on_error_default(lambda error: ("default", request.namespace))
    client = connect()
    client.connect("/a")
    assert client.emit("fail", callback=True) == ["default", "/"]
    assert client.emit("fail", namespace="/a", callback=True) == ["a", "KeyError('x')", "fail"]


def test_on_error_of_a_namespace_that_a_catch_all_serves(app, connect):
    socketio = SocketIO(app, namespaces="*")

    @socketio.on("fail", namespace="*")
    def fail():
        raise KeyError

    socketio.on_error("/a")(lambda error: "a")
    socketio.on_error("*")(lambda error: "all")
    client = connect("/a")
    client.connect("/b")
    assert client.emit("fail", namespace="/a", callback=True) == "a"
    assert client.emit("fail", namespace="/b", callback=True) == "all"


def test_an_error_handler_that_fails(socketio, connect):
    @socketio.on("fail")
    def fail():
        raise KeyError

    @socketio.on_error()
    def worse(error):
        raise ValueError("worse")

    client = connect()
    with pytest.raises(ValueError, match="worse"):
        client.emit("fail")
    assert client.is_connected()


def test_an_exception_in_connect_refuses_whatever_the_error_handler_returns(socketio, connect):
    seen = []

    @socketio.on("connect")
    def fail():
        raise KeyError("x")

    socketio.on_error_default(lambda error: seen.append(error))
    client = connect()
    assert not client.is_connected()
    assert client.connect_error() == {"message": "Connection rejected by server"}
    assert len(seen) == 1


def test_an_error_handler_does_not_see_refusals(socketio, connect):
    @socketio.on("connect")
    def refuse():
        raise ConnectionRefusedError("no")

    socketio.on_error_default(lambda error: pytest.fail("a refusal is no error"))
    assert connect().connect_error() == {"message": "no"}


def test_exception_handlers_can_be_looked_at(socketio):
    def fn(error): ...

    socketio.on_error("/a")(fn)
    assert socketio.exception_handlers == {"/a": fn}
    assert socketio.default_exception_handler is None
    socketio.default_exception_handler = fn
    assert socketio.default_exception_handler is fn


# --- 1.4 surroundings


def test_what_surrounds_a_handler(app, socketio, connect):
    @socketio.on("look")
    def look(*args):
        assert current_app == app
        assert request.sid == client.sid()
        assert request.namespace == "/"
        assert request.event == {"message": "look", "args": (1, "two")}
        assert (request.method, request.path, request.endpoint) == ("GET", "/socket.io/", None)
        assert request.routing_exception.code == 404
        assert flask.url_for("static", filename="x") == "/static/x"
        assert "mine" not in g
        g.mine = 1
        return "looked"

    client = connect()
    assert [client.emit("look", 1, "two", callback=True) for _ in range(2)] == ["looked", "looked"]


def test_the_event_of_connect(socketio, connect):
    @socketio.on("connect")
    def connected():
        environ, auth = request.event["args"]
        assert request.event["message"] == "connect"
        assert environ["PATH_INFO"] == "/socket.io/"
        assert environ["flask.app"] is current_app._get_current_object()
        assert auth == {"a": 1}

    assert connect(auth={"a": 1}).is_connected()


def test_teardown_functions_run_for_every_event(app, socketio, connect):
    seen = []
    app.teardown_request(lambda error: seen.append(type(error)))
    app.before_request(lambda: seen.append("before"))
    app.after_request(lambda response: seen.append("after") or response)

    @socketio.on("e")
    def e(fails):
        if fails:
            raise KeyError

    client = connect()
    client.emit("e", False)
    with pytest.raises(KeyError):
        client.emit("e", True)
    assert seen == [type(None), KeyError]


def test_a_context_that_is_entered_again(app, socketio, connect):
    ends = []
    app.teardown_request(lambda error: ends.append("request"))
    app.teardown_appcontext(lambda error: ends.append("app"))

    def words():
        yield g.word
        yield request.namespace
        yield session.get("word", "none")

    @socketio.on("stream")
    def stream():
        g.word = "mine"
        streamed = [*flask.stream_with_context(words())]
        with flask.globals.app_ctx._get_current_object(), flask.globals.request_ctx._get_current_object():
            streamed.append(g.word)
        assert not ends
        return [*streamed, g.word, request.namespace]

    client = connect()
    for _ in range(2):
        assert client.emit("stream", callback=True) == ["mine", "/", "none", "mine", "mine", "/"]
        assert ends == ["request", "app"]
        ends.clear()
        assert not flask.has_request_context()
        assert not flask.has_app_context()


def test_a_teardown_function_that_fails_leaves_no_context(app, socketio, connect):
    @app.teardown_request
    def fails(error):
        raise KeyError("teardown")

    socketio.on("e")(lambda: None)
    client = connect()
    with pytest.raises(KeyError):
        client.emit("e")
    assert not flask.has_request_context()
    assert not flask.has_app_context()


@pytest.mark.parametrize("managed", [True, False])
def test_a_copied_context(app, connect, managed):
    socketio = SocketIO(app, manage_session=managed)

    @socketio.on("copy")
    def copy():
        session["from"] = "handler"
        g.word = "mine"
        seen = []

        @flask.copy_current_request_context
        def look():
            seen.append((request.sid == sid, request.event["message"], session["from"], g.get("word")))
            session["seen"] = True

        sid = request.sid
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        look()
        look()
        return [seen, session["seen"], g.word]

    seen, in_session, word = connect().emit("copy", callback=True)
    shared = [True, "copy", "handler", "mine"]  # within the handler, also `g`
    assert seen == [[True, "copy", "handler", None], shared, shared]
    assert (in_session, word) == (True, "mine")


# --- 1.7 acknowledgements


@pytest.mark.parametrize(
    ("result", "acknowledged"),
    [(None, []), ((), []), ((1,), 1), ((1, 2), [1, 2]), (0, 0), ("", ""), ([], []), ({}, {}), (b"", b""), ([1], [1])],
)
def test_return_values(socketio, connect, result, acknowledged):
    socketio.on("ask")(lambda: result)
    assert connect().emit("ask", callback=True) == acknowledged


def test_an_error_handler_answers(socketio, connect):
    @socketio.on("ask")
    def ask():
        raise KeyError

    socketio.on_error()(lambda error: (1, b"2"))
    assert connect().emit("ask", callback=True) == [1, b"2"]


def test_a_result_that_cannot_be_encoded_gives_no_acknowledgement(socketio, connect):
    socketio.on("ask")(lambda: object())
    client = connect()
    with pytest.raises(TypeError, match="object"):
        client.emit("ask", callback=True)
    assert client.acks == {}
    assert client.is_connected()


# --- async def


def test_async_handlers_of_all_kinds(socketio, connect):
    seen = []

    @socketio.on("connect")
    async def connected(auth):
        seen.append(("connect", auth))

    @socketio.on("fail")
    async def fail():
        raise KeyError

    @socketio.on("fail plainly")
    def fail_plainly():
        raise KeyError

    @socketio.on_error()
    async def on_error(error):
        emit("sorry")
        return "async", request.event["message"]

    @socketio.on("disconnect")
    async def gone(reason):
        seen.append(reason)

    class Class(Namespace):
        async def on_add(self, a, b):
            return a + b

        async def on_fail(self):
            raise ValueError

        async def error(self, error):
            return repr(error)

    socketio.on_namespace(Class("/class"))
    client = connect()
    assert client.emit("fail", callback=True) == ["async", "fail"]
    assert client.emit("fail plainly", callback=True) == ["async", "fail plainly"]
    client.connect("/class")
    assert client.emit("add", 1, 2, namespace="/class", callback=True) == 3
    assert client.emit("fail", namespace="/class", callback=True) == "ValueError()"
    client.disconnect()
    assert seen == [("connect", None), "client disconnect"]


def test_a_plain_decorator_around_an_async_handler(socketio, connect):
    def passing_on(fn):
        @functools.wraps(fn)
        def call(*args):
            return fn(*args)

        return call

    @socketio.on("add")
    @passing_on
    async def add(a, b):
        return a + b

    assert connect().emit("add", 1, 2, callback=True) == 3


def test_an_object_with_an_async_call(socketio, connect):
    class Adder:
        async def __call__(self, a, b):
            return a + b

    socketio.on_event("add", Adder())
    assert connect().emit("add", 1, 2, callback=True) == 3


def test_sessions_in_coroutines(socketio, connect):
    @socketio.on("count")
    async def count():
        session["n"] = session.get("n", 0) + 1
        return session["n"]

    client = connect()
    assert [client.emit("count", callback=True) for _ in range(2)] == [1, 2]
