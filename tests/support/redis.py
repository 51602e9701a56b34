"""A Redis server of a test's own, on a Unix socket in its folder and on a free port; ended by its id."""

import os
import random
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
import redis

from .waiting import wait_until


class RedisServer:
    """``with RedisServer() as server:``. It keeps nothing on disk."""

    def __init__(self) -> None:
        self.port = free_port()

    def __enter__(self) -> "RedisServer":
        self._folder = tempfile.TemporaryDirectory(prefix="gw-redis-")  # a Unix socket's path has to be short
        self.path = str(Path(self._folder.name) / "redis.sock")
        self.start()
        return self

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.path}"

    def start(self) -> None:
        """Start it, also again, on the same port."""
        settings = {
            "port": self.port,
            "bind": "127.0.0.1",
            "unixsocket": self.path,
            "save": "",
            "appendonly": "no",
            "dir": self._folder.name,
        }
        command = [program(), *(part for name, value in settings.items() for part in (f"--{name}", str(value)))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._answers, "redis-server answers")

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.unix_url) as client:
                return bool(client.ping())
        except redis.RedisError:
            assert self._process.poll() is None, "redis-server has ended"
            return False

    def stop(self) -> None:
        """End it, as a crash would."""
        self._process.kill()
        self._process.wait(10)

    def subscribers(self, channel: str) -> int:
        """How many listen on *channel*."""
        with redis.Redis.from_url(self.unix_url) as client:
            return int(client.pubsub_numsub(channel)[0][1])

    def wait_for_subscribers(self, count: int, channel: str = "flask-socketio") -> None:
        wait_until(lambda: self.subscribers(channel) == count, f"{count} servers listen on {channel}")

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()


def program() -> str:
    """The path of redis-server; a skip with the reason where there is none, a failure in CI."""
    found = shutil.which("redis-server")
    if found is None:
        reason = "redis-server is not installed: apt-get install redis-server"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def free_port() -> int:
    """One that nobody has, and that the kernel gives nobody by itself: it is free a moment later, too."""
    for port in random.sample(range(20_000, _first_given()), 100):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError("there is no free port")


def _first_given() -> int:
    """The first port of those that the kernel chooses from."""
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(given.read_text().split()[0]) if given.exists() else 0
    return first if first > 20_100 else 32_768
