"""Running scripts for Node with socket.io-client; a skip with the reason where there is none, a failure in CI."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def node() -> str:
    """The path of Node."""
    found = shutil.which("node")
    if found is None:
        missing("node is not installed")
    if not (ROOT / "node_modules" / "socket.io-client").is_dir():
        missing("socket.io-client is not installed: npm ci")
    return str(found)


def missing(what: str) -> None:
    """Skip; but a test that is skipped in CI is a test that nobody runs."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def run(script: str, *args: str, timeout_s: float = 120) -> Any:
    """What *script* of this folder has printed last, as JSON."""
    done = subprocess.run(
        [node(), str(HERE / script), *args], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def running(script: str, *args: str) -> Iterator["subprocess.Popen[str]"]:
    """*script*, running; its lines come from ``stdout``. It is ended with the block at the latest."""
    with subprocess.Popen([node(), str(HERE / script), *args], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
