"""Workers are replaced while clients talk: what has been asked is answered, what cannot be answered does not happen."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from commanding import Command, copy_app

from clients import nodejs
from support.engine import Client, Polling
from support.raw import CLOSE, TEXT
from support.waiting import wait_until

HERE = Path(__file__).parent
ONE = ("run", "shop:app", "--bind", "127.0.0.1:0", "--supervisor")


@pytest.fixture
def command(tmp_path):
    with Command(copy_app(tmp_path), *ONE, "--limit-drain-s", "8", "--graceful-timeout", "3") as command:
        yield command


def test_an_event_that_runs_is_acknowledged_before_the_close(command):
    with Client(command.port) as client:
        client.join()
        client.emit("hold", ack=7)
        wait_until(lambda: "in flight" in command.out)
        command.signal(signal.SIGHUP)
        command.says("the old ones drain")
        client.emit("release", ack=8)
        assert {client.packet() for _ in range(2)} == {'437["finished"]', "438[]"}
        assert client.close_code() == 1001


def test_a_polling_client_has_its_acknowledgement_before_the_close(command):
    with Polling(command.port) as client, Polling(command.port) as poster:
        poster.sid = (client.join(), client.sid)[1]
        poster.say('427["hold"]')
        wait_until(lambda: "in flight" in command.out)
        client.send_request("GET", client.target)
        command.signal(signal.SIGHUP)
        command.says("the old ones drain")
        poster.say('42["release"]')
        assert client.response().text == '437["finished"]'
        with Polling(command.port) as last:  # that was the last answer on its connection
            last.sid = client.sid
            assert last.poll() == ["1"]


def test_what_was_sent_before_the_close_was_heard(command):
    """An event happens; one that wants an acknowledgement does not, because its client hears that it has failed."""
    with Client(command.port) as client:
        client.join()
        command.signal(signal.SIGHUP)
        while client.receive_frame()[0] != CLOSE:
            pass
        assert client.at_end(), "it hears of the end of TCP at once: what it sends from now on is lost"
        client.emit("note", "to be repeated", ack=1)
        client.send_frame(TEXT, b'42["note",', first_byte=TEXT)
        client.send_frame(0, b'"in parts"]')
        client.emit("note", "once")
        client.send_frame(CLOSE, b"\x03\xe9")
        command.says("has left")
        command.signal(signal.SIGTERM)
        assert command.wait() == 0  # and with it, all that was written is read
        assert "noted: once" in command.out
        assert "noted: in parts" in command.out
        assert "to be repeated" not in command.out
        assert "gone: server disconnect" in command.out


def test_a_handler_that_takes_too_long_does_not_keep_the_worker(tmp_path):
    folder = copy_app(tmp_path)
    args = (*ONE, "--limit-drain-s", "0.1", "--graceful-timeout", "0.3")
    with Command(folder, *args) as command, Client(command.port) as client:
        before = command.wait_for_workers(1)
        client.join()
        client.emit("hold", ack=7)
        wait_until(lambda: "in flight" in command.out)
        command.signal(signal.SIGHUP)
        assert client.close_code() == 1001
        command.wait_for_workers(1, without=before)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("pause_ms", ["0", "30"])
def test_node_clients_that_ask_without_end(tmp_path, transport, pause_ms):
    """Of each event a client is told that it has happened, or that it has failed, and then it has not."""
    args = ("run", "shop:app", "--bind", "127.0.0.1:0", "--workers", "3", "--limit-drain-s", "8")
    with Command(copy_app(tmp_path), *args) as command:
        node = [nodejs.node(), str(HERE / "asking.mjs"), f"http://127.0.0.1:{command.port}", transport, "6", pause_ms]
        with subprocess.Popen(node, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
            before = command.wait_for_workers(3)
            for _ in range(2):
                wait_until(lambda: command.out.count("noted:") > 100)
                command.signal(signal.SIGHUP)
                before = command.wait_for_workers(3, without=before, timeout_s=60)
            out, _ = clients.communicate("enough\n", timeout=30)
        command.signal(signal.SIGTERM)
        assert command.wait() == 0  # and with it, all that was written is read
        told = json.loads(out)
        happened = [line.partition("noted: ")[2] for line in command.out.splitlines() if line.startswith("noted:")]
        assert len(told["acknowledged"]) > 100
        assert sorted(told["acknowledged"]) == sorted(happened)
        assert len(told["failed"]) <= 6 * 2  # one for each client and reload, where it asks without a pause
        assert "Traceback" not in command.err
