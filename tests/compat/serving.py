"""Runs the example applications, each as a process of its own, and connects clients to them."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import socketio

from support.heard import HeardClient
from support.waiting import TIMEOUT_S, Log, wait_until

APPS = Path(__file__).parent / "apps"
_URL = re.compile(r"https?://127\.0\.0\.1:\d+")


class Running:
    """A process that serves, what it says on standard error, and the clients that were connected to it."""

    def __init__(self, arguments: list[str], cwd: Path, is_graceful: bool) -> None:
        self.lines = Log()
        self.clients: list[HeardClient] = []
        self._is_graceful = is_graceful
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        found = wait_until(lambda: _URL.search("\n".join(self.lines)) or self.process.poll() is not None, "a URL")
        assert found is not True, f"it has ended: {self.lines}"
        return found[0]

    def connect(self, *, on: dict[str, Any] | None = None, **options: Any) -> HeardClient:
        """A connected client."""
        client = HeardClient(reconnection=False, handle_sigint=False)
        self.clients.append(client)
        for event, handler in (on or {}).items():
            client.on(event, handler, namespace=(options.get("namespaces") or ["/"])[0])
        options.setdefault("transports", ["websocket"])
        client.connect(self.url, wait_timeout=TIMEOUT_S, **options)
        return client

    def notices(self) -> list[str]:
        """What greenwire.compat has said: ``app.py:5: …``, without folders."""
        said = [line.removeprefix("greenwire.compat: ") for line in self.lines if "greenwire.compat: " in line]
        return [re.sub(r"^\S*/", "", line) for line in said]

    def stop(self) -> None:
        """End the clients, then the process; nothing of either is left."""
        if not self._is_graceful:  # Werkzeug's server leaves a client that says goodbye waiting for seconds
            self.process.kill()
        for client in self.clients:
            close(client)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._reader.join(TIMEOUT_S)
            assert self.process.stderr is not None
            self.process.stderr.close()


def close(client: socketio.Client) -> None:
    """Disconnect, and close what the client leaves open when it was refused or the server has gone."""
    websocket = client.eio.ws
    client.disconnect()
    if websocket is not None:
        websocket.shutdown()
    if client.eio.http is not None:
        client.eio.http.close()


@contextmanager
def served(*arguments: str, cwd: Path = APPS, is_graceful: bool | None = None) -> Iterator[Running]:
    """``python *arguments``, until the end of the block."""
    running = Running(list(arguments), cwd, "greenwire.compat" in arguments if is_graceful is None else is_graceful)
    try:
        yield running
    finally:
        running.stop()


def said(client: socketio.Client, event: str, namespace: str = "/") -> Log:
    """What the client is told from now on, each with its arguments as a tuple."""
    log = Log()
    client.on(event, lambda *args: log.append(args), namespace=namespace)
    return log
