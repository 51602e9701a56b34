"""The figures to reach, and whether a run has reached them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from figures import Numbers, summaries

# Row and server to the reason why a target of theirs is out of reach; shown where it was missed.
WHY = {
    ("echo-1", "greenwire"): (
        "One message in flight is a read, a write and a turn of the loop for each message, which nobody can share; and "
        "a handler in a thread is handed over and back on top of that."
    ),
    ("echo-1", "greenwire-green"): "Python's price for the same steps; the system calls are the same for both.",
    ("echo-1", "greenwire-coroutine"): "Python's price for the same steps; the system calls are the same for both.",
    ("echo-1", "greenwire-bare"): (
        "The floor checks nothing and calls no handler, and costs about what Bun's whole server costs, which is native "
        "code up to the handler. Ours is the floor, and some thirty calls of Python for each event."
    ),
    ("echo-8", "greenwire"): "What is left is Flask's context around each handler, and Python's function calls.",
    ("echo-8", "greenwire-green"): "What is left is Flask's context around each handler, and Python's function calls.",
    ("echo-8", "greenwire-coroutine"): "What is left is Flask's context around each handler, and a coroutine.",
    ("echo-8", "greenwire-bare"): (
        "With eight in flight the system calls are shared, and what is left is code: Bun's is native or compiled, the "
        "floor calls Python four times for each message, ours some thirty times."
    ),
    ("broadcast-4", "greenwire"): (
        "Four messages in flight join four frames in a write at most; one system call for each client and write is "
        "nearly all of the cost, and the same for everybody: see what the floors take."
    ),
    ("chat", "greenwire"): "A system call for each client and turn is most of the cost, and the same for everybody.",
    ("idle-10000", "greenwire"): "uvloop's transport and picows' parser are a third; the rest are our own objects.",
    ("idle-10000", "greenwire-bare"): (
        "uvloop's transport and picows' parser are a third; HTTP, Engine.IO and Socket.IO keep an object each. Flask "
        "adds nothing as long as no handler has run."
    ),
    ("pace-half", "greenwire"): "Handlers' threads and the loop share one interpreter, and wait for each other.",
    ("wsgi-bare", "greenwire-wsgi"): "granian's loop is Rust, and calls Python for nothing but the application.",
    ("wsgi-flask", "greenwire-wsgi"): "Most of a request is Flask's own time, which is the same under every server.",
}


@dataclass(frozen=True)
class Target:
    """A figure of ours in a row, and what it may be at most, or must be at least."""

    bench: str
    ours: str
    factor: float
    than: str = ""  # a peer; without one the factor is the bound itself
    figure: str = "server_cpu_us"
    at_least: bool = False

    @property
    def words(self) -> str:
        """The bound as the page shows it."""
        sign = "≥" if self.at_least else "≤"
        if not self.than:
            return f"{sign} {self.factor:g}"
        factor = f"{self.factor:g} ×" if self.factor >= 0.5 else f"1/{1 / self.factor:.0f} of"
        return f"{sign} {factor} {self.than}"


@dataclass(frozen=True)
class Outcome:
    """A target beside what was measured."""

    target: Target
    value: float
    bound: float
    floor: float | None = None  # what a server that does nothing has, on our loop and with our parser

    @property
    def reached(self) -> bool:
        """Whether it was."""
        return self.value >= self.bound if self.target.at_least else self.value <= self.bound


FIGURES = {"server_cpu_us": "CPU µs", "rss_kb": "KB each", "p99_ms": "p99 ms", "per_second": "a second"}


def _crowd(bench: str) -> list[Target]:
    peers = {"node": 1 / 5, "bun": 1 / 3, "eventlet": 1 / 12}
    return [Target(bench, "greenwire", factor, than) for than, factor in peers.items()]


TARGETS = (
    Target("echo-1", "greenwire", 1.3, "node"),
    Target("echo-1", "greenwire", 1 / 10, "eventlet"),
    Target("echo-1", "greenwire-green", 1.0, "node"),
    Target("echo-1", "greenwire-coroutine", 1.0, "node"),
    Target("echo-1", "greenwire-bare", 1.0, "bun"),
    Target("echo-8", "greenwire", 0.9, "node"),
    Target("echo-8", "greenwire-green", 0.8, "node"),
    Target("echo-8", "greenwire-coroutine", 0.8, "node"),
    Target("echo-8", "greenwire-bare", 1.0, "bun"),
    *_crowd("broadcast-4"),
    *_crowd("chat"),
    Target("idle-10000", "greenwire", 12, figure="rss_kb"),
    Target("idle-10000", "greenwire", 1.0, "bun", figure="rss_kb"),
    Target("idle-10000", "greenwire-bare", 10, figure="rss_kb"),
    Target("pace-half", "greenwire", 1.0, "node", figure="p99_ms"),
    Target("wsgi-bare", "greenwire-wsgi", 0.9, "granian", figure="per_second", at_least=True),
    Target("wsgi-flask", "greenwire-wsgi", 1.2, "granian", figure="per_second", at_least=True),
    Target("wsgi-flask", "greenwire-wsgi", 2.5, "eventlet-wsgi", figure="per_second", at_least=True),
)


def outcomes(results: dict[str, Any]) -> Iterator[Outcome]:
    """Every target for which both figures were measured."""
    found: dict[str, dict[str, Numbers]] = {bench["name"]: summaries(bench) for bench in results["benches"]}
    for target in TARGETS:
        row = found.get(target.bench, {})
        ours = row.get(target.ours, {}).get(target.figure)
        theirs = row.get(target.than, {}).get(target.figure) if target.than else 1.0
        if ours is not None and theirs is not None:
            floor = row.get("floor-python", {}).get(target.figure)
            yield Outcome(target, ours, target.factor * theirs, floor)
