"""Workloads in plain HTTP: requests of a web page's kind, and Socket.IO over long-polling.

As with WebSocket, what comes is expected: all answers to one request are of one length, so after the first one only
bytes are counted, and the beginning of each read behind a whole answer is looked at.
"""

from __future__ import annotations

import asyncio
import re
from array import array
from collections import deque
from collections.abc import Callable
from typing import cast

from client import Faults
from measure import Load, Numbers, clock, window
from talk import text

OK = b"HTTP/1.1 200"
HEAD_END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
SEPARATOR = "\x1e"  # between the packets of one payload
TIMEOUT_S = 30.0


def answer_size(data: bytes) -> int | None:
    """How long the answer is that begins here; None as long as that cannot be known."""
    head, end, _ = data.partition(HEAD_END)
    if not end:
        return None
    if length := LENGTH.search(head):
        return len(head) + len(end) + int(length[1])
    if CHUNKED.search(head):
        return len(data) if data.endswith(LAST_CHUNK) else None
    raise ValueError(f"an answer without a length: {head[:200]!r}")


class Visitor(asyncio.Protocol):
    """One connection, kept alive; it asks again as soon as it is answered."""

    def __init__(self, request: bytes, latencies_s: array[float], faults: Faults) -> None:
        self.request = request
        self.latencies_s = latencies_s
        self.faults = faults
        self._first = b""
        self._size = 0
        self._got = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.write = cast(asyncio.Transport, transport).write

    def ask(self) -> None:
        """The next request."""
        self.sent = clock()
        self.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if not self._size:
            data = self._first = self._first + data
            self._size = answer_size(data) or 0
            if not self._size:
                return
        if not self._got and not data.startswith(OK):
            self.faults.unexpected(data)
        self._got += len(data)
        if self._got == self._size:
            self._got = 0
            self.latencies_s.append(clock() - self.sent)
            self.ask()
        elif self._got > self._size:
            self.faults.unexpected(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self.faults.lost += 1


async def http(load: Load) -> Numbers:
    """GET, over connections that are kept alive."""
    request = f"GET {load.shape.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    for _ in range(load.shape.clients):
        visitor = Visitor(request, load.latencies_s, load.faults)
        await load.dialer.connect(visitor)
        visitor.ask()
    return await window(load, lambda: len(load.latencies_s))


class Exchange(asyncio.Protocol):
    """A connection on which requests are answered with short texts."""

    def __init__(self, answered: Callable[[str], None], faults: Faults) -> None:
        self.answered = answered
        self.faults = faults
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._data += data
        size = answer_size(self._data)
        if size is None or len(self._data) < size:
            return
        answer, self._data = self._data[:size], self._data[size:]
        if answer.startswith(OK):
            self.answered(answer.partition(HEAD_END)[2].decode())
        else:
            self.faults.unexpected(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self.faults.lost += 1


class Poller:
    """A Socket.IO client over long-polling: one connection waits for packets, the other one posts them."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._event = f'42["echo","{text(load.shape.size)}"]'
        self._sent: deque[float] = deque()
        self._waiting: list[str] = []
        self._posting = False
        self._path = "/socket.io/?EIO=4&transport=polling"
        self._incoming = Exchange(self._polled, load.faults)
        self._outgoing = Exchange(self._posted, load.faults)
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Connect and shake hands."""
        async with asyncio.timeout(TIMEOUT_S):
            for exchange in (self._incoming, self._outgoing):
                await self._load.dialer.connect(exchange)
            self._poll()
            await self.ready

    def start(self) -> None:
        """Send the first messages."""
        for _ in range(self._load.shape.inflight):
            self._ask()

    def _ask(self) -> None:
        self._sent.append(clock())
        self._post(self._event)

    def _poll(self) -> None:
        self._incoming.write(f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def _polled(self, payload: str) -> None:
        for packet in payload.split(SEPARATOR):
            self._handle(packet)
        self._poll()

    def _handle(self, packet: str) -> None:
        if packet == self._event:
            self._load.latencies_s.append(clock() - self._sent.popleft())
            self._ask()
        elif packet.startswith("0{"):
            sid = packet.partition('"sid":"')[2].partition('"')[0]
            self._path += f"&sid={sid}"
            self._post("40")
        elif packet.startswith("40{"):
            self.ready.set_result(None)
        elif packet == "2":
            self._post("3")
        elif packet != "6":
            self._load.faults.unexpected(packet.encode())

    def _post(self, packet: str) -> None:
        self._waiting.append(packet)
        if not self._posting:
            self._flush()

    def _flush(self) -> None:
        body, self._waiting = SEPARATOR.join(self._waiting), []
        self._posting = True
        head = f"POST {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain;charset=UTF-8\r\n"
        self._outgoing.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def _posted(self, _: str) -> None:
        self._posting = False
        if self._waiting:
            self._flush()


async def polling(load: Load) -> Numbers:
    """Echo over long-polling: for each message one POST and, where nothing is put together, one GET."""
    clients = [Poller(load) for _ in range(load.shape.clients)]
    for client in clients:
        await client.open()
    for client in clients:
        client.start()
    return await window(load, lambda: len(load.latencies_s))
