"""docs/deploy.md is true: its nginx configuration, its systemd unit, and what is said to systemd."""

import os
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from commanding import Command, copy_app, has

from support.engine import Client, Polling
from support.raw import Connection
from support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "deploy.md").read_text()


def block(kind: str) -> str:
    """The one block of code of this *kind* on the page."""
    [text] = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return text


class Nginx:
    """nginx with the page's configuration, on a port that we have opened, in front of a Unix socket."""

    def __init__(self, folder: Path, upstream: Path) -> None:
        self._binary = has("nginx")
        self._folder = folder
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        http = block("nginx").replace("unix:/run/shop/http.sock", f"unix:{upstream}")
        http = http.replace("listen 80;", f"listen 127.0.0.1:{self.port};")
        kept = "\n".join(
            f"{name}_temp_path {folder}/{name};" for name in "client_body proxy fastcgi uwsgi scgi".split()
        )
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user} daemon off; pid {folder}/nginx.pid; error_log stderr;\n"
            f"events {{}}\nhttp {{ access_log off; {kept}\n{http} }}\n"
        )

    def __enter__(self) -> "Nginx":
        command = [self._binary, "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]
        descriptor = self._listening.fileno()
        self._popen = subprocess.Popen(
            command,
            env={**os.environ, "NGINX": f"{descriptor};"},  # as it hands its sockets to a new binary of itself
            pass_fds=[descriptor],
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self._popen.terminate()
        self._popen.wait(15)


def test_behind_nginx(tmp_path):
    folder = copy_app(tmp_path)
    with (folder / "shop.py").open("a") as file:
        file.write(
            "\n@app.get('/from')\ndef whence():\n    from flask import request\n"
            "    return [request.remote_addr, request.url]\n"
        )
    upstream = tmp_path / "http.sock"
    args = ("--bind", f"unix:{upstream}", "--unix-mode", "660", "--forwarded-allow-ips", "unix:", "--supervisor")
    with Command(folder, "run", "shop:app", *args, "--limit-drain-s", "0.2") as command:
        command.says("listens on")
        with Nginx(tmp_path, upstream) as nginx:
            with Connection(nginx.port) as browser:
                assert browser.get("/").text == "hello"
                found = browser.get("/from", ("X-Forwarded-For", "203.0.113.9")).json
                assert found == ["127.0.0.1", "http://localhost/from"]  # what the client says of itself is not believed
            with Client(nginx.port) as client, Polling(nginx.port) as polling:
                client.join()
                polling.join()
                before = client.call("pid")
                polling.emit("pid")
            command.signal(signal.SIGHUP)
            command.says("reloaded: 1 new workers serve")
            with Connection(nginx.port) as browser:
                for _ in range(50):
                    assert browser.get("/").status == 200
                command.wait_for_workers(1, without=set(before))
                assert browser.get("/").status == 200


class Systemd:
    """The other end of ``NOTIFY_SOCKET``."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.said: list[str] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(self.path)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                self.said += self._sock.recv(4096).decode().splitlines()
            except OSError:
                return

    def close(self) -> None:
        self._sock.close()

    def hears(self, line: str, times: int = 1) -> None:
        wait_until(lambda: self.said.count(line) >= times, f"{line} {times} times in {self.said}")


def test_systemd_is_told_where_we_are(tmp_path):
    folder, systemd = copy_app(tmp_path), Systemd(tmp_path)
    args = ("run", "shop:app", "-b", "127.0.0.1:0", "--workers", "2", "--limit-drain-s", "0.1")
    try:
        with Command(folder, *args, env={"NOTIFY_SOCKET": systemd.path}) as command:
            systemd.hears("READY=1")
            assert len(command.workers()) == 2
            assert systemd.said.count("READY=1") == 1  # of the supervisor, not of each worker
            assert f"MAINPID={command.popen.pid}" in systemd.said
            command.signal(signal.SIGHUP)
            systemd.hears("RELOADING=1")
            systemd.hears("READY=1", 2)
            command.signal(signal.SIGTERM)
            systemd.hears("STOPPING=1")
            assert command.wait() == 0
    finally:
        systemd.close()


def test_the_unit_is_well_formed(tmp_path):
    binary = has("systemd-analyze")
    command = tmp_path / "greenwire"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    unit = tmp_path / "shop.service"
    unit.write_text(block("ini").replace("/srv/shop/.venv/bin/greenwire", str(command)))
    done = subprocess.run([binary, "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in done.stderr.splitlines() if "shop.service" in line]
    assert complaints == []


@pytest.mark.parametrize("kind", ["ini", "dockerfile"])
def test_its_options_exist(kind):
    from greenwire.command.configuration import table

    known = {option for row in table() for option in row.options}
    used = set(re.findall(r"--[a-z-]+", block(kind).replace("--no-cache-dir", "")))
    assert used
    assert used <= known
