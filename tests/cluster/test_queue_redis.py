"""A message queue in Redis: servers of ours, and python-socketio's, byte for byte."""

import json
import threading
from contextlib import ExitStack
from pathlib import Path

import flask
import pytest
import redis
import socketio as peer

from greenwire.cluster import RedisQueue
from greenwire.errors import ConfigurationError, ContextError, NotRunningError
from greenwire.errors import TimeoutError as AckTimeout
from greenwire.flask import SocketIO, emit, join_room
from support.process import Process
from support.redis import RedisServer
from support.site import Site, new_socketio
from support.waiting import Log, wait_until

CHANNEL = "flask-socketio"


@pytest.fixture(scope="module")
def server():
    with RedisServer() as server:
        yield server


def make(url, **options):
    """An application whose clients can join rooms, and answer."""
    socketio = new_socketio(message_queue=url, **options)

    @socketio.on("join")
    def join(room):
        join_room(room)
        return "joined"

    @socketio.on("tell")
    def tell(*args):
        emit("told", args, broadcast=True)

    return socketio


class Listener:
    """A real client that notes what it is sent."""

    def __init__(self, site, *events, namespace="/", room=None, answer=None, serializer="default"):
        self.notes = Log()
        self.client = peer.Client(reconnection=False, serializer=serializer)
        for event in events:
            self.client.on(event, self._noting(event, answer), namespace=namespace)
        self.client.connect(site.url, namespaces=[namespace], transports=["websocket"])
        self.sid = self.client.get_sid(namespace)
        if room is not None:
            assert self.client.call("join", room, namespace=namespace) == "joined"

    def _noting(self, event, answer):
        def note(*args):
            self.notes.append((event, *args))
            return answer

        return note


@pytest.fixture
def serve():
    """``serve(redis_server)``: an application that runs and is on the channel."""
    with ExitStack() as stack:

        def start(queue, *, beside=False, channel=CHANNEL, **options):
            there_were = queue.subscribers(channel)
            site = stack.enter_context(Site(make(queue.url, channel=channel, **options), beside=beside))
            stack.callback(site.close_all)
            queue.wait_for_subscribers(there_were + 1, channel)
            return site

        yield start


@pytest.fixture
def listen(serve):
    listeners = []

    def start(site, *events, **options):
        listeners.append(Listener(site, *events, **options))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.client.disconnect()
        listener.client.eio.queue.put(None)  # one that was put out leaves a thread waiting there


@pytest.fixture
def emitting(serve):
    """``emitting(url)``: one that emits and is no server."""
    emitters = []

    def make(url, app=None, **options):
        emitters.append(SocketIO(message_queue=url, **options) if app is None else SocketIO(app, message_queue=url))
        return emitters[-1]

    yield make
    for emitter in emitters:
        emitter.queue.broker.close()


@pytest.fixture(params=["tcp", "unix"])
def url(request, server):
    return server.url if request.param == "tcp" else server.unix_url


@pytest.fixture
def two(server, serve):
    """Two servers on one channel."""
    return serve(server), serve(server, beside=True)


# --- our servers among themselves


def test_everybody_hears_whichever_server_they_are_at(two, listen):
    one, other = two
    here, there = listen(one, "news"), listen(other, "news")
    one.socketio.emit("news", {"n": 1})
    for listener in (here, there):
        assert listener.notes.wait_for(1) == [("news", {"n": 1})]


def test_a_handlers_broadcast_goes_everywhere_once(two, listen):
    one, other = two
    here, there = listen(one, "told"), listen(other, "told")
    here.client.emit("tell", ("a", [1, 2], None))
    here.client.emit("tell", "end")
    for listener in (here, there):
        assert listener.notes.wait_for(2) == [("told", "a", [1, 2], None), ("told", "end")]


def test_rooms_skip_and_binary(two, listen):
    one, other = two
    inside, skipped = listen(other, "x", room="r"), listen(other, "x", room="r")
    outside = listen(other, "x")
    one.socketio.emit("x", {"data": b"\0\1", "more": [b"2"]}, to="r", skip_sid=skipped.sid)
    one.socketio.emit("x", "end")
    assert inside.notes.wait_for(2) == [("x", {"data": b"\0\1", "more": [b"2"]}), ("x", "end")]
    assert skipped.notes.wait_for(1) == outside.notes.wait_for(1) == [("x", "end")]


def test_several_rooms_one_copy(two, listen):
    one, other = two
    both = listen(other, "x", room="a")
    both.client.call("join", "b")
    one.socketio.emit("x", 1, to=["a", "b"])
    one.socketio.emit("x", "end")
    assert both.notes.wait_for(2) == [("x", 1), ("x", "end")]


def test_excepted_rooms_go_along(two, listen):
    one, other = two
    quiet, loud = listen(other, "x", room="quiet"), listen(other, "x")
    one.socketio.emit("x", 1, except_="quiet")
    one.socketio.emit("x", "end")
    assert loud.notes.wait_for(2) == [("x", 1), ("x", "end")]
    assert quiet.notes.wait_for(1) == [("x", "end")]


def test_by_sid_and_with_a_callback(two, listen):
    one, other = two
    there = listen(other, "ask", answer=("yes", 7))
    answers = Log()
    one.socketio.emit("ask", "?", to=there.sid, callback=lambda *args: answers.append(args))
    assert answers.wait_for(1) == [("yes", 7)]


def test_call_reaches_a_client_of_another_server(two, listen):
    one, other = two
    there = listen(other, "ask", answer="yes")
    assert one.socketio.call("ask", "?", to=there.sid, timeout=10) == "yes"
    assert not one.socketio.queue._callbacks, "the answer has been taken"


def test_call_for_nobody_times_out(two):
    with pytest.raises(AckTimeout):
        two[0].socketio.call("ask", to="nobody", timeout=0.05)
    wait_until(lambda: not two[0].socketio.queue._callbacks, "nobody waits any more")


def test_enter_leave_close_and_disconnect_by_sid(two, listen):
    one, other = two
    there = listen(other, "x", "disconnect")
    server = one.socketio.server
    server.enter_room(there.sid, "r")
    one.socketio.emit("x", 1, to="r")
    server.leave_room(there.sid, "r")
    one.socketio.emit("x", "not this", to="r")
    server.enter_room(there.sid, "r")
    one.socketio.emit("x", 2, to="r")
    one.socketio.close_room("r")
    one.socketio.emit("x", "nor this", to="r")
    server.disconnect(there.sid)
    there.notes.wait_for(3)
    assert there.notes[:2] == [("x", 1), ("x", 2)]
    assert there.notes[2][0] == "disconnect"


def test_ignore_queue_stays_here(two, listen):
    one, other = two
    here, there = listen(one, "x"), listen(other, "x")
    one.socketio.emit("x", "here", ignore_queue=True)
    one.socketio.server.emit("x", "here", ignore_queue=True)
    one.socketio.emit("x", "end")
    assert here.notes.wait_for(3) == [("x", "here"), ("x", "here"), ("x", "end")]
    assert there.notes.wait_for(1) == [("x", "end")]


def test_other_channels_are_other_clusters(server, serve, listen, emitting):
    there = listen(serve(server, channel="mine"), "x")
    emitting(server.url).emit("x", "not this")
    emitting(server.url, channel="mine").emit("x", "end")
    assert there.notes.wait_for(1) == [("x", "end")]


def test_msgpack_clients_hear_what_the_queue_brings(server, serve, listen, emitting):
    there = listen(serve(server, serializer="msgpack"), "x", serializer="msgpack")
    emitting(server.url).emit("x", {"b": b"\0"})
    emitting(server.url, serializer="msgpack").emit("x", ("a", b"\1"))
    assert there.notes.wait_for(2) == [("x", {"b": b"\0"}), ("x", "a", b"\1")]


# --- emitting from elsewhere


def test_a_write_only_emitter(two, listen, url, emitting):
    there = listen(two[1], "x", room="r")
    other = listen(two[0], "x", "message", "json")
    emitter = emitting(url)
    assert emitter.server_options["client_manager"].write_only is True
    emitter.emit("x", {"n": 1}, to="r")
    emitter.send("hello")
    emitter.send([1], json=True)
    emitter.emit("x", skip_sid=there.sid)
    assert there.notes.wait_for(1) == [("x", {"n": 1})]
    assert other.notes.wait_for(3) == [("message", "hello"), ("json", [1]), ("x",)]


def test_an_emitter_made_by_init_app(two, listen, url, request):
    there = listen(two[1], "x", room="r")
    emitter = SocketIO()
    emitter.init_app(None, message_queue=url)
    request.addfinalizer(emitter.queue.broker.close)
    emitter.emit("x", 1, to="r")
    emitter.close_room("r")
    emitter.emit("x", "not this", to="r")
    emitter.emit("x", "end")
    assert there.notes.wait_for(2) == [("x", 1), ("x", "end")]


def test_an_application_that_does_not_run_emits_too(two, listen, url, emitting):
    """A Celery worker that imports the application."""
    there = listen(two[0], "x")
    app = flask.Flask("elsewhere")
    emitting(url, app).emit("x", 1)
    with app.app_context():
        emit("x", 2, namespace="/", broadcast=True)
    assert there.notes.wait_for(2) == [("x", 1), ("x", 2)]


def test_an_emitter_in_several_threads(two, listen, url, emitting):
    there = listen(two[0], "x")
    emitter = emitting(url)
    threads = [threading.Thread(target=lambda n=n: [emitter.emit("x", (n, m)) for m in range(50)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there.notes.wait_for(200)
    for n in range(4):
        assert [note[2] for note in there.notes if note[1] == n] == list(range(50)), "each thread's are in order"


def test_what_an_emitter_cannot_do(url, emitting):
    emitter = emitting(url)
    with pytest.raises(ContextError, match="need a running server"):
        emitter.emit("x", callback=print)
    with pytest.raises(ContextError, match="need a running server"):
        emitter.call("x", to="somebody")
    with pytest.raises(NotRunningError, match="answers nothing"):
        emitter.server.rooms("somebody")
    assert emitter.connections() == []


def test_an_emitter_without_a_queue_says_so_and_goes_on(caplog, server, emitting):
    with RedisServer() as other:
        emitter = emitting(other.url)
        emitter.emit("x", 1)
        other.stop()
        emitter.emit("x", 2)
        assert "cannot write to the message queue" in caplog.text
        other.start()
        emitter.emit("x", 3)
    assert caplog.text.count("the event is lost") == 1


# --- the queue goes away


@pytest.fixture
def own_server():
    with RedisServer() as server:
        yield server


def test_a_server_finds_its_queue_again(own_server, serve, listen, caplog):
    one, there = serve(own_server), listen(serve(own_server, beside=True), "x")
    own_server.stop()
    one.socketio.emit("x", "while it is away")  # and waits in the outbox until it is back
    wait_until(lambda: "cannot write to the message queue" in caplog.text, "it is missed")
    own_server.start()
    own_server.wait_for_subscribers(2)
    one.socketio.emit("x", "end")
    assert there.notes.wait_for_item(("x", "end"))[-1] == ("x", "end")


def test_a_server_starts_without_its_queue(caplog):
    socketio = make("redis://127.0.0.1:1/0")
    with Site(socketio) as site:
        notes = Listener(site, "x")
        socketio.emit("x", 1)
        assert notes.notes.wait_for(1) == [("x", 1)]
        wait_until(lambda: "trying again" in caplog.text)
        notes.client.disconnect()


# --- python-socketio as peer


@pytest.fixture
def emitter(server, serve):
    """python-socketio's own write-only manager."""
    manager = peer.RedisManager(server.url, channel=CHANNEL, write_only=True)
    yield manager
    if manager.redis is not None:
        manager.redis.close()


@pytest.mark.parametrize(
    ("data", "args"),
    [
        (None, ()),
        ("text", ("text",)),
        ((1, {"a": 2}), (1, {"a": 2})),
        ([1, 2], ([1, 2],)),
        ([], ([],)),
        ((), ()),
        ({"b": b"\0\1", "c": [b"2"]}, ({"b": b"\0\1", "c": [b"2"]},)),
        ((b"1", "two"), (b"1", "two")),
        (b"only", (b"only",)),
    ],
)
def test_its_emits_arrive(server, serve, emitter, listen, data, args):
    there = listen(serve(server), "x", room="r")
    emitter.emit("x", data, namespace="/", room="r")
    emitter.emit("x", "end", namespace="/")
    assert there.notes.wait_for(2) == [("x", *args), ("x", "end")]


def test_its_orders_are_carried_out(server, serve, emitter, listen):
    site = serve(server)
    there, skipped = listen(site, "x", "disconnect"), listen(site, "x")
    emitter.enter_room(there.sid, "/", "r")
    emitter.emit("x", 1, namespace="/", room=["r", "s"], skip_sid=[skipped.sid])
    emitter.leave_room(there.sid, "/", "r")
    emitter.emit("x", "not this", namespace="/", room="r")
    emitter._publish({"method": "disconnect", "sid": there.sid, "namespace": "/", "host_id": emitter.host_id})
    there.notes.wait_for(2)
    assert there.notes[0] == ("x", 1)
    assert there.notes[1][0] == "disconnect"


@pytest.fixture
def published(server):
    """What is written to the channel, raw."""
    client = redis.Redis.from_url(server.unix_url)
    subscription = client.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe(CHANNEL)
    server.wait_for_subscribers(1)

    def take():
        message = wait_until(lambda: subscription.get_message(timeout=1), "a message")
        return message["data"]

    yield take
    subscription.close()
    client.close()


@pytest.mark.parametrize(
    "data", [None, "t", (1, {"a": 2}), [1, 2], {"b": b"\0\1", "c": [b"2", {"d": b"\0\3"}]}, (b"1", "ü"), 1.5]
)
@pytest.mark.parametrize("options", [{}, {"room": "r"}, {"room": ["r", 7]}, {"skip_sid": "s", "namespace": "/n"}])
def test_our_emits_are_its_own_but_for_the_host(server, emitter, published, data, options, emitting):
    emitting(server.url).emit('e"v', data, **options)
    ours = published()
    emitter.emit('e"v', data, **{"namespace": "/", **options})
    theirs = published()
    ours, theirs = json.loads(ours), json.loads(theirs)
    assert list(ours) == list(theirs), "the same keys, in the same order"
    assert len(ours.pop("host_id")) == len(theirs.pop("host_id"))
    if data is None:  # either is an event without arguments
        ours["data"] = ours["data"] or [None]
    assert ours == theirs


def test_our_orders_are_its_own(server, emitter, published, emitting):
    ours = emitting(server.url)
    ours.close_room("r", namespace="/n")
    first = json.loads(published())
    for send in (
        lambda: ours.server.enter_room("s", "r", namespace="/n"),
        lambda: ours.server.leave_room("s", "r", namespace="/n"),
        lambda: ours.server.disconnect("s", namespace="/n"),
    ):
        send()
        message = json.loads(published())
        assert message.pop("host_id") == first["host_id"]
        method = message.pop("method")
        assert message.pop("sid") == "s"
        assert message.pop("namespace") == "/n"
        assert (method == "disconnect" and not message) or (
            method in ("enter_room", "leave_room") and message == {"room": "r"}
        )
    first.pop("host_id")
    assert first == {"method": "close_room", "room": "r", "namespace": "/n"}


# --- configuration


def test_client_manager(server, serve, listen, emitting):
    queue = RedisQueue(server.url, channel="mine", redis_options={"client_name": "shop"})
    assert queue.write_only is False
    there = listen(serve(server, channel="mine", client_manager=queue), "x")
    emitting(server.url, channel="mine").emit("x", 1)
    assert there.notes.wait_for(1) == [("x", 1)]


def test_a_queue_object_emits_by_itself(two, listen, server, request):
    """As a script does with a write-only manager of python-socketio."""
    there = listen(two[0], "x", "disconnect")
    queue = RedisQueue(server.url, CHANNEL, write_only=True)
    request.addfinalizer(queue.broker.close)
    queue.emit("x", ("a", b"\0"))
    queue.enter_room(there.sid, "/", "r")
    queue.emit("x", [1], room="r")
    queue.close_room("r")
    queue.emit("x", "not this", to="r")
    queue.enter_room(there.sid, "/", "r")
    queue.leave_room(there.sid, "/", "r")
    queue.emit("x", "nor this", to="r")
    queue.emit("x", namespace="/", skip_sid=["nobody"])
    queue.disconnect(there.sid)
    there.notes.wait_for(4)
    assert there.notes[:3] == [("x", "a", b"\0"), ("x", [1]), ("x",)]
    assert there.notes[3][0] == "disconnect"


def test_a_client_manager_of_python_socketio_names_ours(server):
    manager = peer.RedisManager(server.url)
    with pytest.raises(ConfigurationError, match=r"RedisQueue\(url\) for socketio.RedisManager\(url\)"):
        new_socketio(client_manager=manager)


@pytest.mark.parametrize("url", ["redis", 7, "nonsense://x", "redis://host:port/0"])
def test_wrong_urls(url):
    with pytest.raises(ConfigurationError, match="message_queue="):
        new_socketio(message_queue=url)


def test_a_password_is_not_shown():
    with pytest.raises(ConfigurationError) as caught:
        new_socketio(message_queue="nonsense://me:secret@host/x")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(RedisQueue("redis://:secret@localhost/0"))


# --- a server of python-socketio on the same channel


class PeerSite:
    """What a :class:`Listener` connects to."""

    def __init__(self, process):
        self.url = f"http://127.0.0.1:{process.port}"


@pytest.fixture(scope="module")
def peer_process(server):
    with Process(Path(__file__).parent / "peer_server.py", server.url) as process:
        yield process


@pytest.fixture
def both(server, serve, listen, peer_process):
    """A client of ours and one of theirs."""
    site = serve(server)
    ours = listen(site, "told", "question", "answer", "disconnect", answer=("a", [1]))
    theirs = listen(PeerSite(peer_process), "told", "question", "answer", "disconnect", answer=("b", [2]))
    server.wait_for_subscribers(2)  # theirs begins to listen with its first client
    return site, ours, theirs


def test_their_clients_hear_our_events(both):
    site, ours, theirs = both
    theirs.client.call("join", "r")
    site.socketio.emit("told", ("x", {"b": b"\0\1", "c": [b"2"]}), to="r")
    site.socketio.emit("told", [1, 2])
    assert theirs.notes.wait_for(2) == [("told", "x", {"b": b"\0\1", "c": [b"2"]}), ("told", [1, 2])]
    assert ours.notes.wait_for(1) == [("told", [1, 2])]


def test_our_clients_hear_theirs(both):
    _, ours, theirs = both
    ours.client.call("join", "r")
    theirs.client.call("tell", ("r", {"b": b"\0\1"}, 2))  # its handlers run side by side: one after the other
    theirs.client.call("tell", (None, "all"))
    assert ours.notes.wait_for(2) == [("told", {"b": b"\0\1"}, 2), ("told", "all")]
    assert theirs.notes.wait_for(1) == [("told", "all")]


def test_acknowledgements_cross_in_both_directions(both):
    site, ours, theirs = both
    assert site.socketio.call("question", "?", to=theirs.sid, timeout=10) == ("b", [2])
    theirs.client.emit("ask", ours.sid)
    assert theirs.notes.wait_for_item(("answer", "a", [1]))


def test_clients_are_moved_and_put_out_across(both):
    site, ours, theirs = both
    theirs.client.call("move", (ours.sid, "there"))
    theirs.client.call("tell", ("there", "first"))
    assert ours.notes.wait_for(1) == [("told", "first")]
    site.socketio.server.enter_room(theirs.sid, "there")
    site.socketio.emit("told", "end", to="there")
    assert ours.notes.wait_for(2) == [("told", "first"), ("told", "end")]
    assert theirs.notes.wait_for(1) == [("told", "end")]
    site.socketio.server.disconnect(theirs.sid)
    wait_until(lambda: any(note[0] == "disconnect" for note in theirs.notes), "theirs is put out")


def test_our_clients_are_put_out_by_them(both, listen, peer_process):
    _, ours, _ = both
    listen(PeerSite(peer_process)).client.emit("put out", ours.sid)
    wait_until(lambda: any(note[0] == "disconnect" for note in ours.notes), "ours is put out")
