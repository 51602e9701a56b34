"""A Socket.IO v5 client over an Engine.IO v4 WebSocket, as cheap as Python can make it.

The load generator must cost less CPU per message than the server it drives, so a client does next to nothing:

* What it sends was built and masked before the clock started. RFC 6455 5.3 wants a fresh mask for each frame;
  a server cannot tell, and unmasking costs it the same.
* What it reads is expected: in a workload every reply has the same bytes. So a read is judged with one
  comparison against a long run of that reply, beginning where the last read ended, and its messages are counted
  with one division. Only what differs (greetings, heartbeats, errors) is taken apart. Reading frame by frame,
  through picows, cost 0.8 µs a message in the chat workload; this costs 0.3.
* What it answers to one read leaves in one write.
"""

from __future__ import annotations

import asyncio
import enum
import functools
import itertools
import socket
import ssl
import struct
from collections.abc import Iterable
from typing import Any, TypeVar, cast

_MASK = b"\x9a\x3c\x5e\xf1"
_MASKED = 0x80
_FINAL = 0x80
_CONNECT_TIMEOUT_S = 30.0
_IP_BIND_ADDRESS_NO_PORT = 24  # ip(7); the socket module of Python 3.11 has no name for it
_PORTS_PER_ADDRESS = 20_000  # the ephemeral range holds 28,000 by default
_LONGEST_READ_BYTES = 256 * 1024  # uvloop's read buffer
_UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
    b"Host: 127.0.0.1\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: Z3JlZW53aXJlLWJlbmNoLg==\r\n\r\n"
)


class Opcode(enum.IntEnum):
    """RFC 6455 5.2."""

    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


def _head(opcode: Opcode, size: int, masked: int) -> bytes:
    if size < 126:
        return struct.pack("!BB", _FINAL | opcode, masked | size)
    if size < 1 << 16:
        return struct.pack("!BBH", _FINAL | opcode, masked | 126, size)
    return struct.pack("!BBQ", _FINAL | opcode, masked | 127, size)


def client_frame(payload: bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    """A frame as a client sends it."""
    masked = bytes(byte ^ mask for byte, mask in zip(payload, itertools.cycle(_MASK), strict=False))
    return _head(opcode, len(payload), _MASKED) + _MASK + masked


def server_frame(payload: bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    """A frame as a server sends it."""
    return _head(opcode, len(payload), 0) + payload


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The opcodes and payloads of the whole frames a server sent, and the bytes left over."""
    found, at = [], 0
    while len(data) - at >= 2:
        start, size = at + 2, data[at + 1]
        if size == 126:
            start, size = at + 4, int.from_bytes(data[at + 2 : at + 4], "big")
        elif size == 127:
            start, size = at + 10, int.from_bytes(data[at + 2 : at + 10], "big")
        if len(data) < start + size:
            break
        found.append((data[at] & 0x0F, data[start : start + size]))
        at = start + size
    return found, data[at:]


@functools.cache
def run_of_replies(parts: tuple[str | bytes, ...]) -> tuple[bytes, int]:
    """The bytes of one reply, repeated for longer than a read can be, and the size of one; shared by all clients."""
    reply = b"".join(
        server_frame(part.encode()) if isinstance(part, str) else server_frame(part, Opcode.BINARY) for part in parts
    )
    return reply * (_LONGEST_READ_BYTES // len(reply) + 2), len(reply)


_HELLO = client_frame(b"40")
_HEARTBEAT = client_frame(b"3")
_GOODBYE = client_frame(struct.pack("!H", 1000), Opcode.CLOSE)


class Faults:
    """What went wrong while the load ran. None of it may."""

    def __init__(self) -> None:
        self.lost = 0
        self.surprises = 0
        self.example = b""

    def unexpected(self, message: bytes) -> None:
        """Note a message that the workload did not ask for."""
        self.surprises += 1
        self.example = self.example or message[:80]

    def __str__(self) -> str:
        said = []
        if self.lost:
            said.append(f"{self.lost} connections lost")
        if self.surprises:
            said.append(f"{self.surprises} unexpected messages, the first {self.example.decode('latin-1')!r}")
        return ", ".join(said)


class Client(asyncio.Protocol):
    """One client: it shakes hands on HTTP, Engine.IO and Socket.IO, then counts replies.

    A workload subclasses it, calls ``expect``, and overrides ``replied``.
    """

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.upgraded = False
        self._parts: list[bytes] = []  # of a reply; the last one ends it
        self._replies = b""
        self._reply_size = 1
        self._at = 0  # how much of a reply the last read left
        self._rest = b""  # of a frame; nothing as long as only replies come
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()

    def expect(self, *parts: str | bytes) -> None:
        """From now on this is the reply to count: a text, and behind it the attachments it may have."""
        self._parts = [part.encode() if isinstance(part, str) else part for part in parts]
        self._replies, self._reply_size = run_of_replies(parts)

    def replied(self, count: int) -> None:
        """So many replies came in one read."""

    def told(self, message: bytes) -> None:
        """Another Socket.IO message came. It is a fault unless a workload knows better."""
        self.faults.unexpected(message)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = cast(asyncio.Transport, transport)
        self.write = self.transport.write
        self.write(_UPGRADE)

    def data_received(self, data: bytes) -> None:
        """Called by the loop: usually nothing but replies."""
        if not self._rest and self._replies.startswith(data, self._at):
            count, self._at = divmod(self._at + len(data), self._reply_size)
        else:
            count = self._take_apart(self._rest + self._replies[: self._at] + data)
        if count:
            self.replied(count)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self.faults.lost += 1
        if not self.gone.done():  # it is when the wait for it was given up
            self.gone.set_result(None)
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"the server hung up: {self._rest[:200]!r}"))

    def _take_apart(self, data: bytes) -> int:
        """Handle each frame by itself; returns how many ended a reply."""
        if not self.upgraded:
            data = self._http_response(data)
        frames, self._rest = split(data) if self.upgraded else ([], data)
        replies, inside, self._at = 0, False, 0
        for opcode, message in frames:
            inside = message in self._parts
            if inside and message == self._parts[-1]:
                replies, inside = replies + 1, False
            elif not inside:
                self._handle(opcode, message)
        if self._rest and not inside and self._replies.startswith(self._rest):
            self._at, self._rest = len(self._rest), b""
        return replies

    def _handle(self, opcode: int, message: bytes) -> None:
        if opcode == Opcode.PING:
            self.write(client_frame(message, Opcode.PONG))
        elif opcode == Opcode.CLOSE:
            self.transport.close()  # RFC 6455 7.1.1 leaves this to the server, but simple-websocket does not
        else:
            self._control(message)

    def _http_response(self, data: bytes) -> bytes:
        head, end, behind = data.partition(b"\r\n\r\n")
        if not end or not head.startswith(b"HTTP/1.1 101"):
            return data  # incomplete, or a refusal that connection_lost will show
        self.upgraded = True
        return behind

    def _control(self, message: bytes) -> None:
        if message == b"2":
            self.write(_HEARTBEAT)
        elif message.startswith(b"0{"):
            self.write(_HELLO)
        elif message.startswith(b"40") and not self.ready.done():
            self.ready.set_result(None)
        else:
            self.told(message)


C = TypeVar("C", bound=Client)
P = TypeVar("P", bound=asyncio.Protocol)


def _trusting() -> ssl.SSLContext:
    """The server's certificate was made a moment ago, by the runner."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Dialer:
    """Opens clients to one server, from as many loopback addresses as the number of ports needs."""

    def __init__(self, port: int, *, tls: bool = False) -> None:
        self._server = ("127.0.0.1", port)
        self._dialed = itertools.count()
        self._tls: dict[str, Any] = {"ssl": _trusting(), "server_hostname": "localhost"} if tls else {}

    async def connect(self, protocol: P) -> P:
        """Connect, whatever is spoken then."""
        await asyncio.get_running_loop().create_connection(lambda: protocol, sock=self._socket(), **self._tls)
        return protocol

    async def open(self, client: C) -> C:
        """Connect, wait for all three handshakes, return the client."""
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            await self.connect(client)
            await client.ready
        return client

    async def open_all(self, clients: Iterable[C], at_once: int = 100) -> list[C]:
        """Connect them all, ``at_once`` of them at a time."""
        gate = asyncio.Semaphore(at_once)

        async def one(client: C) -> C:
            async with gate:
                return await self.open(client)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(client)) for client in clients]
        return [task.result() for task in tasks]

    def _socket(self) -> socket.socket:
        """A socket on its way to the server; over loopback it is there already unless the backlog is full.

        The port is chosen when it connects. Chosen by bind it must be free for every destination, and the
        kernel searches for milliseconds once some ten thousand are taken or in TIME-WAIT.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((f"127.0.0.{1 + next(self._dialed) // _PORTS_PER_ADDRESS}", 0))
        sock.connect_ex(self._server)
        return sock


async def all_of(answers: Iterable[asyncio.Future[None]]) -> None:
    """Wait for what every client waits for."""
    async with asyncio.timeout(_CONNECT_TIMEOUT_S):
        for answer in answers:
            await answer


async def close(client: Client) -> None:
    """Say goodbye as a browser does, wait for the server's goodbye and the end of the connection."""
    client.write(_GOODBYE)
    async with asyncio.timeout(_CONNECT_TIMEOUT_S):  # wait_for may lose a cancellation in Python 3.11
        await client.gone
