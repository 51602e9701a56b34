"""Turns the runner's results into a page with plots.

python benchmarks/report.py [RESULTS.json] [--page docs/benchmarks.md]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from figures import USUAL_UNIT, Numbers, bend, curves, summaries, unit_of
from peers import HERE, PEERS
from plots import bars, lines
from targets import FIGURES, WHY, outcomes

import green

PAGE = HERE.parent / "docs" / "benchmarks.md"
NONE = "-"

WEAK_SPOTS = """\
## Where Greenwire is weak

- **Echo beside Bun**: its WebSocket and its HTTP are native code up to the handler; with one message in flight it needs
  two thirds of what a bare Greenwire needs, with eight less than half. With many recipients that turns round.
- **A broadcast with few messages in flight** is one system call for each client, for everybody: there is little to
  coalesce.
- **Thousands of clients that all talk** cost more each, here as in Node: caches, and Python's collector, which looks at
  all that lives and keeps everybody waiting meanwhile; it starts seldom.
- **At a fixed rate, handlers in threads**: where each message comes alone, the loop and a thread wake each other,
  which is a third more CPU than Node needs. The p99 there is as much the machine's as the server's: repetitions of the
  same row gave 0.3 to 4 ms for Greenwire and 0.5 to 7 ms for Node, so who is ahead changes from run to run.
- **A bare WSGI application** is served about as often as by granian's Rust, in some runs less often; a Flask view more.
- **Files under the green runner** are read and written in Python; in threads the kernel sends them.
- **Two cores** that servers and load share with nobody but the kernel: differences below a tenth mean nothing.
"""
TITLES = {
    "echo": "Echo: {clients:,} clients, {inflight} in flight each",
    "ack": "Acknowledged event: {clients:,} clients, {inflight} in flight each",
    "binary": "Echo of {size:,} bytes, binary: {clients:,} clients",
    "document": "Echo of a JSON tree of {size:,} bytes: {clients:,} clients",
    "namespaces": "Echo in {namespaces} namespaces for each of {clients:,} clients",
    "pace": "Echo at a fixed rate, {rate:,.0f} a second: {clients:,} clients",
    "broadcast": "Broadcast: one client to {clients:,}, {inflight} in flight, for each delivery",
    "slow": "Broadcast of {size:,} bytes to {clients:,}, each tenth of whom does not read, for each delivery",
    "chat": "Chat: {clients:,} clients, each message to all of them, for each delivery",
    "rooms": "Rooms: {clients:,} clients in {rooms:,} rooms of {members}, for each delivery",
    "idle": "{clients:,} connections that stay and say nothing",
    "storm": "Connect, shake hands, leave: {clients:,} at a time, for each connection",
    "polling": "Echo over long-polling: {clients:,} clients",
    "http": "HTTP: {path}, {clients:,} connections",
}
PATHS = {"/bare": "a bare WSGI application", "/flask": "a Flask view", "/static/big.bin": "a static file of 1 MB"}
X_TITLES = {
    "clients": "clients that echo, one message in flight each",
    "recipients": "recipients of a broadcast, four in flight; µs for each delivery",
    "rooms": "rooms of 20 among 200 clients; µs for each delivery",
    "size": "bytes of a message that is echoed",
    "namespaces": "namespaces of each of 50 clients that echo",
}
OVERVIEW = {
    "echo-1": "echo, 1 in flight",
    "echo-8": "echo, 8 in flight",
    "broadcast-4": "broadcast to 500",
    "chat": "chat, 50 × 50",
    "idle-1000": "memory",
}
BARS = ("echo-1", "echo-8", "broadcast-4", "chat", "wsgi-flask")


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


LATENCY = [
    Column("p50 ms", number("p50_ms", 2)),
    Column("p99 ms", number("p99_ms", 2)),
    Column("p99.9 ms", number("p999_ms", 2)),
]
COST = [
    Column("CPU µs", number("server_cpu_us", 2)),
    Column("±", percent("spread")),
    Column("ratio", number("ratio", 2)),
]
RATE = [Column("a second", number("per_second"))]
BUSY = [Column("server busy", percent("server_busy")), Column("load busy", percent("load_busy"))]
MEMORY = [Column("KB each", number("rss_kb", 1)), Column("±", percent("spread")), Column("ratio", number("ratio", 2))]
TIME = [Column("all connected s", number("connect_all_s", 2)), Column("CPU µs each", number("server_cpu_us"))]
USUAL = [*COST, *RATE, *LATENCY, *BUSY]
COLUMNS = {
    "idle": [*MEMORY, *TIME, *BUSY],
    "slow": [*COST, *RATE, *LATENCY, Column("memory + MB", number("grown_mb", 1)), *BUSY],
    "pace": [*LATENCY, *COST, *RATE, Column("server busy", percent("server_busy"))],
}


def brief(run: Numbers) -> str:
    """One run on one line, while it goes on."""
    if "error" in run:
        return f"FAILED: {run['error']}"
    memory = f", {run['rss_kb']:.1f} KB each" if "rss_kb" in run else ""
    tail = f", p99 {run['p99_ms']:.2f} ms" if "rate" in run and "p99_ms" in run else ""
    limit = ", the load generator is the limit" if run["load_is_limit"] else ""
    return f"{run['server_cpu_us']:9.2f} µs {run['per_second']:12,.0f} a second{memory}{tail}{limit}"


def remark(figures: Numbers) -> str:
    """What to know about a row."""
    said = []
    if "error" in figures:
        said.append(figures["error"])
    if figures.get("load_is_limit"):
        said.append("load generator is the limit")
    elif "rate" not in figures and figures.get("load_cpu_us", 0) > figures.get(USUAL_UNIT, 0):
        said.append("cheaper than its load")
    if figures.get("falls_behind"):
        said.append("cannot keep up")
    if figures.get("failed"):
        said.append(f"{figures['failed']} runs failed")
    return ", ".join(said)


def title_of(bench: Numbers) -> str:
    """The heading of a row."""
    shown = {**bench, "path": PATHS.get(bench["path"], bench["path"])}
    return TITLES[bench["workload"]].format(**shown) + (", over TLS" if bench["tls"] else "")


def table(bench: Numbers) -> str:
    """The Markdown table of one bench."""
    columns = COLUMNS.get(bench["workload"], USUAL)
    rows = [["server", *(column.heading for column in columns), ""]]
    for peer, figures in summaries(bench).items():
        rows.append([PEERS[peer].title, *(column.cell(figures) for column in columns), remark(figures)])
    return f"### {title_of(bench)}\n\n{aligned(rows)}\n" if len(rows) > 1 else ""


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


def targets_table(results: Numbers) -> str:
    """The figures to reach, beside those that were measured."""
    rows = [["figure", "target", "bound", "floor", "measured", "reached"]]
    missed: dict[tuple[str, str], None] = {}
    for found in outcomes(results):
        target = found.target
        name = f"{target.bench}: {PEERS[target.ours].title}, {FIGURES[target.figure]}"
        verdict = "yes" if found.reached else "**no**"
        floor = NONE if found.floor is None else f"{found.floor:,.2f}"
        rows.append([name, target.words, f"{found.bound:,.2f}", floor, f"{found.value:,.2f}", verdict])
        if not found.reached:
            missed[target.bench, target.ours] = None
    if len(rows) == 1:
        return ""
    reasons = "\n".join(f"- **{row}, {PEERS[ours].title}**: {WHY[row, ours]}" for row, ours in missed)
    why = f"\nWhy not:\n\n{reasons}\n" if reasons else ""
    return f"## Targets\n\nThe floor is {PEERS['floor-python'].title}.\n\n{aligned(rows)}\n{why}"


def growth_table(results: Numbers) -> str:
    """The curves in numbers, and what is wrong with them."""
    parts = []
    for curve, found in curves(results).items():
        xs = sorted({x for points in found.values() for x, _ in points})
        rows = [["server", *(f"{x:,}" for x in xs), ""]]
        for peer, points in found.items():
            costs = dict(points)
            cells = [f"{costs[x]:.2f}" if x in costs else NONE for x in xs]
            rows.append([PEERS[peer].title, *cells, bend(curve, points)])
        parts.append(f"### {X_TITLES[curve][0].upper()}{X_TITLES[curve][1:]}\n\n{aligned(rows)}\n")
    return "## CPU µs as the work grows\n\n" + "\n".join(parts) if parts else ""


def green_table(results: Numbers) -> str:
    """Green threads beside the other two packages."""
    found = results.get("green")
    if not found:
        return ""
    return f"## Green threads\n\n{green.printed(found['table'], found['packages'])}\n"


def tables(results: Numbers) -> str:
    """All tables."""
    rows = [table(bench) for bench in results["benches"] if not bench["curve"]]
    parts = [*rows, targets_table(results), growth_table(results), green_table(results)]
    return "\n".join(part for part in parts if part)


def drawings(results: Numbers) -> dict[str, str]:
    """File name to SVG."""
    found = {}
    for bench in results["benches"]:
        shown = {peer: figures for peer, figures in summaries(bench).items() if unit_of(bench) in figures}
        if bench["name"] in BARS and shown:
            rows = [(PEERS[p].title, figures[unit_of(bench)], PEERS[p].group == "ours") for p, figures in shown.items()]
            found[f"{bench['name']}.svg"] = bars(f"{title_of(bench)}: server CPU µs", rows)
    for curve, series in curves(results).items():
        named = {PEERS[peer].title: points for peer, points in series.items()}
        found[f"growth-{curve}.svg"] = lines("Server CPU as the work grows", X_TITLES[curve], "µs", named)
    return found


def document(results: Numbers, pictures: str) -> str:
    """The whole page; *pictures* are its Markdown."""
    machine, window = results["machine"], results["window"]
    versions = "\n".join(f"- {PEERS[name].title}: {version}" for name, version in results["versions"].items())
    limited = [bench["name"] for bench in results["benches"] if not any(bench["runs"].values())]
    absent = f"\nNot run for want of time: {', '.join(limited)}.\n" if limited else ""
    return f"""# Benchmarks

Measured {machine["date"]} on {machine["processor"]}, {machine["cores"]} cores, {machine["memory_gb"]} GB,
{machine["system"]}, Python {machine["python"]}, the load average before it {machine["busy_before"]}; up to
{window["repeat"]} runs of {window["seconds"]:g} s each, the servers in turn. Each server has one core to itself and the
load generator another; WebSocket transport and 32-byte payloads where nothing else is said. `make bench` makes it
again, `make bench-quick` the most important rows; `BENCH=chat,echo` and `PEERS=ours,node` choose.

**CPU µs** is the server's user and system time for each message, all its processes and threads together: the
unit to compare, lower is better. **ratio** is that cost divided by Greenwire's in threads. **±** is half the distance
between the best and the worst run. Latencies are those of a server under full load, as the load generator
never waits; at a fixed rate they count from the moment at which a message was due to be sent. A **busy** load
generator (over 90 %) means that the server could have done more a second than is shown. The **C loop** and **bare
uvloop and picows** are floors, of this machine and of Python on it: they check nothing, call no handler, and can do
nothing else.

{versions}
{absent}
{pictures}
{tables(results)}
{WEAK_SPOTS}"""


def overview(results: Numbers) -> str:
    """The few columns that README.md shows."""
    found = {bench["name"]: summaries(bench) for bench in results["benches"] if bench["name"] in OVERVIEW}
    peers = dict.fromkeys(peer for row in found.values() for peer in row)
    rows = [["", *OVERVIEW.values(), ""]]
    for peer in peers:
        row = [found.get(name, {}).get(peer, {}) for name in OVERVIEW]
        figures = [each.get("rss_kb") or each.get(USUAL_UNIT) for each in row]
        rows.append([PEERS[peer].title, *(NONE if each is None else f"{each:.2f}" for each in figures), ""])
    return aligned(rows)


def write(results: Numbers, page: Path) -> None:
    """The page, and its plots in a folder beside it."""
    folder = page.parent / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    made = drawings(results)
    for name, drawing in made.items():
        (folder / name).write_text(drawing)
    pictures = "".join(f"![{name.removesuffix('.svg')}](plots/{name})\n\n" for name in made)
    page.write_text(document(results, pictures))


def main() -> None:
    """Read the results, write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", type=Path, nargs="?", default=HERE / "results" / "latest.json")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--overview", action="store_true", help="print the table of README.md instead")
    given = parser.parse_args()
    results = json.loads(given.results.read_text())
    if given.overview:
        print(overview(results))
    else:
        write(results, given.page)


if __name__ == "__main__":
    main()
