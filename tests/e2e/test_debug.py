"""debug=True shows what went wrong, to the developer; without it nobody outside sees a line of it."""

import shutil
from pathlib import Path

import pytest

from support.engine import Client
from support.process import Process
from support.raw import Connection
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


@pytest.mark.slow
def test_the_reloader_restarts_the_server_when_a_file_changes(tmp_path):
    app = tmp_path / "served_app.py"
    shutil.copy(APP, app)
    with Process(app, "debug=1") as process:
        with Connection(process.port) as browser:
            assert browser.get("/").text == "hello"
        before = process.err.count("listens on")
        app.write_text(APP.read_text().replace('return "hello"', 'return "hello again"'))
        wait_until(lambda: process.err.count("listens on") > before, "it listens again")
        with Connection(process.port) as browser:
            assert browser.get("/").text == "hello again"
