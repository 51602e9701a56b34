"""Workloads in which every client talks to the server: it asks, and is answered.

Most are closed loops: a client sends its next message when an earlier one was answered, ``--inflight`` of them at
any time. ``pace`` is an open loop: messages leave on a schedule, whatever has become of the earlier ones, and their
time counts from the scheduled moment. So a server that stalls cannot hide it by keeping the clients from asking.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import string
from array import array
from collections import deque
from collections.abc import Iterable

from client import Client, Opcode, all_of, client_frame
from measure import LATE_SHARE, Load, Numbers, clock, percentiles_ms, window

HEX = "0123456789abcdef"
JSON_ROW_BYTES = 100  # about


def text(size: int) -> str:
    """A payload of so many bytes."""
    return (HEX * (size // len(HEX) + 1))[:size]


class Asker(Client):
    """Keeps ``inflight`` requests in flight; each reply is followed by the next request."""

    def __init__(self, load: Load) -> None:
        super().__init__(load.faults)
        self.latencies_s = load.latencies_s
        self.sent: deque[float] = deque()

    def start(self, request: bytes, reply: Iterable[str | bytes], inflight: int) -> None:
        """Send the first requests."""
        self.expect(*reply)
        self.request = request
        self.sent.extend([clock()] * inflight)
        self.write(request * inflight)

    def replied(self, count: int) -> None:
        """Take the time of each reply, ask as many again."""
        now = clock()
        for _ in range(count):
            self.latencies_s.append(now - self.sent.popleft())
            self.sent.append(now)
        self.write(self.request * count)


async def ask(load: Load, request: str, reply: str, *attachments: bytes) -> Numbers:
    """Every client asks, the server answers each one."""
    clients = await load.dialer.open_all(Asker(load) for _ in range(load.shape.clients))
    asked = client_frame(request.encode()) + b"".join(client_frame(each, Opcode.BINARY) for each in attachments)
    for client in clients:
        client.start(asked, (reply, *attachments), load.shape.inflight)
    # The latencies are the count; the window empties them when it opens.
    return await window(load, lambda: len(load.latencies_s))


async def echo(load: Load) -> Numbers:
    """An event that the server emits back to its sender."""
    event = f'42["echo","{text(load.shape.size)}"]'
    return await ask(load, event, event)


async def ack(load: Load) -> Numbers:
    """An event that the server acknowledges with its argument."""
    data = text(load.shape.size)
    return await ask(load, f'427["ack","{data}"]', f'437["{data}"]')


async def binary(load: Load) -> Numbers:
    """An echo whose argument is bytes: a text that announces them, then themselves."""
    event = '451-["echo",{"_placeholder":true,"num":0}]'
    return await ask(load, event, event, bytes(number % 251 for number in range(load.shape.size)))


async def document(load: Load) -> Numbers:
    """An echo whose argument is a tree of objects, lists, texts and numbers."""
    rows = [
        {"id": number, "name": string.ascii_letters[:26], "price": number + 0.25, "sold": False, "tags": ["new", None]}
        for number in range(max(1, load.shape.size // JSON_ROW_BYTES))
    ]
    event = "42" + json.dumps(["echo", {"rows": rows}], separators=(",", ":"))
    return await ask(load, event, event)


class Joiner(Client):
    """A client of several namespaces; it asks in each of them in turn."""

    def __init__(self, load: Load) -> None:
        super().__init__(load.faults)
        self.latencies_s = load.latencies_s
        self.sent = 0.0
        self.waits_for = load.shape.namespaces
        self.joined = asyncio.get_running_loop().create_future()
        events = [f'42/n{number},["echo","{text(load.shape.size)}"]' for number in range(load.shape.namespaces)]
        self.turns = itertools.cycle([(client_frame(event.encode()), event) for event in events])

    def join(self) -> None:
        """Ask for all of them."""
        self.write(b"".join(client_frame(f"40/n{number},".encode()) for number in range(self.waits_for)))

    def told(self, message: bytes) -> None:
        """Welcome to one of them."""
        if not message.startswith(b"40/"):
            super().told(message)
            return
        self.waits_for -= 1
        if not self.waits_for:
            self.joined.set_result(None)

    def ask(self) -> None:
        """In the next one."""
        request, reply = next(self.turns)
        self.expect(reply)
        self.sent = clock()
        self.write(request)

    def replied(self, count: int) -> None:
        """The answer."""
        self.latencies_s.append(clock() - self.sent)
        self.ask()


async def namespaces(load: Load) -> Numbers:
    """Echo among clients that are each in many namespaces."""
    clients = await load.dialer.open_all(Joiner(load) for _ in range(load.shape.clients))
    for client in clients:
        client.join()
    await all_of([client.joined for client in clients])
    for client in clients:
        client.ask()
    return await window(load, lambda: len(load.latencies_s))


class Paced(Client):
    """Sends when it is told to, and measures from the moment at which that was due."""

    def __init__(self, load: Load) -> None:
        super().__init__(load.faults)
        self.latencies_s = load.latencies_s
        self.due: deque[float] = deque()

    def replied(self, count: int) -> None:
        """Replies come in the order of the requests."""
        now = clock()
        for _ in range(count):
            self.latencies_s.append(now - self.due.popleft())


class Schedule:
    """Who sends at which moment. It spins: a timer of the loop would be late by up to a millisecond."""

    def __init__(self, clients: list[Paced], request: bytes, rate: float) -> None:
        self.late_s: array[float] = array("d")
        self._turns = itertools.cycle(clients)
        self._request = request
        self._step_s = 1 / rate
        self._due = clock()
        self._loop = asyncio.get_running_loop()

    def spin(self) -> None:
        """Send what is due."""
        now = clock()
        while self._due <= now:
            client = next(self._turns)
            client.due.append(self._due)
            client.write(self._request)
            self.late_s.append(now - self._due)
            self._due += self._step_s
        self._loop.call_soon(self.spin)


async def pace(load: Load) -> Numbers:
    """Echo at a fixed rate, sent on a schedule."""
    event = f'42["echo","{text(load.shape.size)}"]'
    clients = await load.dialer.open_all(Paced(load) for _ in range(load.shape.clients))
    for client in clients:
        client.expect(event)
    schedule = Schedule(clients, client_frame(event.encode()), load.shape.rate)
    schedule.spin()
    numbers = await window(load, lambda: len(load.latencies_s))
    late_ms = percentiles_ms(schedule.late_s).get("p99_ms", 0.0)
    # It spins, so its CPU time says nothing; what it must not do is to be late itself.
    limited = late_ms > LATE_SHARE * numbers.get("p99_ms", late_ms)
    return numbers | {"late_ms": late_ms, "rate": load.shape.rate, "load_is_limit": limited}
