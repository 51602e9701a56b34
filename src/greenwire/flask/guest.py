"""Socket.IO under somebody else's WSGI server: ``flask run``, gunicorn, any other.

There the loop runs in a thread of its own, started by the first request. A request on the Socket.IO path comes in a
thread of that server, is handed to the Engine.IO server on the loop, and the thread waits for the answer; so
long-polling works everywhere. A WebSocket works where the server shows its socket (``werkzeug.socket``,
``gunicorn.socket``) and does not encrypt it: the loop takes a duplicate over, and the thread waits until it is done.
"""

import asyncio
import io
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..engineio.serve import Engine
from ..errors import NotRunningError, RemoteProtocolError
from ..loop import Loop
from ..quiet import QuietLog
from ..runners import TaskRunner, ThreadRunner
from .given import GivenRequest

if TYPE_CHECKING:
    from .extension import SocketIO

log = logging.getLogger("greenwire")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
_SOCKETS = ("werkzeug.socket", "gunicorn.socket")
_LOOK_AGAIN_S = 0.02  # while handlers end
_SPARE_S = 10.0  # beyond the time after which a held poll is answered in any case


class Host(NamedTuple):
    """Where Engine.IO runs."""

    loop: Loop
    engine: Engine


class GuestServer:
    """A loop in a thread, with the Engine.IO server of one ``SocketIO``. Ends with the process."""

    def __init__(self, socketio: "SocketIO") -> None:
        self._socketio = socketio
        self._host: Host | None = None
        self._ready = threading.Event()
        threading.Thread(target=self._run, name="greenwire-loop", daemon=True).start()
        self._ready.wait()
        if self._host is None:
            raise NotRunningError("the Socket.IO server cannot be started; the log says why")
        self.host: Host = self._host

    def _run(self) -> None:
        try:
            loop = Loop()
            self._host = Host(loop, self._engine(loop))
        finally:
            self._ready.set()
        loop.aio.run_forever()
        if self._socketio.queue is not None:
            self._socketio.queue.end()
        self._socketio._core.unbind()
        loop.close()

    def _engine(self, loop: Loop) -> Engine:
        core = self._socketio._core
        quiet = QuietLog(log, loop.now)
        loop.bound(core.limits, quiet)
        self._runner = ThreadRunner(loop, core.limits)
        self._tasks = TaskRunner(loop)
        self._dispatcher = core.bind(
            loop, self._runner, self._tasks, quiet, lambda peer, error: engine.fail(peer, error)
        )
        if self._socketio.queue is not None:
            self._socketio.queue.begin(loop, quiet)
        engine = Engine(loop, core.limits, self._socketio._engine_options, quiet, self._dispatcher.opened)
        return engine

    def stop(self) -> None:
        """Close all sessions, let handlers end, and end the thread. Does not wait for it."""
        loop, engine = self.host
        loop.post(engine.stop)
        loop.post(self._end, loop.now() + self._socketio._core.limits.graceful_s)

    def _end(self, deadline: float) -> None:
        loop = self.host.loop
        busy = self._dispatcher.populated or self._runner.busy() or self._tasks.busy()
        if busy and loop.now() < deadline:
            loop.call_later(_LOOK_AGAIN_S, self._end, deadline)
            return
        self._tasks.stop()
        self._runner.stop()
        loop.call_soon(loop.call_soon, loop.aio.stop)  # two turns: tasks are cancelled in the first


class Middleware:
    """What ``app.wsgi_app`` is after ``init_app``: Socket.IO on its path, the application everywhere else."""

    def __init__(self, socketio: "SocketIO", wsgi_app: Callable[..., Iterable[bytes]]) -> None:
        self.socketio = socketio
        self.wsgi_app = wsgi_app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith(self.socketio.path):
            return answer(self.socketio, environ, start_response)
        return self.wsgi_app(environ, start_response)


def answer(socketio: "SocketIO", environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request on the Socket.IO path, in a thread of the WSGI server. Waits."""
    host = socketio._host(multiprocess=bool(environ.get("wsgi.multiprocess")))
    options = socketio._engine_options
    exchange = GuestExchange(environ, options.max_http_buffer_size)
    plain = next((environ[name] for name in _SOCKETS if name in environ), None)
    if plain is not None and exchange.wants_upgrade and not isinstance(plain, ssl.SSLSocket):
        exchange.take_over(host, plain)
    else:
        host.loop.post(host.engine.handle, cast(Any, exchange))
    status, headers, body = exchange.wait(host, options.ping_interval + options.ping_timeout + _SPARE_S)
    if not status:  # it was a WebSocket, and is over
        assert plain is not None
        with suppress(OSError):
            plain.shutdown(socket.SHUT_RDWR)  # what the WSGI server writes now reaches nobody, and it knows that
        start_response("200 OK", [])
        return []
    start_response(f"{status} {HTTPStatus(status).phrase}", [*headers, ("Content-Length", str(len(body)))])
    return [body]


Answer = tuple[int, list[tuple[str, str]], bytes]


class GuestExchange:
    """What Engine.IO needs of an exchange. Made and waited for by a thread of the WSGI server, else loop thread."""

    def __init__(self, environ: Environ, limit: int) -> None:
        self._body = _read(environ, limit + 1)
        self.request = GivenRequest({**environ, "wsgi.input": io.BytesIO()})
        self.wants_upgrade = (self.request.get("upgrade") or "").lower() == "websocket"
        self.on_abandoned: Callable[[], None] | None = None
        self._answer: Answer | None = None
        self._done = threading.Event()
        self._transport: asyncio.Transport | None = None
        self._upgraded = False

    def wait(self, host: Host, timeout_s: float) -> Answer:
        """The answer; one with status 0 when a WebSocket has ended."""
        if not self._done.wait(None if self._transport is not None else timeout_s):
            host.loop.post(self._abandon)
            return 504, [("Content-Type", "text/plain")], b"no answer\n"
        return self._answer or (0, [], b"")

    def _abandon(self) -> None:
        if self.on_abandoned is not None:
            self.on_abandoned()

    # --- as http.exchange.Exchange

    def respond(self, status: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> None:
        self._answer = (status, list(headers), body)
        if self._transport is None:
            self._done.set()
        else:  # a handshake that is refused: the socket is the server's again, once ours is closed
            self._transport.close()

    def collect(self, limit: int, done: Callable[[bytes | None, RemoteProtocolError | None], None]) -> None:
        if len(self._body) > limit:
            done(None, RemoteProtocolError("the request body is too large", status=413))
        else:
            done(self._body, None)

    def upgrade(self) -> tuple[asyncio.Transport, bytes]:
        if self._transport is None:
            raise RemoteProtocolError("WebSocket is not possible under this WSGI server")
        self._upgraded = True
        self._transport.resume_reading()
        return self._transport, b""

    @property
    def connection(self) -> "GuestExchange":
        """It stands for the connection, and its server, too."""
        return self

    server = connection
    access_log = None  # the WSGI server has its own

    def claim(self, http: object, peer: object) -> None:
        """Nothing: the WSGI server counts its connections."""

    def replace(self, http: object, connection: object) -> None:
        """The WebSocket has the socket now."""

    def closed(self, connection: object = None) -> None:
        """The socket is closed: the waiting thread may go."""
        self._done.set()

    # --- a socket

    def take_over(self, host: Host, plain: socket.socket) -> None:
        """Have the loop hold a duplicate of *plain*. Returns at once."""
        blocking = os.get_blocking(plain.fileno())
        ours = plain.dup()
        ours.setblocking(False)
        self._transport = cast(asyncio.Transport, _NO_TRANSPORT)

        async def adopt() -> None:
            try:
                await host.loop.aio.connect_accepted_socket(lambda: _Waiting(self, host, plain, blocking), ours)
            except OSError:  # it is closed already
                ours.close()
                self.closed()

        host.loop.post(lambda: host.loop.aio.create_task(adopt()))

    def adopted(self, host: Host, transport: asyncio.Transport) -> None:
        """The duplicate is in the loop's hands."""
        self._transport = transport
        transport.pause_reading()
        host.engine.handle(cast(Any, self))


_NO_TRANSPORT = object()  # stands for the one that is to come


class _Waiting(asyncio.Protocol):
    """On the duplicate until the WebSocket has it, or it is closed again."""

    def __init__(self, exchange: GuestExchange, host: Host, plain: socket.socket, blocking: bool) -> None:
        self._exchange = exchange
        self._host = host
        self._plain = plain
        self._blocking = blocking

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._exchange.adopted(self._host, cast(asyncio.Transport, transport))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._plain.fileno() >= 0:
            os.set_blocking(self._plain.fileno(), self._blocking)  # the two share this, and no more
        self._exchange.closed()


def _read(environ: Environ, most: int) -> bytes:
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdigit():
        data: bytes = environ["wsgi.input"].read(min(int(length), most))
    elif environ.get("wsgi.input_terminated"):
        data = environ["wsgi.input"].read(most)
    else:
        data = b""
    return data
