"""Workloads about connections: how much one costs that only stays, and one that comes and goes."""

from __future__ import annotations

import asyncio

from client import Client, Faults, close
from measure import Load, Numbers, clock, result, snapshot, window
from process import usage

SETTLE_S = 0.5
WARM_UP_CLIENTS = 20


async def idle(load: Load) -> Numbers:
    """Clients that connect and stay; counted in connections, with the memory that each one costs."""
    await warm_up(load)
    empty = usage(load.server_pid).rss_bytes
    before = snapshot(load, 0)
    clients = await load.dialer.open_all(Client(load.faults) for _ in range(load.shape.clients))
    numbers = result(load, before, snapshot(load, len(clients)))
    await asyncio.sleep(SETTLE_S)
    grown = usage(load.server_pid).rss_bytes - empty
    seconds = load.shape.clients / numbers["per_second"]
    return numbers | {"rss_kb": grown / 1024 / load.shape.clients, "connect_all_s": seconds}


async def storm(load: Load) -> Numbers:
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
        tasks = [group.create_task(again_and_again()) for _ in range(load.shape.clients)]
        numbers = await window(load, lambda: done)
        for task in tasks:
            task.cancel()
    return numbers


async def warm_up(load: Load) -> None:
    """Let the server load and allocate what it does once, not once for each connection."""
    for client in await load.dialer.open_all(Client(Faults()) for _ in range(WARM_UP_CLIENTS)):
        await close(client)
    await asyncio.sleep(SETTLE_S)
