"""The load generator counts right, and the report draws the right conclusions."""

import asyncio
import runpy
import sys
from array import array
from pathlib import Path
from xml.etree import ElementTree

import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
SVG = "{http://www.w3.org/2000/svg}"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc and pins processes to cores")


def names_of(program):
    """What a file of the benchmark defines; its neighbours do not stay behind as modules."""
    before = set(sys.modules)
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return runpy.run_path(str(BENCHMARKS / program))
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", None) and str(BENCHMARKS) in str(sys.modules[name].__file__):
                del sys.modules[name]


class Wire:
    """Where a client writes."""

    def __init__(self):
        self.written = []

    def write(self, data):
        self.written.append(data)


def counted(cuts, reply, *, between=b""):
    """How many replies a client counts in five, with something between them, read in pieces of so many bytes."""
    client_module = names_of("client.py")
    frames = b"".join(
        client_module["server_frame"](part.encode())
        if isinstance(part, str)
        else client_module["server_frame"](part, client_module["Opcode"].BINARY)
        for part in reply
    )
    stream = frames * 2 + between + frames * 3

    async def feed():
        client = client_module["Client"](client_module["Faults"]())
        total = []
        client.replied = total.append
        client.connection_made(Wire())
        client.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        client.expect(*reply)
        for at in range(0, len(stream), cuts):
            client.data_received(stream[at : at + cuts])
        return sum(total), str(client.faults)

    return asyncio.run(feed())


@pytest.mark.parametrize("cuts", [1, 2, 3, 7, 20, 64, 1_000])
def test_replies_are_counted_wherever_a_read_ends(cuts):
    assert counted(cuts, ('42["echo","x"]',)) == (5, "")


@pytest.mark.parametrize("cuts", [1, 5, 40, 1_000, 100_000])
@pytest.mark.parametrize("size", [1, 300, 70_000])
def test_a_reply_with_an_attachment_is_one(cuts, size):
    if cuts < 40 and size > 300:
        pytest.skip("says nothing more, slowly")
    assert counted(cuts, ('451-["echo",{"_placeholder":true,"num":0}]', bytes(size))) == (5, "")


@pytest.mark.parametrize("cuts", [1, 4, 30, 1_000])
def test_a_heartbeat_between_replies_is_no_fault(cuts):
    assert counted(cuts, ('42["echo","x"]',), between=b"\x81\x012") == (5, "")


def test_what_nobody_asked_for_is_a_fault():
    count, faults = counted(9, ('42["echo","x"]',), between=b'\x81\x0542["y')
    assert count == 5
    assert faults.startswith("1 unexpected")


def test_a_percentile_needs_samples_behind_it():
    percentiles_ms = names_of("measure.py")["percentiles_ms"]
    found = percentiles_ms(array("d", [number / 1e3 for number in range(1_000)]))
    assert found == {"p50_ms": pytest.approx(500), "p99_ms": pytest.approx(990)}


@pytest.mark.parametrize(
    ("curve", "points", "bends"),
    [
        ("clients", [(10, 20.0), (100, 14.0), (1_000, 15.0)], False),
        ("clients", [(10, 20.0), (100, 14.0), (1_000, 30.0)], True),
        ("clients", [(10, 9.0)], False),
        ("clients", [], False),
        ("size", [(1024, 12.0), (2048, 13.0), (102_400, 111.0)], False),
        ("size", [(1024, 12.0), (2048, 13.0), (102_400, 400.0)], True),
    ],
)
def test_a_line_that_bends_upward_is_named(curve, points, bends):
    assert bool(names_of("figures.py")["bend"](curve, points)) is bends


def test_a_missed_target_is_told_from_a_reached_one():
    def row(name, **costs):
        runs = {
            peer.replace("_", "-"): [{"server_cpu_us": cost, "per_second": 1.0, "load_is_limit": False}]
            for peer, cost in costs.items()
        }
        return {"name": name, "workload": "chat", "runs": runs}

    results = {"benches": [row("chat", greenwire=1.0, node=6.0, bun=2.0)]}
    outcomes = list(names_of("targets.py")["outcomes"](results))
    assert [(each.target.than, each.reached) for each in outcomes] == [("node", True), ("bun", False)]


def test_rooms_are_filled_evenly():
    rooms_of = names_of("crowd.py")["rooms_of"]
    seats = rooms_of(6, 4, 12)
    everybody = [seats(client) for client in range(12)]
    assert all(len(rooms) == 2 for rooms in everybody)
    assert all(sum(room in rooms for rooms in everybody) == 4 for room in range(6))


def test_plots_are_svg_with_every_value():
    plots = names_of("plots.py")
    chart = ElementTree.fromstring(plots["bars"]("CPU <µs>", [("Greenwire", 1.5, True), ("Node & Co", 250.0, False)]))
    assert {text.text for text in chart.iter(f"{SVG}text")} >= {"CPU <µs>", "Greenwire", "Node & Co", "1.5", "250"}
    series = {"Greenwire": [(10, 12.0), (1_000, 14.0)], "Node": [(10, 20.0), (1_000, 45.0)]}
    curve = ElementTree.fromstring(plots["lines"]("growth", "clients", "µs", series))
    assert len(list(curve.iter(f"{SVG}polyline"))) == 2
    assert len(list(curve.iter(f"{SVG}circle"))) == 4
