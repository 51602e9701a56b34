"""``greenwire.wsgi.server`` in a thread of its own, and what it has logged."""

import asyncio
import socket
import threading
from typing import Any

import uvloop

from greenwire import wsgi
from greenwire.green import hub as hubs

from .raw import Connection
from .waiting import TIMEOUT_S, wait_until

OK = "200 OK"
TEXT = [("Content-Type", "text/plain")]


def app_of(fn):
    """An application that answers with the bytes that ``fn(environ)`` returns."""

    def app(environ, start_response):
        body = fn(environ)
        start_response(OK, list(TEXT))
        return [body]

    return app


class Lines(list):
    """A log that keeps its lines."""

    def write(self, text: str) -> None:
        assert text.endswith("\n")
        self.append(text[:-1])

    @property
    def requests(self) -> list[str]:
        """Without what the server says of itself."""
        return [line for line in self if "wsgi server" not in line]


class Site:
    """``with Site(app, **options) as site:``. The server is stopped with the block; *raised* is what it raised."""

    kind = "uvloop"

    def __init__(self, app: Any, sock: Any = None, **options: Any) -> None:
        self.sock = sock if sock is not None else socket.create_server(("127.0.0.1", 0), backlog=100)
        name = self.sock.getsockname()
        self.port = name[1] if isinstance(name, tuple) else 0
        self.log = Lines()
        self.raised: BaseException | None = None
        self.server: wsgi.Server | None = None
        self._options = {"log": self.log, "server_event": self, **options}
        self._app = app
        self._ready = threading.Event()
        self._clients: list[Connection] = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def send(self, server: wsgi.Server) -> None:
        """What ``server_event`` does."""
        self.server = server
        self._ready.set()

    def _run(self) -> None:
        aio = uvloop.new_event_loop() if self.kind == "uvloop" else asyncio.new_event_loop()
        hubs._own.hub = hubs.hub_of(aio)
        try:
            wsgi.server(self.sock, self._app, **self._options)
        except BaseException as error:
            self.raised = error
        finally:
            self._ready.set()
            aio.close()

    def __enter__(self) -> "Site":
        self.thread.start()
        assert self._ready.wait(TIMEOUT_S)
        if self.raised is not None:
            self.sock.close()
            raise self.raised
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        if self.server is not None:
            self.server.stop()
        self.join()

    def connect(self) -> Connection:
        """A client."""
        self._clients.append(Connection(self.port))
        return self._clients[-1]

    def get(self, target: str = "/", *fields: tuple[str, str]) -> Any:
        """The answer to one request on a connection of its own."""
        return self.connect().get(target, *fields)

    def logged(self, count: int = 1) -> list[str]:
        """The lines of *count* requests, once they are there."""
        wait_until(lambda: len(self.log.requests) >= count, f"{count} lines")
        return self.log.requests

    def join(self) -> None:
        """Wait until the call of the server is over."""
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive(), "the server has not ended"
