"""Child processes: they are waited for, read and written while others run; and the same of ``os``."""

import errno
import os as real_os
import signal
import subprocess as real_subprocess
import sys
import threading
import time

import pytest

from greenwire import green
from greenwire.errors import ContextError
from greenwire.green import children, descriptors, os, subprocess
from greenwire.green.worker import HubClosedError

CAT = ["cat"]
WAIT_S = 60.0


def cat(**options):
    """A child that ends when its input does."""
    return subprocess.Popen(CAT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)


def until(condition):
    """Have others run until *condition* holds."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        green.sleep(0.001)


@pytest.fixture(params=["pidfd", "thread"])
def way(request, monkeypatch):
    """How the end of a child is seen."""
    if request.param == "thread":
        monkeypatch.setattr(children, "_pidfd_open", None)
    elif children._pidfd_open is None:
        pytest.skip("this system has no pidfd")
    return request.param


# --- the end of a child


def test_others_run_while_one_waits_for_a_child(way):
    child = cat()
    waiting = green.spawn(child.wait)
    green.sleep(0)
    assert not waiting.dead
    child.stdin.close()  # only this ends it: who blocked the loop would never come here
    assert waiting.wait(WAIT_S) == 0
    child.stdout.close()


def test_the_status_of_a_child_that_a_signal_has_ended(way):
    with cat() as child:
        waiting = green.spawn(child.wait)
        green.sleep(0)
        child.kill()
        assert waiting.wait(WAIT_S) == -signal.SIGKILL


def test_several_wait_for_one_child(way):
    with cat() as child:
        waiting = [green.spawn(child.wait) for _ in range(5)]
        green.sleep(0)
        child.stdin.close()
        assert [thread.wait(WAIT_S) for thread in waiting] == [0] * 5


def test_a_hundred_children_at_once():
    everyone = [cat() for _ in range(100)]
    answers = [green.spawn(child.communicate, b"%d" % number) for number, child in enumerate(everyone)]
    assert [thread.wait(WAIT_S) for thread in answers] == [(b"%d" % number, None) for number in range(100)]
    assert {child.returncode for child in everyone} == {0}


def test_a_child_may_take_too_long(way):
    with cat() as child:
        with pytest.raises(subprocess.TimeoutExpired) as caught:
            child.wait(timeout=0.01)
        assert caught.value.timeout == 0.01
        assert child.poll() is None
    with subprocess.Popen(["sleep", "1000"], stdout=subprocess.PIPE) as child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.communicate(timeout=0.01)
        child.kill()


def test_run_ends_a_child_that_takes_too_long():
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["sleep", "1000"], timeout=0.01)


def test_who_waits_for_a_child_can_be_killed_and_the_child_lives(way):
    with cat() as child:
        waiting = green.spawn(child.wait)
        green.sleep(0)
        waiting.kill()
        waiting.join()
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(timeout=WAIT_S) == 0


def test_a_child_that_somebody_else_has_taken(way):
    with subprocess.Popen(["true"]) as child:
        real_os.waitid(real_os.P_PID, child.pid, real_os.WEXITED)
        assert child.wait() == 0  # as the standard library has it


def test_without_a_descriptor_left_a_thread_waits(monkeypatch):
    def none_left(pid):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(children, "_pidfd_open", none_left)
    with cat() as child:
        waiting = green.spawn(child.wait)
        green.sleep(0)
        child.stdin.close()
        assert waiting.wait(WAIT_S) == 0


def test_the_loop_is_closed_under_one_that_waits_for_a_child(hub):
    child = cat()
    waiting = green.spawn(child.wait)
    green.sleep(0)
    hub.aio.close()
    assert isinstance(waiting.error, HubClosedError)
    child.stdin.close()
    assert real_subprocess.Popen.wait(child) == 0
    child.stdout.close()


def test_a_coroutine_may_start_a_child_and_not_wait_for_it():
    async def start():
        child = subprocess.Popen(CAT, stdin=subprocess.PIPE)
        with pytest.raises(ContextError, match="coroutine"):
            child.wait()
        return child

    with green.wait(start()) as child:
        child.stdin.close()
        assert child.wait() == 0


def test_a_plain_thread_waits_for_itself_alone():
    outcome = []

    def work():
        with cat() as child:
            outcome.append(child.communicate(b"plain"))
            outcome.append(child.wait())
        with os.popen("echo") as echo:
            outcome.append(os.read(echo.fileno(), 1))

    thread = threading.Thread(target=work)
    thread.start()
    green.spawn(green.sleep, 0).wait()
    thread.join(WAIT_S)
    assert outcome == [(b"plain", None), 0, b"\n"]


# --- functions


def test_the_functions_of_the_module_use_the_green_class():
    assert subprocess.run(CAT, input="é", capture_output=True, encoding="utf-8").stdout == "é"
    assert subprocess.call(["false"]) == 1
    assert subprocess.check_output(["echo", "1"]) == b"1\n"
    assert subprocess.getstatusoutput("exit 3") == (3, "")
    assert subprocess.getoutput("echo 1") == "1"
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.check_call(["false"])
    assert subprocess.list2cmdline is real_subprocess.list2cmdline
    assert set(real_subprocess.__all__) <= set(dir(subprocess)) | set(subprocess.__all__)


@pytest.mark.parametrize("name", ["run", "call", "check_output", "check_call"])
def test_each_function_lets_others_run(name, tmp_path):
    """The child waits for a file that another green thread makes."""
    path = tmp_path / "go"
    command = f"until test -e {path}; do sleep 0.01; done"
    waiting = green.spawn(getattr(subprocess, name), command, shell=True, timeout=WAIT_S)
    green.sleep(0)
    path.touch()
    waiting.wait(WAIT_S)


# --- pipes


def test_lines_are_read_as_they_come():
    with cat(text=True, bufsize=1) as child:
        child.stdin.write("one\n")
        assert green.spawn(child.stdout.readline).wait(WAIT_S) == "one\n"
        child.stdin.write("two")
        child.stdin.close()
        assert green.spawn(lambda: list(child.stdout)).wait(WAIT_S) == ["two"]


@pytest.mark.parametrize("bufsize", [-1, 0, 1 << 16])
def test_more_than_a_pipe_holds_goes_both_ways(bufsize):
    data = real_os.urandom(1 << 20)
    with cat(bufsize=bufsize) as child:

        def feed():
            view = memoryview(data)
            while view:
                view = view[child.stdin.write(view) :]
            child.stdin.close()

        feeding = green.spawn(feed)
        assert b"".join(iter(lambda: child.stdout.read(100_000), b"")) == data
        feeding.wait()
    with cat(bufsize=bufsize) as child:
        assert child.communicate(data) == (data, None)


def test_a_pipe_is_a_file_like_any_other():
    with cat(bufsize=0) as child:
        assert child.stdin.write(b"abc") == 3
        buffer = bytearray(10)
        assert child.stdout.readinto(buffer) == 3
        assert (child.stdout.name, child.stdout.mode) == (child.stdout.fileno(), "rb")
        child.stdin.close()
        assert child.stdout.read() == b""
    with pytest.raises(ValueError, match="closed"):
        child.stdout.read()


def test_other_programs_get_pipes_that_block():
    """A shell pipeline: its second program knows nothing of us."""
    with (
        subprocess.Popen(["sh", "-c", "read line; echo $line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one,
        subprocess.Popen(CAT, stdin=one.stdout, stdout=subprocess.PIPE) as two,
    ):
        reading = green.spawn(two.stdout.read)
        peek = green.spawn(descriptors.until_ready, one.stdout.fileno(), descriptors._READABLE)
        green.sleep(0)
        assert real_os.get_blocking(one.stdout.fileno())
        assert real_os.get_blocking(two.stdout.fileno())
        peek.kill()
        one.stdout.close()
        one.stdin.write(b"through both\n")
        one.stdin.close()
        assert reading.wait(WAIT_S) == b"through both\n"


def test_to_write_to_a_child_that_is_gone_is_an_error():
    child = subprocess.Popen(["true"], stdin=subprocess.PIPE, bufsize=0)
    child.wait()
    with pytest.raises(BrokenPipeError):
        child.stdin.write(b"x" * 100_000)
    child.stdin.close()


def test_a_time_limit_ends_a_read():
    with cat() as child:
        with pytest.raises(green.Timeout), green.Timeout(0.01):
            child.stdout.read(1)
        child.stdin.close()


# --- os: descriptors


@pytest.fixture
def pipe():
    ends = real_os.pipe()
    yield ends
    for fd in ends:
        try:
            real_os.close(fd)
        except OSError:
            pass


def test_read_and_write_of_descriptors_wait(pipe):
    reading = green.spawn(os.read, pipe[0], 10)
    green.sleep(0)
    assert not reading.dead
    assert os.write(pipe[1], b"news") == 4
    assert reading.wait(WAIT_S) == b"news"


def test_write_writes_all_of_it(pipe):
    data = real_os.urandom(300_000)
    writing = green.spawn(os.write, pipe[1], data)
    got = b""
    while len(got) < len(data):
        got += os.read(pipe[0], 50_000)
    assert got == data
    assert writing.wait() == len(data)


def test_several_may_read_one_descriptor(pipe):
    reading = [green.spawn(os.read, pipe[0], 1) for _ in range(3)]
    green.sleep(0)
    real_os.write(pipe[1], b"abc")
    assert sorted(thread.wait(WAIT_S) for thread in reading) == [b"a", b"b", b"c"]


def test_a_descriptor_that_does_not_block_does_not_wait(pipe):
    real_os.set_blocking(pipe[0], False)
    real_os.set_blocking(pipe[1], False)
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)
    assert 0 < os.write(pipe[1], bytes(1 << 22)) < 1 << 22


def test_what_is_no_descriptor_is_the_systems_own_error(pipe, tmp_path):
    real_os.close(pipe[0])
    for wrong in (pipe[0], -1):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.read(wrong, 1)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(wrong, b"")
    for wrong in ("1", 1.5, None):
        with pytest.raises(TypeError):
            os.read(wrong, 1)
        with pytest.raises(TypeError):
            os.write(wrong, b"")
    with pytest.raises(BrokenPipeError):
        os.write(pipe[1], b"x")
    file = real_os.open(tmp_path / "file", real_os.O_RDWR | real_os.O_CREAT)
    assert os.write(file, bytes(100_000)) == 100_000
    real_os.lseek(file, 0, 0)
    assert os.read(file, 200_000) == bytes(100_000)
    real_os.close(file)


def test_messages_stay_whole():
    import socket

    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, two:
        message = bytes(20_000)
        writing = green.spawn(lambda: [os.write(one.fileno(), message) for _ in range(50)])
        sizes = [len(os.read(two.fileno(), 100_000)) for _ in range(50)]
        assert writing.wait(WAIT_S) == sizes == [20_000] * 50
        assert one.getblocking()
        assert real_os.get_blocking(one.fileno())


def test_callbacks_read_as_they_did_without_us(pipe):
    async def look():
        real_os.write(pipe[1], b"1")
        return os.read(pipe[0], 1), os.write(pipe[1], b"2"), os.read(pipe[0], 1)

    assert green.wait(look()) == (b"1", 1, b"2")


# --- os: children


def ended(code):
    """The number of a child that ends at once."""
    return real_os.posix_spawn("/bin/sh", ["sh", "-c", f"exit {code}"], real_os.environ)


def test_waitpid_and_its_kin(way):
    pid = ended(3)
    assert os.waitpid(pid, 0) == (pid, 3 << 8)
    pid = ended(4)
    assert os.wait4(pid, 0)[:2] == (pid, 4 << 8)
    pid = ended(5)
    assert os.waitid(os.P_PID, pid, os.WEXITED).si_status == 5
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


def program(text):
    """Run a program that has no children but its own."""
    done = real_subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_waiting_for_any_child_lets_others_run():
    program("""
from greenwire import green
from greenwire.green import os, subprocess

child = subprocess.Popen("cat", stdin=subprocess.PIPE)
for wait in (os.wait, lambda: os.waitpid(-1, 0), lambda: os.waitpid(0, 0), lambda: os.wait3(0)):
    waiting = green.spawn(wait)
    green.sleep(0)
    assert not waiting.dead
    child.stdin.close()
    assert waiting.wait(30)[:2] == (child.pid, 0)
    child.wait()
    child = subprocess.Popen("cat", stdin=subprocess.PIPE)
child.communicate()
for wait in (os.wait, lambda: os.waitpid(-1, 0), lambda: os.wait3(0)):
    try:
        wait()
    except ChildProcessError:
        pass
    else:
        raise AssertionError
""")


def test_a_child_that_stops_and_goes_on():
    with cat() as child:
        waiting = green.spawn(os.waitpid, child.pid, os.WUNTRACED)
        green.sleep(0)
        child.send_signal(signal.SIGSTOP)
        assert os.WIFSTOPPED(waiting.wait(WAIT_S)[1])
        waiting = green.spawn(os.waitpid, child.pid, os.WCONTINUED)
        green.sleep(0)
        child.send_signal(signal.SIGCONT)
        assert os.WIFCONTINUED(waiting.wait(WAIT_S)[1])
        assert os.waitpid(child.pid, os.WNOHANG) == (0, 0)


def test_commands_of_the_shell(capfd):
    assert os.system("exit 3") == 3 << 8
    assert os.system("kill -9 $$") == signal.SIGKILL
    with os.popen("cat; exit 2", "w") as pipe:
        pipe.write("written")
    until(lambda: "written" in capfd.readouterr().out)
    pipe = os.popen("echo é; exit 2")
    assert pipe.read() == "é\n"
    assert pipe.close() == 2 << 8
    with pytest.raises(ValueError, match="invalid mode"):
        os.popen("true", "a")
    with pytest.raises(TypeError):
        os.popen(1)
    with pytest.raises(ValueError, match="null"):
        os.system("a\0b")


def test_the_rest_of_os_is_the_systems():
    assert os.path is real_os.path
    assert os.getpid() == real_os.getpid()
    with pytest.raises(AttributeError):
        _ = os.no_such_name


def test_asyncio_starts_children_in_a_patched_process():
    program("""
from greenwire import green
green.patch()
import asyncio

async def run():
    child = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1, preexec_fn=int)
    return await child.communicate(b"x"), child.returncode

assert green.wait(run()) == ((b"x", None), 0)
assert asyncio.run(run()) == ((b"x", None), 0)
""")
