"""The window: two snapshots of every counter, and their difference for each message.

The unit is the server's CPU time for each message, because it depends least on who else uses the machine;
throughput and latency stand beside it. The load generator watches its own CPU time too, and says when it is
itself the limit.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from client import Dialer, Faults
from process import usage
from shape import Shape

LIMIT_SHARE = 0.9  # of its core; above it the load generator is what is being measured
LATE_SHARE = 0.5  # of the slowest percent of latencies; above it the load generator's own delays are
TAIL_SAMPLES = 5  # behind a percentile, or it is not spoken of
Numbers = dict[str, Any]
clock = time.perf_counter


@dataclass
class Load:
    """What was asked for, and what all clients of one run share."""

    port: int
    server_pid: int
    shape: Shape
    warmup_s: float
    seconds: float
    faults: Faults = field(default_factory=Faults)
    latencies_s: array[float] = field(default_factory=lambda: array("d"))

    def __post_init__(self) -> None:
        self.dialer = Dialer(self.port, tls=bool(self.shape.tls))


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


async def window(load: Load, count: Callable[[], int]) -> Numbers:
    """Warm up, measure, and put into numbers what the window saw."""
    await asyncio.sleep(load.warmup_s)
    del load.latencies_s[:]
    before = snapshot(load, count())
    await asyncio.sleep(load.seconds)
    return result(load, before, snapshot(load, count()))


def result(load: Load, before: Snapshot, after: Snapshot) -> Numbers:
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
        if len(ordered) * (1 - rank) >= TAIL_SAMPLES
    }
