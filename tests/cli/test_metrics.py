"""What Prometheus is told: by one process, by several, after deaths and reloads; the health check beside it."""

import json
import os
import re
import signal
import threading
from pathlib import Path

import pytest
from commanding import APPS, Command, copy_app, get

from greenwire import metrics
from greenwire.errors import ConfigurationError
from greenwire.metrics import BOUNDS_S, Figures, Shelf, loaded
from greenwire.processes.lifeline import Worker
from greenwire.processes.supervising import _Voice
from support.engine import Client, Polling
from support.gate import Gate
from support.raw import Connection
from support.waiting import wait_until

_SAMPLE = r"^((?:greenwire|shop)_\w+(?:\{.*\})?) (\S+)$"


def address_of(command: Command) -> int:
    """The port where it tells its figures."""
    command.says("/metrics")
    return int(re.findall(r"http://127.0.0.1:(\d+)/metrics", command.err)[0])


def figures_of(address: int) -> dict[str, float]:
    text = get(address, "/metrics")
    return {name: float(value) for name, value in re.findall(_SAMPLE, text, re.MULTILINE)}


def run(folder: Path, *args: str, env: dict[str, str] | None = None) -> Command:
    return Command(folder, "run", "shop:app", "-b", "127.0.0.1:0", "--metrics", "127.0.0.1:0", *args, env=env)


def test_one_process():
    with run(APPS) as command:
        port, address = command.port, address_of(command)
        with Client(port) as client, Polling(port) as polling:
            client.join()
            polling.join()
            for _ in range(3):
                assert client.call("pid") == [command.popen.pid]
            assert get(port, "/nothing") != ""
            found = wait_until(
                lambda: (seen := figures_of(address)).get('greenwire_http_request_seconds_count{status="4xx"}') and seen
            )
            assert found['greenwire_sessions{transport="websocket"}'] == 1
            assert found['greenwire_sessions{transport="polling"}'] == 1
            assert found['greenwire_sessions_opened_total{transport="polling"}'] == 1
            assert found['greenwire_event_seconds_count{event="pid",namespace="/"}'] == 3
            assert found['greenwire_event_seconds_bucket{event="pid",le="+Inf",namespace="/"}'] == 3
            assert found['greenwire_packets_total{direction="in"}'] == 5  # two CONNECT, three events
            assert found['greenwire_packets_total{direction="out"}'] >= 5
            assert found['greenwire_bytes_total{direction="out"}'] > found['greenwire_bytes_total{direction="in"}'] > 20
            assert found["greenwire_connections"] >= 2
            assert found["greenwire_workers"] == 1
            assert found["greenwire_loop_lag_seconds_count"] >= 1
            assert "greenwire_handlers_waiting" in found
        wait_until(
            lambda: figures_of(address).get('greenwire_sessions_closed_total{reason="transport close"}'), "it is closed"
        )
        with Connection(address) as browser:
            assert "text/plain" in browser.get("/metrics").get("content-type")
            assert browser.get("/else").status == 404


def test_health_turns_503_while_the_server_ends():
    with Gate() as gate, run(APPS) as command, Connection(command.port) as browser:
        port = address_of(command)
        with Connection(port) as probe:
            assert probe.get("/health").status == 200
            browser.send_request("GET", gate.path)
            gate.arrived()
            command.signal(signal.SIGTERM)
            wait_until(lambda: probe.get("/health").status == 503)
            with Connection(port) as other:  # a new connection is heard, too
                assert other.get("/health").status == 503


def written(shelf: Shelf) -> int:
    """The requests that have been answered well, of all workers, as far as each has written them down."""
    found = shelf.others(0).histograms.get((metrics.REQUESTS.name, ("2xx",)))
    return sum(found.counts) if found is not None else 0


def counted(address: int) -> float:
    return figures_of(address).get('greenwire_http_request_seconds_count{status="2xx"}', 0)


def test_several_workers_are_summed_and_the_dead_still_count(tmp_path):
    folder, directory = copy_app(tmp_path), tmp_path / "private"
    directory.mkdir()
    args = ("--workers", "3", "--limit-restart-pause-s", "0.05", "--limit-drain-s", "0.1")
    with run(folder, *args, env={"TMPDIR": str(directory)}) as command:
        address = address_of(command)
        port, before = command.port, command.wait_for_workers(3)
        for _ in range(60):
            get(port)
        [private] = directory.glob("greenwire-*")
        wait_until(lambda: written(Shelf(str(private))) == 60, "each has written down what it has")
        wait_until(lambda: figures_of(address)["greenwire_workers"] == 3)
        os.kill(min(before), signal.SIGKILL)
        before = command.wait_for_workers(3, without={min(before)})
        assert counted(address) == 60
        command.signal(signal.SIGHUP)
        command.wait_for_workers(3, without=before)
        command.says("has left", 3)
        assert counted(address) == 60
        for _ in range(10):
            get(port)
        wait_until(lambda: counted(address) == 70)
        wait_until(lambda: figures_of(address)["greenwire_workers"] == 3)


def test_messages_between_workers(tmp_path):
    folder = copy_app(tmp_path)
    with (folder / "shop.py").open("a") as file:
        file.write("\n@app.get('/tell')\ndef tell():\n    socketio.emit('news', 1)\n    return 'told'\n")
        file.write("\n@app.get('/others')\ndef others():\n    service = socketio._service\n")
        file.write("    return [os.getpid(), *service.loop.ask(lambda: service.cluster.others)]\n")
    with run(folder, "--workers", "2") as command:
        port, address = command.port, address_of(command)
        workers, have_met = command.wait_for_workers(2), set()

        def all_have_met():
            pid, *others = json.loads(get(port, "/others"))
            have_met.update([pid] if others else [])
            return have_met == workers

        wait_until(all_have_met)
        with Client(port) as client:
            client.join()
            for _ in range(10):
                assert get(port, "/tell") == "told"
            assert [client.event() for _ in range(10)] == [["news", 1]] * 10  # whichever worker it was told to
        for direction in ("out", "in"):
            name = f'greenwire_worker_messages_total{{direction="{direction}"}}'
            wait_until(lambda name=name: figures_of(address).get(name, 0) >= 10)


def test_what_the_application_counts_is_summed_too(tmp_path):
    (tmp_path / "shop.py").write_text(
        "from flask import Flask\nfrom prometheus_client import Counter\n"
        "app = Flask(__name__)\nSOLD = Counter('shop_sold', 'articles')\n"
        "@app.get('/')\ndef sell():\n    SOLD.inc()\n    return 'sold'\n"
    )
    for workers in ("1", "2"):
        with run(tmp_path, "--workers", workers) as command:
            address = address_of(command)
            for _ in range(20):
                assert get(command.port) == "sold"
            assert figures_of(address)["shop_sold_total"] == 20
            command.signal(signal.SIGTERM)
            assert command.wait() == 0


# --- the pieces


def test_figures_are_written_and_read():
    figures = Figures()
    figures.count(metrics.CLOSED, "ping timeout", by=2)
    figures.observe(metrics.HANDLED, 0.002, "/", "bid")
    figures.observe(metrics.HANDLED, BOUNDS_S[-1] + 1, "/", "bid")
    again = loaded(figures.dump())
    assert again.numbers == figures.numbers
    histogram = again.histograms[metrics.HANDLED.name, ("/", "bid")]
    assert (sum(histogram.counts), histogram.counts[1], histogram.counts[-1]) == (2, 1, 1)
    again.add(figures)
    assert again.numbers[metrics.CLOSED.name, ("ping timeout",)] == 4


def test_the_shelf_counts_nobody_twice_and_forgets_nobody(tmp_path):
    shelf = Shelf(str(tmp_path))
    for serial in (1, 2, 3):
        figures = Figures()
        figures.count(metrics.OPENED, "polling", by=serial)
        figures.set(metrics.WORKERS, 1)
        shelf.put(serial, figures)
    key, workers = (metrics.OPENED.name, ("polling",)), (metrics.WORKERS.name, ())
    assert shelf.others(3).numbers == {key: 3, workers: 2}
    kept = (tmp_path / "metrics-1.json").read_text()
    shelf.bury(1, 0)
    assert shelf.others(3).numbers == {key: 3, workers: 1}  # its gauge is gone with it
    (tmp_path / "metrics-1.json").write_text(kept)  # as if it had been read just before
    assert shelf.others(3).numbers[key] == 3
    shelf.bury(7, 0)  # it has died before it could write
    shelf.bury(2, 0)
    assert shelf.others(0).numbers == {key: 6, workers: 1}


def test_a_full_disk_costs_figures_and_nothing_else(tmp_path):
    directory = tmp_path / "private"
    directory.mkdir()
    env = {"TMPDIR": str(directory)}
    args = ("run", "shop:app", "--bind", "127.0.0.1:0", "--workers", "2", "--metrics", "127.0.0.1:0")
    with Command(copy_app(tmp_path), *args, env=env) as command:
        port, workers = command.port, command.wait_for_workers(2)
        [shelf] = directory.glob("greenwire-*")
        wait_until(lambda: list(shelf.glob("metrics-[0-9]*.json")))
        shelf.rename(directory / "away")  # nothing can be written to where it was
        command.says("figures are not written for the other workers")
        (directory / "away").rename(shelf)
        (shelf / "metrics-past.json").mkdir()  # nor can this be
        wait_until(lambda: len(list(shelf.glob("metrics-[0-9]*.json"))) == 2)
        os.kill(min(workers), signal.SIGKILL)
        command.says("has counted is lost")
        command.wait_for_workers(2, without={min(workers)})
        assert get(port) == "hello"


def test_a_link_in_the_way_is_not_followed(tmp_path):
    """The supervisor may be root, and the directory is the workers'."""
    shelf, victim = Shelf(str(tmp_path)), tmp_path / "victim"
    victim.write_text("precious")
    shelf.put(1, Figures())
    (tmp_path / f"metrics-past.{os.getpid()}.new").symlink_to(victim)
    before = os.umask(0o077)
    try:
        shelf.bury(1, 1)
    finally:
        os.umask(before)
    assert victim.read_text() == "precious"
    assert (tmp_path / "metrics-past.json").stat().st_mode & 0o777 == 0o644  # workers read it


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"numbers": 3, "histograms": []}'])
def test_what_a_worker_has_written_cannot_end_the_supervisor(tmp_path, text, caplog):
    hooks = _Voice([], Shelf(str(tmp_path)))
    (tmp_path / "metrics-7.json").write_text(text)
    hooks.gone(Worker(1, 1, str(tmp_path), serial=7), 4711)
    assert "what 4711 has counted is lost" in caplog.text


def test_counting_from_many_threads():
    figures = Figures()

    def count():
        for _ in range(2_000):
            figures.count(metrics.OPENED, "polling")
            figures.observe(metrics.LAG, 0.1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert figures.numbers[metrics.OPENED.name, ("polling",)] == 8_000
    assert sum(figures.histograms[metrics.LAG.name, ()].counts) == 8_000


def test_without_the_library(monkeypatch):
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=re.escape("pip install 'greenwire[metrics]'")):
        metrics.check()
