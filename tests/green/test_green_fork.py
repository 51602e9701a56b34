"""Fork: the child has no green threads but the one that has forked, a hub of its own, and leaves its parent alone."""

import asyncio
import os
import signal
import socket as real_socket
import subprocess
import sys

import pytest

from greenwire import green
from greenwire.green import hub as hubs
from greenwire.green import os as green_os
from greenwire.green import socket
from greenwire.green.fork import Orphan

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
WAIT_S = 60.0
LONG_S = 1_000.0


def forked(work):
    """What *work* returns in a forked child, as text; its exception where it raises."""
    end, start = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(int(WAIT_S))
        try:
            answer = str(work())
        except BaseException as error:
            answer = f"raised {error!r}"
        os.write(start, answer.encode())
        os._exit(0)
    os.close(start)
    with os.fdopen(end, "rb", buffering=0) as file:
        said = b"".join(iter(lambda: green_os.read(file.fileno(), 1_000), b""))
    assert green_os.waitpid(pid, 0) == (pid, 0)
    return said.decode()


def in_green_thread(work):
    return green.spawn(forked, work).wait(WAIT_S)


WHERE = pytest.mark.parametrize("fork", [forked, in_green_thread])


@WHERE
def test_the_child_gets_a_hub_when_it_asks(fork, hub):
    def work():
        own = hubs.current_hub()
        green.sleep(0.001)
        return own is not hub and own is hubs.current_hub() and green.spawn(lambda: "green").wait()

    assert fork(work) == "green"


@WHERE
def test_the_others_stay_in_the_parent(fork, hub):
    ran = []

    def other():
        green.sleep(0)
        while True:
            ran.append(os.getpid())
            green.sleep(0.001)

    others = [green.spawn(other) for _ in range(10)]
    unborn = []

    def work():
        ran.clear()
        for _ in range(20):
            green.sleep(0.001)
        return ran, unborn

    def forking():
        green.spawn(unborn.append, "never in the child")
        return forked(work)

    run = forking if fork is forked else green.spawn(forking).wait
    assert run() == "([], [])"
    with green.Timeout(WAIT_S):
        while not ran:  # the child may have ended before its parent had to wait for it
            green.sleep(0)
    for thread in others:
        thread.kill()
        thread.join()
    assert set(ran) == {os.getpid()}


@WHERE
def test_the_child_has_no_epoll_of_its_parent(fork):
    def work():
        links = []
        for fd in os.listdir("/proc/self/fd"):
            try:
                links.append(os.readlink(f"/proc/self/fd/{fd}"))
            except FileNotFoundError:
                pass
        return sum("eventpoll" in link for link in links)

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("only Linux tells")
    assert fork(work) == "0"


@WHERE
def test_the_parent_does_not_notice(fork, hub):
    """Its sockets are still watched after the child has waited on its own, closed it, and closed the parent's."""
    one, two = socket.socketpair()
    with one, two:
        reading = green.spawn(one.recv, 10)
        green.sleep(0)

        def work():
            green.sleep(0)
            hubs.current_hub().aio.close()
            hub.aio.close()
            return two.send(b"from the child")

        assert fork(work) == "14"
        assert reading.wait(WAIT_S) == b"from the c"


@WHERE
def test_the_child_can_use_asyncio_sockets_and_processes(fork):
    def work():
        one, two = socket.socketpair()
        reading = green.spawn(one.recv, 10)
        green.spawn(two.sendall, b"x")
        with pytest.raises(green.Timeout), green.Timeout(0.001):
            green.sleep(LONG_S)
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        status = green_os.waitpid(pid, 0)[1]
        return reading.wait(), asyncio.run(asyncio.sleep(0, "asyncio")), status >> 8

    assert fork(work) == str((b"x", "asyncio", 7))


@WHERE
def test_signals_to_the_child_are_not_its_parents(fork, hub):
    """Both have one wake-up descriptor: without care, what ends the child shuts its parent down, and not the child."""
    seen = []
    hub.aio.add_signal_handler(signal.SIGTERM, seen.append, signal.SIGTERM)
    try:

        def parent():
            pid = os.fork()
            if pid == 0:
                os.kill(os.getpid(), signal.SIGTERM)
                os._exit(0)
            return os.WTERMSIG(green_os.waitpid(pid, 0)[1])

        run = parent if fork is forked else green.spawn(parent).wait
        assert run() == signal.SIGTERM
        green.sleep(0.01)
        assert seen == []
        hub.aio.call_soon(os.kill, os.getpid(), signal.SIGTERM)
        with green.Timeout(WAIT_S):
            while not seen:
                green.sleep(0.001)
    finally:
        hub.aio.remove_signal_handler(signal.SIGTERM)


def test_a_timeout_reaches_the_forked_green_thread_and_so_does_its_own_lock():
    lock = green.RLock()

    def work():
        with lock:
            pass
        lock.release()
        with green.Timeout(0.001, False):
            green.sleep(LONG_S)
        return type(green.getcurrent()) is Orphan

    def thread():
        lock.acquire()
        try:
            return forked(work)
        finally:
            lock.release()

    assert green.spawn(thread).wait(WAIT_S) == "True"


def test_a_callback_of_the_childs_loop_is_told_that_it_cannot_wait():
    def work():
        async def wrong():
            green.sleep(0)

        return green.wait(asyncio.ensure_future(wrong(), loop=hubs.current_hub().aio))

    assert "a green call inside a coroutine" in in_green_thread(work)


def test_a_child_that_comes_to_the_end_of_its_green_thread_has_ended():
    """It does not go on with what the parent does behind it."""
    end, start = os.pipe()

    def thread():
        pid = os.fork()
        if pid == 0:
            os.write(start, b"child")
        return pid

    me = os.getpid()
    pid = green.spawn(thread).wait(WAIT_S)
    if os.getpid() != me:
        os.write(start, b" runs on")
        os._exit(1)
    os.close(start)
    assert green_os.waitpid(pid, 0) == (pid, 0)
    with os.fdopen(end, "rb") as file:
        assert file.read() == b"child"


def program(text, *args):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", *args, "-c", text],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_child_that_ends_as_a_script_does_runs_nobodys_finally():
    said = program("""
import os, sys
from greenwire import green

def other():
    try:
        green.sleep(1000)
    finally:
        print("finally", os.getpid() == parent, flush=True)

parent = os.getpid()
thread = green.spawn(other)
green.sleep(0)
pid = os.fork()
if pid == 0:
    green.sleep(0.001)
    print("child", flush=True)
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
thread.kill()
thread.join()
""")
    assert said == "child\nfinally True\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works_in_a_patched_process(method, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(f"""
from greenwire import green
green.patch()
import multiprocessing, os, socket, subprocess, time

def work(queue, pipe, number):
    time.sleep(0.001)
    one, two = socket.socketpair()
    reading = green.spawn(one.recv, 10)
    two.sendall(subprocess.check_output(["echo", str(number)]))
    pipe.send((reading.wait(), pipe.recv()))
    queue.put(os.getpid())

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    green.spawn(time.sleep, 0).wait()
    queue = context.Queue()
    children, pipes = [], []
    def main():
        for number in range(3):
            here, there = context.Pipe()
            child = context.Process(target=work, args=(queue, there, number))
            child.start()
            children.append(child)
            here.send("from the parent")
            pipes.append(here)
        for number, pipe in enumerate(pipes):
            assert pipe.recv() == (b"%d\\n" % number, "from the parent")
        assert {{queue.get() for _ in children}} == {{child.pid for child in children}}
        for child in children:
            child.join()
            assert child.exitcode == 0
        endless = context.Process(target=time.sleep, args=(1000,))
        endless.start()
        endless.terminate()
        endless.join()
        assert endless.exitcode == -15
    main()
    green.spawn(main_again := lambda: (children.clear(), pipes.clear(), main())).wait()
    with context.Pool(2) as pool:
        assert pool.map(abs, range(-5, 5)) == list(map(abs, range(-5, 5)))
    print("all")
""")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said = process.communicate(timeout=WAIT_S)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # also its children, where they hang
        except ProcessLookupError:
            pass
        process.wait()
    assert (process.returncode, *said) == (0, "all\n", "")


def test_a_fork_with_a_listening_server_in_it():
    """The child answers on the parent's socket, as pre-forking servers do, while the parent waits for its end."""
    with green.listen(("127.0.0.1", 0)) as server:
        waiting = green.spawn(server.accept)
        green.sleep(0)
        waiting.kill()
        waiting.join()

        def work():
            connection, _ = server.accept()
            connection.sendall(b"%d" % os.getpid())
            connection.close()
            return os.getpid()

        with real_socket.create_connection(server.getsockname()) as client:
            answer = in_green_thread(work)
            assert client.recv(100) == answer.encode()
