"""A log that cannot be flooded and loses no count."""

import logging

import pytest

from greenwire.quiet import EVERY_S, QuietLog


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def quiet(caplog):
    caplog.set_level(logging.WARNING, "greenwire.quiet-test")
    clock = Clock()
    log = QuietLog(logging.getLogger("greenwire.quiet-test"), clock)
    return log, clock, caplog


def test_the_first_is_said_at_once(quiet):
    log, _, caplog = quiet
    log.warning("origin", "%r is foreign", "http://a")
    assert caplog.messages == ["'http://a' is foreign"]


def test_a_flood_is_one_line_a_second_and_no_count_is_lost(quiet):
    log, clock, caplog = quiet
    for n in range(1000):
        log.warning("cut", "client %d cut", n)
    assert caplog.messages == ["client 0 cut"]
    clock.now += EVERY_S - 0.001
    log.warning("cut", "client %d cut", 1000)
    assert len(caplog.messages) == 1
    clock.now += 0.001
    log.warning("cut", "client %d cut", 1001)
    assert caplog.messages[1:] == ["client 1001 cut (and 1000 more like it)"]
    clock.now += EVERY_S
    log.warning("cut", "client %d cut", 1002)
    assert caplog.messages[2:] == ["client 1002 cut"]


def test_kinds_do_not_hold_each_other_back(quiet):
    log, _, caplog = quiet
    log.warning("a", "one")
    log.warning("b", "two")
    assert caplog.messages == ["one", "two"]


def test_flush_tells_what_is_held_back_once(quiet):
    log, _, caplog = quiet
    for _ in range(3):
        log.warning("a", "one")
    log.warning("b", "two")
    log.flush()
    assert caplog.messages == ["one", "two", "a: 2 more like the last one"]
    log.flush()
    assert len(caplog.messages) == 3
    log.warning("a", "one")
    assert len(caplog.messages) == 4


def test_a_message_may_hold_a_percent_sign(quiet):
    log, clock, caplog = quiet
    log.warning("a", "100 % of it")
    log.warning("a", "100 % of it")
    clock.now += EVERY_S
    log.warning("a", "100 % of it")
    assert caplog.messages == ["100 % of it", "100 % of it (and 1 more like it)"]


def test_an_error_has_its_traceback(quiet):
    log, _, caplog = quiet
    try:
        raise KeyError("lost")
    except KeyError as error:
        log.error("handler", error, "%s failed", "on_bid")
    record = caplog.records[0]
    assert (record.levelname, record.getMessage()) == ("ERROR", "on_bid failed")
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError
