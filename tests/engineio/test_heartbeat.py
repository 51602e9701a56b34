"""Heartbeats with a clock of our own: who is pinged, who is lost, and exactly when."""

import gc
import random
import weakref
from collections import defaultdict
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import pytest

from greenwire.engineio.heartbeat import RELIEF_S, STALL_S, Heartbeats

INTERVAL, TIMEOUT = 25.0, 20.0


@dataclass(eq=False)
class Beater:
    beat: int = 0


@pytest.fixture
def hearts():
    return Heartbeats(INTERVAL, TIMEOUT)


def entries(hearts):
    return len(hearts._due) + len(hearts._late)


def test_nothing_to_do_without_sessions(hearts):
    assert hearts.next_deadline() is None
    assert hearts.tick(1e9) == ([], [])


def test_ping_is_due_an_interval_after_the_start(hearts):
    one = Beater()
    hearts.start(one, 100.0)
    assert hearts.next_deadline() == 125.0
    assert hearts.tick(124.999) == ([], [])
    assert hearts.tick(125.0) == ([one], [])
    assert hearts.next_deadline() == 145.0


def test_gone_when_interval_and_timeout_have_passed_not_later_not_earlier(hearts):
    one = Beater()
    hearts.start(one, 100.0)
    hearts.tick(125.0)
    assert hearts.tick(144.999) == ([], [])
    assert hearts.tick(145.0) == ([], [one])
    assert hearts.next_deadline() is None


def test_a_late_tick_does_not_postpone_the_loss(hearts):
    one = Beater()
    hearts.start(one, 0.0)
    assert hearts.tick(INTERVAL + STALL_S) == ([one], [])
    assert hearts.next_deadline() == INTERVAL + TIMEOUT


def test_a_pong_starts_the_next_interval(hearts):
    one = Beater()
    hearts.start(one, 0.0)
    hearts.tick(25.0)
    hearts.start(one, 25.3)
    assert hearts.tick(45.0) == ([], [])  # the old deadline means nothing any more
    assert hearts.next_deadline() == pytest.approx(50.3)
    assert hearts.tick(50.3) == ([one], [])


def test_a_pong_at_the_very_deadline_counts_if_it_is_read_first(hearts):
    one = Beater()
    hearts.start(one, 0.0)
    hearts.tick(25.0)
    hearts.start(one, 45.0)
    assert hearts.tick(45.0) == ([], [])


@pytest.mark.parametrize("pinged", [False, True])
def test_a_closed_session_is_neither_pinged_nor_lost(hearts, pinged):
    one = Beater()
    hearts.start(one, 0.0)
    if pinged:
        hearts.tick(25.0)
    hearts.stop(one)
    assert hearts.tick(25.0) == ([], [])
    assert hearts.tick(45.0) == ([], [])
    assert hearts.next_deadline() is None


@pytest.mark.parametrize("pinged", [False, True])
def test_a_pong_after_the_end_revives_nothing(hearts, pinged):
    one = Beater()
    hearts.start(one, 0.0)
    if pinged:
        hearts.tick(25.0)
    hearts.stop(one)
    hearts.start(one, 26.0)
    assert hearts.tick(45.0) == hearts.tick(51.0) == ([], [])
    assert entries(hearts) == 0


def test_pongs_that_nobody_asked_for_take_no_memory_and_change_nothing(hearts):
    one = Beater()
    hearts.start(one, 0.0)
    for n in range(1000):
        hearts.start(one, n / 100)
    assert entries(hearts) == 1
    assert hearts.tick(25.0) == ([one], [])


def test_invalidation_is_lazy_and_leaves_nothing_behind(hearts):
    sessions = [Beater() for _ in range(100)]
    for session in sessions:
        hearts.start(session, 0.0)
    for session in sessions[::2]:
        hearts.stop(session)
    assert entries(hearts) == 100
    assert hearts.tick(25.0) == (sessions[1::2], [])
    assert hearts.tick(45.0) == ([], sessions[1::2])
    assert entries(hearts) == 0


def test_after_a_stall_nobody_is_lost_before_pongs_could_be_read(hearts):
    answers, silent = Beater(), Beater()
    for session in (answers, silent):
        hearts.start(session, 0.0)
    hearts.tick(25.0)
    stalled_until = 45.0 + STALL_S + 1
    assert hearts.tick(stalled_until) == ([], [])
    assert hearts.next_deadline() == pytest.approx(stalled_until + RELIEF_S)
    assert hearts.tick(stalled_until + RELIEF_S / 2) == ([], [])
    hearts.start(answers, stalled_until + RELIEF_S / 2)
    assert hearts.tick(stalled_until + RELIEF_S) == ([], [silent])


def test_relief_is_given_again_when_the_next_tick_is_a_stall_too(hearts):
    one = Beater()
    hearts.start(one, 0.0)
    hearts.tick(25.0)
    assert hearts.tick(50.0) == ([], [])
    assert hearts.tick(60.0) == ([], [])
    assert hearts.tick(60.0 + RELIEF_S) == ([], [one])


def test_a_tick_a_little_late_is_no_stall(hearts):
    one = Beater()
    hearts.start(one, 0.0)
    hearts.tick(25.0)
    assert hearts.tick(45.0 + STALL_S) == ([], [one])


def test_a_ping_sent_late_by_a_stall_leaves_the_whole_timeout(hearts):
    one = Beater()
    hearts.start(one, 0.0)
    assert hearts.tick(40.0) == ([one], [])
    assert hearts.tick(59.999) == ([], [])
    assert hearts.tick(60.0) == ([], [one])


def test_ten_thousand_sessions_each_at_its_own_time(hearts):
    """Driven as the engine drives it, by a tick at each deadline, and checked against simple sums."""
    rng = random.Random(4)
    end = 130.0
    sessions = [Beater() for _ in range(10_000)]
    opened = {session: round(rng.uniform(0, 60), 3) for session in sessions}
    pong_after = {session: rng.uniform(0.01, 19) for session in sessions if rng.random() < 0.5}
    starts = [(at, n, session) for n, (session, at) in enumerate(opened.items())]  # openings, later pongs
    heapify(starts)
    pinged_at, lost_at = defaultdict(list), {}
    while (deadline := hearts.next_deadline() or end) < end or starts:
        if starts and starts[0][0] <= deadline:
            at, _, session = heappop(starts)
            hearts.start(session, at)
            continue
        pinged, lost = hearts.tick(deadline)
        for session in pinged:
            pinged_at[session].append(deadline)
            if session in pong_after and len(pinged_at[session]) == 1:
                heappush(starts, (deadline + pong_after[session], id(session), session))
        for session in lost:
            assert session not in lost_at
            lost_at[session] = deadline
    for session, at in opened.items():
        first = at + INTERVAL
        last = first
        pings = [first]
        if session in pong_after:
            last = first + pong_after[session] + INTERVAL
            pings.append(last)
        assert pinged_at[session] == pytest.approx([ping for ping in pings if ping < end])
        assert lost_at.get(session, end) == pytest.approx(min(last + TIMEOUT, end))


def test_a_session_that_is_gone_is_not_kept_until_its_deadline(hearts):
    one, other = Beater(), Beater()
    gone = weakref.ref(one)
    hearts.start(one, 100.0)
    hearts.start(other, 101.0)
    hearts.stop(one)
    del one
    gc.collect()
    assert gone() is None
    assert hearts.tick(126.0) == ([other], [])
