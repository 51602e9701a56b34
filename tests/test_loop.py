"""The doors into the loop thread, and the end of a turn. On both kinds of loop."""

import asyncio
import logging
import threading
from collections import Counter

import pytest
import uvloop

from greenwire.errors import NotRunningError
from greenwire.limits import Limits
from greenwire.loop import Loop, new_event_loop
from greenwire.quiet import QuietLog

TIMEOUT_S = 20.0  # for what must happen; never waited out by a test that passes


class Watched:
    """An event loop that counts how often it is called by name."""

    def __init__(self, aio):
        self._aio = aio
        self.calls = Counter()

    def __getattr__(self, name):
        self.calls[name] += 1
        return getattr(self._aio, name)


@pytest.fixture(params=["uvloop", "asyncio"])
def aio(request):
    return Watched(uvloop.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop())


@pytest.fixture
def loop(aio):
    made = Loop(aio)
    yield made
    made.close()


def in_threads(*functions):
    """Start each in a thread of its own."""
    threads = [threading.Thread(target=fn, daemon=True) for fn in functions]
    for thread in threads:
        thread.start()
    return threads


def ended(threads):
    for thread in threads:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


def run_while(loop, *functions):
    """Run the loop until all *functions*, each in its thread, have returned."""
    left = list(functions)

    def run(fn):
        try:
            fn()
        finally:
            left.remove(fn)
            if not left:
                loop.post(loop.aio.stop)

    threads = in_threads(*(lambda fn=fn: run(fn) for fn in functions))
    guard = loop.call_later(TIMEOUT_S, loop.aio.stop)
    loop.aio.run_forever()
    guard.cancel()
    ended(threads)


# --- post


def test_a_post_from_the_loop_thread_runs_at_once(loop):
    ran = []
    loop.post(ran.append, 1)
    assert ran == [1]
    assert loop.here


def test_posts_of_a_thread_run_in_order_and_in_the_loop_thread(loop):
    ran = []

    def note(who, n):
        assert loop.here
        ran.append((who, n))

    def poster(who):
        def post():
            assert not loop.here
            for n in range(2000):
                loop.post(note, who, n)

        return post

    run_while(loop, *(poster(who) for who in range(4)))
    assert len(ran) == 8000
    for who in range(4):
        assert [n for name, n in ran if name == who] == list(range(2000))


def test_one_wake_up_for_a_batch(loop, aio):
    in_batch, posted = threading.Event(), threading.Event()
    ran = []

    def hold():
        in_batch.set()
        assert posted.wait(TIMEOUT_S)

    def poster():
        loop.post(hold)
        assert in_batch.wait(TIMEOUT_S)
        before = aio.calls["call_soon_threadsafe"]
        for n in range(1000):
            loop.post(ran.append, n)
        assert aio.calls["call_soon_threadsafe"] == before + 1
        posted.set()

    run_while(loop, poster)
    assert ran == list(range(1000))


def test_posts_before_the_loop_runs_wait_for_it(loop, aio):
    ran = []
    ended(in_threads(lambda: [loop.post(ran.append, n) for n in range(100)]))
    assert ran == []
    assert aio.calls["call_soon_threadsafe"] == 1
    loop.post(aio.call_soon, aio.stop)
    aio.run_forever()
    assert ran == list(range(100))


def test_an_error_in_a_post_is_logged_and_ends_nothing(loop, caplog):
    ran = []
    run_while(loop, lambda: [loop.post(fn, *args) for fn, args in ((int, ("x",)), (ran.append, (1,)))])
    assert ran == [1]
    assert "invalid literal" in caplog.text


def test_a_thread_that_posts_too_fast_goes_at_the_pace_of_the_loop(aio):
    loop = Loop(aio)
    loop.bound(Limits(posts_queued=10), QuietLog(logging.getLogger("greenwire"), loop.now))
    taken, most = [], []

    def flood():
        for n in range(1_000):
            loop.post(lambda n=n: (taken.append(n), most.append(len(loop._posts))))

    try:
        run_while(loop, flood)
        loop.ask(int)
        assert taken == list(range(1_000))
        assert max(most) <= 11  # one that wakes the loop may be posted beyond it
    finally:
        loop.close()


def test_a_thread_that_holds_what_the_loop_waits_for_is_not_kept_waiting_for_room(aio, monkeypatch):
    """A log's handler that emits does: it holds its lock, and the loop wants to write to that log."""
    monkeypatch.setattr("greenwire.loop._NAPS", 5)
    loop = Loop(aio)
    loop.bound(Limits(posts_queued=10), QuietLog(logging.getLogger("greenwire"), loop.now))
    lock, wanted = threading.Lock(), threading.Event()
    log = []

    def want():
        wanted.set()
        if lock.acquire(timeout=TIMEOUT_S):
            log.append("loop")
            lock.release()

    def emit():
        with lock:
            loop.post(want)
            assert wanted.wait(TIMEOUT_S)
            for _ in range(30):
                loop.post(int)
            log.append("thread")

    try:
        run_while(loop, emit)
        assert log == ["thread", "loop"]
    finally:
        loop.close()


def test_nobody_waits_for_room_once_the_loop_has_ended(aio):
    loop = Loop(aio)
    loop.bound(Limits(posts_queued=10), QuietLog(logging.getLogger("greenwire"), loop.now))
    threads = in_threads(lambda: [loop.post(int) for _ in range(100)])
    while len(loop._posts) <= 10:
        pass
    loop.close()
    ended(threads)


def test_a_flood_of_posts_does_not_keep_the_loop_from_its_other_work(loop):
    """What is posted while posts are being run waits until the loop has looked around."""
    ran = []
    started, posted = threading.Event(), threading.Event()

    def first():
        loop.call_soon(ran.append, "other work")
        started.set()
        assert posted.wait(TIMEOUT_S)

    def poster():
        loop.post(first)
        assert started.wait(TIMEOUT_S)
        loop.post(ran.append, "posted meanwhile")
        posted.set()

    run_while(loop, poster)
    assert ran == ["other work", "posted meanwhile"]


# --- ask


def test_ask_brings_results_and_exceptions_back(loop):
    def asker():
        assert loop.ask(divmod, 7, 2) == (3, 1)
        assert loop.ask(lambda: loop.here)
        assert loop.ask(lambda: None) is None
        with pytest.raises(ZeroDivisionError):
            loop.ask(divmod, 7, 0)

    run_while(loop, asker)


def test_ask_in_the_loop_thread_is_a_call(loop):
    assert loop.ask(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        loop.ask(divmod, 7, 0)


def test_a_question_comes_after_the_posts_of_its_thread(loop):
    ran = []

    def asker():
        for n in range(100):
            loop.post(ran.append, n)
        assert loop.ask(lambda: list(ran)) == list(range(100))

    run_while(loop, asker)


def test_many_ask_at_once(loop):
    def asker(base):
        return lambda: [loop.ask(lambda n=n: base + n) for n in range(300)] == list(range(base, base + 300))

    answers = []
    run_while(loop, *(lambda base=base: answers.append(asker(base)()) for base in (0, 1000, 2000)))
    assert answers == [True] * 3


def test_an_answer_that_is_no_ordinary_exception_does_not_leave_the_asker_waiting(loop):
    def cancelled():
        raise asyncio.CancelledError

    def asker():
        with pytest.raises(asyncio.CancelledError):
            loop.ask(cancelled)

    run_while(loop, asker)


def cancelled():
    raise asyncio.CancelledError


def test_what_was_posted_behind_such_a_question_runs_all_the_same(loop):
    ran = []
    loop.aio.set_exception_handler(lambda *_: None)
    ended(in_threads(lambda: [loop.post(cancelled), loop.post(ran.append, 1), loop.post(ran.append, 2)]))
    for _ in range(3):
        one_turn_more(loop)
    assert ran == [1, 2]


# --- the end


def test_an_open_question_is_answered_with_an_error_when_the_loop_ends(aio):
    loop = Loop(aio)
    answers = []

    def asker():
        try:
            loop.ask(int)
        except NotRunningError as error:
            answers.append(error)

    threads = in_threads(asker, asker)
    deadline = threading.Event()
    for _ in range(2000):
        if len(loop._posts) == 2:
            break
        deadline.wait(0.005)
    loop.close()
    ended(threads)
    assert len(answers) == 2


def test_after_the_end(aio):
    loop = Loop(aio)
    loop.close()
    answers = []

    def late():
        for _ in range(100):
            loop.post(answers.append, "never")
        with pytest.raises(NotRunningError):
            loop.ask(int)
        answers.append("told")

    ended(in_threads(late))
    assert answers == ["told"]
    assert len(loop._posts) == 0  # nobody will ever take them


def test_after_an_end_that_cut_a_batch_off(aio):
    loop = Loop(aio)
    ended(in_threads(lambda: loop.post(int)))
    loop.close()
    ended(in_threads(lambda: [loop.post(int) for _ in range(100)]))
    assert len(loop._posts) == 0


# --- the end of a turn


class Connection:
    def __init__(self, name, log, then=None):
        self.name, self.log, self.then = name, log, then

    def flush(self):
        self.log.append(self.name)
        if self.then is not None:
            self.then()


def one_turn_more(loop):
    loop.aio.call_soon(loop.aio.call_soon, loop.aio.stop)
    loop.aio.run_forever()


def test_dirty_connections_are_flushed_in_order_after_what_was_ready(loop):
    log = []
    first, second = Connection("first", log), Connection("second", log)

    def work(name, connection):
        log.append(name)
        loop.mark_dirty(connection)

    loop.call_soon(work, "a", first)
    loop.call_soon(work, "b", second)
    loop.call_soon(log.append, "c")
    one_turn_more(loop)
    assert log == ["a", "b", "c", "first", "second"]


def test_what_is_dirtied_by_a_flush_is_flushed_in_the_next_turn(loop):
    log = []
    late = Connection("late", log)
    loop.mark_dirty(Connection("early", log, lambda: loop.mark_dirty(late)))
    loop.mark_dirty(Connection("too", log))
    one_turn_more(loop)
    assert log == ["early", "too", "late"]


def test_one_flush_for_all(loop, aio):
    log = []
    before = aio.calls["call_soon"]
    for n in range(63):
        loop.mark_dirty(Connection(n, log))
    assert aio.calls["call_soon"] == before + 1
    one_turn_more(loop)
    assert log == list(range(63))


def test_a_flush_to_a_crowd_takes_along_what_two_more_turns_bring(loop):
    log = []

    def after(turns, fn):
        fn() if not turns else loop.call_soon(after, turns - 1, fn)

    for n in range(64):
        loop.mark_dirty(Connection(n, log))
    for turns in (1, 2, 3, 4):
        after(turns, lambda turns=turns: log.append(f"turn {turns}"))
    after(2, lambda: loop.mark_dirty(Connection("late", log)))
    for _ in range(3):
        one_turn_more(loop)
    assert log == ["turn 1", "turn 2", *range(64), "late", "turn 3", "turn 4"]
    for n in range(64):
        loop.mark_dirty(Connection(n, log))
    for turns in (1, 2):
        after(turns, lambda turns=turns: log.append(f"turn {turns}"))
    for _ in range(3):
        one_turn_more(loop)
    assert log[-66:] == ["turn 1", "turn 2", *range(64)]  # the next crowd waits, too


def test_a_flush_that_fails_keeps_no_other_back(loop, caplog):
    log = []
    loop.mark_dirty(Connection("bad", log, lambda: 1 / 0))
    loop.mark_dirty(Connection("good", log))
    one_turn_more(loop)
    assert log == ["bad", "good"]
    assert "ZeroDivisionError" in caplog.text


# --- the rest


def test_timers(loop):
    ran = []
    started = loop.now()
    loop.call_later(0.02, ran.append, "later")
    loop.call_later(0.01, ran.append, "never").cancel()
    loop.call_later(0.03, loop.aio.stop)
    loop.aio.run_forever()
    assert ran == ["later"]
    assert loop.now() >= started + 0.02


def test_the_default_is_the_fast_one():
    made = new_event_loop()
    made.close()
    assert isinstance(made, uvloop.Loop)


# --- standing by


def test_standing_by_runs_what_another_thread_posts_and_flushes_it_without_a_wake_up(loop, aio):
    log = []
    standing = threading.Event()

    def work():
        assert standing.wait(TIMEOUT_S)
        while not loop._standing_by:
            pass
        loop.post(log.append, "posted")
        loop.post(loop.mark_dirty, Connection("flushed", log))
        loop.no_more()

    threads = in_threads(work)
    before = aio.calls["call_soon_threadsafe"]
    standing.set()
    assert loop.stand_by(TIMEOUT_S)
    assert log == ["posted", "flushed"]
    assert aio.calls["call_soon_threadsafe"] == before
    ended(threads)


def test_standing_by_for_what_is_no_ordinary_exception_does_not_stop_the_flushes(loop):
    log = []

    def post():
        while not loop._standing_by:
            pass
        loop.post(cancelled)
        loop.no_more()

    threads = in_threads(post)
    with pytest.raises(asyncio.CancelledError):
        loop.stand_by(TIMEOUT_S)
    ended(threads)
    loop.mark_dirty(Connection("flushed", log))
    one_turn_more(loop)
    assert log == ["flushed"]


def test_standing_by_in_vain_is_over_soon(loop):
    assert not loop.stand_by(0.001)
    ran = []
    run_while(loop, lambda: loop.post(ran.append, 1))  # and posts wake the loop again
    assert ran == [1]


def test_standing_by_leaves_a_flush_that_is_due_to_the_end_of_the_turn(loop):
    """What else comes in this turn goes with it."""
    log = []
    connection = Connection("flushed", log)
    loop.mark_dirty(connection)

    def post():
        while not loop._standing_by:
            pass
        loop.post(log.append, "posted")
        loop.no_more()

    threads = in_threads(post)
    assert loop.stand_by(TIMEOUT_S)
    ended(threads)
    assert log == ["posted"]
    one_turn_more(loop)
    assert log == ["posted", "flushed"]


def test_standing_by_ends_when_a_thread_waits_for_room(aio):
    loop = Loop(aio)
    loop.bound(Limits(posts_queued=2), QuietLog(logging.getLogger("greenwire"), loop.now))

    def post():
        while not loop._standing_by:
            pass
        for _ in range(3):
            loop.post(str)

    threads = in_threads(post)
    try:
        assert loop.stand_by(TIMEOUT_S)
        ended(threads)
    finally:
        loop.close()
