"""The servers that are measured: how each is started, whether it is installed, and how to install it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALLED = HERE / ".peers"
VENV = INSTALLED / "venv"
NODE = INSTALLED / "node"
REQUIREMENTS = HERE / "requirements-peers.txt"
NODE_MANIFESTS = (HERE / "node" / "package.json", HERE / "node" / "package-lock.json")
SOURCE = HERE.parent / "src"


@dataclass(frozen=True)
class Peer:
    """One server program. ``probe`` is a command that succeeds when it can run, and prints its version."""

    name: str
    title: str
    command: tuple[str, ...]
    probe: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def environ(self) -> dict[str, str]:
        """The environment to start it in."""
        return {**os.environ, "PYTHONUNBUFFERED": "1", **self.environment}

    def version(self) -> str | None:
        """What is installed, or None."""
        try:
            done = subprocess.run(self.probe, env=self.environ(), capture_output=True, text=True, timeout=20)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None


def _greenwire(runner: str) -> Peer:
    name = "greenwire" if runner == "threads" else f"greenwire-{runner}"
    needed = "greenwire.green, greenwire.flask" if runner == "green" else "greenwire.flask"
    return Peer(
        name,
        f"Greenwire, {runner}",
        (sys.executable, str(HERE / "servers" / "greenwire_flask.py"), "--runner", runner),
        (sys.executable, "-c", f"import {needed}; greenwire.flask.SocketIO; print('this checkout')"),
        {"PYTHONPATH": str(SOURCE)},
    )


def _python(name: str, title: str, *packages: str) -> Peer:
    python, program = str(VENV / "bin" / "python"), f"{title.lower().replace('-', '_').replace(' ', '_')}.py"
    probe = f"import importlib.metadata as m; print(*(p + ' ' + m.version(p) for p in {packages}), sep=', ')"
    return Peer(name, title, (python, str(HERE / "servers" / program)), (python, "-c", probe))


def _node() -> Peer:
    modules = {"NODE_PATH": str(NODE / "node_modules")}
    probe = "console.log(`socket.io ${require('socket.io/package.json').version}, node ${process.version}`)"
    server = ("node", str(HERE / "node" / "server.js"))
    return Peer("node", "Node socket.io", server, ("node", "-e", probe), modules)


REFERENCE = "greenwire"  # what the ratios are against
PEERS = {
    peer.name: peer
    for peer in (
        _greenwire("threads"),
        _greenwire("green"),
        _greenwire("coroutine"),
        _node(),
        _python("asgi", "python-socketio ASGI", "python-socketio", "uvicorn"),
        _python("eventlet", "Flask-SocketIO eventlet", "Flask-SocketIO", "eventlet"),
        _python("gevent", "Flask-SocketIO gevent", "Flask-SocketIO", "gevent"),
        _python("threading", "Flask-SocketIO threading", "Flask-SocketIO", "simple-websocket"),
    )
}


def install() -> None:
    """Put the peers into their own folder, each part only when its list has changed."""
    _install_python()
    if shutil.which("npm"):
        _install_node()
    else:
        print("npm is not there: Node's socket.io is left out")


def _install_python() -> None:
    stamp = _Stamp(VENV / "installed.json", REQUIREMENTS)
    if stamp.is_current():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
    stamp.write()


def _install_node() -> None:
    stamp = _Stamp(NODE / "installed.json", *NODE_MANIFESTS)
    if stamp.is_current():
        return
    NODE.mkdir(parents=True, exist_ok=True)
    for manifest in NODE_MANIFESTS:
        shutil.copy(manifest, NODE)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=NODE, check=True)
    stamp.write()


class _Stamp:
    """A file that remembers which lists an installation was made from."""

    def __init__(self, path: Path, *lists: Path) -> None:
        self._path = path
        self._lists = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in lists}

    def is_current(self) -> bool:
        """Whether the installation is there and whole."""
        return self._path.exists() and json.loads(self._path.read_text()) == self._lists

    def write(self) -> None:
        """The installation is whole."""
        self._path.write_text(json.dumps(self._lists))
