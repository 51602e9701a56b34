"""The folder that a supervisor and its workers share goes with the last of them, however they end."""

import os
import signal
from pathlib import Path

import pytest
from commanding import Command, alive, copy_app, once

from support.waiting import wait_until

ARGS = ("run", "shop:app", "--bind", "127.0.0.1:0", "--workers", "2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_app(tmp_path)


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    made = tmp_path / "t"
    made.mkdir()
    return made


def start(folder: Path, temporary: Path, *more: str) -> Command:
    return Command(folder, *ARGS, *more, env={"TMPDIR": str(temporary)})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("times", [1, 2])
def test_an_ordinary_end(folder, temporary, number, times):
    with start(folder, temporary, "--metrics", "127.0.0.1:0") as command:
        command.wait_for_workers(2)
        assert command.port
        [private] = temporary.iterdir()
        assert private.stat().st_mode & 0o777 == 0o700
        command.signal(signal.SIGHUP)
        command.says("reloaded")
        for _ in range(times):
            command.signal(number)
        assert command.wait() == 0
    assert list(temporary.iterdir()) == []


def test_workers_that_cannot_start(folder, temporary):
    (folder / "shop.py").write_text("1 / 0\n")
    done = once(folder, *ARGS, env={"TMPDIR": str(temporary)})
    assert done.returncode == 1
    assert list(temporary.iterdir()) == []


def test_the_last_worker_of_a_killed_supervisor_removes_it(folder, temporary):
    with start(folder, temporary, "--workers", "3", "--metrics", "127.0.0.1:0") as command:
        assert command.port
        workers = command.wait_for_workers(3)
        command.signal(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, workers)))
        assert list(temporary.iterdir()) == []


def test_it_stays_while_one_is_there(folder, temporary):
    with start(folder, temporary) as command:
        assert command.port
        first, second = command.wait_for_workers(2)
        os.kill(second, signal.SIGSTOP)
        command.signal(signal.SIGKILL)
        wait_until(lambda: not alive(first))
        assert len(list(temporary.iterdir())) == 1
        os.kill(second, signal.SIGCONT)
        wait_until(lambda: not alive(second))
        assert list(temporary.iterdir()) == []


def test_the_next_supervisor_removes_what_the_killed_have_left(folder, temporary):
    (temporary / "greenwire-w-87654321").symlink_to(folder)
    (temporary / "else").mkdir()
    others = set(temporary.iterdir())
    with start(folder, temporary) as living:
        assert living.port
        [of_the_living] = set(temporary.iterdir()) - others
        with start(folder, temporary) as killed:  # by the end of the block, with all its workers
            assert killed.port
            [of_the_killed] = set(temporary.iterdir()) - others - {of_the_living}
            workers = killed.wait_for_workers(2)
        wait_until(lambda: not any(map(alive, workers)))
        with start(folder, temporary) as following:
            assert following.port
            assert {of_the_living, *others} < set(temporary.iterdir())
            assert not of_the_killed.exists()
        assert (folder / "shop.py").exists()
