"""Turns the runner's results into Markdown.

    python benchmarks/report.py [RESULTS.json] > docs/benchmarks.md
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from peers import HERE, PEERS, REFERENCE

Numbers = dict[str, Any]
NONE = "-"

WEAK_SPOTS = """\
### Where Greenwire is weak

- **One message in flight** is where Node is ahead: a handler in a thread has to be handed over and back, and a system
  call costs more than the Python around it. More in flight, or more recipients, turn that round.
- **A broadcast with one message in flight** is one system call for each client, for everybody: there is nothing to
  coalesce.
- **An idle connection** of an application that has a connect handler keeps Flask's context, too: about 15 KB.
- **One run on two cores** that the server shares with nobody but the kernel: differences below a tenth mean nothing.
"""
TITLES = {
    "echo": "Echo: {clients} clients, {inflight} in flight each",
    "ack": "Acknowledged event: {clients} clients, {inflight} in flight each",
    "broadcast": "Broadcast: one client to {clients}, {inflight} in flight, for each delivery",
    "chat": "Chat: {clients} clients, each message to all of them, for each delivery",
    "idle": "{clients} connections that stay and say nothing",
    "storm": "Connect, shake hands, leave: {clients} at a time, for each connection",
}


class Column(NamedTuple):
    """A heading, and the cell under it."""

    heading: str
    cell: Callable[[Numbers], str]


def number(key: str, places: int = 0) -> Callable[[Numbers], str]:
    """A cell that shows one figure, or a dash."""
    return lambda figures: f"{figures[key]:,.{places}f}" if key in figures else NONE


def percent(key: str) -> Callable[[Numbers], str]:
    """A cell that shows a share."""
    return lambda figures: f"{figures[key]:.0%}" if key in figures else NONE


def ratio(figures: Numbers) -> str:
    """How much dearer than the reference."""
    return f"{figures['ratio']:.2f}" if "ratio" in figures else NONE


LATENCY = [Column("p50 ms", number("p50_ms", 2)), Column("p99 ms", number("p99_ms", 2))]
TAIL = [Column("p99.9 ms", number("p999_ms", 2))]
COST = [Column("CPU µs", number("server_cpu_us", 2)), Column("±", percent("spread")), Column("ratio", ratio)]
RATE = [Column("a second", number("per_second"))]
BUSY = [Column("server busy", percent("server_busy")), Column("load busy", percent("load_busy"))]
MEMORY = [Column("KB each", number("rss_kb", 1)), Column("±", percent("spread")), Column("ratio", ratio)]
TIME = [Column("all connected s", number("connect_all_s", 2)), Column("CPU µs each", number("server_cpu_us"))]
COLUMNS = {"idle": [*MEMORY, *TIME, *BUSY]}
USUAL = [*COST, *RATE, *LATENCY, *TAIL, *BUSY]
UNIT = {"idle": "rss_kb"}  # what the ratio and the spread are of; everywhere else the CPU time


def brief(run: Numbers) -> str:
    """One run on one line, while it goes on."""
    if "error" in run:
        return f"FAILED: {run['error']}"
    memory = f", {run['rss_kb']:.1f} KB each" if "rss_kb" in run else ""
    limit = ", the load generator is the limit" if run["load_is_limit"] else ""
    return f"{run['server_cpu_us']:9.2f} µs {run['per_second']:12,.0f} a second{memory}{limit}"


def summary(runs: list[Numbers], unit: str) -> Numbers:
    """The medians of the runs that succeeded, and how far apart they lie."""
    good = [run for run in runs if "error" not in run]
    if not good:
        return {"error": runs[-1]["error"] if runs else "not run"}
    figures: Numbers = {
        key: statistics.median(run[key] for run in good)
        for key in good[0]
        if key not in ("faults", "load_is_limit") and all(key in run for run in good)
    }
    values = [run[unit] for run in good]
    figures["spread"] = (max(values) - min(values)) / 2 / figures[unit]
    figures["load_is_limit"] = statistics.median(run["load_is_limit"] for run in good) >= 0.5
    figures["failed"] = len(runs) - len(good)
    return figures


def summaries(bench: Numbers) -> dict[str, Numbers]:
    """Peer name to its figures, with the ratio to the reference."""
    unit = UNIT.get(bench["workload"], "server_cpu_us")
    found = {peer: summary(runs, unit) for peer, runs in bench["runs"].items()}
    reference = found.get(REFERENCE, {}).get(unit)
    for figures in found.values():
        if reference and unit in figures:
            figures["ratio"] = figures[unit] / reference
    return found


def remark(figures: Numbers) -> str:
    """What to know about a row."""
    said = []
    if "error" in figures:
        said.append(figures["error"])
    if figures.get("load_is_limit"):
        said.append("load generator is the limit")
    if figures.get("failed"):
        said.append(f"{figures['failed']} runs failed")
    return ", ".join(said)


def table(bench: Numbers) -> str:
    """The Markdown table of one bench."""
    columns = COLUMNS.get(bench["workload"], USUAL)
    rows = [["server", *(column.heading for column in columns), ""]]
    for peer, figures in summaries(bench).items():
        rows.append([PEERS[peer].title, *(column.cell(figures) for column in columns), remark(figures)])
    title = TITLES[bench["workload"]].format(**bench)
    return f"### {title}\n\n{aligned(rows)}\n"


def aligned(rows: list[list[str]]) -> str:
    """A Markdown table whose columns also line up as plain text."""
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:-1]), "-" * widths[-1]]

    def line(cells: Iterable[str]) -> str:
        first, *middle, last = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(c.rjust(w) for c, w in middle), last[0].ljust(last[1])]
        return f"| {' | '.join(padded)} |"

    head, *body = rows
    return "\n".join(map(line, [head, rule, *body]))


def tables(results: Numbers) -> str:
    """All tables."""
    return "\n".join(table(bench) for bench in results["benches"])


def document(results: Numbers) -> str:
    """The whole page."""
    machine, window = results["machine"], results["window"]
    versions = "\n".join(f"- {PEERS[name].title}: {version}" for name, version in results["versions"].items())
    return f"""# Benchmarks

Measured {machine["date"]} on {machine["processor"]}, {machine["cores"]} cores, {machine["system"]},
Python {machine["python"]}; {window["repeat"]} runs of {window["seconds"]:g} s each, the servers in turn.
Each server has one core to itself and the load generator another; WebSocket transport, 32-byte payloads.
`make bench` makes it again.

**CPU µs** is the server's user and system time for each message, all its processes and threads together: the
unit to compare, lower is better. **ratio** is that cost divided by Greenwire's. **±** is half the distance
between the best and the worst run. Latencies are those of a server under full load, as the load generator
never waits. A **busy** load generator (over 90 %) means that the server could have done more a second than
is shown.

{versions}

{tables(results)}"""


def main() -> None:
    """Read the results, print the page."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "results" / "latest.json"
    print(document(json.loads(path.read_text())), WEAK_SPOTS, sep="\n", end="")


if __name__ == "__main__":
    main()
