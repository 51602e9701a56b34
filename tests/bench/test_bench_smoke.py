"""The benchmark works: every workload runs, against real servers, and results and report come out. Not how fast."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent.parent
BENCHMARKS = ROOT / "benchmarks"
LIMIT_S = 180

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc and pins processes to cores"),
]


def run(program, *options):
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / program), *options],
        env={key: value for key, value in os.environ.items() if key not in ("BENCH", "PEERS")},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The file that a small run of everything has written."""
    path = tmp_path_factory.mktemp("bench") / "smoke.json"
    run("run.py", "--smoke", "--repeat", "1", "--seconds", "0.2", "--warmup", "0.05", "--out", str(path))
    return path


def test_every_workload_runs_without_a_fault(results):
    found = json.loads(results.read_text())
    measured = {bench["workload"] for bench in found["benches"]}
    assert measured >= {"echo", "ack", "broadcast", "chat", "rooms", "binary", "document", "polling", "namespaces"}
    assert measured >= {"idle", "storm", "slow", "pace", "http"}
    for bench in found["benches"]:
        for peer, runs in bench["runs"].items():
            assert [run.get("error") for run in runs] == [None], (bench["name"], peer)
            assert runs[0]["count"] > 0
            assert runs[0]["faults"] == ""


def test_ours_takes_part_in_every_row(results):
    for bench in json.loads(results.read_text())["benches"]:
        assert {"greenwire", "greenwire-wsgi"} & bench["runs"].keys(), bench["name"]


def test_the_report_has_every_row_and_its_plots(results, tmp_path):
    page = tmp_path / "benchmarks.md"
    run("report.py", str(results), "--page", str(page))
    text = page.read_text()
    for words in ("Echo: 4 clients", "Chat: 10 clients", "over TLS", "a Flask view", "CPU µs as the work grows"):
        assert words in text
    plots = sorted((tmp_path / "plots").iterdir())
    assert [plot.name for plot in plots] == ["chat.svg", "growth-clients.svg"]
    for plot in plots:
        assert f"(plots/{plot.name})" in text
        assert ElementTree.parse(plot).getroot().tag.endswith("svg")


def test_the_parts_of_the_hot_path_are_timed():
    rows = run("micro.py", "frame", "face run").strip().splitlines()[2:]
    assert len(rows) == 3
    assert all(float(row.split("|")[2]) > 0 for row in rows)
