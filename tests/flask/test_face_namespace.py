"""Reference 1.10, class-based namespaces."""

import pytest
from flask import request

from greenwire.errors import ConfigurationError, ConnectionRefusedError
from greenwire.flask import Namespace, SocketIO, emit


class Chat(Namespace):
    def __init__(self, namespace=None):
        super().__init__(namespace)
        self.seen = []

    def on_connect(self, auth):
        self.seen.append(("connect", auth))

    def on_disconnect(self):
        self.seen.append("disconnect")

    def on_say(self, text, *more):
        emit("said", text)
        return [text, *more]

    def on_fail(self):
        raise KeyError("mine")

    on_not_callable = 7

    def helper(self):
        raise AssertionError("not an event")


def test_methods_handle_events(socketio, connect):
    chat = Chat("/chat")
    assert socketio.on_namespace(chat) is None
    client = connect("/chat", auth={"a": 1})
    assert client.emit("say", "hi", 2, namespace="/chat", callback=True) == ["hi", 2]
    assert client.get_received("/chat")[0]["args"] == ["hi"]
    client.disconnect("/chat")
    assert chat.seen == [("connect", {"a": 1}), "disconnect"]


@pytest.mark.parametrize("name", [None, "/"])
def test_the_default_namespace(socketio, connect, name):
    socketio.on_namespace(Chat(name))
    assert connect().emit("say", "x", callback=True) == ["x"]


def test_attributes(socketio):
    chat = Chat("/chat")
    with pytest.raises(ConfigurationError, match="Chat is not registered"):
        _ = chat.socketio
    socketio.on_namespace(chat)
    assert (chat.namespace, chat.socketio, chat.server) == ("/chat", socketio, socketio.server)
    assert socketio.namespace_handlers == [chat]
    assert socketio.server.namespace_handlers == {"/chat": chat}
    assert chat.is_asyncio_based() is False


def test_registered_before_init_app(app, connect):
    socketio = SocketIO()
    socketio.on_namespace(Chat("/chat"))
    socketio.init_app(app)
    assert connect("/chat").emit("say", 1, namespace="/chat", callback=True) == [1]


def test_a_later_object_replaces_an_earlier_one(socketio, connect):
    first, second = Chat("/chat"), Chat("/chat")
    socketio.on_namespace(first)
    socketio.on_namespace(second)
    connect("/chat")
    assert (first.seen, second.seen) == ([], [("connect", None)])
    assert socketio.namespace_handlers == [second]


@pytest.mark.parametrize("wrong", [Chat, "/chat", None])
def test_not_a_namespace(socketio, wrong):
    with pytest.raises(ValueError, match="Not a namespace instance"):
        socketio.on_namespace(wrong)


def test_unknown_events_are_acknowledged_with_nothing(socketio, connect):
    socketio.on_namespace(Chat("/chat"))
    client = connect("/chat")
    assert client.emit("unknown", namespace="/chat", callback=True) == []
    assert client.emit("not_callable", namespace="/chat", callback=True) == []


def test_a_namespace_without_connect(socketio, connect):
    class Plain(Namespace):
        def on_e(self):
            return request.event["message"]

    socketio.on_namespace(Plain("/plain"))
    assert connect("/plain").emit("e", namespace="/plain", callback=True) == "e"


def test_a_class_for_all_namespaces(app, connect):
    socketio = SocketIO(app, namespaces="*")
    chat = Chat("*")
    socketio.on_namespace(chat)
    client = connect("/any")
    assert client.emit("say", 1, namespace="/any", callback=True) == [1]
    assert client.emit("other", namespace="/any", callback=True) == []
    client.disconnect("/any")
    assert chat.seen == [("connect", None), "disconnect"]


def test_function_handlers_come_first(socketio, connect):
    socketio.on("say", namespace="/chat")(lambda text: "function")
    socketio.on_namespace(Chat("/chat"))
    assert connect("/chat").emit("say", 1, namespace="/chat", callback=True) == "function"


# --- errors


class Careful(Chat):
    def error(self, exc):
        self.seen.append(repr(exc))
        return "careful"

    def on_connect(self, auth):
        if auth:
            raise ConnectionRefusedError("no")


def test_error_is_given_what_nobody_else_handles(socketio, connect):
    careful = Careful("/chat")
    socketio.on_namespace(careful)
    client = connect("/chat")
    assert client.emit("fail", namespace="/chat", callback=True) == "careful"
    socketio.on_error("/chat")(lambda error: "on_error")
    assert client.emit("fail", namespace="/chat", callback=True) == "on_error"
    assert careful.seen == ["KeyError('mine')"]


def test_error_does_not_see_refusals(socketio, connect):
    careful = Careful("/chat")
    socketio.on_namespace(careful)
    client = connect("/chat", auth={"a": 1})
    assert not client.is_connected("/chat")
    assert client.connect_error("/chat") == {"message": "no"}
    assert careful.seen == []


def test_without_error_exceptions_propagate(socketio, connect):
    socketio.on_namespace(Chat("/chat"))
    with pytest.raises(KeyError):
        connect("/chat").emit("fail", namespace="/chat")


# --- its methods


def test_emit_and_send_reach_the_whole_namespace(socketio, connect):
    chat = Chat("/chat")
    socketio.on_namespace(chat)
    socketio.on("go", namespace="/chat")(lambda: chat.emit("others", 1, include_self=False))
    one, two = connect("/chat"), connect("/chat")
    chat.emit("e", {"a": 1})
    chat.send("text")
    chat.emit("room", room=one.sid("/chat"))
    one.emit("go", namespace="/chat")
    assert [event["name"] for event in one.get_received("/chat")] == ["e", "message", "room"]
    assert [event["name"] for event in two.get_received("/chat")] == ["e", "message", "others"]


def test_rooms_and_sessions(socketio, connect):
    chat = Chat("/chat")
    socketio.on_namespace(chat)
    client = connect("/chat")
    sid = client.sid("/chat")
    chat.enter_room(sid, "a")
    assert chat.rooms(sid) == [sid, "a"]
    chat.leave_room(sid, "a")
    chat.enter_room(sid, "b")
    chat.close_room("b")
    assert chat.rooms(sid) == [sid]
    chat.save_session(sid, {"n": 1})
    with chat.session(sid) as session:
        session["m"] = 2
    assert chat.get_session(sid) == {"n": 1, "m": 2}
    client.on("q", lambda n: n + 1, namespace="/chat")
    assert chat.call("q", 1, to=sid) == 2
    chat.disconnect(sid)
    assert not client.is_connected("/chat")


def test_trigger_event_can_be_overridden(socketio, connect):
    class Watched(Chat):
        def trigger_event(self, event, *args):
            self.seen.append((event, args, request.sid is not None))
            return super().trigger_event(event, *args)

    watched = Watched("/chat")
    socketio.on_namespace(watched)
    client = connect("/chat")
    assert client.emit("say", "x", namespace="/chat", callback=True) == ["x"]
    assert client.emit("unknown", 1, namespace="/chat", callback=True) == []
    client.disconnect("/chat")
    assert [entry for entry in watched.seen if isinstance(entry, tuple) and len(entry) == 3] == [
        ("connect", (None,), True),
        ("say", ("x",), True),
        ("unknown", (1,), True),
        ("disconnect", ("client disconnect",), True),
    ]
    assert watched.seen[-1] == "disconnect"  # which takes no reason
