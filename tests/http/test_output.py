"""The way out of a connection: what is written when, and who is cut off. By a clock of the test's own."""

import heapq
import logging
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace

import pytest

from greenwire.http.output import Output
from greenwire.limits import Limits
from greenwire.quiet import QuietLog
from greenwire.unread import Unread

STALL_S = 10.0
CHUNK = 30_000


class Loop:
    """Turns when it is told to."""

    def __init__(self) -> None:
        self.time = 0.0
        self.dirty: list[Output] = []
        self.unread = Unread()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = count()

    def now(self) -> float:
        return self.time

    def mark_dirty(self, output: Output) -> None:
        self.dirty.append(output)

    def turn(self) -> None:
        dirty, self.dirty = self.dirty, []
        for output in dirty:
            output.flush()

    def call_later(self, delay_s: float, fn: Callable[[], None]) -> SimpleNamespace:
        timer = (self.time + delay_s, next(self._serial), fn)
        heapq.heappush(self._timers, timer)
        return SimpleNamespace(cancel=lambda: self._timers.remove(timer))

    def passes(self, seconds: float) -> None:
        end = self.time + seconds
        while self._timers and self._timers[0][0] <= end:
            self.time, _, fn = heapq.heappop(self._timers)
            fn()
        self.time = end


class Transport:
    """Its kernel takes what it is told to."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.high = 0
        self.held = 0
        self.is_aborted = False

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.held += len(data)

    def get_write_buffer_size(self) -> int:
        return self.held

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True

    def get_extra_info(self, name: str) -> object:
        return ("127.0.0.1", 1) if name == "peername" else None


class Way:
    """An output between the two."""

    def __init__(self, **limits: float) -> None:
        self.loop, self.transport = Loop(), Transport()
        quiet = QuietLog(logging.getLogger("greenwire"), self.loop.now)
        self.output = Output(
            self.loop,  # type: ignore[arg-type]  # all that it needs of one
            self.transport,  # type: ignore[arg-type]
            Limits(write_stall_s=STALL_S, **limits),  # type: ignore[arg-type]
            quiet,
        )

    def write(self, *parts: bytes) -> None:
        """In one turn."""
        for part in parts:
            self.output.write(part)
        self.loop.turn()


@pytest.fixture
def way() -> Way:
    return Way()


def test_what_is_written_in_a_turn_is_one_write(way):
    way.output.write(b"a")
    way.output.write(b"b")
    assert way.transport.writes == []
    assert way.output.buffered == 2
    way.loop.turn()
    assert way.transport.writes == [b"ab"]
    assert way.output.buffered == 2  # it is in the kernel's way now
    way.write(b"c")
    assert way.transport.writes == [b"ab", b"c"]


def test_much_is_written_before_the_turn_ends_and_not_copied(way):
    parts = [bytes([n]) * CHUNK for n in range(3)]
    for part in parts[:2]:
        way.output.write(part)
    assert way.transport.writes == []
    way.output.write(parts[2])
    assert way.transport.writes == parts
    way.output.write(b"more")
    way.loop.turn()
    assert way.transport.writes == [*parts, b"more"]


def test_the_transport_says_that_it_holds_much_at_half_of_the_limit():
    assert Way(response_buffer_bytes=8_000).transport.high == 4_000


def test_nothing_is_written_to_a_transport_that_closes(way):
    way.transport.abort()
    way.write(b"a")
    assert way.transport.writes == []
    assert way.output.buffered == 0


def test_who_takes_something_now_and_then_is_not_cut_off(way, caplog):
    way.write(b"x" * 1_000)
    way.output.pause()
    for _ in range(20):
        way.loop.passes(STALL_S - 1)
        way.transport.held -= 10
        way.write(b"x" * 100)  # more comes than is taken
        way.loop.passes(1)
    assert not way.transport.is_aborted
    assert not caplog.records
    way.loop.passes(2 * STALL_S)  # and now nothing
    assert way.transport.is_aborted


def test_who_takes_nothing_is_cut_off_in_time(way, caplog):
    way.write(b"x" * 1_000)
    way.output.pause()
    way.loop.passes(STALL_S - 1)
    way.write(b"x" * 100)  # that we write is no sign of life
    way.output.pause()
    assert not way.transport.is_aborted
    way.loop.passes(2)
    assert way.transport.is_aborted
    assert "cut off 127.0.0.1:1" in caplog.text
    assert "write_stall_s" in caplog.text


def test_who_has_taken_all_is_left_alone(way):
    way.write(b"x" * 1_000)
    way.output.pause()
    way.transport.held = 0
    way.loop.passes(5 * STALL_S)
    assert not way.transport.is_aborted


def test_who_is_told_when_there_is_room(way):
    told: list[bool] = []
    way.output.when_writable(told.append)
    assert told == [True]
    way.output.pause()
    way.output.write(b"last")
    way.output.when_writable(told.append)
    assert way.transport.writes == [b"last"]
    assert told == [True]
    way.output.resume()
    assert told == [True, True]
    way.output.resume()
    assert told == [True, True]
    assert way.output.writable
    way.output.pause()
    assert not way.output.writable
    way.output.when_writable(told.append)
    way.output.write(b"never")
    way.transport.held = 0
    way.output.lose()
    assert told == [True, True, False]
    assert way.output.buffered == 0


def test_what_a_slow_client_is_given_counts_until_it_is_taken(way):
    way.output.pause()
    way.write(b"x" * 1_000)
    assert way.loop.unread.bytes > 1_000
    way.output.resume()
    assert way.loop.unread.bytes == 0
    way.write(b"x" * 1_000)
    assert way.loop.unread.bytes == 0
    way.output.pause()
    way.write(b"x" * 1_000)
    way.output.lose()
    assert way.loop.unread.bytes == 0


def test_over_the_limit_of_all_it_is_cut_off():
    way = Way()
    way.loop.unread = Unread(5_000)
    way.output.pause()
    way.write(b"x" * 4_000)
    assert not way.transport.is_aborted
    way.write(b"y" * 4_000)
    assert way.transport.is_aborted
    assert way.loop.unread.bytes == 0
