"""The benchmark: every workload against every server, each on a core of its own, in turn.

    python benchmarks/run.py --install            # once: the peers, into benchmarks/.peers
    python benchmarks/run.py                      # all of it
    BENCH=chat,echo PEERS=greenwire,node python benchmarks/run.py --repeat 5
    python benchmarks/report.py > docs/benchmarks.md

A fresh server for each measurement, pinned to the first core; the load generator on the last. Within a
repetition the servers take turns at each workload, so that whatever else the machine does falls on all of
them; the figures are medians over the repetitions, with their spread. It ends in bounded time and leaves no
process behind.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import datetime
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import report
from peers import HERE, PEERS, Peer, install
from process import raise_file_limit

RESULTS = HERE / "results" / "latest.json"
START_LIMIT_S = 20.0
CONNECT_LIMIT_S = 120.0
POLL_S = 0.02
LISTENING = re.compile(r"LISTENING (\d+)|http://127\.0\.0\.1:(\d+)")
PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True)
class Bench:
    """One workload with its numbers; a row of the report."""

    name: str
    workload: str
    clients: int
    inflight: int = 1


BENCHES = (
    Bench("echo-1", "echo", 50, 1),
    Bench("echo-8", "echo", 50, 8),
    Bench("ack-8", "ack", 50, 8),
    Bench("broadcast-1", "broadcast", 500, 1),
    Bench("broadcast-4", "broadcast", 500, 4),
    Bench("chat", "chat", 50, 1),
    Bench("idle", "idle", 5_000),
    Bench("storm", "storm", 20),
)


@dataclass(frozen=True)
class Plan:
    """How long, how often, and on which cores."""

    repeat: int
    seconds: float
    warmup: float
    deadline: float
    server_core: int
    load_core: int


class Failed(Exception):
    """A measurement that could not be made, and why."""


def child_setup(core: int) -> Callable[[], None]:
    """What a child does before it becomes its program: go to its core, and die if the runner does."""
    prctl = ctypes.CDLL(None).prctl

    def setup() -> None:
        os.sched_setaffinity(0, {core})
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return setup


@contextlib.contextmanager
def serving(peer: Peer, core: int) -> Iterator[tuple[int, int]]:
    """Run a server; gives its process id and port, and ends it with all its children."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*peer.command, "--port", "0"],
            env=peer.environ(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=child_setup(core),
        )
        try:
            yield process.pid, listening_port(process, log.fileno())
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # not yet waited for, so the number is still its own
            process.wait()


def listening_port(process: subprocess.Popen[bytes], log: int) -> int:
    """Wait for the line in which the server says where it listens."""
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        text = os.pread(log, 1 << 20, 0).decode(errors="replace")
        if said := LISTENING.search(text):
            return int(said[1] or said[2])
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise Failed(f"the server ended: {last_line(text)}")
        time.sleep(POLL_S)
    raise Failed(f"the server did not say where it listens: {last_line(text)}")


def last_line(text: str) -> str:
    """The line that says what was wrong, most of the time."""
    return (text.strip().splitlines() or ["(nothing)"])[-1].strip()


def measure(bench: Bench, peer: Peer, plan: Plan) -> dict[str, Any]:
    """One server, one workload, once."""
    with serving(peer, plan.server_core) as (pid, port):
        numbers = {
            "port": port,
            "server-pid": pid,
            "clients": bench.clients,
            "inflight": bench.inflight,
            "seconds": plan.seconds,
            "warmup": plan.warmup,
        }
        options = [f"--{name}={value}" for name, value in numbers.items()]
        try:
            done = subprocess.run(
                [sys.executable, str(HERE / "load.py"), bench.workload, *options],
                capture_output=True,
                text=True,
                timeout=CONNECT_LIMIT_S + plan.warmup + plan.seconds,
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


def measure_all(benches: list[Bench], peers: list[Peer], plan: Plan) -> dict[str, dict[str, list[Any]]]:
    """The servers in turn at each workload, again and again: bench name to peer name to its runs."""
    runs: dict[str, dict[str, list[Any]]] = {b.name: {p.name: [] for p in peers} for b in benches}
    for repetition in range(plan.repeat):
        for bench in benches:
            for peer in peers:
                if time.monotonic() > plan.deadline:
                    print("Time is up; what is missing was not run.", file=sys.stderr)
                    return runs
                outcome = attempt(bench, peer, plan)
                runs[bench.name][peer.name].append(outcome)
                turn = f"{repetition + 1}/{plan.repeat}"
                print(f"{turn} {bench.name:12} {peer.name:20} {report.brief(outcome)}", flush=True)
    return runs


def attempt(bench: Bench, peer: Peer, plan: Plan) -> dict[str, Any]:
    """A measurement, or why there is none."""
    try:
        return measure(bench, peer, plan)
    except Failed as why:
        return {"error": str(why)}


def installed_peers(wanted: list[str]) -> dict[str, str]:
    """Name to version of those that can run; says which cannot."""
    versions = {}
    for name in wanted:
        if version := PEERS[name].version():
            versions[name] = version
        else:
            print(f"{name} is not installed and is left out (see --install).", file=sys.stderr)
    return versions


def chosen(variable: str, known: dict[str, str]) -> list[str]:
    """The names that a comma-separated variable selects; ``known`` is name to group, and either selects."""
    given = [word for word in os.environ.get(variable, "").split(",") if word]
    unknown = set(given) - known.keys() - set(known.values())
    if unknown:
        sys.exit(f"{variable}: no such name: {', '.join(sorted(unknown))}. There are: {', '.join(known)}.")
    return [name for name, group in known.items() if not given or name in given or group in given]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "processor": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
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
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="the measured window")
    parser.add_argument("--warmup", type=float, default=1.0)
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds to start runs in")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write the results down."""
    given = arguments()
    if given.install:
        install()
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that the server in hand is ended too
    raise_file_limit()
    names = chosen("BENCH", {bench.name: bench.workload for bench in BENCHES})
    benches = [bench for bench in BENCHES if bench.name in names]
    versions = installed_peers(chosen("PEERS", {name: name for name in PEERS}))
    deadline = time.monotonic() + given.limit
    plan = Plan(given.repeat, given.seconds, given.warmup, deadline, *cores())
    runs = measure_all(benches, [PEERS[name] for name in versions], plan)
    results = {
        "machine": machine(),
        "versions": versions,
        "window": {"repeat": plan.repeat, "seconds": plan.seconds},
        "benches": [{**vars(bench), "runs": runs[bench.name]} for bench in benches],
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=1))
    print(f"\n{report.tables(results)}\nWritten to {given.out}")


if __name__ == "__main__":
    main()
