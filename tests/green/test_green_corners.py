"""Corners of green threads: things at the same moment, and what outlives its use."""

import gc
import threading
import time
import weakref

from greenwire import green
from greenwire.flask.background import Stopping, ending_with, sleeps_in_task

WAIT_S = 60.0
LONG_S = 1_000.0


def late(seconds):
    """The next turn of the loop comes so much later: all that is due by then is due at once."""
    green.spawn_n(time.sleep, seconds)


# --- two time limits in one turn, for one that is no green thread of ours


def test_a_script_feels_two_time_limits_one_after_the_other():
    reached = []
    with green.Timeout(0.001, False):
        with green.Timeout(0.001, False):
            late(0.01)
            green.sleep(LONG_S)
        green.sleep(0.1)
        reached.append("the end of the outer block")
    assert reached == []
    green.sleep(0.005)


def test_a_time_limit_that_comes_second_is_gone_with_its_block():
    with green.Timeout(0.001, False), green.Timeout(0.002):
        late(0.01)
        green.sleep(LONG_S)
    green.sleep(0.005)


# --- what outlives its use


class Thing:
    """Can be watched."""


def test_what_a_green_thread_has_of_its_own_ends_with_it():
    mine = green.local()
    things = []
    threads = []

    def work():
        mine.thing = Thing()
        mine.thread = threads[-1]  # holds itself
        things.append(weakref.ref(mine.thing))

    for _ in range(3):
        threads.append(green.spawn(work))
        threads[-1].wait(WAIT_S)
    gc.collect()
    assert [thing() for thing in things] == [None, None, None]
    assert all(thread.dead for thread in threads)


def test_a_call_that_nobody_waits_for_any_more_does_not_begin():
    """Or each look-up that was given up would keep a thread from those that somebody waits for."""
    pool = green.tpool.ThreadPool(1)
    gate = threading.Event()
    begun = []
    first = green.spawn(pool.execute, gate.wait, WAIT_S)
    green.sleep(0.001)
    second = green.spawn(pool.execute, begun.append, "given up")
    green.sleep(0.001)
    second.kill()
    green.sleep(0)
    gate.set()
    assert pool.execute(len, "abc") == 3
    assert first.wait(WAIT_S)
    assert begun == []


def test_items_whose_comparison_waits_can_be_put_by_many():
    class Slow:
        def __init__(self, number):
            self.number = number

        def __lt__(self, other):
            green.sleep(0)
            return self.number < other.number

    queue = green.PriorityQueue()
    threads = [green.spawn(queue.put, Slow(number)) for number in (3, 1, 2, 0)]
    for thread in threads:
        thread.wait(WAIT_S)
    assert [queue.get().number for _ in threads] == [0, 1, 2, 3]


def test_one_that_is_killed_before_it_begins_is_no_news(caplog):
    threads = [green.spawn(len, "abc"), green.GreenPool(2).spawn(len, "abc")]
    for thread in threads:
        thread.kill()
    green.sleep(0)
    green.sleep(0)
    assert all(thread.dead for thread in threads)
    assert caplog.text == ""


def test_what_a_background_task_starts_is_no_background_task():
    """It inherits the context, and would be ended by an error that only the task itself expects."""
    stopping = Stopping()
    ended = []

    def task():
        ended.append(green.spawn(sleeps_in_task, stopping, 0).wait(WAIT_S))
        stopping.set()
        try:
            sleeps_in_task(stopping, LONG_S)
        finally:
            ended.append("the task")

    green.spawn(ending_with(stopping, task)).wait(WAIT_S)
    assert ended == [False, "the task"]
    assert not stopping.asleep


def test_one_that_catches_everything_does_not_keep_its_loop_from_closing(hub, caplog):
    tried = []

    def stubborn():
        while True:
            try:
                green.sleep(LONG_S)
            except BaseException as error:
                tried.append(error)

    green.spawn(stubborn)
    green.sleep(0)
    hub.aio.close()
    assert isinstance(tried[0], green.HubClosedError)
    assert {type(error) for error in tried[1:]} == {green.GreenletExit}
    assert "stubborn" in caplog.text
    assert "left standing" in caplog.text
    assert hub.aio.is_closed()
