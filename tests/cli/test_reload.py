"""HUP under load: not one request refused or failed; new code, new certificates; a broken module changes nothing."""

import os
import re
import signal
import ssl
import threading
from pathlib import Path

import pytest
from commanding import Command, copy_app, get

from support.certificate import self_signed
from support.engine import Client
from support.gate import Gate
from support.raw import Connection
from support.waiting import wait_until

ARGS = ("run", "shop:app", "--bind", "127.0.0.1:0", "--workers", "2")
# An old worker leaves with its last client. One that is kept waiting by the machine must not be cut off meanwhile.
PATIENT = ("--limit-drain-s", "30")


_PACE_S = 0.002  # between requests of one client: the workers that start need the processor, too


class Load:
    """Clients that ask again and again: two on connections that stay, two on a new one for each request."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: list[str] = []
        self.failures: list[BaseException] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(stays,)) for stays in (True, True, False, False)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, stays: bool) -> None:
        try:
            while not self._over.wait(_PACE_S) and len(self.answers) < 50_000:
                with Connection(self.port) as browser:
                    response = browser.get("/version")
                    self.answers.append(response.text)
                    while stays and response.get("connection") != "close" and not self._over.wait(_PACE_S):
                        response = browser.get("/version")
                        self.answers.append(response.text)
        except BaseException as error:
            self.failures.append(error)

    def wait_for_only(self, version: str) -> None:
        """Wait until nobody hears another version any more."""

        def all_new() -> bool:
            count = len(self.answers)
            wait_until(lambda: len(self.answers) > count + 100 or self.failures)
            return set(self.answers[count:]) == {version}

        wait_until(all_new)


def test_new_code_under_load_without_one_failure(tmp_path):
    folder = copy_app(tmp_path)
    with Command(folder, *ARGS, *PATIENT) as command, Load(command.port) as load:
        before = command.wait_for_workers(2)
        for version in ("2", "3", "4"):
            wait_until(lambda: len(load.answers) > 200)
            copy_app(folder, VERSION=version)
            command.signal(signal.SIGHUP)
            load.wait_for_only(version)
            before = command.wait_for_workers(2, without=before)
        assert load.failures == []
        assert {"1", "2", "3", "4"} <= set(load.answers)
        assert "Traceback" not in command.err


def test_two_reloads_at_once(tmp_path):
    folder = copy_app(tmp_path)
    with Command(folder, *ARGS, *PATIENT) as command, Load(command.port) as load:
        before = command.wait_for_workers(2)
        wait_until(lambda: len(load.answers) > 100)
        command.signal(signal.SIGHUP)
        command.says("reloading:")
        copy_app(folder, VERSION="2")
        command.signal(signal.SIGHUP)
        load.wait_for_only("2")
        command.wait_for_workers(2, without=before)
        assert load.failures == []


@pytest.mark.parametrize(
    ("text", "error"), [("import nothing_of_the_kind\n", "ModuleNotFoundError"), ("app = (\n", "SyntaxError")]
)
def test_a_broken_module_changes_nothing(tmp_path, text, error):
    folder = copy_app(tmp_path)
    with Command(folder, *ARGS, *PATIENT) as command, Load(command.port) as load:
        before = command.wait_for_workers(2)
        (folder / "shop.py").write_text(text)
        command.signal(signal.SIGHUP)
        command.says("the reload has failed: 2 workers serve on as before. Mend it, and send HUP again")
        assert command.err.count(error) == 1  # one worker has tried, not each
        assert command.wait_for_workers(2) == before
        copy_app(folder, VERSION="2")
        command.signal(signal.SIGHUP)
        load.wait_for_only("2")
        assert load.failures == []


def test_a_worker_that_has_served_its_requests_is_replaced_although_the_reload_has_failed(tmp_path):
    folder = copy_app(tmp_path)
    args = ("--supervisor", "--max-requests", "5", "--limit-drain-s", "0.2", "--limit-restart-pause-s", "0.05")
    with Command(folder, "run", "shop:app", "--bind", "127.0.0.1:0", *args) as command:
        before = command.wait_for_workers(1)
        assert command.port
        os.mkfifo(folder / "go")
        (folder / "shop.py").write_text("open('go').read()\nraise ValueError\n")  # waits until somebody writes
        command.signal(signal.SIGHUP)
        command.wait_for_workers(2)
        for _ in range(5):
            assert get(command.port, "/version") == "1"
        with (folder / "go").open("w"):  # opens when the new worker reads: a later one finds the mended module
            copy_app(folder, VERSION="2")
        command.says("the reload has failed: 1 workers serve on as before")
        wait_until(lambda: get(command.port, "/version") == "2")
        command.wait_for_workers(1, without=before)


def test_an_answer_under_way_is_finished_by_the_old_worker(tmp_path):
    folder = copy_app(tmp_path)
    args = (*ARGS, "--limit-drain-s", "0.1")
    with Gate() as gate, Command(folder, *args) as command, Connection(command.port) as browser:
        before = command.wait_for_workers(2)
        browser.send_request("GET", gate.path)
        gate.arrived()
        command.signal(signal.SIGHUP)
        wait_until(lambda: len(command.workers() & before) == 1)  # the other one has left
        gate.open()
        assert browser.response().text == "finished"
        command.wait_for_workers(2, without=before)


def test_clients_are_closed_spread_over_the_time_to_drain(tmp_path):
    folder = copy_app(tmp_path)
    with Command(folder, "run", "shop:app", "-b", "127.0.0.1:0", "--supervisor", "--limit-drain-s", "4") as command:
        clients = [Client(command.port) for _ in range(20)]
        for client in clients:
            client.join()
        codes: list[int] = []
        threads = [threading.Thread(target=lambda c=client: codes.append(c.close_code())) for client in clients]
        for thread in threads:
            thread.start()
        command.signal(signal.SIGHUP)
        for thread in threads:
            thread.join(15)
        assert codes == [1001] * 20
        wait_until(lambda: command.out.count("gone:") == 20)
        closed = [float(moment) for moment in re.findall(r"gone: .* at (.*)", command.out)]  # by the worker's clock
        first, last = min(closed), max(closed)
        assert last - first > 0.5
        assert sum(moment - first < 0.25 for moment in closed) < 15  # not all at the beginning
        for client in clients:
            client.close()


def test_new_certificates(tmp_path):
    folder = copy_app(tmp_path)
    certificate, key = self_signed(folder)
    with Command(folder, *ARGS, "--certfile", certificate, "--keyfile", key, "--limit-drain-s", "0.1") as command:
        wait_until(lambda: "listens on https" in command.err)
        port = int(command.err.split("https://127.0.0.1:")[1].split()[0])
        first, before = _certificate_of(port), command.wait_for_workers(2)
        self_signed(folder)
        command.signal(signal.SIGHUP)
        command.wait_for_workers(2, without=before)
        assert _certificate_of(port) != first


def _certificate_of(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=10)


def test_a_certificate_that_is_gone_at_a_reload(tmp_path):
    folder = copy_app(tmp_path)
    certificate, key = self_signed(folder)
    with Command(folder, *ARGS, "--certfile", certificate, "--keyfile", key) as command:
        wait_until(lambda: "listens on https" in command.err)
        before = command.wait_for_workers(2)
        Path(certificate).unlink()
        command.signal(signal.SIGHUP)
        command.says("the reload has failed")
        assert f"Error: certfile {certificate}: No such file or directory" in command.err
        assert command.wait_for_workers(2) == before


def test_reload_when_a_file_changes(tmp_path):
    folder = copy_app(tmp_path)
    with Command(folder, "run", "shop:app", "-b", "127.0.0.1:0", "--reload") as command:
        assert get(command.port, "/version") == "1"
        (folder / "shop.py").write_text("app = (\n")
        command.says("the reload has failed")
        assert get(command.port, "/version") == "1"
        copy_app(folder, VERSION="2")
        wait_until(lambda: get(command.port, "/version") == "2")
        assert "shop.py has changed" in command.err
        command.signal(signal.SIGINT)
        assert command.wait() == 0
