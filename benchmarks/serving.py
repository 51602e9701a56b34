"""Starts one server on a core of its own, waits until it listens, and ends it with all its children."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from peers import Peer
from rows import FILE, FILE_BYTES
from shape import Shape

START_LIMIT_S = 20.0
POLL_S = 0.02
LISTENING = re.compile(r"LISTENING (\d+)|https?://127\.0\.0\.1:(\d+)")
PR_SET_PDEATHSIG = 1  # prctl(2)
OPENSSL = (
    *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
    *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
)


class Failed(Exception):
    """A measurement that could not be made, and why."""


class Files:
    """What servers are given on the disk: a file to serve, a certificate with its key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "certificate.pem"
        (folder / FILE).write_bytes(os.urandom(FILE_BYTES))
        with contextlib.suppress(FileNotFoundError):  # without openssl, TLS fails and says so
            key = folder / "key.pem"
            made = [*OPENSSL, "-keyout", str(key), "-out", str(self.certificate)]
            subprocess.run(made, check=True, capture_output=True, timeout=START_LIMIT_S)
            self.certificate.write_text(self.certificate.read_text() + key.read_text())

    def options(self, shape: Shape) -> list[str]:
        """What a server is told of a load."""
        tls = ["--certificate", str(self.certificate)] if shape.tls else []
        return tls + (["--namespaces", str(shape.namespaces)] if shape.namespaces else [])


def child_setup(core: int) -> Callable[[], None]:
    """What a child does before it becomes its program: go to its core, and die if the runner does."""
    prctl = ctypes.CDLL(None).prctl

    def setup() -> None:
        os.sched_setaffinity(0, {core})
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return setup


@contextlib.contextmanager
def serving(peer: Peer, shape: Shape, files: Files, core: int) -> Iterator[tuple[int, int]]:
    """Run a server; gives its process id and port, and ends it with all its children."""
    port = [] if "--bind" in peer.command else ["--port", "0"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*peer.command, *port, *files.options(shape)],
            env=peer.environ({"BENCH_STATIC": str(files.folder)}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=child_setup(core),
        )
        try:
            yield process.pid, listening_port(process, log.fileno())
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # not yet waited for, so the number is still its own
            process.wait()


def listening_port(process: subprocess.Popen[bytes], log: int) -> int:
    """Wait for the line in which the server says where it listens."""
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        text = os.pread(log, 1 << 20, 0).decode(errors="replace")
        if said := LISTENING.search(text):
            return int(said[1] or said[2])
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise Failed(f"the server ended: {last_line(text)}")
        time.sleep(POLL_S)
    raise Failed(f"the server did not say where it listens: {last_line(text)}")


def last_line(text: str) -> str:
    """The line that says what was wrong, most of the time."""
    return (text.strip().splitlines() or ["(nothing)"])[-1].strip()
