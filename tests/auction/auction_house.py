"""The auction house as a program of its own, started as a user starts it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from time import monotonic

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0


class Program:
    """A running program whose lines can be waited for."""

    def __init__(self, command: list[str], **environment: str) -> None:
        self.lines: Queue[str] = Queue()
        self.said: list[str] = []
        self.process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip())

    def wait_for(self, pattern: str, seconds: float) -> re.Match[str]:
        """The first line to come that matches; what the program said until then, if none does."""
        deadline = monotonic() + seconds
        while (left := deadline - monotonic()) > 0:
            try:
                line = self.lines.get(timeout=min(left, 0.5))
            except Empty:
                if self.process.poll() is not None and not self.reader.is_alive() and self.lines.empty():
                    break
                continue
            self.said.append(line)
            if found := re.search(pattern, line):
                return found
        pytest.fail(f"no line like {pattern!r}; it said:\n" + "\n".join(self.said))

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        """End the program by its own pid, gently first."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(_STOP_SECONDS)
        self.reader.join(_STOP_SECONDS)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


class House(Program):
    """The example, started as a user starts it."""

    def __init__(self, data: Path, port: str = "0") -> None:
        environment = {"HOST": "127.0.0.1", "PORT": port, "AUCTION_DATA": str(data), "PYTHONUNBUFFERED": "1"}
        super().__init__([sys.executable, "examples/auction/app.py"], **environment)
        try:
            found = self.wait_for(r"(http://127\.0\.0\.1:([1-9]\d*))", _START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.address, self.port = found[1], found[2]
