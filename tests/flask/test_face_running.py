"""Reference 1.11: `run`, `stop`, background tasks; `flask run` and other WSGI servers; monkey-patched processes."""

import json
import re
import subprocess
import sys
import threading
import types
import urllib.request

import pytest
from flask import request
from werkzeug.debug import DebuggedApplication
from werkzeug.serving import make_server

from greenwire.errors import ConfigurationError
from greenwire.flask import SocketIO, emit
from greenwire.processes import launch
from greenwire.run_options import RunOptions
from support.engine import Client
from support.raw import Connection
from support.site import Site
from support.waiting import TIMEOUT_S, Log, wait_until

# --- run


def take(port=None, server_name=None, **options):
    return RunOptions.take(options, host=None, port=port, server_name=server_name)


@pytest.mark.parametrize(
    ("port", "server_name", "expected"),
    [(None, None, 5000), (None, "example.com:8000", "8000"), (None, "example.com", 5000), (81, "example.com:8000", 81)],
)
def test_the_port_of_server_name(port, server_name, expected):
    assert take(port, server_name).port == expected


def test_options_of_other_servers_are_accepted():
    options = take(allow_unsafe_werkzeug=True, log_output=True, use_reloader=False, server_side=True, threaded=True)
    assert (options.logs_requests, options.reloads) == (True, False)


def test_an_unknown_option_of_run(app, socketio):
    with pytest.raises(ConfigurationError, match="'certifle'; did you mean 'certfile'"):
        socketio.run(app, certifle="x")


def test_run_serves_both(app, socketio):
    app.get("/page")(lambda: "page")
    socketio.on("e")(lambda: "event")
    site = Site(socketio, port="0", debug=False, allow_unsafe_werkzeug=True)
    with site, Connection(site.port) as browser, Client(site.port) as client:
        assert browser.get("/page").text == "page"
        client.join()
        assert client.call("e") == ["event"]


def test_run_binds_an_application_by_itself(app):
    socketio = SocketIO()
    socketio._app = None
    started = Log()
    socketio.on("e")(lambda: 1)

    def run():
        try:
            socketio.run(app, port=0)
        except Exception as error:
            started.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_until(lambda: started or socketio._service)
    socketio.stop()
    thread.join(10)
    assert not started
    assert app.extensions["socketio"] is socketio


def test_a_stop_while_run_begins_counts(app, socketio, monkeypatch):
    run = launch.run

    def stopped_first(*args):
        socketio.stop()  # as another thread may: there is no service yet
        run(*args)

    monkeypatch.setattr(launch, "run", stopped_first)
    thread = threading.Thread(target=socketio.run, args=(app,), kwargs={"port": 0}, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    ended = not thread.is_alive()
    if not ended:
        wait_until(lambda: socketio.wsgi_server)
        socketio.stop()
    assert ended
    assert socketio.stopping.is_set()


def test_a_stop_before_run_means_nothing(app, socketio):
    app.get("/page")(lambda: "page")
    socketio.stop()
    for _ in range(2):
        with Site(socketio) as site, Connection(site.port) as browser:
            assert browser.get("/page").text == "page"
        socketio.stop()


def test_options_of_the_server_as_a_whole(app, socketio):
    """RFC 9110 9.3.7: no resource is meant, so no view is asked. Flask would answer with a redirect."""
    app.get("/page")(lambda: "page")
    with Site(socketio) as site, Connection(site.port) as browser:
        response = browser.request("OPTIONS", "*")
        assert (response.status, response.text, response.get("content-length")) == (200, "", "0")
        assert {"GET", "POST", "OPTIONS"} < set(response.get("allow").split(", "))
        assert "POST" not in browser.request("OPTIONS", "/page").get("allow")


def test_run_is_ignored_under_flask_run(app, socketio, monkeypatch, caplog):
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    monkeypatch.setattr(sys, "argv", ["flask", "run"])
    socketio.run(app, port=0)
    assert "ignored under `flask run`" in caplog.text


@pytest.mark.parametrize(
    ("library", "module", "asked", "line"),
    [
        ("eventlet", "eventlet.patcher", "is_monkey_patched", "eventlet.monkey_patch()"),
        ("gevent", "gevent.monkey", "is_module_patched", "monkey.patch_all()  # first of all"),
    ],
)
def test_a_monkey_patched_process(app, socketio, monkeypatch, tmp_path, library, module, asked, line):
    path = tmp_path / "patched_app.py"
    path.write_text(f"# {line} was needed there\nimport os\n\n{line}\n")
    mine, theirs = types.ModuleType("patched_app"), types.ModuleType(module)
    mine.__file__ = str(path)
    setattr(theirs, asked, lambda name: name == "socket")
    monkeypatch.setitem(sys.modules, "patched_app", mine)
    monkeypatch.setitem(sys.modules, module, theirs)
    with pytest.raises(ConfigurationError) as caught:
        socketio.run(app, port=0)
    assert f"{library} has monkey-patched this process" in str(caught.value)
    assert f"patched_app.py:4: {line}" in str(caught.value)
    assert "patched_app.py:1" not in str(caught.value)


def test_a_library_that_has_patched_nothing(app, socketio, monkeypatch):
    theirs = types.ModuleType("eventlet.patcher")
    theirs.is_monkey_patched = lambda name: False
    monkeypatch.setitem(sys.modules, "eventlet.patcher", theirs)
    with Site(socketio):
        pass


# --- other WSGI servers


@pytest.fixture
def guest(app, socketio):
    """Werkzeug's development server, as ``flask run`` has it; gives the port."""
    before = set(threading.enumerate())
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    socketio.stop()
    server.shutdown()
    thread.join(10)
    server.server_close()
    wait_until(lambda: set(threading.enumerate()) <= before, "all threads have ended")


def get(port, path, data=None):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data) as response:
        return response.read().decode()


POLLING = "/socket.io/?EIO=4&transport=polling"


def test_polling_under_another_server(app, socketio, guest):
    seen = Log()

    @socketio.on("connect")
    def connected(auth):
        emit("hello", {"auth": auth, "q": request.args["q"], "software": "SERVER_SOFTWARE" in request.environ})

    socketio.on("e")(lambda *args: seen.append(args))
    socketio.on("disconnect")(seen.append)
    app.get("/page")(lambda: "page")
    sid = json.loads(get(guest, POLLING + "&q=1")[1:])["sid"]
    session = f"{POLLING}&sid={sid}"
    assert get(guest, session, b'40{"token":1}') == "ok"
    packets = get(guest, session)
    if "\x1e" not in packets:
        packets += "\x1e" + get(guest, session)
    assert packets.startswith('40{"sid":')
    assert packets.endswith('42["hello",{"auth":{"token":1},"q":"1","software":true}]')
    assert get(guest, session, b'42["e",1]\x1e42["e",2]') == "ok"
    assert sorted(seen.wait_for(2)) == [(1,), (2,)]
    assert get(guest, "/page") == "page"
    socketio.emit("later")  # for a poll that comes after it, and for one that waits
    assert get(guest, session) == '42["later"]'
    assert len(socketio.server.eio.sockets) == 1
    assert get(guest, session, b"1") == "ok"
    seen.wait_for_item("client disconnect")


def test_a_poll_that_waits(socketio, guest):
    sid = json.loads(get(guest, POLLING)[1:])["sid"]
    session = f"{POLLING}&sid={sid}"
    get(guest, session, b"40")
    get(guest, session)
    answers = Log()
    thread = threading.Thread(target=lambda: answers.append(get(guest, session)), daemon=True)
    thread.start()
    peer = wait_until(lambda: next(iter(socketio._running().engine.peers.values())))
    wait_until(lambda: peer.session.holds_poll, "the poll is held")
    socketio.emit("now")
    assert answers.wait_for(1) == ['42["now"]']
    thread.join(10)


def test_a_body_that_is_too_large(app, guest):
    socketio = app.extensions["socketio"]
    sid = json.loads(get(guest, POLLING)[1:])["sid"]
    limit = socketio._engine_options.max_http_buffer_size
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(guest, f"{POLLING}&sid={sid}", b"4" + b"x" * limit)
    assert caught.value.code == 413
    caught.value.close()


def test_websocket_under_werkzeug(socketio, guest):
    gone = Log()

    @socketio.on("echo")
    def echo(data):
        return data, request.environ["werkzeug.socket"] is not None

    socketio.on("disconnect")(gone.append)
    with Client(guest) as client:
        client.join()
        assert client.call("echo", "x" * 100_000) == ["x" * 100_000, True]
        socketio.emit("e", 1)
        assert client.event() == ["e", 1]
    gone.wait_for_item("transport close")


def test_under_the_debugger_too(app, socketio, capfd):
    """``flask run --debug``: nothing is said when a WebSocket ends."""
    server = make_server("127.0.0.1", 0, DebuggedApplication(app), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    gone = Log()
    socketio.on("disconnect")(gone.append)
    with Client(server.server_port) as client:
        client.join()
    gone.wait_for(1)
    socketio.stop()
    server.shutdown()
    thread.join(10)
    server.server_close()  # waits for its threads
    assert "Traceback" not in capfd.readouterr().err


@pytest.fixture
def wsgi(app, socketio):
    """The application as a WSGI server calls it that shows no socket."""
    before = set(threading.enumerate())
    yield app.test_client()
    socketio.stop()
    wait_until(lambda: set(threading.enumerate()) <= before, "all threads have ended")


def test_websocket_where_the_socket_cannot_be_had(socketio, wsgi):
    fields = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    response = wsgi.get("/socket.io/?EIO=4&transport=websocket", headers=fields)
    assert (response.status_code, response.json["message"]) == (400, "WebSocket is not possible under this WSGI server")
    assert wsgi.get(POLLING).text[0] == "0"


def test_server_handle_request(socketio, wsgi):
    environ = wsgi.get(POLLING).request.environ
    started = []
    (body,) = socketio.server.handle_request(environ, lambda status, headers: started.append((status, dict(headers))))
    assert started[0][0] == "200 OK"
    assert started[0][1]["Content-Length"] == str(len(body))
    assert json.loads(body[1:])["upgrades"] == ["websocket"]


def test_a_server_with_several_processes_is_warned(socketio, wsgi, caplog):
    for _ in range(2):
        wsgi.get(POLLING, environ_overrides={"wsgi.multiprocess": True})
    assert caplog.text.count("several processes") == 1


def test_not_while_test_clients_are_there(app, socketio, connect):
    connect()
    with pytest.raises(RuntimeError, match="test clients are connected"):
        app.test_client().get(POLLING)


def test_flask_run(tmp_path):
    (tmp_path / "demo.py").write_text(
        "import flask\n"
        "from greenwire.flask import SocketIO\n"
        "app = flask.Flask(__name__)\n"
        "socketio = SocketIO(app)\n"
        "socketio.on('double')(lambda n: 2 * n)\n"
        "socketio.run(app, port=0)  # not under __main__: ignored\n"
    )
    command = [sys.executable, "-m", "flask", "--app", "demo", "run", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            port = next(int(found[1]) for line in lines if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line)))
            with Client(port) as client:
                client.join()
                assert client.call("double", 21) == [42]
        finally:
            watchdog.cancel()
            process.terminate()


def test_a_websocket_that_is_refused(socketio, guest):
    with Client(guest) as client:
        response = client.open("/socket.io/?EIO=3&transport=websocket", expect=400)
        assert "Unsupported protocol version" in response.text
    with Client(guest) as client:
        client.join()  # the server is as well as before


def test_no_test_client_beside_it(app, socketio, guest):
    get(guest, POLLING)
    with pytest.raises(ConfigurationError, match="real client"):
        socketio.test_client(app)


def test_one_middleware_for_one_application(app):
    inner = app.wsgi_app
    socketio = SocketIO(app)
    socketio.init_app(app)
    assert socketio.sockio_mw is app.wsgi_app
    assert app.wsgi_app.wsgi_app == inner
