"""The watchdog: when it speaks, and that it names the line which keeps the loop busy, in every mode."""

import asyncio
import logging
import queue
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from greenwire.green.runner import GreenRunner
from greenwire.limits import Limits
from greenwire.loop import Loop
from greenwire.places import culprit
from greenwire.watchdog import Spell, Watchdog

LIMIT_S = 0.375  # three steps, each an exact fraction
STEP_S = LIMIT_S / 3
WAIT_S = 30.0


# --- when to speak: no clock


def looks(spell, start, seconds, due, cpu_each=0.0):
    """The times at which it speaks, when it looks at every step."""
    spoken, cpu = [], 0.0
    for number in range(1, round(seconds / STEP_S) + 1):
        now = start + number * STEP_S
        cpu += cpu_each
        if spell.look(now, cpu, due(now) if callable(due) else due):
            spoken.append(round(now - start, 6))
    return spoken


def test_a_loop_that_comes_round_is_never_spoken_of():
    assert looks(Spell(LIMIT_S), 100.0, 60, lambda now: now + STEP_S / 2) == []


def test_a_loop_that_is_a_little_late_is_not_spoken_of():
    assert looks(Spell(LIMIT_S), 100.0, 60, lambda now: now - STEP_S / 2) == []


def test_it_speaks_once_at_the_limit_and_then_each_time_the_spell_has_doubled():
    spoken = looks(Spell(LIMIT_S), 0.0, 5, due=0.0)
    assert spoken == [0.375, 0.75, 1.5, 3.0]


def test_one_step_below_the_limit_it_is_silent():
    spell = Spell(LIMIT_S)
    assert looks(spell, 0.0, LIMIT_S - STEP_S, due=0.0) == []
    assert spell.look(LIMIT_S - 0.001, 0.0, 0.0) is False
    assert spell.look(LIMIT_S, 0.0, 0.0) is True


def test_a_beat_ends_the_spell_and_the_next_is_told_from_its_start():
    spell = Spell(LIMIT_S)
    assert looks(spell, 0.0, 0.875, due=0.0) == [0.375, 0.75]
    assert spell.look(1.0, 0.0, 1.125) is False
    assert spell.busy_s == 0
    assert looks(spell, 1.125, 0.75, due=1.125) == [0.375, 0.75]


def test_a_beat_between_two_looks_ends_the_spell_too():
    spell = Spell(LIMIT_S)
    looks(spell, 0.0, 0.25, due=0.0)
    assert spell.look(0.375, 0.0, 0.3125) is False
    assert spell.busy_s == 0.0625


def test_a_process_that_was_stopped_was_not_busy():
    spell = Spell(LIMIT_S)
    spell.look(0.0, 5.0, 0.05)
    assert spell.look(3_600.0, 5.0, 0.05) is False  # an hour without a second of processor time


def test_a_late_look_counts_in_full_where_the_processor_was_used():
    spell = Spell(LIMIT_S)
    spell.look(0.0, 5.0, 0.05)
    assert spell.look(2.0, 6.9, 0.05) is True
    assert spell.busy_s == pytest.approx(1.95)


# --- whose code


def test_the_innermost_line_and_the_outermost_function_of_ones_own_are_named():
    def inner():
        return sys._getframe()

    def handler():
        return inner()

    frame = handler()
    name, place = culprit(frame, frozenset({sys._getframe()}))
    assert name.endswith("handler")
    assert place == f"{__file__}:{frame.f_lineno}"


def test_libraries_are_passed_over_at_both_ends():
    found = []

    class Odd:
        def __lt__(self, other):
            found.append(culprit(sys._getframe(1), floor))
            return False

    def handler():
        import heapq

        heapq.nsmallest(2, [Odd(), Odd(), Odd()])

    floor = frozenset({sys._getframe()})
    handler()
    assert found[0][0].endswith("handler")
    assert found[0][1].startswith(f"{__file__}:")


def test_a_loop_that_waits_is_nobodys_doing():
    here = sys._getframe()
    assert culprit(here, frozenset({here})) is None
    assert culprit(None, frozenset()) is None


# --- the whole


class Lines(logging.Handler):
    """A logger's lines, as they come."""

    def __init__(self):
        super().__init__()
        self.lines = queue.SimpleQueue()
        self.log = logging.Logger("watchdog under test")
        self.log.addHandler(self)

    def emit(self, record):
        self.lines.put(record.getMessage())


class Watched:
    """A loop in this thread, with a watchdog of a short patience."""

    def __init__(self, aio=None):
        self.loop = Loop(aio)
        self.heard = Lines()
        self.dog = Watchdog(self.loop, Limits(loop_busy_s=0.05), self.heard.log)
        self.dog.start()

    def block(self):
        """Keep the loop busy until the watchdog has said so: as long as that may take on this machine."""
        self.said = self.heard.lines.get(timeout=WAIT_S)  # the line that is named

    def run(self):
        try:
            self.loop.aio.run_forever()
        finally:
            self.dog.stop()
            self.loop.close()


LINE = Watched.block.__code__.co_firstlineno + 2


@pytest.fixture(params=["uvloop", "asyncio"])
def watched(request):
    import uvloop

    return Watched(uvloop.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop())


def check(watched, name):
    expected = rf"handler '.*{name}' has kept the loop busy for \d+\.\d s at {re.escape(__file__)}:{LINE}"
    assert re.fullmatch(expected, watched.said), watched.said
    assert watched.dog.lag > 0.04


def test_a_green_handler_is_named(watched):
    runner = GreenRunner(watched.loop)

    def on_bid():
        watched.block()
        watched.loop.call_later(0.05, watched.loop.aio.stop)

    watched.loop.call_later(0.01, runner.start, on_bid)
    watched.run()
    check(watched, "on_bid")


def test_a_coroutine_is_named(watched):
    async def on_bid():
        await asyncio.sleep(0.01)
        watched.block()
        watched.loop.call_later(0.05, watched.loop.aio.stop)

    task = watched.loop.aio.create_task(on_bid())
    watched.run()
    assert task.done()
    check(watched, "on_bid")


def test_a_callback_is_named(watched):
    def tick():
        watched.block()
        watched.loop.call_later(0.05, watched.loop.aio.stop)

    watched.loop.call_later(0.01, tick)
    watched.run()
    check(watched, "tick")


def test_a_loop_in_another_thread_is_watched_there():
    def serve():
        watched = Watched()

        def on_bid():
            watched.block()
            watched.loop.call_later(0.05, watched.loop.aio.stop)

        watched.loop.call_later(0.01, on_bid)
        watched.run()
        return watched

    with ThreadPoolExecutor(1) as pool:
        check(pool.submit(serve).result(WAIT_S), "on_bid")


def test_its_thread_ends_with_it():
    before = set(threading.enumerate())  # perhaps that of the test before, which ends
    watched = Watched()
    found = []
    watched.loop.call_later(0.01, lambda: found.extend(set(threading.enumerate()) - before))
    watched.loop.call_later(0.02, watched.loop.aio.stop)
    watched.run()
    (thread,) = found
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_one_that_never_ran_can_be_stopped_and_started_again():
    watched = Watched()
    watched.dog.stop()
    watched.dog.stop()
    watched.dog.start()
    watched.loop.call_later(0.01, watched.loop.aio.stop)
    watched.run()
    assert watched.heard.lines.empty() or "has kept" in watched.heard.lines.get()
