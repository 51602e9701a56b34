"""What applications import under greenwire.compat, and what answers it."""

import os
import subprocess
import sys
from pathlib import Path

import flask
import pytest

SOURCE = Path(__file__).parents[2] / "src"


def run(code: str, folder: Path, env: dict[str, str] | None = None, *options: str) -> subprocess.CompletedProcess[str]:
    """Run *code* as ``app.py`` under greenwire.compat."""
    (folder / "app.py").write_text(code)
    return subprocess.run(
        [sys.executable, *options, "-m", "greenwire.compat", "app.py"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def runs(code: str, folder: Path, env: dict[str, str] | None = None, *options: str) -> list[str]:
    """What *code* leads to be said, line by line, when it ends well."""
    ended = run(code, folder, env, *options)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr.splitlines()


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> tuple[dict[str, str], str]:
    """An environment in which no package is installed that greenwire.compat answers."""
    folder = tmp_path_factory.mktemp("installed")
    ours = {"flask_socketio", "socketio", "engineio", "eventlet", "gevent"}
    for path in Path(flask.__file__).parents[1].iterdir():
        if path.name not in ours:
            (folder / path.name).symlink_to(path)
    return {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{folder}"}, "-S"


SAME_OBJECTS = """
import flask_socketio, greenwire.flask, greenwire.errors
import flask_socketio.namespace
from flask_socketio import *
from flask_socketio.namespace import Namespace
from flask_socketio.test_client import SocketIOTestClient
import socketio.exceptions
from socketio.exceptions import ConnectionRefusedError

for name in greenwire.flask.__all__:
    assert getattr(flask_socketio, name) is getattr(greenwire.flask, name), name
assert flask_socketio.namespace.Namespace is Namespace is greenwire.flask.Namespace
assert SocketIOTestClient is flask_socketio.SocketIOTestClient
assert ConnectionRefusedError is flask_socketio.ConnectionRefusedError is greenwire.errors.ConnectionRefusedError
assert socketio.exceptions.TimeoutError is greenwire.errors.TimeoutError
assert isinstance(flask_socketio.SocketIO(), greenwire.flask.SocketIO)
assert issubclass(flask_socketio.SocketIO, greenwire.flask.extension.SocketIO)
"""


def test_flask_socketio_is_greenwire_flask(tmp_path: Path):
    assert runs(SAME_OBJECTS, tmp_path) == []


def test_and_it_need_not_be_installed(tmp_path: Path, bare):
    env, option = bare
    with pytest.raises(AssertionError, match="No module named 'flask_socketio'"):
        runs("import sys; sys.meta_path.pop(0); import flask_socketio", tmp_path, env, option)
    assert runs(SAME_OBJECTS, tmp_path, env, option) == []


def test_the_client_of_python_socketio_works_beside_it(tmp_path: Path):
    code = """
import socketio, engineio
from socketio.exceptions import ConnectionError
client = socketio.Client(reconnection=False)
try:
    client.connect("http://127.0.0.1:9")
except ConnectionError as error:
    import greenwire.errors
    assert type(error) is greenwire.errors.ConnectionError
else:
    raise AssertionError
"""
    assert runs(code, tmp_path) == []


def test_without_python_socketio_it_is_named(tmp_path: Path, bare):
    env, option = bare
    ended = run("import socketio\nsocketio.Client()", tmp_path, env, option)
    assert ended.stderr.splitlines()[-1] == (
        "AttributeError: socketio.Client has no stand-in under greenwire.compat: pip install python-socketio: its"
        " client works beside Greenwire"
    )


def test_a_setting_without_effect_is_named(tmp_path: Path, bare):
    env, option = bare
    code = "import engineio.payload as p\np.Payload.max_decode_packets = 9\nassert p.Payload.max_decode_packets == 9"
    assert runs(code, tmp_path, env, option) == [
        "greenwire.compat: app.py:2: Payload.max_decode_packets has no effect: a POST is bounded in bytes,"
        " by max_http_buffer_size. Delete this line"
    ]


MONKEY = """\
import eventlet
eventlet.monkey_patch()
from gevent import monkey
monkey.patch_all(thread=False)
import gevent.monkey as also
also.patch_socket()
for _ in range(3):
    eventlet.patcher.monkey_patch(os=True)
import socket, threading, time
assert socket.socket.__module__ == "socket"
assert type(threading.Lock()).__module__ == "_thread"
assert not eventlet.patcher.is_monkey_patched("socket")
assert not monkey.is_module_patched("socket")
"""


@pytest.mark.parametrize("is_bare", [False, True], ids=["", "bare"])
def test_monkey_patching_does_nothing_and_says_so_once(tmp_path: Path, bare, is_bare: bool):
    env, option = bare if is_bare else (None, "-u")
    told = runs(MONKEY, tmp_path, env, option)
    assert [line.removeprefix("greenwire.compat: ") for line in told] == [
        "app.py:2: eventlet.monkey_patch() does nothing here: delete this line",
        "app.py:4: gevent.monkey.patch_all() does nothing here: delete this line",
        "app.py:6: gevent.monkey.patch_socket() does nothing here: delete this line",
        "app.py:8: eventlet.patcher.monkey_patch() does nothing here: delete this line",
    ]


GREEN = """\
import threading, queue, socket
import eventlet, gevent
from eventlet import sleep, spawn, spawn_n, tpool
from eventlet.green import socket as green_socket, threading as green_threading
from eventlet.green.urllib import request
from eventlet.queue import Queue, Empty
import eventlet.semaphore
import gevent.event, gevent.lock, gevent.queue, gevent.local
import eventlet.corolocal

assert Queue is gevent.queue.Queue is queue.Queue and Empty is queue.Empty
assert gevent.event.Event is threading.Event
assert eventlet.semaphore.Semaphore is gevent.lock.Semaphore is threading.Semaphore
assert gevent.local.local is eventlet.corolocal.local is threading.local
assert green_socket.socket is socket.socket and green_threading.Thread is threading.Thread
assert socket.__spec__.name == "socket" and socket.__name__ == "socket"
import urllib.request
assert request.urlopen is urllib.request.urlopen
assert eventlet.import_patched("socket") is socket
assert tpool.execute(pow, 2, 3) == 8

own = threading.current_thread()
assert spawn(threading.current_thread).wait() is not own
assert gevent.getcurrent() is own
sleep(); gevent.sleep(0.001); eventlet.sleep(seconds=0)
done = threading.Event()
spawn_n(done.set)
assert done.wait(10)
job = gevent.spawn_later(0.001, pow, 2, exp=5)
assert gevent.joinall([job], timeout=10) == [job]
assert job.ready() and job.dead and job.get() == 32
later = eventlet.spawn_after(600, print, "never")
assert gevent.joinall([later], timeout=0.001) == []
later.cancel()
assert later.wait(10) is None
"""


def test_simple_names_use_threads(tmp_path: Path):
    assert runs(GREEN, tmp_path) == []


def test_what_a_spawned_thread_raises_is_shown_and_given(tmp_path: Path):
    code = """
import gevent, sys
job = gevent.spawn(int, "x")
job.join(10)
try:
    gevent.joinall([job], raise_error=True)
except ValueError as error:
    print(error)
else:
    raise AssertionError
"""
    told = runs(code, tmp_path)
    assert told[0].startswith("Exception in thread spawn int")
    assert told[-1] == "ValueError: invalid literal for int() with base 10: 'x'"


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("eventlet.GreenPool(10)", "use concurrent.futures.ThreadPoolExecutor"),
        ("from eventlet import GreenPool", "use concurrent.futures.ThreadPoolExecutor"),
        ("import eventlet.wsgi", "call socketio.run(app, host, port), it is the server"),
        ("from eventlet import wsgi", "call socketio.run(app, host, port), it is the server"),
        ("eventlet.listen(('', 5000))", "call socketio.run(app, host, port), it is the server"),
        ("from eventlet.hubs import trampoline", "there is no hub, nothing needs it"),
        ("from eventlet.green import MySQLdb", "import the standard library's module of that name"),
        ("eventlet.Timeout(5)", "give the timeout to what waits"),
        ("from gevent.pywsgi import WSGIServer", "call socketio.run(app, host, port), it is the server"),
        ("from gevent.pool import Pool", "use concurrent.futures.ThreadPoolExecutor"),
        ("gevent.Greenlet(print)", "use threading.Thread, or gevent.spawn(function)"),
        ("gevent.event.AsyncResult()", "use concurrent.futures.Future"),
        ("gevent.signal_handler(15, print)", "use signal.signal"),
        ("gevent.something_new()", "handlers run in threads"),
        ("gevent.spawn(print).kill()", "a thread cannot be killed: let the function look at a threading.Event"),
        ("from geventwebsocket.handler import WebSocketHandler", "call socketio.run(app, host, port)"),
        ("from flask_socketio import Socketio", "the public names of Flask-SocketIO are in greenwire.flask"),
    ],
)
def test_other_names_say_what_to_use(tmp_path: Path, line: str, advice: str):
    ended = run(f"import eventlet, gevent\n{line}\n", tmp_path)
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(("ImportError: ", "AttributeError: "))
    assert advice in last


def test_libraries_that_look_for_names_find_that_they_are_missing(tmp_path: Path):
    code = """
import eventlet, gevent
assert not hasattr(eventlet, "__version__") and not hasattr(gevent, "hub")
try:
    from gevent import socket
except ImportError:
    socket = None
assert socket is None
"""
    assert runs(code, tmp_path) == []
