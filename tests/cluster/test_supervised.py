"""``socketio.run(app, workers=3)``: workers under a supervisor, in front of real clients."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from clients import nodejs
from cluster.several_workers import Listener
from support.process import Process
from support.waiting import wait_until

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def url():
    with Process(HERE / "supervised_app.py", "3") as process:
        yield f"http://127.0.0.1:{process.port}"
        process.signal(signal.SIGTERM)
        assert process.wait() == 0


@pytest.mark.parametrize("transports", ["polling", "polling,websocket"])
def test_no_session_is_lost(url, transports):
    command = [nodejs.node(), str(HERE / "many_clients.mjs"), url, transports, "24", "15"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert json.loads(done.stdout)["problems"] == {}


def test_a_worker_is_killed_and_another_takes_its_place(url):
    listener = Listener(url, "x")
    wait_until(lambda: len(listener.call("others")) == 2, "all are there")
    own = listener.call("pid")
    supervisor = parent_of(own)
    victim = next(pid for pid in children_of(supervisor) if pid != own)
    os.kill(supervisor, signal.SIGSTOP)  # else another one might be there before it is missed
    try:
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(listener.call("others")) == 1, "it is missed")
    finally:
        os.kill(supervisor, signal.SIGCONT)
    wait_until(lambda: len(listener.call("others")) == 2, "another one has come")
    listener.emit("tell", "x", [1], {})
    assert listener.notes.wait_for(1) == [("x", 1)]
    listener.close()


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children_of(pid):
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(pid) for pid in found.split()]
