"""What is measured: a table of loads and of the servers that each of them is for, the most important first.

When time runs short, the end of the table is left out. The rows that have a target are measured ``repeat`` times at
most, all others once and for a shorter time; the second time comes when every row has had its first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shape import Shape

OURS = ("greenwire", "greenwire-green", "greenwire-coroutine", "greenwire-bare", "greenwire-bare-green")
FLASK = ("greenwire", "greenwire-green", "greenwire-coroutine")
JAVASCRIPT = ("node", "bun")
FLOORS = ("floor", "floor-python")
OTHERS = ("asgi", "eventlet", "gevent", "threading")
FAST = ("greenwire", "greenwire-green", "greenwire-bare", *JAVASCRIPT)
FEW = ("greenwire", "greenwire-coroutine", *JAVASCRIPT, "eventlet")
LESS = ("greenwire", *JAVASCRIPT, "eventlet")
WEB = (
    "greenwire-wsgi",
    "greenwire-wsgi-green",
    "granian",
    "gunicorn",
    "waitress",
    "uvicorn",
    "eventlet-wsgi",
    "gevent-wsgi",
)
ONCE = {"asgi", "gevent", "threading", "gunicorn", "waitress", "uvicorn", "gevent-wsgi"}  # no target speaks of them
FILE = "big.bin"
FILE_BYTES = 1_000_000
KILO = 1024
USUAL = Shape()


@dataclass(frozen=True)
class Bench:
    """One workload with its numbers; a table of the report, or a point of a curve."""

    name: str
    workload: str
    peers: tuple[str, ...]
    shape: Shape = USUAL
    repeat: int = 1
    half_peak_of: str = ""  # the rate is half of what Node did in that row
    curve: str = ""  # the number of the shape that this is a point of a curve over
    most: bool = False  # as many clients as this machine has descriptors for

    @property
    def short(self) -> bool:
        """Whether it is measured for a shorter time."""
        return self.repeat == 1

    @property
    def groups(self) -> set[str]:
        """What selects it, beside its name."""
        return {self.workload} | ({"growth"} if self.curve else set())


def _echoes() -> list[Bench]:
    return [
        Bench("echo-1", "echo", (*OURS, *JAVASCRIPT, *OTHERS, *FLOORS), repeat=3),
        Bench("echo-8", "echo", (*OURS, *JAVASCRIPT, *OTHERS, *FLOORS), Shape(inflight=8), repeat=3),
    ]


def _crowds() -> list[Bench]:
    return [
        Bench("broadcast-4", "broadcast", (*OURS[:4], *JAVASCRIPT, *OTHERS, *FLOORS), Shape(500, 4), repeat=3),
        Bench("chat", "chat", (*OURS[:4], *JAVASCRIPT, *OTHERS, *FLOORS), repeat=3),
    ]


def _targets() -> list[Bench]:
    return [
        Bench("idle-10000", "idle", ("greenwire", "greenwire-bare", *JAVASCRIPT), Shape(10_000), repeat=2),
        Bench("pace-half", "pace", FAST, repeat=3, half_peak_of="echo-1"),
        Bench("wsgi-bare", "http", WEB, repeat=3),
        Bench("wsgi-flask", "http", WEB, Shape(path="/flask"), repeat=3),
    ]


def _more() -> list[Bench]:
    wide = ("greenwire", "greenwire-bare", *JAVASCRIPT)
    return [
        Bench("pace-1000", "pace", ("greenwire", "node", *OTHERS), Shape(rate=1_000)),
        Bench("ack-8", "ack", (*FEW, *FLOORS), Shape(inflight=8)),
        Bench("rooms", "rooms", FEW, Shape(2_000, rooms=100, members=20)),
        Bench("broadcast-1", "broadcast", FEW, Shape(500)),
        Bench("broadcast-5000-1", "broadcast", wide, Shape(5_000)),
        Bench("broadcast-5000-4", "broadcast", wide, Shape(5_000, 4)),
        Bench("echo-1000-1", "echo", FAST, Shape(1_000)),
        Bench("echo-1000-8", "echo", FAST, Shape(1_000, 8)),
        Bench("binary-1k", "binary", LESS, Shape(size=KILO)),
        Bench("binary-64k", "binary", LESS, Shape(size=64 * KILO)),
        Bench("document", "document", LESS, Shape(size=2 * KILO)),
        Bench("polling", "polling", LESS),
        Bench("tls", "echo", ("greenwire", "greenwire-green", "node", "eventlet", "gevent"), Shape(tls=1)),
        Bench("storm", "storm", LESS, Shape(20)),
        Bench("slow", "slow", ("greenwire", *JAVASCRIPT), Shape(500, 4, size=4 * KILO)),
        Bench("idle-1000", "idle", (*FLASK, *JAVASCRIPT, *OTHERS), Shape(1_000)),
        Bench("file", "http", tuple(name for name in WEB if name != "uvicorn"), Shape(path=f"/static/{FILE}")),
    ]


def _growth() -> list[Bench]:
    """The cost as the work grows: each a short run, for us and for Node."""
    curves: dict[str, tuple[str, list[Shape]]] = {
        "clients": ("echo", [Shape(count) for count in (10, 100, 1_000, 10_000)]),
        "recipients": ("broadcast", [Shape(count, 4) for count in (10, 100, 1_000, 5_000)]),
        "rooms": ("rooms", [Shape(200, rooms=count, members=20) for count in (10, 100, 1_000)]),
        "size": ("echo", [Shape(size=size) for size in (32, KILO, 8 * KILO, 64 * KILO, 256 * KILO)]),
        "namespaces": ("namespaces", [Shape(namespaces=count) for count in (1, 8, 64)]),
    }
    return [
        Bench(f"growth-{curve}-{x_of(curve, shape)}", workload, ("greenwire", "node"), shape, curve=curve)
        for curve, (workload, shapes) in curves.items()
        for shape in shapes
    ]


def x_of(curve: str, shape: Shape) -> int:
    """Where on its curve a shape stands."""
    value: int = getattr(shape, "clients" if curve == "recipients" else curve)
    return value


BENCHES = (
    *_echoes(),
    *_crowds(),
    *_targets(),
    *_more(),
    *_growth(),
    Bench("idle-most", "idle", ("greenwire", "node"), Shape(10_000), most=True),
)


def quick() -> list[Bench]:
    """The rows that have a target, with the servers that those speak of."""
    enough = {*FEW, "greenwire-bare", "greenwire-wsgi", "granian", "eventlet-wsgi"}
    benches = [*_echoes(), *_crowds(), *_targets()]
    return [replace(bench, peers=tuple(name for name in bench.peers if name in enough)) for bench in benches]


def smoke() -> list[Bench]:
    """Each workload once, small: whether it works, not how fast it is."""
    small = {
        "broadcast": Shape(10, 4),
        "slow": Shape(20, 2),
        "chat": Shape(10),
        "rooms": Shape(12, rooms=6, members=4),
        "idle": Shape(50),
        "storm": Shape(4),
        "namespaces": Shape(4, namespaces=3),
        "pace": Shape(4, rate=500),
        "http": Shape(4, path="/flask"),
        "binary": Shape(4, size=64 * KILO),
    }
    workloads = dict.fromkeys(bench.workload for bench in BENCHES)
    names = dict.fromkeys(workloads, ("greenwire",)) | dict.fromkeys(("echo", "polling"), ("greenwire", "node"))
    names["http"] = ("greenwire-wsgi",)
    benches = [Bench(each, each, names[each], small.get(each, Shape(4, 2))) for each in workloads]
    tls = Bench("tls", "echo", ("greenwire",), Shape(4, tls=1))
    curve = [Bench(f"growth-clients-{n}", "echo", ("greenwire",), Shape(n), curve="clients") for n in (2, 8)]
    return [*benches, tls, *curve]
