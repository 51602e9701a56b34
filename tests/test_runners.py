"""Where user code runs: nothing is lost, order is kept, the pool grows, shrinks and complains."""

import asyncio
import logging
import random
import threading
import time

import pytest

from greenwire import runners
from greenwire.limits import Limits
from greenwire.runners import TaskRunner, ThreadRunner

TIMEOUT_S = 20.0  # for what must happen; never waited out by a test that passes


def until(fact):
    """Look again and again until *fact* is true."""
    pause = threading.Event()
    for _ in range(int(TIMEOUT_S / 0.002)):
        if fact():
            return
        pause.wait(0.002)
    pytest.fail("it has not come true")


@pytest.fixture
def pool(loop_thread, request):
    """``pool(threads=…)``: a runner whose ``start`` may be called from here."""
    made = []

    class Pool:
        def __init__(self, **limits):
            self.name = f"pool-{random.getrandbits(40)}"
            self.loop = loop_thread.loop
            self.runner = ThreadRunner(self.loop, Limits(**limits), name=self.name)
            made.append(self)

        def start(self, fn, *args):
            self.loop.ask(self.runner.start, fn, *args)

        def threads(self):
            return [thread for thread in threading.enumerate() if thread.name.startswith(self.name)]

    yield Pool
    for one in made:
        until(lambda one=one: one.runner.busy() == 0)
        one.loop.ask(one.runner.stop)
        until(lambda one=one: not one.threads())


class Gate:
    """Holds threads until it is opened."""

    def __init__(self):
        self.inside = []
        self._open = threading.Event()

    def hold(self, *args):
        self.inside.append(args)
        assert self._open.wait(TIMEOUT_S)

    def open(self):
        self._open.set()


class Clock:
    """The pool's time, which passes as the test says, however long the machine takes for what it does meanwhile."""

    process_time = staticmethod(time.process_time)

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(runners, "time", clock)
    return clock


def test_one_thread_runs_everything_in_order(pool):
    one = pool(threads=1)
    ran = []
    one.loop.ask(lambda: [one.runner.start(ran.append, n) for n in range(1000)])
    until(lambda: len(ran) == 1000)
    assert ran == list(range(1000))
    assert len(one.threads()) == 1


def test_items_are_taken_in_order_by_many_threads(pool):
    many = pool(threads=8)
    busy, go_on, taken = Gate(), threading.Semaphore(0), []

    def work(n):
        taken.append(n)
        assert go_on.acquire(timeout=TIMEOUT_S)

    for _ in range(8):
        many.start(busy.hold)
    until(lambda: len(busy.inside) == 8)
    many.loop.ask(lambda: [many.runner.start(work, n) for n in range(50)])
    assert taken == []
    busy.open()
    until(lambda: len(taken) == 8)
    for n in range(8, 50):  # one thread at a time goes on: two could overtake each other on their way to the list
        go_on.release()
        until(lambda n=n: len(taken) == n + 1)
    for _ in range(8):
        go_on.release()
    assert sorted(taken[:8]) == list(range(8))
    assert taken[8:] == list(range(8, 50))


def test_no_thread_before_the_first_item(pool):
    assert pool().threads() == []


def test_the_pool_grows_while_handlers_wait(pool):
    many = pool(threads=40)
    barrier = threading.Barrier(40)
    passed = []

    def meet():
        barrier.wait(TIMEOUT_S)
        passed.append(True)

    many.loop.ask(lambda: [many.runner.start(meet) for _ in range(40)])
    until(lambda: len(passed) == 40)
    assert len(many.threads()) <= 40


def test_the_pool_does_not_grow_beyond_its_limit(pool):
    three = pool(threads=3)
    gate = Gate()
    for n in range(5):
        three.start(gate.hold, n)
    until(lambda: len(gate.inside) == 3)
    until(lambda: three.runner.queued == 2)
    assert three.runner.busy() == 5
    assert len(three.threads()) == 3
    gate.open()
    until(lambda: three.runner.busy() == 0)
    assert sorted(gate.inside) == [(n,) for n in range(5)]
    assert three.runner.queued == 0


def test_idle_threads_leave(pool):
    quick = pool(threads=10, thread_idle_s=0.05)
    barrier = threading.Barrier(10)
    quick.loop.ask(lambda: [quick.runner.start(barrier.wait, TIMEOUT_S) for _ in range(10)])
    until(lambda: quick.runner.busy() == 0)
    until(lambda: not quick.threads())
    ran = []
    quick.start(ran.append, 1)
    until(lambda: ran)


def test_an_item_that_comes_as_its_thread_leaves_is_not_lost(pool):
    brief = pool(threads=2, thread_idle_s=0.001)
    rng = random.Random(1)
    pause = threading.Event()
    ran = []
    for n in range(300):
        brief.start(ran.append, n)
        pause.wait(rng.choice([0, 0.0005, 0.001, 0.0015]))
    until(lambda: len(ran) == 300)
    assert sorted(ran) == list(range(300))


def test_nothing_is_lost_or_run_twice_in_a_storm(pool):
    busy = pool(threads=16, thread_idle_s=0.01)
    rng = random.Random(2)
    pause = threading.Event()
    ran = []

    def work(n):
        if n % 50 == 0:
            pause.wait(0.001)  # as a database would
        ran.append(n)

    def storm(first, left):
        for n in range(first, first + 500):
            busy.runner.start(work, n)
        if left:
            busy.loop.call_later(rng.choice([0, 0.001, 0.02]), storm, first + 500, left - 1)

    busy.loop.post(storm, 0, 19)
    until(lambda: len(ran) >= 10_000)
    until(lambda: busy.runner.busy() == 0)
    assert sorted(ran) == list(range(10_000))


def test_handlers_may_start_others_through_the_loop(pool):
    few = pool(threads=2)
    ran = []

    def chain(n):
        ran.append(n)
        if n:
            few.loop.post(few.runner.start, chain, n - 1)

    few.start(chain, 200)
    until(lambda: len(ran) == 201)


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_what_an_item_lets_through_is_logged_and_costs_no_thread(pool, caplog, error):
    def fails():
        raise error

    few = pool(threads=2)
    for _ in range(5):
        few.start(fails)
    ran = []
    few.start(ran.append, 1)
    until(lambda: ran)
    until(lambda: few.runner.busy() == 0)
    assert "fails" in caplog.text
    assert error.__name__ in caplog.text


def test_nothing_is_kept_alive_by_an_idle_thread(pool):
    class Load:
        pass

    import weakref

    one = pool(threads=1)
    load = Load()
    alive = weakref.ref(load)
    one.start(lambda it: None, load)
    until(lambda: one.runner.busy() == 0)
    del load
    until(lambda: alive() is None)


def test_when_all_are_busy_one_warning_names_the_line(pool, caplog, clock):
    caplog.set_level(logging.WARNING, "greenwire")
    two = pool(threads=2, threads_busy_warning_s=0.05)
    begun, go_on = [], threading.Event()

    def on_bid():
        assert begun.append(True) or go_on.wait(TIMEOUT_S)

    two.loop.ask(lambda: [two.runner.start(on_bid) for _ in range(5)])
    until(lambda: len(begun) == 2)
    assert "have been busy" not in caplog.text
    until(lambda: clock.advance(0.05) or "have been busy" in caplog.text)
    go_on.set()
    said = next(message for message in caplog.messages if "have been busy" in message)
    assert "all 2 handler threads" in said
    assert "3 calls wait" in said
    assert "on_bid" in said
    assert f"{__file__}:{on_bid.__code__.co_firstlineno + 1}" in said


def test_no_warning_while_they_come_and_go(pool, caplog, clock):
    two = pool(threads=2, threads_busy_warning_s=0.05)
    pause, both = threading.Event(), threading.Barrier(2)

    def work():
        pause.wait(0.002)
        if both.wait(TIMEOUT_S) == 0:
            clock.advance(0.002)

    two.loop.ask(lambda: [two.runner.start(work) for _ in range(200)])
    until(lambda: two.runner.busy() == 0)
    assert clock.now == pytest.approx(0.2)
    assert "have been busy" not in caplog.text


def test_a_machine_without_threads_keeps_the_items(pool, caplog, monkeypatch):
    class Scarce(threading.Thread):
        left = 2

        def start(self):
            if Scarce.left:
                Scarce.left -= 1
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr(runners.threading, "Thread", Scarce)
    poor = pool(threads=4)
    ran = []
    poor.start(ran.append, 1)
    until(lambda: ran)
    assert "cannot start" in caplog.text


def test_stop_lets_idle_threads_go_and_running_ones_finish(pool):
    some = pool(threads=4)
    barrier = threading.Barrier(4)
    some.loop.ask(lambda: [some.runner.start(barrier.wait, TIMEOUT_S) for _ in range(4)])
    until(lambda: some.runner.busy() == 0)
    gate = Gate()
    some.start(gate.hold)
    until(lambda: gate.inside)
    some.loop.ask(some.runner.stop)
    until(lambda: len(some.threads()) == 1)
    assert some.runner.busy() == 1
    gate.open()
    until(lambda: not some.threads())
    assert some.runner.busy() == 0


def test_background_jobs_are_beside_the_pool(pool):
    one = pool(threads=1)
    gate = Gate()
    job = one.runner.background(gate.hold, (1,), {})
    until(lambda: gate.inside)
    assert one.runner.busy() == 0
    job.join(0.01)
    gate.open()
    job.join(TIMEOUT_S)
    assert not job.is_alive()


# --- coroutines


def test_coroutines_run_on_the_loop_in_order(loop_thread):
    loop = loop_thread.loop
    ran = []

    async def work(n):
        assert loop.here
        ran.append(n)
        await asyncio.sleep(0)
        ran.append(n)

    tasks = TaskRunner(loop)

    def start():
        for n in range(3):
            tasks.start(work(n))
        return tasks.busy()

    assert loop.ask(start) == 3
    until(lambda: loop.ask(tasks.busy) == 0)
    assert list(dict.fromkeys(ran)) == [0, 1, 2]  # they start in order; who waits does not hold up the next
    assert sorted(ran) == [0, 0, 1, 1, 2, 2]


def test_stop_cancels_coroutines(loop_thread):
    loop = loop_thread.loop
    begun, ended = [], []

    async def endless():
        begun.append(True)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    tasks = TaskRunner(loop)
    loop.ask(lambda: [tasks.start(endless()) for _ in range(3)])
    until(lambda: len(begun) == 3)
    loop.ask(lambda: loop.call_soon(tasks.stop))
    until(lambda: len(ended) == 3)
    until(lambda: loop.ask(tasks.busy) == 0)


def test_a_pooled_task_serves_many_coroutines(loop_thread):
    loop = loop_thread.loop
    tasks = TaskRunner(loop)
    served_by = []

    async def quick():
        served_by.append(asyncio.current_task())

    for _ in range(3):
        loop.ask(lambda: [tasks.start(quick()) for _ in range(50)])
        until(lambda: loop.ask(tasks.busy) == 0)
    assert len(served_by) == 150
    assert len(set(served_by)) == 1
    loop.ask(tasks.stop)


def test_coroutines_that_were_not_begun_are_dropped_at_the_end(loop_thread):
    loop = loop_thread.loop
    tasks = TaskRunner(loop)
    begun = []

    async def late():
        begun.append(True)

    def start_and_stop():
        tasks.start(late())
        tasks.stop()
        return tasks.busy()

    assert loop.ask(start_and_stop) == 0
    assert begun == []
