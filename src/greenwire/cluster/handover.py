"""Hand a connection to the worker that its session belongs to. Nobody needs a load balancer that remembers clients.

A polling client opens connections as it likes, and the kernel gives them to any worker. The sid in a request says whose
session it is (ids.py). A worker that is asked for another's session passes the *connection* on, with the request that
it has read from it: the other worker answers it, and whatever comes after it on the connection.

Each worker listens for that on ``<directory>/<number>.hand``. One hand-over is one connection to it::

    length of all that follows  4 bytes  |  length of the facts  4 bytes
    the facts: JSON, whose connection it is, to where, and its scheme
    the request, and what has come behind it

========  =======================================================================================================
plain     the descriptor of the TCP connection goes along (SCM_RIGHTS), and we close ours: it has changed hands
TLS       its state cannot change hands: the connection to the other worker stays, and bytes are carried both ways.
          So are they where older answers still wait to be read by the client
========  =======================================================================================================

A request is passed on once: it goes to the worker of the number in its sid, and nobody but that one is to know it.
"""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import orjson

from ..errors import RemoteProtocolError
from ..http.exchange import Exchange
from ..http.request import Request
from ..ids import owner
from ..limits import Limits
from ..loop import Loop
from ..net.proxy_protocol import Header
from ..net.server import Server
from ..quiet import QuietLog
from .link import Links
from .listener import Listener

log = logging.getLogger("greenwire")

_BACKLOG = 1024
_READ_BYTES = 262_144
_HEAD = struct.Struct(">II")
_TRIES = 50
_TRY_AGAIN_S = 0.02  # the other one's queue is full
_NOT_PASSED_ON = frozenset(("content-length", "transfer-encoding", "expect"))
SUFFIX = ".hand"


class Handover:
    """Of one worker. Loop thread only."""

    def __init__(
        self, links: Links, directory: str, server: Server, loop: Loop, limits: Limits, quiet: QuietLog
    ) -> None:
        self.server = server
        self.loop = loop
        self.limits = limits
        self.quiet = quiet
        self._links = links
        self._directory = Path(directory)
        self._listener: Listener | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Take what others pass on."""
        self._listener = Listener(
            self._path(self._links.number),
            _BACKLOG,
            self.loop,
            self.quiet,
            "take a connection over from another worker",
            self.limits.accept_pause_s,
            lambda sock: Arrival(self, sock),
        )

    def leave(self) -> None:
        """Our sessions have ended: what others are asked for, they can answer themselves."""
        if self._listener is not None:
            self._listener.hide()
            self._listener.close()

    def stop(self) -> None:
        """The loop has ended."""
        self.leave()
        for task in self._tasks:
            task.cancel()

    def _path(self, number: int) -> Path:
        return self._directory / f"{number}{SUFFIX}"

    def _start(self, coroutine: Any) -> None:
        task = self.loop.aio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- to another worker

    def take(self, exchange: Exchange, sid: str, unknown: Callable[[], None], body_bytes: int) -> None:
        """Pass *exchange* on to the worker that *sid* is a session of, else say that it is *unknown*."""
        number = owner(sid)
        if number == self._links.number or number not in self._links.there:
            unknown()
            return

        def collected(body: bytes | None, error: RemoteProtocolError | None) -> None:
            if body is None:
                exchange.respond(error.status if error is not None else 400, [])
            else:
                self._start(self._pass_on(exchange, number, body, unknown))

        exchange.collect(body_bytes, collected)

    async def _pass_on(self, exchange: Exchange, number: int, body: bytes, unknown: Callable[[], None]) -> None:
        try:
            sock = await self._connect(number)
        except (FileNotFoundError, ConnectionRefusedError):  # it has ended, and its sessions with it
            unknown()
            return
        except OSError as error:
            exchange.connection.abort()
            self._failed(number, error)
            return
        if exchange.gone:  # the client, meanwhile
            sock.close()
            return
        plain = exchange.connection.ends[2] == "http"
        near, frame = self._detach(exchange, body)
        assert near.transport is not None
        try:
            if plain and near.transport.get_write_buffer_size() == 0:
                await self._give(sock, frame, near)
            else:
                await self._carry(sock, frame, near)
        except OSError as error:
            sock.close()
            near.abort()
            self._failed(number, error)

    def _detach(self, exchange: Exchange, body: bytes) -> "tuple[Near, bytes]":
        """The connection of *exchange* without its protocol, and what the other worker has to know."""
        connection = exchange.connection
        peer, local, scheme = connection.ends
        facts = orjson.dumps({"peer": peer, "local": local, "scheme": scheme})
        # Who the client's certificate says that it is, the other worker does not see: this request of a session needs
        # it no more, but a view that comes behind it might. So nothing comes behind it.
        tls = connection.secured
        last = tls is not None and tls.getpeercert(True) is not None and not exchange.wants_upgrade
        request = head_of(exchange.request, body, last=last) + body
        transport, rest = exchange.pass_on()
        transport.pause_reading()
        near = Near(self.server)
        self.server.replace(connection, near)
        transport.set_protocol(near)
        near.connection_made(transport)
        return near, framed(facts, request + rest)

    async def _give(self, sock: socket.socket, frame: bytes, near: "Near") -> None:
        assert near.transport is not None
        descriptor = os.dup(near.transport.get_extra_info("socket").fileno())
        near.abort()  # closes ours; the other one is open
        try:
            sent = socket.send_fds(sock, [frame], [descriptor])
            await self.loop.aio.sock_sendall(sock, frame[sent:])
        finally:
            os.close(descriptor)
        sock.close()

    async def _carry(self, sock: socket.socket, frame: bytes, near: "Near") -> None:
        await self.loop.aio.sock_sendall(sock, frame)
        await self.loop.aio.connect_accepted_socket(lambda: Far(near), sock)

    async def _connect(self, number: int) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        for left in reversed(range(_TRIES)):
            try:
                sock.connect(str(self._path(number)))
                break
            except BlockingIOError:
                if not left:
                    sock.close()
                    raise
                await asyncio.sleep(_TRY_AGAIN_S)
            except OSError:
                sock.close()
                raise
        return sock

    def _failed(self, number: int, error: OSError) -> None:
        warning = "a connection was cut off: its session's worker %d cannot take it over: %s"
        self.quiet.warning("handover", warning, number, error)

    # --- from another worker

    def arrived(self, sock: socket.socket, facts: bytes, data: bytes) -> None:
        """A connection has been passed on to us; *sock* is the client's, or is carried by the other worker."""
        try:
            found = orjson.loads(facts)
            peer, local = _address(found["peer"]), _address(found["local"])
            scheme = "https" if found["scheme"] == "https" else "http"
        except (ValueError, KeyError, TypeError) as error:
            log.error("another worker passes on what makes no sense: %s", error)
            sock.close()
            return
        sock.setblocking(False)
        self.server.adopt(sock, data, Header(0, peer, local), scheme)


class Arrival:
    """One hand-over that comes in: until its frame is complete."""

    def __init__(self, handover: Handover, sock: socket.socket) -> None:
        self._handover = handover
        self._sock = sock
        self._data = bytearray()
        self._given: socket.socket | None = None
        loop = handover.loop
        self._timer = loop.call_later(handover.limits.worker_answer_s, self._give_up)
        loop.aio.add_reader(sock.fileno(), self._read)

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, _READ_BYTES, 1)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, descriptors = b"", []
        for descriptor in descriptors:
            self._given = socket.socket(fileno=descriptor)
        self._data += data
        if self._complete:
            self._finish()
        elif not data or len(self._data) > self._handover.limits.worker_message_bytes:
            self._give_up()

    @property
    def _complete(self) -> bool:
        return len(self._data) >= _HEAD.size and len(self._data) >= 4 + _HEAD.unpack_from(self._data)[0]

    def _finish(self) -> None:
        self._stop()
        _, length = _HEAD.unpack_from(self._data)
        facts = bytes(self._data[_HEAD.size : _HEAD.size + length])
        rest = bytes(self._data[_HEAD.size + length :])
        if self._given is not None:
            self._sock.close()
        self._handover.arrived(self._given or self._sock, facts, rest)

    def _give_up(self) -> None:
        self._stop()
        self._sock.close()
        if self._given is not None:
            self._given.close()

    def _stop(self) -> None:
        self._timer.cancel()
        self._handover.loop.aio.remove_reader(self._sock.fileno())


class Half(asyncio.Protocol):
    """One side of a connection whose bytes are carried to another worker and back."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Half | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        self._have_other("pause_reading")

    def resume_writing(self) -> None:
        self._have_other("resume_reading")

    def _have_other(self, do: str) -> None:
        transport = self.other.transport if self.other is not None else None
        if transport is not None and not transport.is_closing():
            with suppress(RuntimeError):  # it minds where that is so already
                getattr(transport, do)()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Near(Half):
    """The client's side; it takes the place of the HTTP connection in the set of connections."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._server.closed(self)

    def drain(self) -> None:
        """Its session is another worker's, and lives on."""

    def shutdown(self) -> None:
        """We end, and the session's worker does not: the client comes back by another way."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """End now."""
        if self.transport is not None:
            self.transport.abort()


class Far(Half):
    """The other worker's side."""

    def __init__(self, near: Near) -> None:
        super().__init__()
        self.other = near
        near.other = self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        near = self.other
        if near is None or near.transport is None:  # the client has gone meanwhile
            transport.close()
        else:
            near.transport.resume_reading()


def head_of(request: Request, body: bytes, *, last: bool = False) -> bytes:
    """The head of *request* as it was, but for how its body is framed, and whether the connection ends with it."""
    lines = [f"{request.method} {request.target} HTTP/{request.version}"]
    dropped = {*_NOT_PASSED_ON, "connection"} if last else _NOT_PASSED_ON
    lines += [f"{name}: {value}" for name, value in request.headers if name not in dropped]
    if last:
        lines.append("connection: close")
    if body or request.method == "POST":
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def framed(facts: bytes, data: bytes) -> bytes:
    """What one worker writes to another."""
    return b"".join((_HEAD.pack(4 + len(facts) + len(data), len(facts)), facts, data))


def _address(value: Any) -> Any:
    """A socket address, from JSON; ``None`` for a Unix socket's."""
    return tuple(value) if isinstance(value, list) else None
