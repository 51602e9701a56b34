"""A WebSocketConnection at one end of a loopback TCP connection, raw frames at the other; and a transport
without a network, for what TCP does not show."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from greenwire.limits import Limits
from greenwire.loop import Loop
from greenwire.websocket.connection import WebSocketConnection
from support.rawframes import Frame, Parser

TIMEOUT_S = 20.0  # for what must happen; never waited out by a test that passes
HEAD = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


class Owner:
    """Who the connection tells."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.codes: list[int] = []
        self.closed = asyncio.Event()
        self.on_message: Callable[[str | bytes], Any] = lambda message: None

    def receive(self, message: str | bytes) -> None:
        self.messages.append(message)
        self.on_message(message)

    def is_closed(self, connection: WebSocketConnection, code: int) -> None:
        self.codes.append(code)
        self.closed.set()


class Client:
    """The other end: bytes out, frames in."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.parser = Parser()
        self.waiting: list[Frame] = []

    async def send(self, *frames: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, b"".join(frames))

    async def head(self) -> None:
        data = b""
        while len(data) < len(HEAD):
            data += await asyncio.get_running_loop().sock_recv(self.sock, len(HEAD) - len(data))
        assert data == HEAD

    async def read(self) -> bytes:
        """What has come, ``b""`` at the end."""
        data = await asyncio.get_running_loop().sock_recv(self.sock, 65_536)
        self.waiting += self.parser.feed(data)
        return data

    async def frame(self) -> Frame:
        while not self.waiting:
            assert await self.read(), "the connection has ended"
        return self.waiting.pop(0)

    async def at_end(self) -> bool:
        """Whether the server has closed its direction properly, and nothing more came before."""
        assert not self.waiting
        assert await self.read() == b""
        return not self.parser.rest

    async def until_cut(self) -> None:
        """Read until TCP ends, in whatever way."""
        try:
            while await self.read():
                pass
        except ConnectionError:
            pass


class Counting:
    """A transport that counts its writes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def pair(buffer_bytes: int = 0) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection, the server's first; the buffers as small as that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname(), TIMEOUT_S)
        near, _ = listener.accept()
    for sock in (near, far):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    return near, far


class Net:
    """Makes pairs of connections on one loop."""

    def __init__(self, aio: asyncio.AbstractEventLoop) -> None:
        self.aio = aio
        self.loop = Loop(aio)
        self.complaints: list[Any] = []
        self._open: list[tuple[WebSocketConnection, Client, Owner]] = []
        aio.set_exception_handler(lambda _, context: self.complaints.append(context))

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await scenario()
            finally:
                for connection, client, owner in self._open:
                    client.sock.close()
                    connection.abort()
                    async with asyncio.timeout(TIMEOUT_S):
                        await owner.closed.wait()

        self.aio.run_until_complete(whole())
        assert not self.complaints

    async def open(
        self,
        limits: Limits | None = None,
        *,
        early: bytes = b"",
        start: bool = True,
        send_buffer: int = 0,
        kind: Callable[..., WebSocketConnection] = WebSocketConnection,
    ) -> tuple[WebSocketConnection, Client, Owner]:
        """An open WebSocket, its client and its owner."""
        near, far = pair(send_buffer)
        transport, _ = await self.aio.connect_accepted_socket(asyncio.Protocol, near)
        owner, client = Owner(), Client(far)
        connection = kind(
            self.loop,
            Counting(transport),  # type: ignore[arg-type]
            limits or Limits(),
            HEAD,
            early,
            owner.receive,
            owner.is_closed,
        )
        self._open.append((connection, client, owner))
        await client.head()
        if start:
            connection.start()
        return connection, client, owner

    async def until(self, fact: Callable[[], object]) -> None:
        """Let turns pass until *fact* is true."""
        while not fact():  # noqa: ASYNC110  # a fact has no event; the scenario has a deadline
            await asyncio.sleep(0.001)


class NoNet:
    """A transport that keeps what is written and reads what it is fed."""

    def __init__(self, *, tls: bool = False, stuck: bool = False) -> None:
        self.protocol: Any = None
        self.writes: list[bytes] = []
        self.events: list[str] = []
        self.taken = 0  # of what was written, by the kernel
        self._tls = tls
        self._stuck = stuck
        self._closing = False

    def write(self, data: bytes) -> None:
        assert not self._closing, "a write to a transport that closes"
        self.writes.append(data)
        if self._stuck and self.protocol is not None:
            self.protocol.pause_writing()

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        assert (high, low) == (1, 0), "it tells of all that waits"

    @property
    def output(self) -> bytes:
        return b"".join(self.writes)

    def get_write_buffer_size(self) -> int:
        return len(self.output) - self.taken if self._stuck else 0

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str) -> None:
        return None

    def pause_reading(self) -> None:
        self.events.append("pause")

    def resume_reading(self) -> None:
        self.events.append("resume")

    def can_write_eof(self) -> bool:
        return not self._tls

    def write_eof(self) -> None:
        assert not self._tls
        self.events.append("eof")

    def close(self) -> None:
        self.events.append("close")
        self._closing = True

    def abort(self) -> None:
        self.events.append("abort")
        self._closing = True

    def is_closing(self) -> bool:
        return self._closing

    def feed(self, data: bytes, sizes: Any = ()) -> None:
        """Have the protocol read *data*, in pieces of *sizes*, then in pieces as large as it takes."""
        sizes = iter(sizes)
        while data:
            room = self.protocol.get_buffer(-1)
            size = min(next(sizes, len(room)), len(room), len(data))
            room[:size] = data[:size]
            data = data[size:]
            self.protocol.buffer_updated(size)
