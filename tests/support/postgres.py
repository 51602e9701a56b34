"""A PostgreSQL server of a test's own, on a Unix socket in its folder; ended by its id."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from .waiting import wait_until

_START_S = 60.0


class PostgresServer:
    """``with PostgresServer(connections=120) as server:``. User and database are ``postgres``, without a password."""

    def __init__(self, connections: int) -> None:
        self._bin = folder_of_programs()
        self._connections = connections

    def __enter__(self) -> "PostgresServer":
        self._folder = tempfile.TemporaryDirectory(prefix="gw-pg-")  # a Unix socket's path has to be short
        self.folder = self._folder.name
        self._user = _unprivileged()
        if self._user:
            os.chown(self.folder, self._user["user"], self._user["group"])
        data = Path(self.folder, "data")
        subprocess.run(
            [self._bin / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=_START_S,
            cwd=self.folder,
            **self._user,
        )
        settings = {
            "unix_socket_directories": self.folder,
            "listen_addresses": "",
            "max_connections": self._connections,
            "shared_buffers": "16MB",
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(Path(self.folder, "log"), "wb") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", data, *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._user,
            )
        wait_until(self._answers, "PostgreSQL answers", _START_S)
        return self

    def _answers(self) -> bool:
        assert self._process.poll() is None, Path(self.folder, "log").read_text()
        asked = subprocess.run([self._bin / "pg_isready", "-q", "-h", self.folder], check=False, timeout=_START_S)
        return asked.returncode == 0

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
        try:
            self._process.wait(_START_S)
        finally:
            self._process.kill()
            self._folder.cleanup()


def _unprivileged() -> dict[str, Any]:
    """Who runs it: PostgreSQL refuses to be root."""
    if os.getuid() != 0:
        return {}
    names = {user.pw_name for user in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def folder_of_programs() -> Path:
    """Where ``initdb`` is; a skip with the reason where there is none, a failure in CI."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        reason = "PostgreSQL is not installed: apt-get install postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return places[-1]
