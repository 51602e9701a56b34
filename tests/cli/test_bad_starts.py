"""Workers that cannot start: at the beginning, later, all of them, for ever; each bound at its place."""

import os
import re
import signal
from itertools import pairwise

import pytest
from commanding import Command, copy_app, get, once

from support.waiting import wait_until

ARGS = ("run", "shop:app", "--bind", "127.0.0.1:0", "--workers", "2")
_QUICK = (  # to import: nothing that takes a slow machine long
    "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n"
)


def test_one_that_takes_too_long_at_the_beginning(tmp_path):
    (tmp_path / "shop.py").write_text("import threading\nthreading.Event().wait()\n")
    done = once(tmp_path, *ARGS, "--limit-worker-boot-s", "2")
    assert done.returncode == 1
    assert "takes too long to start (limit 'worker_boot_s'): it is killed" in done.stderr
    assert 'shop.py", line 2' in done.stderr  # where it waits
    assert done.stderr.count("Fatal Python error") == 1


def test_one_that_is_in_time(tmp_path):
    folder = copy_app(tmp_path)
    with (folder / "shop.py").open("a") as file:
        file.write("\nthreading.Event().wait(0.5)\n")
    with Command(folder, *ARGS, "--limit-worker-boot-s", "10") as command:
        assert get(command.port) == "hello"


def test_one_that_takes_too_long_at_a_reload(tmp_path):
    folder = tmp_path
    (folder / "shop.py").write_text(_QUICK)
    with Command(folder, *ARGS, "--limit-worker-boot-s", "3") as command:
        port, before = command.port, command.wait_for_workers(2)
        (folder / "shop.py").write_text("import threading\nthreading.Event().wait()\n")
        command.signal(signal.SIGHUP)
        command.says("takes too long to start")
        command.says("the reload has failed")
        assert command.wait_for_workers(2) == before
        assert get(port) == "hello"


def test_it_ends_when_nobody_serves_and_starts_keep_failing(tmp_path):
    folder = copy_app(tmp_path)
    args = ("--limit-worker-failed-starts", "3", "--limit-restart-pause-s", "0.01")
    with Command(folder, *ARGS, *args) as command:
        assert command.port
        workers = command.wait_for_workers(2)
        (folder / "shop.py").write_text("1 / 0\n")
        command.kill_at_once(workers)
        assert command.wait() == 1
        assert command.err.count("before it could serve") == 3
        assert command.err.count("ZeroDivisionError") == 3
        assert "3 starts have failed one after the other, and no worker serves" in command.err


def test_it_goes_on_while_one_serves(tmp_path):
    folder = copy_app(tmp_path)
    args = ("--limit-worker-failed-starts", "2", "--limit-restart-pause-s", "0.01")
    with Command(folder, *ARGS, *args) as command:
        port, workers = command.port, command.wait_for_workers(2)
        (folder / "shop.py").write_text("1 / 0\n")
        os.kill(min(workers), signal.SIGKILL)
        command.says("before it could serve", 3)
        assert get(port, "/pid") == str(max(workers))
        copy_app(folder)
        command.wait_for_workers(2, without={min(workers)})
        wait_until(lambda: get(port, "/pid") != str(max(workers)))


def test_pauses_grow(tmp_path):
    folder = copy_app(tmp_path)
    args = ("--limit-worker-failed-starts", "4", "--limit-restart-pause-s", "0.2", "--log-level", "warning")
    with Command(folder, *ARGS, *args) as command:
        assert command.port
        (folder / "shop.py").write_text("import time\nprint('at', time.monotonic(), flush=True)\n1 / 0\n")
        command.kill_at_once(command.wait_for_workers(2))
        assert command.wait() == 1
    at = [float(moment) for moment in re.findall(r"at ([\d.]+)", command.out)]
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert len(pauses) == 3
    assert pauses[1] > 0.6
    assert pauses[2] > 1.2


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGINT])
def test_the_end_while_workers_start(tmp_path, way):
    (tmp_path / "shop.py").write_text("import threading\nprint('imports', flush=True)\nthreading.Event().wait()\n")
    with Command(tmp_path, *ARGS) as command:
        wait_until(lambda: "imports" in command.out)
        command.signal(way)
        assert command.wait() == 0
