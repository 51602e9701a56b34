"""The supervisor with real workers: boot, each signal, deaths on both sides, and the ends."""

import os
import re
import resource
import signal
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import pytest
from commanding import Command, alive, children, copy_app, get, has, zombies

from greenwire.net.share import WORKERS, Share, new_memory
from support.engine import Client
from support.gate import Gate
from support.raw import Connection
from support.waiting import wait_until

ARGS = ("run", "shop:app", "--bind", "127.0.0.1:0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_app(tmp_path)


def pids(port: int, tries: int = 60) -> set[int]:
    """The processes that answer."""
    return {int(get(port, "/pid")) for _ in range(tries)}


# --- boot and end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_serve_and_end_gracefully(folder, number):
    with Gate() as gate, Command(folder, *ARGS, "--workers", "3") as command:
        port = command.port
        workers = command.wait_for_workers(3)
        assert pids(port) <= workers
        with Connection(port) as browser, Client(port) as client:
            client.join()
            browser.send_request("GET", gate.path)
            gate.arrived()
            command.signal(number)
            assert client.close_code() == 1001
            gate.open()
            assert browser.response().text == "finished"
            assert browser.at_end()
        assert command.wait() == 0
        assert "gone: server disconnect" in command.out
        assert "Traceback" not in command.err
        assert not any(alive(pid) for pid in workers)
        with pytest.raises(ConnectionRefusedError):
            Connection(port)


def test_ctrl_c_in_a_terminal_reaches_all_and_is_graceful(folder):
    with Gate() as gate, Command(folder, *ARGS, "--workers", "2") as command, Connection(command.port) as browser:
        browser.send_request("GET", gate.path)
        gate.arrived()
        os.killpg(command.popen.pid, signal.SIGINT)
        wait_until(lambda: len(command.workers()) == 1)  # the other one has left
        gate.open()
        assert browser.response().text == "finished"
        assert command.wait() == 0


def test_a_term_to_all_processes_is_graceful(folder):
    """As of systemd with ``KillMode=control-group``."""
    with Gate() as gate, Command(folder, *ARGS, "--workers", "2") as command, Connection(command.port) as browser:
        browser.send_request("GET", gate.path)
        gate.arrived()
        os.killpg(command.popen.pid, signal.SIGTERM)
        wait_until(lambda: len(command.workers()) == 1)  # the other one has left
        gate.open()
        assert browser.response().text == "finished"
        assert command.wait() == 0
        assert "Traceback" not in command.err


def test_the_second_signal_forces(folder):
    with Gate() as gate, Command(folder, *ARGS, "--workers", "2") as command, Connection(command.port) as browser:
        browser.send_request("GET", gate.path)
        gate.arrived()
        workers = command.workers()
        command.signal(signal.SIGTERM)
        wait_until(lambda: len(command.workers()) == 1)  # the other one has left
        command.signal(signal.SIGINT)
        assert command.wait() == 0
        assert not any(alive(pid) for pid in workers)
        assert "Traceback" not in command.err


def test_a_handler_that_never_returns_is_abandoned(folder):
    with Gate() as gate, Command(folder, *ARGS, "--workers", "2", "--graceful-timeout", "0.3") as command:
        with Connection(command.port) as browser:
            browser.send_request("GET", gate.path)
            gate.arrived()
            command.signal(signal.SIGTERM)
            assert command.wait() == 0
            assert browser.at_end()
        assert "stopped after 0.3 s" in command.err


def test_a_worker_that_does_not_end_is_killed(folder):
    """Its loop stands still, so that it never hears of the end."""
    with (
        Command(folder, *ARGS, "--workers", "2", "--graceful-timeout", "0.2") as command,
        Connection(command.port) as browser,
    ):
        browser.send_request("GET", "/hang")
        wait_until(lambda: "standing still" in command.out)
        command.signal(signal.SIGTERM)
        assert command.wait() == 0
        assert "does not end (limit 'graceful_s'): it is killed" in command.err
        assert "Fatal Python error: Aborted" in command.err  # and where it hung
        assert "in _stand_still" in command.err


def test_one_worker_needs_no_supervisor(folder):
    with Command(folder, *ARGS) as command:
        assert get(command.port, "/pid") == str(command.popen.pid)
        command.signal(signal.SIGTERM)
        assert command.wait() == 0


def test_one_worker_with_a_supervisor(folder):
    with Command(folder, *ARGS, "--supervisor") as command:
        assert int(get(command.port, "/pid")) in command.workers()


# --- deaths


def test_a_worker_that_is_killed_is_replaced_under_load(folder):
    with Command(folder, *ARGS, "--workers", "2", "--limit-restart-pause-s", "0.05") as command:
        port, before = command.port, command.wait_for_workers(2)
        victim = min(before)
        answers = []

        def ask():
            for _ in range(100):
                try:
                    answers.append(get(port))
                except (ConnectionResetError, AssertionError):  # it was in the one that was killed
                    answers.append("lost")

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answers) > 40)
        os.kill(victim, signal.SIGKILL)
        for thread in threads:
            thread.join(30)
        after = command.wait_for_workers(2, without={victim})
        assert len(answers) == 400
        assert answers.count("lost") <= 4  # at most what each client had under way
        command.says(f"(pid {victim}) was ended by SIGKILL; another one is started")
        wait_until(lambda: pids(port, 20) == after)


def test_one_that_is_told_to_end_by_hand_is_replaced(folder):
    with Command(folder, *ARGS, "--workers", "2", "--limit-restart-pause-s", "0.05") as command:
        before = command.wait_for_workers(2)
        assert command.port
        os.kill(min(before), signal.SIGTERM)
        command.wait_for_workers(2, without={min(before)})
        command.says("has ended with exit code 0; another one is started")


def test_a_worker_whose_loop_stands_still_is_replaced(folder):
    args = ("--workers", "2", "--limit-worker-silence-s", "3", "--limit-restart-pause-s", "0.05")
    with Command(folder, *ARGS, *args) as command:
        port, before = command.port, command.wait_for_workers(2)
        with Connection(port) as browser:
            hanging = int(browser.get("/pid").text)
            browser.send_request("GET", "/hang")
            command.says(f"(pid {hanging}) does not answer any more (limit 'worker_silence_s'): it is killed")
            command.says("Fatal Python error: Aborted")
            command.wait_for_workers(2, without={hanging})
        assert hanging in before


def test_workers_end_when_the_supervisor_is_killed(folder):
    with Command(folder, *ARGS, "--workers", "2") as command, Client(command.port) as client:
        client.join()
        workers = command.wait_for_workers(2)
        command.signal(signal.SIGKILL)
        assert client.close_code() == 1001
        wait_until(lambda: not any(alive(pid) for pid in workers))


def test_as_process_1_it_reaps_what_workers_leave_behind(folder):
    """As in a container."""
    unshare = has("unshare")
    apart = [unshare, "--pid", "--fork", "--kill-child"]
    if subprocess.run([*apart, "true"], capture_output=True, timeout=20, check=False).returncode:
        pytest.skip("no namespace of processes may be made here")
    with (folder / "shop.py").open("a") as file:
        file.write("\n@app.get('/leave')\ndef leave():\n    import subprocess\n")
        file.write("    subprocess.run(['sh', '-c', 'sh -c true & exit'], check=True)\n    return 'left'\n")
    command = Command(folder, *ARGS, "--workers", "2")
    command.command[:0] = apart
    with command:
        port = command.port
        [first] = children(command.popen.pid)  # of unshare: process 1 of its namespace
        for _ in range(10):
            assert get(port, "/leave") == "left"
        wait_until(lambda: len(children(first) | zombies(first)) == 2, "nothing is left behind")
        os.kill(first, signal.SIGTERM)
        assert command.wait() == 0


# --- signals


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limits of another process cannot be changed here")
def test_no_descriptors_for_new_workers(folder):
    with Command(folder, *ARGS, "--workers", "2", "--limit-restart-pause-s", "0.1") as command:
        port, workers, pid = command.port, command.wait_for_workers(2), command.popen.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        command.signal(signal.SIGHUP)
        command.says("the reload has failed")
        assert command.workers() == workers
        os.kill(min(workers), signal.SIGKILL)
        command.says("cannot start a worker: Too many open files", 2)
        assert get(port, "/pid") == str(max(workers))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        command.wait_for_workers(2, without={min(workers)})


def test_ttin_and_ttou(folder):
    with Command(folder, *ARGS, "--workers", "2", "--limit-drain-s", "0.1") as command:
        port, before = command.port, command.wait_for_workers(2)
        command.signal(signal.SIGTTIN)
        more = command.wait_for_workers(3)
        assert before < more
        wait_until(lambda: pids(port, 20) == more)
        command.signal(signal.SIGTTOU)
        assert command.wait_for_workers(2) == before  # the youngest leaves
        command.signal(signal.SIGTTOU)
        command.wait_for_workers(1)
        command.says("INFO 1 workers")
        command.signal(signal.SIGTTOU)
        command.says("INFO 1 workers", 2)  # one is the least
        assert get(port) == "hello"


def test_usr1_opens_log_files_anew(folder):
    (folder / "logged.py").write_text(
        "import logging\nlogging.basicConfig(filename='shop.log', level='INFO')\n"
        "from shop import app, pid\n"
        "app.get('/say')(lambda: logging.getLogger('shop').info('said by ' + pid()) or 'ok')\n"
    )
    log, moved = folder / "shop.log", folder / "shop.log.1"
    with Command(folder, "run", "logged:app", "--bind", "127.0.0.1:0", "--workers", "2") as command:
        port, workers = command.port, command.workers()
        assert get(port, "/say") == "ok"
        assert log.read_text().count("said") == 1
        log.rename(moved)
        command.signal(signal.SIGUSR1)

        def all_have_opened_the_new_one():
            get(port, "/say")
            return log.exists() and set(map(int, re.findall(r"said by (\d+)", log.read_text()))) == workers

        wait_until(all_have_opened_the_new_one)
        count = moved.read_text().count("said")
        for _ in range(8):
            get(port, "/say")
        assert moved.read_text().count("said") == count  # both workers write into the new one


def test_a_worker_is_replaced_after_its_requests(folder):
    args = ("--max-requests", "20", "--max-requests-jitter", "10", "--limit-drain-s", "0.2")
    with Command(folder, *ARGS, *args) as command:
        port, seen = command.port, set()

        def two_are_replaced():
            seen.update(int(get(port, "/pid")) for _ in range(10))  # none of them fails
            return command.err.count("has served its requests and is replaced") >= 2

        wait_until(two_are_replaced)
        assert len(seen) >= 2
        assert command.err.count("has left") <= command.err.count("is replaced")


# --- sharing


def test_connections_are_spread_evenly(folder):
    with Command(folder, *ARGS, "--workers", "4") as command:
        port, workers = command.port, command.wait_for_workers(4)
        least = []
        for _ in range(5):
            wait_until(lambda: pids(port, 20) == workers, "all of them run")
            answers = answers_to_crowds(port)
            assert set(answers) <= workers
            least.append(min(answers.count(pid) for pid in workers))
        # About 90; without giving way 12 to 90, and 35 as the median. The machine may keep a worker from running for
        # the moment that one of the five times takes.
        assert median(least) >= 60, least


def answers_to_crowds(port):
    """Who answers 400 connections that stay, of which 40 come at once."""
    with ExitStack() as stack:
        answers = []
        for _ in range(10):
            crowd = [stack.enter_context(Connection(port)) for _ in range(40)]
            for browser in crowd:
                browser.send_request("GET", "/pid")
            answers += [int(browser.response().text) for browser in crowd]
        return answers


def test_who_gives_way():
    memory = new_memory()
    first, second, last = Share(memory, 1), Share(memory, 2), Share(memory, WORKERS + 5)
    first.tell(9)
    assert not first.gives_way(9)  # alone
    second.tell(0)
    assert first.gives_way(9)
    assert not first.gives_way(8)
    first.tell(900)
    second.tell(800)
    assert not first.gives_way(900)
    assert first.gives_way(901)
    first.leave()
    second.tell(5_000)
    assert not second.gives_way(5_000)
    last.tell(3)  # there is no place for it: it just accepts
    last.leave()
