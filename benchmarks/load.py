"""The load generator: drives one Socket.IO server with one workload and prints what it saw as JSON.

    python benchmarks/load.py echo --port 5000 --server-pid 4711 --clients 50 --inflight 8

The loop is closed: a client sends its next message when an earlier one was answered, ``--inflight`` of them
at any time. After the warm-up the window opens; the difference of two snapshots at its edges is the result.
The unit is the server's CPU time for each message, because it depends least on who else uses the machine;
throughput and latency stand beside it. The load generator watches its own CPU time too, and says when it is
itself the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import uvloop
from client import Client, Dialer, Faults, client_frame, close
from process import raise_file_limit, usage

TEXT = "0123456789abcdef0123456789abcdef"
BROADCAST = f'42["broadcast","{TEXT}"]'
TIMED_EACH = 10  # talkers in a chat; a timed one costs the load generator more
LIMIT_SHARE = 0.9  # of its core; above it the load generator is what is being measured
SETTLE_S = 1.0
STORM_AT_ONCE = 20
clock = time.perf_counter


@dataclass
class Load:
    """What was asked for, and what all clients of one run share."""

    port: int
    server_pid: int
    clients: int
    inflight: int
    warmup_s: float
    seconds: float
    faults: Faults = field(default_factory=Faults)
    latencies_s: array[float] = field(default_factory=lambda: array("d"))

    def __post_init__(self) -> None:
        self.dialer = Dialer(self.port)


class Snapshot(NamedTuple):
    """The counters at one edge of the window."""

    wall_s: float
    server_cpu_s: float
    load_cpu_s: float
    done: int


def snapshot(load: Load, done: int) -> Snapshot:
    """Read every counter now."""
    server = usage(load.server_pid).cpu_s
    return Snapshot(clock(), server, time.process_time(), done)


async def window(load: Load, count: Callable[[], int]) -> dict[str, Any]:
    """Warm up, measure, and put into numbers what the window saw."""
    await asyncio.sleep(load.warmup_s)
    del load.latencies_s[:]
    before = snapshot(load, count())
    await asyncio.sleep(load.seconds)
    return result(load, before, snapshot(load, count()))


def result(load: Load, before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """The difference of two snapshots, for each message."""
    count = after.done - before.done
    if not count:
        raise RuntimeError(f"nothing came back: {str(load.faults) or 'the server is silent'}")
    wall_s = after.wall_s - before.wall_s
    server_s = after.server_cpu_s - before.server_cpu_s
    load_s = after.load_cpu_s - before.load_cpu_s
    return {
        "count": count,
        "per_second": count / wall_s,
        "server_cpu_us": server_s / count * 1e6,
        "load_cpu_us": load_s / count * 1e6,
        "server_busy": server_s / wall_s,
        "load_busy": load_s / wall_s,
        "load_is_limit": load_s / wall_s > LIMIT_SHARE,
        **percentiles_ms(load.latencies_s),
    }


def percentiles_ms(latencies_s: array[float]) -> dict[str, float]:
    """The middle and the two tails, each where there are enough samples to speak of it."""
    ordered = sorted(latencies_s)
    ranks = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
    return {
        name: ordered[int(rank * len(ordered))] * 1e3
        for name, rank in ranks.items()
        if len(ordered) * (1 - rank) >= 5
    }


class Asker(Client):
    """Keeps ``inflight`` requests in flight; each reply is followed by the next request."""

    def __init__(self, load: Load) -> None:
        super().__init__(load.faults)
        self.latencies_s = load.latencies_s
        self.sent: deque[float] = deque()

    def start(self, request: str, reply: str, inflight: int) -> None:
        """Send the first requests."""
        self.expect(reply)
        self.request = client_frame(request.encode())
        self.sent.extend([clock()] * inflight)
        self.write(self.request * inflight)

    def replied(self, count: int) -> None:
        """Take the time of each reply, ask as many again."""
        now = clock()
        for _ in range(count):
            self.latencies_s.append(now - self.sent.popleft())
            self.sent.append(now)
        self.write(self.request * count)


async def ask(load: Load, request: str, reply: str) -> dict[str, Any]:
    """Every client asks, the server answers each one."""
    clients = await load.dialer.open_all(Asker(load) for _ in range(load.clients))
    for client in clients:
        client.start(request, reply, load.inflight)
    # The latencies are the count; the window empties them when it opens.
    return await window(load, lambda: len(load.latencies_s))


async def echo(load: Load) -> dict[str, Any]:
    """An event that the server emits back to its sender."""
    event = f'42["echo","{TEXT}"]'
    return await ask(load, event, event)


async def ack(load: Load) -> dict[str, Any]:
    """An event that the server acknowledges with its argument."""
    return await ask(load, f'427["ack","{TEXT}"]', f'437["{TEXT}"]')


class Listener(Client):
    """Hears the broadcasts of one sender and counts them into the rounds that all listeners share."""

    def __init__(self, rounds: Rounds) -> None:
        super().__init__(rounds.load.faults)
        self.rounds = rounds

    def replied(self, count: int) -> None:
        """Some of the ``clients`` deliveries that make a round."""
        self.rounds.left -= count
        while self.rounds.left <= 0:
            self.rounds.next()


class Rounds:
    """One sender's messages: the next one goes out when as many deliveries came as there are listeners."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.left = load.clients
        self.done = 0
        self.sent: deque[float] = deque()

    def start(self, listeners: list[Listener]) -> None:
        """Send the first messages from the first listener."""
        for listener in listeners:
            listener.expect(BROADCAST)
        self.request, self.write = client_frame(BROADCAST.encode()), listeners[0].write
        self.sent.extend([clock()] * self.load.inflight)
        self.write(self.request * self.load.inflight)

    def next(self) -> None:
        """A message has reached everybody."""
        now = clock()
        self.load.latencies_s.append(now - self.sent.popleft())
        self.sent.append(now)
        self.done += 1
        self.left += self.load.clients
        self.write(self.request)

    def deliveries(self) -> int:
        """How many there were so far."""
        return (self.done + 1) * self.load.clients - self.left


async def broadcast(load: Load) -> dict[str, Any]:
    """One client's messages go to all clients; counted in deliveries, timed until the last one has it."""
    rounds = Rounds(load)
    rounds.start(await load.dialer.open_all(Listener(rounds) for _ in range(load.clients)))
    return await window(load, rounds.deliveries)


class Talker(Client):
    """Sends one message for every ``clients`` it hears, which keeps the room's number in flight constant."""

    def __init__(self, load: Load) -> None:
        super().__init__(load.faults)
        self.talkers = load.clients
        self.heard = 0
        self.request = client_frame(BROADCAST.encode())

    def start(self, inflight: int) -> None:
        """Say the first words."""
        self.expect(BROADCAST)
        self.talk(inflight)

    def talk(self, count: int) -> None:
        """Send so many messages."""
        self.write(self.request * count)

    def replied(self, count: int) -> None:
        """Some deliveries, mine and others'."""
        turns = self.heard // self.talkers
        self.heard += count
        turns = self.heard // self.talkers - turns
        if turns:
            self.talk(turns)


class TimedTalker(Talker):
    """A talker that asks for acknowledgements, which follow the delivery of its own words, and times them."""

    def __init__(self, load: Load) -> None:
        super().__init__(load)
        self.latencies_s = load.latencies_s
        self.sent: deque[float] = deque()
        self.request = client_frame(BROADCAST.replace("42", "427", 1).encode())

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


async def chat(load: Load) -> dict[str, Any]:
    """Every client's messages go to all clients; counted in deliveries, timed at some of them."""
    kinds = (Talker if number % TIMED_EACH else TimedTalker for number in range(load.clients))
    clients = await load.dialer.open_all(kind(load) for kind in kinds)
    for client in clients:
        client.start(load.inflight)
    return await window(load, lambda: sum(client.heard for client in clients))


async def idle(load: Load) -> dict[str, Any]:
    """Clients that connect and stay; counted in connections, with the memory that each one costs."""
    await warm_up(load)
    empty = usage(load.server_pid).rss_bytes
    before = snapshot(load, 0)
    clients = await load.dialer.open_all(Client(load.faults) for _ in range(load.clients))
    numbers = result(load, before, snapshot(load, len(clients)))
    await asyncio.sleep(SETTLE_S)
    grown = usage(load.server_pid).rss_bytes - empty
    seconds = load.clients / numbers["per_second"]
    return numbers | {"rss_kb": grown / 1024 / load.clients, "connect_all_s": seconds}


async def storm(load: Load) -> dict[str, Any]:
    """Clients that connect, shake hands and leave, over and over; counted in connections."""
    done = 0

    async def again_and_again() -> None:
        nonlocal done
        while True:
            began = clock()
            client = await load.dialer.open(Client(Faults()))  # here a disconnect is no fault
            load.latencies_s.append(clock() - began)
            await close(client)
            done += 1

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(again_and_again()) for _ in range(load.clients)]
        numbers = await window(load, lambda: done)
        for task in tasks:
            task.cancel()
    return numbers


async def warm_up(load: Load) -> None:
    """Let the server load and allocate what it does once, not once for each connection."""
    for client in await load.dialer.open_all(Client(Faults()) for _ in range(STORM_AT_ONCE)):
        await close(client)
    await asyncio.sleep(SETTLE_S)


WORKLOADS: dict[str, Callable[[Load], Coroutine[Any, Any, dict[str, Any]]]] = {
    function.__name__: function for function in (echo, ack, broadcast, chat, idle, storm)
}


def run(load: Load, workload: str) -> dict[str, Any]:
    """Run one workload on a loop of its own."""
    gc.disable()  # a run is bounded, and a collection in the window would be counted as latency
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        numbers = runner.run(WORKLOADS[workload](load))
    return numbers | {"faults": str(load.faults)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server-pid", type=int, required=True)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--inflight", type=int, default=1)
    parser.add_argument("--warmup", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args()
    raise_file_limit()
    load = Load(given.port, given.server_pid, given.clients, given.inflight, given.warmup, given.seconds)
    try:
        print(json.dumps(run(load, given.workload)))
    except* (OSError, RuntimeError) as failed:  # OSError covers refused, reset and timed out
        sys.exit("; ".join({f"{type(one).__name__} {one}".strip() for one in leaves(failed)}))


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The exceptions in a tree of groups."""
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from leaves(one)
        else:
            yield one


if __name__ == "__main__":
    main()
