"""The benchmark: every workload against its servers, each on a core of its own, in turn.

    python benchmarks/run.py --install            # once: the peers, into benchmarks/.peers
    python benchmarks/run.py                      # all of it; --quick: the most important rows, once
    BENCH=chat,echo PEERS=ours,node python benchmarks/run.py --repeat 5
    python benchmarks/report.py                   # writes docs/benchmarks.md and its plots

A fresh server for each measurement, pinned to the first core; the load generator on the last. Within a
repetition the servers take turns at each workload, so that whatever else the machine does falls on all of
them; the figures are medians over the repetitions, with their spread. It ends in bounded time and leaves no
process behind. What is measured stands in ``rows.py``, the servers in ``peers.py``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import report
from install import install
from peers import HERE, PEERS, Peer
from process import raise_file_limit
from rows import BENCHES, ONCE, Bench, quick, smoke
from serving import Failed, Files, child_setup, last_line, serving
from shape import Shape

import green

RESULTS = HERE / "results" / "latest.json"
CONNECT_LIMIT_S = 60.0
SPARE_DESCRIPTORS = 200
SHORT = 0.6  # of the usual window, for a row that is measured once
LONG = 2.0  # of the usual warm-up, where what a compiler in the server has delayed would be latency
PACE_WITHOUT_NODE = 10_000.0
GREEN = "green"
Runs = dict[str, dict[str, list[Any]]]  # bench name to peer name to its runs


@dataclass(frozen=True)
class Plan:
    """How long, how often, and on which cores."""

    repeat: int
    seconds: float
    warmup: float
    deadline: float
    server_core: int
    load_core: int
    descriptors: int


def measure(bench: Bench, shape: Shape, peer: Peer, plan: Plan, files: Files) -> dict[str, Any]:
    """One server, one workload, once."""
    share = SHORT if bench.short else 1.0
    seconds, warmup = plan.seconds * share, plan.warmup * (LONG if bench.workload == "pace" else share)
    with serving(peer, shape, files, plan.server_core) as (pid, port):
        options = [f"--port={port}", f"--server-pid={pid}", f"--seconds={seconds}", f"--warmup={warmup}"]
        try:
            done = subprocess.run(
                [sys.executable, str(HERE / "load.py"), bench.workload, *options, *shape.options()],
                capture_output=True,
                text=True,
                timeout=CONNECT_LIMIT_S + warmup + seconds,
                preexec_fn=child_setup(plan.load_core),
            )
        except subprocess.TimeoutExpired as late:
            raise Failed(f"not done after {late.timeout:.0f} s") from None
    if done.returncode:
        raise Failed(last_line(done.stderr))
    result: dict[str, Any] = json.loads(done.stdout)
    if result["faults"]:
        raise Failed(result["faults"])
    return result


def attempt(bench: Bench, shape: Shape, peer: Peer, plan: Plan, files: Files) -> dict[str, Any]:
    """A measurement, or why there is none."""
    try:
        return measure(bench, shape, peer, plan, files)
    except Failed as why:
        return {"error": str(why)}


def turns(benches: list[Bench], plan: Plan, versions: dict[str, str]) -> Iterator[tuple[int, Bench, Peer]]:
    """Who is measured when: every row once, then the curves, then those with a target again, and again."""
    points = [bench for bench in benches if bench.curve]
    rows = [bench for bench in benches if not bench.curve]
    passes = [(number, [row for row in rows if row.repeat > number]) for number in range(plan.repeat)]
    for number, chosen_rows in [*passes[:1], (0, points), *passes[1:]]:
        for bench in chosen_rows:
            peers = [name for name in bench.peers if name in versions and not (number and name in ONCE)]
            yield from ((number, bench, PEERS[name]) for name in peers)


def measure_all(benches: list[Bench], plan: Plan, versions: dict[str, str], files: Files) -> Runs:
    """The servers in turn at each workload, again and again, until it is done or time is up."""
    runs: Runs = {bench.name: {name: [] for name in bench.peers if name in versions} for bench in benches}
    left_out: dict[tuple[int, str], None] = {}
    for repetition, bench, peer in turns(benches, plan, versions):
        if time.monotonic() > plan.deadline:
            left_out[repetition, bench.name] = None
            continue
        outcome = attempt(bench, shape_now(bench, runs, plan), peer, plan, files)
        runs[bench.name][peer.name].append(outcome)
        print(f"{repetition + 1} {bench.name:24} {peer.name:22} {report.brief(outcome)}", flush=True)
    if left_out:
        names = ", ".join(f"{name} (run {repetition + 1})" for repetition, name in left_out)
        print(f"Time was up; left out: {names}", file=sys.stderr)
    return runs


def shape_now(bench: Bench, runs: Runs, plan: Plan) -> Shape:
    """The load, with what only the machine or an earlier row could tell."""
    if bench.half_peak_of:
        return replace(bench.shape, rate=half_peak(runs.get(bench.half_peak_of, {}).get("node", [])))
    if bench.most:
        return replace(bench.shape, clients=plan.descriptors - SPARE_DESCRIPTORS)
    return bench.shape


def half_peak(runs: list[dict[str, Any]]) -> float:
    """Half of what was done with nobody waiting."""
    rates = [run["per_second"] for run in runs if "error" not in run]
    return round(statistics.median(rates) / 2, -2) if rates else PACE_WITHOUT_NODE


def green_threads(plan: Plan, versions: dict[str, str]) -> dict[str, Any]:
    """Green threads beside eventlet's and gevent's, where those are to be measured."""
    packages = [name for name in green.PYTHONS if name in versions and green.is_installed(name)]
    os.sched_setaffinity(0, {plan.load_core})  # its clients run in this process
    return {"packages": packages, "table": green.measure(packages)} if packages else {}


def installed_peers(wanted: list[str]) -> dict[str, str]:
    """Name to version of those that can run; says which cannot."""
    versions = {}
    for name in wanted:
        if version := PEERS[name].version():
            versions[name] = version
        else:
            print(f"{name} is not installed and is left out (see --install).", file=sys.stderr)
    return versions


def chosen(variable: str, known: dict[str, set[str]]) -> list[str]:
    """The names that a comma-separated variable selects; ``known`` is name to groups, and any of them selects."""
    given = {word for word in os.environ.get(variable, "").split(",") if word}
    unknown = given - known.keys() - set().union(*known.values())
    if unknown:
        sys.exit(f"{variable}: no such name: {', '.join(sorted(unknown))}. There are: {', '.join(known)}.")
    return [name for name, groups in known.items() if not given or given & {name, *groups}]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "processor": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "busy_before": round(os.getloadavg()[0], 1),
    }


def cores() -> tuple[int, int]:
    """One core for the server and another for the load, where there are two."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) == 1:
        print("There is one core: server and load share it, and throughput means little.", file=sys.stderr)
    return allowed[0], allowed[-1]


def arguments() -> argparse.Namespace:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--install", action="store_true", help="install the peers, then end")
    parser.add_argument("--quick", action="store_true", help="the most important rows only")
    parser.add_argument("--smoke", action="store_true", help="each workload once, small: whether it works")
    parser.add_argument("--repeat", type=int, default=3, help="times at most; a row has a number of its own, too")
    parser.add_argument("--seconds", type=float, default=1.5, help="the measured window")
    parser.add_argument("--warmup", type=float, default=0.8)
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds to start runs in")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def chosen_benches(given: argparse.Namespace) -> tuple[list[Bench], bool]:
    """The rows to measure, and whether green threads are among them."""
    table = smoke() if given.smoke else quick() if given.quick else list(BENCHES)
    names = chosen("BENCH", {bench.name: bench.groups for bench in table} | {GREEN: set()})
    with_green = GREEN in names and not given.quick and not given.smoke
    return [bench for bench in table if bench.name in names], with_green


def main() -> None:
    """Measure, print, and write the results down."""
    given = arguments()
    if given.install:
        install()
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that the server in hand is ended too
    descriptors = raise_file_limit()
    benches, with_green = chosen_benches(given)
    versions = installed_peers(chosen("PEERS", {peer.name: {peer.group} for peer in PEERS.values()}))
    deadline = time.monotonic() + given.limit
    plan = Plan(given.repeat, given.seconds, given.warmup, deadline, *cores(), descriptors)
    description = machine()
    with tempfile.TemporaryDirectory() as folder:
        greens = green_threads(plan, versions) if with_green else {}
        runs = measure_all(benches, plan, versions, Files(Path(folder)))
    measured = {name for each in runs.values() for name in each}
    results = {
        "machine": description,
        "versions": {name: version for name, version in versions.items() if name in measured},
        "window": {"repeat": plan.repeat, "seconds": plan.seconds},
        "benches": [
            {
                "name": bench.name,
                "workload": bench.workload,
                "curve": bench.curve,
                **vars(shape_now(bench, runs, plan)),
                "runs": runs[bench.name],
            }
            for bench in benches
        ],
        "green": greens,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=1))
    print(f"\n{report.tables(results)}\nWritten to {given.out}")


if __name__ == "__main__":
    main()
