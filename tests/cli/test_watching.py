"""``--reload``: which files count, and that a change of one is told, with watchfiles and without."""

import os
import select
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from commanding import Command, copy_app, get

from greenwire.processes.watching import Files, Watcher
from support.waiting import TIMEOUT_S, wait_until


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("shop.py", True),
        ("inner/shop.py", True),
        ("templates/page.html", True),
        ("notes.txt", False),
        ("tests/test_shop.py", False),
        ("__pycache__/shop.py", False),
        (".git/hook.py", False),
        (".venv/lib/flask.py", False),
        ("node_modules/x/setup.py", False),
        ("lib/site-packages/flask.py", False),
    ],
)
def test_which_files_count(tmp_path, path, counts):
    passed_over = [".*", "__pycache__", "node_modules", "site-packages", "tests"]
    files = Files(tmp_path, ["*.py", "templates/*.html"], passed_over)
    assert files.counts(tmp_path / path) is counts


def test_an_environment_is_not_looked_at(tmp_path):
    (tmp_path / "env" / "lib").mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "env" / "lib" / "flask.py").touch()
    (tmp_path / "shop.py").touch()
    assert list(Files(tmp_path, ["*.py"], []).times()) == [str(tmp_path / "shop.py")]


@pytest.mark.parametrize("library", ["watchfiles", None])
def test_a_change_is_told(tmp_path, monkeypatch, library):
    if library is None:
        monkeypatch.setitem(sys.modules, "watchfiles", None)  # as if it were not installed
    elif find_spec(library) is None:
        pytest.skip("watchfiles is not installed")
    (tmp_path / "shop.py").write_text("1")
    watcher = Watcher(str(tmp_path), ["*.html"], ["passed_over.py"])
    try:
        changes = Changes(watcher, tmp_path)
        changes.after("shop.py")
        changes.after("page.html")
        (tmp_path / "passed_over.py").write_text("1")
        changes.after("last.py")
        assert changes.told == {"shop.py", "page.html", "last.py"}
    finally:
        watcher.close()


@pytest.mark.parametrize("library", ["watchfiles", None])
def test_a_change_is_told_that_came_before_it_looks(tmp_path, monkeypatch, library):
    """It takes a while to start, and a worker may have imported what was there before."""
    if library is None:
        monkeypatch.setitem(sys.modules, "watchfiles", None)
    elif find_spec(library) is None:
        pytest.skip("watchfiles is not installed")
    times, changed = Files.times, []

    def times_and_a_change(files):
        found = times(files)
        if not changed:
            changed.append((tmp_path / "shop.py").write_text("1"))
        return found

    monkeypatch.setattr(Files, "times", times_and_a_change)
    watcher = Watcher(str(tmp_path), [], [])
    try:
        assert changed
        assert select.select([watcher.fd], [], [], TIMEOUT_S)[0]
        assert watcher.take() == ["shop.py"]
    finally:
        watcher.close()


def test_a_watcher_that_is_killed_says_so(tmp_path):
    watcher = Watcher(str(tmp_path), [], [])
    try:
        os.kill(watcher._pid, signal.SIGKILL)
        assert select.select([watcher.fd], [], [], TIMEOUT_S)[0]
        assert watcher.take() is None
    finally:
        watcher.close()


def test_a_supervisor_goes_on_without_its_watcher(tmp_path):
    copy_app(tmp_path)
    with Command(tmp_path, "run", "shop:app", "--bind", "127.0.0.1:0", "--reload") as command:
        port, below = command.port, command.workers()
        watcher = (below - {int(get(port, "/pid"))}).pop()
        os.kill(watcher, signal.SIGKILL)
        command.says("the process that looks at the files has ended")
        assert get(port) == "hello"


class Changes:
    """Changes files until the watcher says so: it may not have begun to look. One change may be told twice."""

    def __init__(self, watcher: Watcher, folder: Path) -> None:
        self._watcher = watcher
        self._folder = folder
        self._count = 0
        self.told: set[str] = set()

    def after(self, name: str) -> None:
        """Wait until the watcher has told of *name*, of which it has not told before."""
        assert name not in self.told

        def told() -> bool:
            self._count += 1
            (self._folder / name).write_text("1" * self._count)
            if select.select([self._watcher.fd], [], [], 1.5)[0]:
                self.told.update(self._watcher.take() or ())
            return name in self.told

        wait_until(told, f"a change of {name}")
