"""The load generator: drives one server with one workload and prints what it saw as JSON.

    python benchmarks/load.py echo --port 5000 --server-pid 4711 --clients 50 --inflight 8

After the warm-up the window opens; the difference of two snapshots at its edges is the result (``measure.py``).
The workloads stand in ``talk.py``, ``crowd.py``, ``visits.py`` and ``web.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import shape
import uvloop
from crowd import broadcast, chat, rooms, slow
from measure import Load, Numbers
from process import raise_file_limit
from talk import ack, binary, document, echo, namespaces, pace
from visits import idle, storm
from web import http, polling

WORKLOADS: dict[str, Callable[[Load], Coroutine[Any, Any, Numbers]]] = {
    function.__name__: function
    for function in (
        echo,
        ack,
        binary,
        document,
        namespaces,
        pace,
        broadcast,
        slow,
        chat,
        rooms,
        idle,
        storm,
        polling,
        http,
    )
}


def run(load: Load, workload: str) -> Numbers:
    """Run one workload on a loop of its own."""
    gc.disable()  # a run is bounded, and a collection in the window would be counted as latency
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        numbers = runner.run(WORKLOADS[workload](load))
        faults = str(load.faults)  # before the end of the loop ends the connections
    return numbers | {"faults": faults}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server-pid", type=int, required=True)
    parser.add_argument("--warmup", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    shape.add_options(parser)
    given = parser.parse_args()
    raise_file_limit()
    load = Load(given.port, given.server_pid, shape.chosen(given), given.warmup, given.seconds)
    try:
        print(json.dumps(run(load, given.workload)))
    except* (OSError, RuntimeError, ValueError) as failed:  # OSError covers refused, reset and timed out
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
