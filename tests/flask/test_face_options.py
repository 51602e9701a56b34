"""Reference 1.1 and 1.2: what is imported, the constructor, its options, ``init_app``."""

import importlib
import logging

import flask
import pytest
from flask import request

import greenwire.flask
from greenwire.errors import ConfigurationError
from greenwire.flask import Namespace, SocketIO
from greenwire.limits import Limits

NAMES = (
    "SocketIO Namespace SocketIOTestClient ConnectionRefusedError emit send call join_room leave_room close_room rooms"
    " disconnect".split()
)


@pytest.mark.parametrize("name", NAMES)
def test_the_names_of_flask_socketio(name):
    assert hasattr(greenwire.flask, name)
    assert name in greenwire.flask.__all__


def test_the_submodules_of_flask_socketio():
    assert importlib.import_module("greenwire.flask.namespace").Namespace is Namespace
    assert importlib.import_module("greenwire.flask.test_client").SocketIOTestClient


def test_with_an_application(app):
    socketio = SocketIO(app)
    assert app.extensions["socketio"] is socketio


def test_without_one_and_init_app_later(app, connect):
    socketio = SocketIO(async_handlers=False, always_connect=True)
    socketio.on("early")(lambda: "registered before init_app")
    socketio.init_app(app, always_connect=False)
    assert app.extensions["socketio"] is socketio
    assert socketio.server.async_handlers is False
    assert socketio.server.always_connect is False
    assert connect().emit("early", callback=True) == "registered before init_app"


def test_server_options_set_before_init_app(app):
    socketio = SocketIO()
    socketio.server_options["async_handlers"] = False
    socketio.init_app(app)
    assert socketio.server.async_handlers is False


def test_server_options_name_a_client_manager(socketio):
    assert socketio.server_options["client_manager"].write_only is False


def test_a_subclass_with_attributes_of_its_own(app, connect):
    class Mine(SocketIO):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.mine = 1

    socketio = Mine(app)
    socketio.another = 2
    assert (socketio.mine, socketio.another) == (1, 2)
    assert connect().is_connected()


@pytest.mark.parametrize("mode", [None, "threading"])
def test_async_mode_threading(app, mode, caplog):
    assert SocketIO(app, async_mode=mode).async_mode == "threading"
    assert not caplog.records


@pytest.mark.parametrize("mode", ["green", "eventlet", "gevent", "gevent_uwsgi"])
def test_async_mode_greenlets(app, mode, caplog):
    socketio = SocketIO(app, async_mode=mode)
    assert socketio.async_mode == socketio.server.async_mode == socketio.server.eio.async_mode == "green"
    assert not caplog.records


@pytest.mark.parametrize("mode", ["asgi", "thread", "", 1])
def test_async_mode_unknown(app, mode):
    with pytest.raises(ConfigurationError, match=r"use 'threading' for threads") as caught:
        SocketIO(app, async_mode=mode)
    assert repr(mode) in str(caught.value)


@pytest.mark.parametrize("option", ["logger", "engineio_logger", "monitor_clients"])
def test_options_without_a_meaning_are_said_once(app, caplog, option):
    caplog.set_level(logging.INFO, "greenwire")
    SocketIO(app, **{option: True})
    assert [record.message.split(":")[0] for record in caplog.records] == [f"the option {option} has no effect"]


def test_unknown_options_are_ignored_and_named(app, caplog):
    SocketIO(app, ping_intervall=3, something=1)
    assert "ping_intervall is unknown and ignored; did you mean 'ping_interval'?" in caplog.text
    assert "something is unknown and ignored" in caplog.text


def test_path_wins_over_resource(app):
    assert SocketIO(app, path="/a/", resource="b").path == "/a/"
    assert SocketIO(app, path=None, resource="b").path == "/b/"
    assert SocketIO(app).path == "/socket.io/"


def test_the_path_of_the_handshake(app, connect):
    socketio = SocketIO(app, path="live")
    socketio.on("where")(lambda: request.path)
    assert connect().emit("where", callback=True) == "/live/"


@pytest.mark.parametrize(("given", "seconds"), [(5, 5), ((5, 2), 7), (0.5, 0.5)])
def test_ping_interval(app, given, seconds):
    assert SocketIO(app, ping_interval=given).server.eio.ping_interval == seconds


def test_engine_options_can_be_read(app):
    eio = SocketIO(app, cookie="io", allow_upgrades=False, cors_allowed_origins="*", transports="polling").server.eio
    assert (eio.cookie, eio.allow_upgrades, eio.cors_allowed_origins) == ("io", False, "*")
    assert list(eio.transports) == ["polling"]
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = eio.nothing_like_it


@pytest.mark.parametrize("namespaces", ["/a", ["/a"], ("/a", "/b"), "*", ["*"]])
def test_namespaces_are_open_without_handlers(app, connect, namespaces):
    SocketIO(app, namespaces=namespaces)
    assert connect("/a").is_connected("/a")


def test_the_namespace_slash_is_always_open(app, connect):
    SocketIO(app, namespaces=None)
    assert connect().is_connected()
    assert not connect("/a").is_connected("/a")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"async_handlers": "no"}, "async_handlers='no': it takes True or False"),
        ({"manage_session": "False"}, "manage_session='False'"),
        ({"ping_interval": -1}, "ping_interval=-1"),
        ({"ping_interval": (1, 2, 3)}, r"ping_interval=\(1, 2, 3\)"),
        ({"ping_timeout": "x"}, "ping_timeout='x'"),
        ({"max_http_buffer_size": 0}, "max_http_buffer_size=0"),
        ({"transports": ["carrier pigeon"]}, "carrier pigeon"),
        ({"cookie": 7}, "cookie=7"),
        ({"limits": 7}, "limits=7"),
        ({"connect_timeout": -1}, "-1"),
        ({"path": 7}, "path=7"),
        ({"namespaces": ["a"]}, "namespace='a'"),
        ({"serializer": "pickle"}, "serializer='pickle': use 'default' or 'msgpack'"),
        ({"json": object()}, "it has no dumps"),
        ({"message_queue": "redis"}, "message_queue='redis': give a URL such as"),
        ({"client_manager": object()}, "client_manager=.*give message_queue=URL instead, or an object of"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_wrong_values(app, options, words, late):
    configure = SocketIO().init_app if late else SocketIO
    with pytest.raises(ConfigurationError, match=words):
        configure(app, **options)


def test_a_wrong_option_changes_nothing(app):
    socketio = SocketIO(app, always_connect=True)
    with pytest.raises(ConfigurationError):
        socketio.init_app(app, message_queue="redis")
    socketio.init_app(app)
    assert socketio.server.always_connect is True


def test_no_message_queue(app):
    assert SocketIO(app, message_queue=None, channel="mine").queue is None
    assert SocketIO().queue is None


@pytest.mark.parametrize("wrong", [None, "app", flask])
def test_init_app_wants_an_application(wrong):
    with pytest.raises(ConfigurationError, match="give a Flask application"):
        SocketIO().init_app(wrong)


def test_limits(app):
    socketio = SocketIO(app, limits=Limits(rooms=2), connect_timeout=3)
    assert (socketio._core.limits.rooms, socketio._core.limits.connect_timeout_s) == (2, 3)


def test_reasons():
    reason = SocketIO.reason
    assert reason.SERVER_DISCONNECT == "server disconnect"
    assert reason.CLIENT_DISCONNECT == "client disconnect"
    assert reason.PING_TIMEOUT == "ping timeout"
    assert reason.TRANSPORT_CLOSE == "transport close"
    assert reason.TRANSPORT_ERROR == "transport error"
