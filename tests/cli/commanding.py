"""``greenwire …`` in a process of its own, in a folder with an application."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.process import Process
from support.raw import Connection
from support.waiting import TIMEOUT_S, wait_until

APPS = Path(__file__).parent / "apps"


class Command(Process):
    """``with Command(folder, "run", "shop:app") as command:``. Its environment has no settings but those in *env*."""

    def __init__(self, folder: Path, *args: str, env: dict[str, str] | None = None) -> None:
        super().__init__(Path("-m"), "greenwire", *args)
        self.cwd = folder
        self.env = environment(env)

    def workers(self) -> set[int]:
        """The ids of the processes below the supervisor."""
        return children(self.popen.pid)

    def wait_for_workers(
        self,
        count: int,
        *,
        without: set[int] = frozenset(),
        timeout_s: float = TIMEOUT_S,  # type: ignore[assignment]
    ) -> set[int]:
        """Wait until so many processes are below the supervisor, none of them among *without*."""

        def there() -> set[int] | None:
            found = self.workers()
            return found if len(found) == count and not found & without else None

        return wait_until(there, f"{count} workers other than {without}", timeout_s)

    def kill_at_once(self, workers: set[int]) -> None:
        """Kill *workers*; the supervisor learns of all their deaths in one moment."""
        self.signal(signal.SIGSTOP)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(alive, workers)), "they are dead")
        self.signal(signal.SIGCONT)

    def says(self, text: str, times: int = 1) -> None:
        """Wait until *text* stands in its log."""
        wait_until(lambda: self.err.count(text) >= times or self.popen.poll() is not None, text)
        assert self.err.count(text) >= times, self.err


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """Ours without what the command would take for settings."""
    names = {"WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS", "FLASK_DEBUG"}
    kept = {key: value for key, value in os.environ.items() if key not in names and not key.startswith("GREENWIRE_")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **(more or {})}


def once(folder: Path, *args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "greenwire", *args],
        cwd=folder,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def children(pid: int) -> set[int]:
    """The processes whose parent is *pid*, and which have not ended."""
    return {child for child, state in _below(pid) if state != "Z"}


def zombies(pid: int) -> set[int]:
    """Those that have ended, and that *pid* has not taken note of."""
    return {child for child, state in _below(pid) if state == "Z"}


def _below(pid: int) -> Iterator[tuple[int, str]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid:
            yield int(stat.parent.name), state


def alive(pid: int) -> bool:
    """Whether *pid* runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def get(port: int, path: str = "/") -> str:
    """One request on a connection of its own."""
    with Connection(port) as browser:
        return browser.get(path).text


def copy_app(folder: Path, **replaced: str) -> Path:
    """The application ``shop`` in *folder*; each name is to be assigned the given value."""
    text = (APPS / "shop.py").read_text()
    for name, value in replaced.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {value!r}", text, flags=re.MULTILINE)
    (folder / "shop.py").write_text(text)
    return folder


def has(command: str) -> str:
    """Its path; skips the test where it is missing."""
    path = shutil.which(command)
    if path is None:
        pytest.skip(f"the {command} command is missing")
    return path


def python_for_everybody() -> tuple[str, dict[str, str]]:
    """A Python that any user can run, and what it needs to find our packages. Skips the test where there is none."""
    path = os.pathsep.join(sys.path)
    if _open_to_all(Path(sysconfig.get_path("stdlib"))):
        return sys.executable, {"PYTHONPATH": path}
    other = shutil.which(f"python{sys.version_info.major}.{sys.version_info.minor}", path="/usr/bin")
    packages = sysconfig.get_path("purelib")
    if other is None or not _open_to_all(Path(packages)):
        pytest.skip("there is no Python that another user can run")
    return other, {"PYTHONPATH": os.pathsep.join([str(APPS.parent.parent.parent / "src"), packages])}


def _open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))
