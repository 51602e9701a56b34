"""A server in a process of its own: start, talk, signal, and read what it said at its end."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from .waiting import TIMEOUT_S, wait_until


class Process:
    """``with Process(script, *args) as process:``. Ended with the block at the latest, by its own id."""

    def __init__(self, script: Path, *args: str) -> None:
        self.command = [sys.executable, "-u", str(script), *args]
        self.cwd: Path | None = None
        self.env: dict[str, str] | None = None
        self.stdin: int | None = None
        self.err = ""
        self.out = ""

    def __enter__(self) -> "Process":
        self.popen = subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env=self.env,
            stdin=self.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("out", self.popen.stdout), ("err", self.popen.stderr))
        ]
        for reader in self._readers:
            reader.start()
        return self

    def _read(self, name: str, stream: "subprocess.IO[str]") -> None:  # type: ignore[name-defined]
        for line in stream:
            setattr(self, name, getattr(self, name) + line)
        stream.close()

    @property
    def port(self) -> int:
        """Where it listens, as soon as it does."""
        wait_until(lambda: "listens on" in self.err or self.popen.poll() is not None, "the server listens")
        found = re.findall(r"listens on http://127\.0\.0\.1:(\d+)", self.err)
        assert found, self.err
        return int(found[-1])

    def wait_until_asleep(self) -> None:
        """Wait until it waits for something: a signal handler that raises then does so in nobody's request."""
        stat = Path(f"/proc/{self.popen.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "S", "the process sleeps")

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def wait(self, timeout_s: float = TIMEOUT_S) -> int:
        """The exit code; after it everything that was said is in ``out`` and ``err``."""
        code = self.popen.wait(timeout_s)
        for reader in self._readers:
            reader.join(timeout_s)
        return code

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):  # its children, too: a reloader has one
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.wait()
