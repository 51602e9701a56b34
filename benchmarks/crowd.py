"""Workloads in which a message goes to many: counted in deliveries."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable

from client import Client, all_of, client_frame
from measure import Load, Numbers, clock, window
from process import usage
from talk import text

TIMED_EACH = 10  # talkers in a chat; a timed one costs the load generator more
SLOW_EACH = 10  # listeners; that one does not read


def said(load: Load) -> str:
    """The event, as it is sent and as it is delivered."""
    return f'42["broadcast","{text(load.shape.size)}"]'


class Listener(Client):
    """Hears the broadcasts of one sender and counts them into the rounds that all listeners share."""

    def __init__(self, rounds: Rounds) -> None:
        super().__init__(rounds.load.faults)
        self.rounds = rounds

    def replied(self, count: int) -> None:
        """Some of the deliveries that make a round."""
        self.rounds.left -= count
        while self.rounds.left <= 0:
            self.rounds.next()


class Rounds:
    """One sender's messages: the next one goes out when as many deliveries came as there are listeners."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.done = self.size = self.left = 0
        self.sent: deque[float] = deque()

    def start(self, listeners: list[Listener]) -> None:
        """Send the first messages from the first listener."""
        event = said(self.load)
        for listener in listeners:
            listener.expect(event)
        self.size = self.left = len(listeners)
        self.request, self.write = client_frame(event.encode()), listeners[0].write
        self.sent.extend([clock()] * self.load.shape.inflight)
        self.write(self.request * self.load.shape.inflight)

    def next(self) -> None:
        """A message has reached everybody."""
        now = clock()
        self.load.latencies_s.append(now - self.sent.popleft())
        self.sent.append(now)
        self.done += 1
        self.left += self.size
        self.write(self.request)

    def deliveries(self) -> int:
        """How many there were so far."""
        return (self.done + 1) * self.size - self.left


async def broadcast(load: Load) -> Numbers:
    """One client's messages go to all clients; timed until the last one has it."""
    rounds = Rounds(load)
    rounds.start(await load.dialer.open_all(Listener(rounds) for _ in range(load.shape.clients)))
    return await window(load, rounds.deliveries)


class Deaf(Client):
    """It is there, and does not read. A server that cuts it is in its right."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""


async def slow(load: Load) -> Numbers:
    """Broadcast to listeners, some of which do not read; with what that costs the server's memory."""
    rounds = Rounds(load)
    share = load.shape.clients // SLOW_EACH
    deaf = await load.dialer.open_all(Deaf(load.faults) for _ in range(share))
    listeners = await load.dialer.open_all(Listener(rounds) for _ in range(load.shape.clients - share))
    for client in deaf:
        client.transport.pause_reading()
    before = usage(load.server_pid).rss_bytes
    rounds.start(listeners)
    numbers = await window(load, rounds.deliveries)
    return numbers | {"grown_mb": (usage(load.server_pid).rss_bytes - before) / 2**20}


class Talker(Client):
    """Sends one message for every ``hearers`` it hears, which keeps the number in flight constant."""

    def __init__(self, load: Load, hearers: int) -> None:
        super().__init__(load.faults)
        self.hearers = hearers
        self.heard = 0
        self.request = client_frame(said(load).encode())

    def start(self, event: str, inflight: int) -> None:
        """Say the first words."""
        self.expect(event)
        self.talk(inflight)

    def talk(self, count: int) -> None:
        """Send so many messages."""
        self.write(self.request * count)

    def replied(self, count: int) -> None:
        """Some deliveries, mine and others'."""
        turns = self.heard // self.hearers
        self.heard += count
        turns = self.heard // self.hearers - turns
        if turns:
            self.talk(turns)


class TimedTalker(Talker):
    """A talker that asks for acknowledgements, which follow the delivery of its own words, and times them."""

    def __init__(self, load: Load, hearers: int) -> None:
        super().__init__(load, hearers)
        self.latencies_s = load.latencies_s
        self.sent: deque[float] = deque()
        self.request = client_frame(said(load).replace("42", "427", 1).encode())

    def talk(self, count: int) -> None:
        """Note the time, then send."""
        self.sent.extend([clock()] * count)
        super().talk(count)

    def told(self, message: bytes) -> None:
        """The acknowledgement, which carries nothing."""
        if message == b"437[]":
            self.latencies_s.append(clock() - self.sent.popleft())
        else:
            super().told(message)


async def chat(load: Load) -> Numbers:
    """Every client's messages go to all clients; timed at some of them."""
    everybody = load.shape.clients
    kinds: list[type[Talker]] = [Talker if number % TIMED_EACH else TimedTalker for number in range(everybody)]
    clients = await load.dialer.open_all(kind(load, everybody) for kind in kinds)
    for client in clients:
        client.start(said(load), load.shape.inflight)
    return await window(load, lambda: sum(client.heard for client in clients))


class Member(Talker):
    """A talker in some rooms; it speaks in each of them in turn."""

    def __init__(self, load: Load, rooms: list[int]) -> None:
        super().__init__(load, load.shape.members)
        words = text(load.shape.size)
        requests = [client_frame(f'42["room","r{room}","{words}"]'.encode()) for room in rooms]
        self.requests = itertools.cycle(requests)
        self.rooms = rooms
        self.waits_for = len(rooms)
        self.joined = asyncio.get_running_loop().create_future()

    def join(self) -> None:
        """Ask for all of them."""
        self.write(b"".join(client_frame(f'427["join","r{room}"]'.encode()) for room in self.rooms))

    def told(self, message: bytes) -> None:
        """Welcome to one of them."""
        if message != b"437[true]":
            super().told(message)
            return
        self.waits_for -= 1
        if not self.waits_for:
            self.joined.set_result(None)

    def talk(self, count: int) -> None:
        """Send so many messages, each to another room."""
        self.write(b"".join(next(self.requests) for _ in range(count)))


def rooms_of(shape_rooms: int, members: int, clients: int) -> Callable[[int], list[int]]:
    """Which rooms a client is in, when seats are given out in a circle."""
    seats: list[list[int]] = [[] for _ in range(clients)]
    for seat in range(shape_rooms * members):
        seats[seat % clients].append(seat // members)
    return lambda client: seats[client]


async def rooms(load: Load) -> Numbers:
    """Clients talk in rooms of ``members``; each client is in as many as that needs."""
    shape = load.shape
    seats = rooms_of(shape.rooms, shape.members, shape.clients)
    clients = await load.dialer.open_all(Member(load, seats(number)) for number in range(shape.clients))
    for client in clients:
        client.join()
    await all_of([client.joined for client in clients])
    event = f'42["room","{text(shape.size)}"]'
    for client in clients:
        client.start(event, shape.inflight)
    return await window(load, lambda: sum(client.heard for client in clients))
