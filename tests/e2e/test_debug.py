"""debug=True shows what went wrong, to the developer; without it nobody outside sees a line of it."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from support.engine import Client
from support.gate import Gate
from support.process import Process
from support.raw import Connection, refused
from support.waiting import wait_until

APP = Path(__file__).parent / "served_app.py"


def test_debug_shows_the_debugger_and_a_line_for_each_request():
    with Process(APP, "debug=1", "use_reloader=0") as process, Connection(process.port) as browser:
        response = browser.get("/bug")
        assert response.status == 500
        assert "a secret of the application" in response.text
        assert "Werkzeug" in response.text  # the interactive debugger
        assert browser.get("/?__debugger__=yes&cmd=resource&f=style.css").status == 200
        wait_until(lambda: '"GET /bug HTTP/1.1" 500' in process.err)
        with Client(process.port) as client:
            client.join()
            assert client.call("echo", 1) == [1]


def test_without_debug_no_traceback_leaves_the_house():
    with Process(APP) as process, Connection(process.port) as browser:
        response = browser.get("/bug")
        assert response.status == 500
        assert "secret" not in response.text
        assert "Traceback" not in response.text
        wait_until(lambda: "a secret of the application" in process.err)  # it stands in the log
        assert browser.get("/?__debugger__=yes&cmd=resource&f=style.css").text == "hello"
        assert browser.get("/").text == "hello"
        assert "GET /" not in process.err  # nor a line for each request


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("whom", ["the parent", "the child", "both"])
def test_the_end_is_graceful_under_the_reloader(number, whom):
    with Process(APP, "debug=1") as process, Client(process.port) as client:
        client.join()
        child = int(client.call("pid")[0])
        if whom == "both":
            os.killpg(process.popen.pid, number)
        else:
            os.kill(process.popen.pid if whom == "the parent" else child, number)
        assert client.close_code() == 1001
        assert process.wait() == 0
        assert "gone: server disconnect" in process.out
        assert "Traceback" not in process.err


def test_the_end_after_that_of_the_server():
    with Process(APP, "debug=1") as process:
        with Connection(process.port) as browser:
            assert browser.get("/stop").text == "stopping"
        wait_until(lambda: refused(process.port))
        process.signal(signal.SIGTERM)
        assert process.wait() == 0


def test_a_second_signal_is_at_once_under_the_reloader():
    with Process(APP, "debug=1") as process, Gate() as gate, Connection(process.port) as browser:
        browser.send_request("GET", gate.path)
        gate.arrived()
        process.signal(signal.SIGTERM)
        wait_until(lambda: refused(process.port))
        process.signal(signal.SIGTERM)
        assert process.wait() == -signal.SIGKILL % 256
        assert browser.at_end()


@pytest.mark.slow
def test_the_reloader_restarts_the_server_when_a_file_changes(tmp_path):
    app = tmp_path / "served_app.py"
    shutil.copy(APP, app)
    with Process(app, "debug=1") as process:
        with Connection(process.port) as browser:
            assert browser.get("/").text == "hello"
        before = process.err.count("listens on")
        changed = tmp_path / "changed.txt"
        changed.write_text(APP.read_text().replace('return "hello"', 'return "hello again"'))
        changed.replace(app)  # at once: half of a file would be served, too
        wait_until(lambda: process.err.count("listens on") > before, "it listens again")
        with Connection(process.port) as browser:
            assert browser.get("/").text == "hello again"
