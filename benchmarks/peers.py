"""The servers that are measured: how each is started, and whether it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVERS = HERE / "servers"
INSTALLED = HERE / ".peers"
VENV = INSTALLED / "venv"
NODE = INSTALLED / "node"
FLOOR = INSTALLED / "floor"
SOURCE = HERE.parent / "src"
NODE_PATH = os.pathsep.join(map(str, (NODE / "node_modules", HERE.parent / "node_modules")))
PROBE_LIMIT_S = 20.0


@dataclass(frozen=True)
class Peer:
    """One server program. ``probe`` is a command that succeeds when it can run, and prints its version."""

    name: str
    title: str
    group: str  # selects it, too
    command: tuple[str, ...]
    probe: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment to start it in."""
        return {**os.environ, "PYTHONUNBUFFERED": "1", **self.environment, **(more or {})}

    def version(self) -> str | None:
        """What is installed, or None."""
        try:
            done = subprocess.run(self.probe, env=self.environ(), capture_output=True, text=True, timeout=PROBE_LIMIT_S)
        except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None


def _greenwire(name: str, title: str, program: str, runner: str) -> Peer:
    needed = "greenwire.green, greenwire.flask" if runner == "green" else "greenwire.flask"
    return Peer(
        name,
        f"Greenwire, {title}",
        "ours",
        (sys.executable, str(SERVERS / program), "--runner", runner),
        (sys.executable, "-c", f"import {needed}; greenwire.flask.SocketIO; print('this checkout')"),
        {"PYTHONPATH": str(SOURCE)},
    )


def _python(name: str, title: str, program: str, *packages: str) -> Peer:
    python = str(VENV / "bin" / "python")
    probe = f"import importlib.metadata as m; print(*(p + ' ' + m.version(p) for p in {packages}), sep=', ')"
    group = name.removesuffix("-wsgi")
    return Peer(name, title, group, (python, str(SERVERS / program)), (python, "-c", probe))


def _gunicorn() -> Peer:
    threads = ("-k", "gthread", "--threads", "4", "--keep-alive", "75")  # by default 2 s, shorter than a run
    shown = _python("gunicorn", "gunicorn gthread, 4 threads", "", "gunicorn")
    where = ("--chdir", str(SERVERS), "--bind", "127.0.0.1:0", "wsgi_app:app")
    return Peer(shown.name, shown.title, "gunicorn", (str(VENV / "bin" / "gunicorn"), *threads, *where), shown.probe)


def _javascript(name: str, title: str, runtime: str, program: str, package: str) -> Peer:
    version = "process.versions.bun || process.version"
    probe = f"console.log('{package}', require('{package}/package.json').version + ', {name}', {version})"
    server = (runtime, str(HERE / "node" / program))
    return Peer(name, title, name, server, (runtime, "-e", probe), {"NODE_PATH": NODE_PATH})


REFERENCE = "greenwire"  # what the ratios are against, where it takes part
REFERENCES = (REFERENCE, "greenwire-wsgi")
BUN = str(NODE / "node_modules" / ".bin" / "bun")
PEERS = {
    peer.name: peer
    for peer in (
        _greenwire("greenwire", "threads", "greenwire_flask.py", "threads"),
        _greenwire("greenwire-green", "green", "greenwire_flask.py", "green"),
        _greenwire("greenwire-coroutine", "coroutine", "greenwire_flask.py", "coroutine"),
        _greenwire("greenwire-bare", "no Flask, coroutine", "greenwire_bare.py", "coroutine"),
        _greenwire("greenwire-bare-green", "no Flask, green", "greenwire_bare.py", "green"),
        _javascript("node", "Node socket.io", "node", "server.js", "socket.io"),
        _javascript("bun", "Bun, its own engine", BUN, "bun.js", "@socket.io/bun-engine"),
        _python("asgi", "python-socketio ASGI", "python_socketio_asgi.py", "python-socketio", "uvicorn"),
        _python("eventlet", "Flask-SocketIO eventlet", "flask_socketio_eventlet.py", "Flask-SocketIO", "eventlet"),
        _python("gevent", "Flask-SocketIO gevent", "flask_socketio_gevent.py", "Flask-SocketIO", "gevent"),
        _python(
            "threading",
            "Flask-SocketIO threading",
            "flask_socketio_threading.py",
            "Flask-SocketIO",
            "simple-websocket",
        ),
        Peer("floor", "Bare C epoll loop", "floor", (str(FLOOR),), (str(FLOOR), "--version")),
        Peer(
            "floor-python",
            "Bare uvloop and picows",
            "floor",
            (sys.executable, str(SERVERS / "floor_python.py")),
            (sys.executable, "-c", "import uvloop, picows; print('uvloop', uvloop.__version__)"),
        ),
        _greenwire("greenwire-wsgi", "WSGI in threads", "wsgi_greenwire.py", "threads"),
        _greenwire("greenwire-wsgi-green", "WSGI, green", "wsgi_greenwire.py", "green"),
        _python("granian", "granian", "wsgi_granian.py", "granian"),
        _gunicorn(),
        _python("waitress", "waitress", "wsgi_waitress.py", "waitress"),
        _python("uvicorn", "uvicorn and a2wsgi", "wsgi_uvicorn.py", "uvicorn", "a2wsgi"),
        _python("eventlet-wsgi", "eventlet", "wsgi_eventlet.py", "eventlet"),
        _python("gevent-wsgi", "gevent", "wsgi_gevent.py", "gevent"),
    )
}
