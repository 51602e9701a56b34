"""What goes wrong in a process with green threads: nothing hangs, nothing spins, nothing stays open."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import greenlet
import pytest

from greenwire import green
from greenwire.green import hub as hubs
from greenwire.green import os as green_os
from greenwire.green import select, socket
from greenwire.green.worker import HubClosedError
from support.turns import turns

WAIT_S = 60.0
LONG_S = 1_000.0
MANY = 2_000


# --- memory: see greenwire.green.depth


def test_the_loops_stack_stays_where_it_is_while_a_green_thread_runs(hub):
    """libuv writes into its own frames when a descriptor is added or removed: they must be there."""
    one, two = socket.socketpair()

    def read():
        moved = []
        for _ in range(3):
            one.recv(1)  # woken inside a callback of the loop
            moved.append(hub.home._stack_saved)
        return moved

    with one, two:
        thread = green.spawn(read)
        for _ in range(3):
            green.sleep(0.001)
            two.send(b"x")
        assert thread.wait(WAIT_S) == [0, 0, 0]


# --- time limits and locks


@pytest.mark.parametrize("make", [green.Lock, green.RLock, green.Semaphore, green.Condition])
def test_a_time_limit_inside_a_lock_gives_it_back(make):
    lock = make()

    def hold():
        with green.Timeout(0.001, False), lock:
            green.sleep(LONG_S)

    def hold_after():
        with lock:
            return "had it"

    threads = [green.spawn(hold), green.spawn(hold_after), green.spawn(hold_after)]
    assert [thread.wait(WAIT_S) for thread in threads] == [None, "had it", "had it"]


def test_a_time_limit_while_waiting_for_a_lock_leaves_the_line():
    lock = green.Lock()
    lock.acquire()

    def try_it():
        with green.Timeout(0.001, False), lock:
            return "had it"
        return "gave up"

    assert green.spawn(try_it).wait(WAIT_S) == "gave up"
    later = green.spawn(lock.acquire)
    green.sleep(0)
    lock.release()
    assert later.wait(WAIT_S) is True
    lock.release()


# --- descriptors


def test_a_descriptor_that_is_used_again_belongs_to_the_new_one():
    """A wait on the old socket ends with an error; the new one with the same number gets its own data only."""
    for _ in range(20):
        old, peer = socket.socketpair()
        waiting = green.spawn(old.recv, 10)
        green.sleep(0)
        number = old.fileno()
        old.close()
        new, other = socket.socketpair()
        reading = green.spawn((new if new.fileno() == number else other).recv, 10)
        green.sleep(0)
        with pytest.raises(OSError, match="closed"):
            waiting.wait(WAIT_S)
        assert number in (new.fileno(), other.fileno())
        (other if new.fileno() == number else new).send(b"new")
        assert reading.wait(WAIT_S) == b"new"
        for sock in (peer, new, other):
            sock.close()


def test_a_descriptor_that_is_closed_behind_our_back_and_used_again():
    end, start = os.pipe()
    reading = green.spawn(green_os.read, end, 10)
    green.sleep(0)
    reading.kill()
    reading.join()
    os.close(end)
    os.close(start)
    again = os.pipe()
    assert set(again) == {end, start}
    reading = green.spawn(green_os.read, again[0], 10)
    green.sleep(0)
    os.write(again[1], b"again")
    assert reading.wait(WAIT_S) == b"again"
    for fd in again:
        os.close(fd)


def test_thousands_of_waits_that_are_killed_leave_nothing_open():
    one, two = socket.socketpair()
    with one, two:
        for _ in range(20):
            threads = [green.spawn(select.select, [one], [], [], LONG_S) for _ in range(50)]
            green.sleep(0)
            for thread in threads:
                thread.kill()
            for thread in threads:
                thread.join()
    # the fixture counts the descriptors


# --- callbacks, threads


def test_an_exception_in_a_callback_is_told_and_the_hub_lives_on(hub):
    told = []
    hub.aio.set_exception_handler(lambda _, context: told.append(context["exception"]))

    def broken():
        raise ZeroDivisionError

    waiting = green.spawn(green.sleep, 0.002)
    hub.call(broken)
    hub.aio.call_later(0.001, broken)
    waiting.wait(WAIT_S)
    assert [type(error) for error in told] == [ZeroDivisionError] * 2
    assert green.spawn(lambda: "alive").wait(WAIT_S) == "alive"


def test_an_exception_in_a_function_that_is_linked_is_logged(caplog):
    thread = green.spawn(lambda: 1)
    thread.link(lambda _: 1 / 0)
    with caplog.at_level(logging.ERROR, "greenwire"):
        assert thread.wait(WAIT_S) == 1
        green.sleep(0)
    assert "linked" in caplog.text


def test_to_switch_to_another_threads_greenlet_is_a_clear_error():
    ready, done = threading.Event(), threading.Event()
    there = []

    def work():
        thread = green.spawn(green.sleep, LONG_S)
        green.sleep(0)
        there.append((next(iter(hubs.current_hub().workers)), thread))
        ready.set()
        done.wait(WAIT_S)
        thread.join()

    real = threading.Thread(target=work)
    real.start()
    assert ready.wait(WAIT_S)
    worker, thread = there[0]
    with pytest.raises(greenlet.error, match="different thread"):
        worker.switch()
    there.clear()
    thread.kill()  # this is the way from another thread
    done.set()
    real.join(WAIT_S)
    assert not real.is_alive()


# --- interrupts


def test_ctrl_c_while_thousands_wait_and_a_second_run():
    """Whoever runs the loop gets it; the others wait on, and end with the process or before."""
    program = f"""
import os, signal, sys
from greenwire import green

ended = []
def work():
    try:
        green.sleep(1000)
    finally:
        ended.append(1)

for turn in range(2):
    threads = [green.spawn(work) for _ in range({MANY})]
    green.sleep(0)
    green.spawn(os.kill, os.getpid(), signal.SIGINT)
    try:
        green.sleep(1000)
    except KeyboardInterrupt:
        for thread in threads:
            thread.kill()
        for thread in threads:
            thread.join()
    assert len(ended) == {MANY} * (turn + 1), len(ended)
threads = [green.spawn(work) for _ in range({MANY})]
green.sleep(0)
green.spawn(os.kill, os.getpid(), signal.SIGINT)
green.sleep(1000)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == -signal.SIGINT, done.stderr
    assert done.stderr.strip().endswith("KeyboardInterrupt")
    assert done.stderr.count("Traceback") == 1


# --- the end of the loop


def test_the_loop_is_closed_under_thousands_that_wait_for_everything(hub):
    one, two = socket.socketpair()
    lock, event, queue = green.Lock(), green.Event(), green.Queue()
    lock.acquire()

    async def endless():
        await asyncio.sleep(LONG_S)

    with one, two:
        waits = [
            (green.sleep, LONG_S),
            (event.wait,),
            (lock.acquire,),
            (queue.get,),
            (select.select, [one], [], []),
            (green.wait, endless()),
        ]
        threads = [green.spawn(*wait) for wait in waits]
        threads += [green.spawn(green.sleep, LONG_S) for _ in range(MANY)]
        threads.append(green.spawn(one.recv, 1))
        turns()
        assert hub.waiting == len(threads)
        for task in asyncio.all_tasks(hub.aio):
            task.cancel()
        hub.aio.close()
        assert {type(thread.error) for thread in threads} <= {HubClosedError, asyncio.CancelledError}
        assert all(thread.dead for thread in threads)
    hub._failure = None


# --- processor time


@pytest.mark.slow
def test_those_who_wait_cost_nothing():
    """Half a quiet second with everything waiting: no timer that polls, no loop that spins."""
    pairs = [socket.socketpair() for _ in range(50)]
    child = green_os.popen("cat", "w")
    threads = [green.spawn(one.recv, 1) for one, _ in pairs]
    threads += [green.spawn(select.select, [two], [], []) for _, two in pairs]
    threads += [green.spawn(green.sleep, LONG_S) for _ in range(MANY)]
    threads += [green.spawn(green_os.waitpid, -1, 0)]
    threads += [green.spawn(green.Event().wait) for _ in range(50)]
    turns()
    green.sleep(0.05)
    before = time.process_time()
    green.sleep(0.5)
    spent = time.process_time() - before
    for thread in threads:
        thread.kill()
    for thread in threads:
        thread.join()
    for pair in pairs:
        for sock in pair:
            sock.close()
    child.close()
    assert spent < 0.1  # a loop that spins would spend all of the half second
