"""Puts the peers into a folder of their own, each part only when its list has changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from peers import FLOOR, HERE, INSTALLED, NODE, SERVERS, VENV

REQUIREMENTS = HERE / "requirements-peers.txt"
NODE_MANIFESTS = (HERE / "node" / "package.json", HERE / "node" / "package-lock.json")
FLOOR_SOURCE = SERVERS / "floor.c"


def install() -> None:
    """All that this machine can have."""
    INSTALLED.mkdir(exist_ok=True)
    _install_python()
    if shutil.which("npm"):
        _install_node()
    else:
        print("npm is not there: Node's and Bun's Socket.IO are left out")
    if shutil.which("gcc"):
        _compile_floor()
    else:
        print("gcc is not there: the bare C loop is left out")


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


def _compile_floor() -> None:
    stamp = _Stamp(INSTALLED / "floor.json", FLOOR_SOURCE)
    if not stamp.is_current():
        subprocess.run(["gcc", "-O2", "-o", str(FLOOR), str(FLOOR_SOURCE)], check=True)
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
