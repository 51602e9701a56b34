"""Reference 1.2 and 7, and 2.1: what applications reach for through `socketio.server`."""

import datetime

import pytest
from flask import request

from greenwire.errors import BadNamespaceError, ConfigurationError
from greenwire.flask import SocketIO, join_room
from support.engine import Client, Polling
from support.site import Site
from support.waiting import wait_until


@pytest.fixture
def joined(socketio, connect):
    """A client in room ``a`` of ``/`` and in ``/n``."""
    socketio.on("join")(join_room)
    socketio.on("e", namespace="/n")(lambda: None)
    client = connect(query_string="q=1")
    client.emit("join", "a")
    client.connect("/n")
    return client


def test_manager(socketio, joined):
    manager, sid, eio_sid = socketio.server.manager, joined.sid(), joined.eio_sid
    assert sorted(manager.get_namespaces()) == ["/", "/n"]
    assert list(manager.get_participants("/", "a")) == [(sid, eio_sid)]
    assert list(manager.get_participants("/", None)) == [(sid, eio_sid)]
    assert list(manager.get_participants("/", sid)) == [(sid, eio_sid)]
    assert list(manager.get_participants("/", "unknown")) == list(manager.get_participants("/unknown", "a")) == []
    everybody = {sid: eio_sid}
    assert manager.rooms["/"] == {None: everybody, sid: everybody, "a": everybody}
    assert manager.rooms.get("/unknown") is None
    assert manager.get_rooms(sid, "/") == [sid, "a"]
    assert manager.is_connected(sid, "/")
    assert not manager.is_connected(sid, "/n")
    assert manager.eio_sid_from_sid(sid, "/") == eio_sid
    assert manager.eio_sid_from_sid("nobody", "/") is None
    assert manager.sid_from_eio_sid(eio_sid, "/n") == joined.sid("/n")
    assert manager.sid_from_eio_sid(eio_sid, "/unknown") is None
    assert manager.write_only is False


def test_nobody_is_there_without_a_server(socketio):
    manager = socketio.server.manager
    assert (manager.get_namespaces(), manager.rooms, list(manager.get_participants("/", None))) == ([], {}, [])
    assert socketio.server.eio.sockets == {}
    assert len(socketio.server.environ) == 0
    assert socketio.connections() == []


def test_environ(socketio, joined):
    server = socketio.server
    assert list(server.environ) == [joined.eio_sid]
    assert server.environ[joined.eio_sid]["QUERY_STRING"] == "q=1"
    assert server.get_environ(joined.sid())["QUERY_STRING"] == "q=1"
    assert server.get_environ(joined.sid("/n"), "/n") is server.environ[joined.eio_sid]
    assert server.get_environ("nobody") is None
    with pytest.raises(KeyError):
        server.environ["nobody"]


def test_rooms(socketio, joined):
    server, sid = socketio.server, joined.sid()
    server.enter_room(sid, "b", namespace="/")
    assert sorted(server.rooms(sid)) == sorted([sid, "a", "b"])
    server.leave_room(sid, "a")
    server.close_room("b")
    assert server.rooms(sid) == [sid]
    with pytest.raises(BadNamespaceError, match="'nobody'"):
        server.enter_room("nobody", "a")


def test_sending(socketio, joined):
    server, sid = socketio.server, joined.sid()
    server.emit("e", {"a": 1}, to=sid)
    server.emit("e", room="a")
    server.emit("e", skip_sid=[sid])
    server.send("text", namespace="/")
    assert [event["name"] for event in joined.get_received()] == ["e", "e", "message"]
    joined.on("q", lambda n: n * 2)
    assert server.call("q", 21, to=sid) == server.call("q", 21, sid=sid) == 42


def test_sessions(socketio, joined):
    server, sid = socketio.server, joined.sid()
    assert server.get_session(sid) == {}
    server.save_session(sid, {"a": 1})
    with server.session(sid) as session:
        session["b"] = 2
    assert server.get_session(sid) == {"a": 1, "b": 2}
    assert server.get_session(joined.sid("/n"), "/n") == {}


def test_disconnect_and_transport(socketio, joined):
    assert socketio.server.transport(joined.sid()) == "websocket"
    socketio.server.disconnect(joined.sid("/n"), namespace="/n")
    assert not joined.is_connected("/n")
    assert joined.is_connected()
    socketio.server.disconnect("nobody")


def test_handlers_of_the_server_get_the_sid(socketio, connect):
    seen = []
    server = socketio.server

    @server.event
    def connect_(sid): ...

    @server.on("connect")
    def connected(sid, environ, auth):
        seen.append((sid == request.sid, environ["PATH_INFO"], auth))

    server.on("say", lambda sid, text: (sid, text))
    client = connect(auth={"a": 1})
    assert seen == [(True, "/socket.io/", {"a": 1})]
    assert client.emit("say", "x", callback=True) == [client.sid(), "x"]
    assert client.emit("connect_", callback=True) == []


def test_options(app):
    server = SocketIO(app, always_connect=True, async_handlers=False, namespaces=["/a"]).server
    assert (server.always_connect, server.async_handlers, server.async_mode) == (True, False, "threading")
    assert server.namespaces == ["/", "/a"]
    assert server.reason.CLIENT_DISCONNECT == "client disconnect"
    assert server.logger.name == "greenwire"


def test_instrument_is_not_there_yet(socketio):
    with pytest.raises(ConfigurationError, match="not supported yet"):
        socketio.server.instrument(auth=False)


def test_register_namespace(socketio):
    from greenwire.flask import Namespace

    socketio.server.register_namespace(Namespace("/n"))
    assert list(socketio.server.namespace_handlers) == ["/n"]


def test_tasks(socketio):
    seen = []
    socketio.server.start_background_task(seen.append, 1).join(10)
    socketio.server.sleep(0)
    assert seen == [1]


def test_connections(socketio, joined):
    before = datetime.datetime.now(datetime.UTC)
    here, there = sorted(socketio.connections(), key=lambda each: each.namespace)
    assert (here.sid, here.namespace, here.rooms) == (joined.sid(), "/", (joined.sid(), "a"))
    assert (there.sid, there.rooms) == (joined.sid("/n"), (joined.sid("/n"),))
    assert (here.transport, here.address) == ("websocket", "127.0.0.1")
    assert abs(here.since - before) < datetime.timedelta(minutes=1)
    assert [each.namespace for each in socketio.connections("/n")] == ["/n"]


@pytest.mark.parametrize(("kind", "transport"), [(Client, "websocket"), (Polling, "polling")])
def test_of_a_server_that_runs(socketio, kind, transport):
    seen = []

    @socketio.on("look")
    def look():
        server = socketio.server
        eio_sid = server.manager.eio_sid_from_sid(request.sid, "/")
        seen.append(server.transport(request.sid))
        seen.append(list(server.eio.sockets) == [eio_sid] == list(server.environ))
        seen.append(server.environ[eio_sid]["saved_session"] == {})
        seen.append([(each.transport, each.address) for each in socketio.connections()])
        return "looked"

    with Site(socketio) as site, kind(site.port) as client:
        client.handshake()
        client.join()
        client.emit("look")
        wait_until(lambda: len(seen) == 4, "the handler has run")
        assert socketio.wsgi_server is site.service
    assert seen == [transport, True, True, [(transport, "127.0.0.1")]]
    assert socketio.wsgi_server is None
