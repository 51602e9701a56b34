"""Events a second for each client, with a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenwire.errors import EncodeError
from greenwire.limits import Limits
from greenwire.socketio.packet import Json
from greenwire.socketio.rate import EventRate
from greenwire.socketio.wire import JsonWire


class OneClient:
    full_at = 0.0


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_one_second_at_once_and_no_more():
    clock, client = Clock(), OneClient()
    rate = EventRate(4, clock)
    for _ in range(3):
        rate.spend(client)
        assert rate.wait_s(client) == 0.0
    rate.spend(client)
    assert rate.wait_s(client) == pytest.approx(0.25)
    clock.now += 0.25
    assert rate.wait_s(client) == pytest.approx(0.0)


def test_a_bucket_gets_no_fuller_than_full():
    clock, client = Clock(), OneClient()
    rate = EventRate(2, clock)
    clock.now += 1_000
    rate.spend(client)
    rate.spend(client)
    assert rate.wait_s(client) == pytest.approx(0.5)


@given(st.integers(1, 1_000), st.lists(st.floats(0, 2), max_size=60))
def test_nobody_who_waits_is_faster(per_second, pauses):
    clock, client = Clock(), OneClient()
    rate, start = EventRate(per_second, clock), clock.now
    for count, pause in enumerate(pauses, 1):
        clock.now += pause + rate.wait_s(client)
        rate.spend(client)
        assert count <= per_second * (clock.now - start + 1) + 1e-6


def test_attachments_sent_at_the_limit_and_one_past():
    wire = JsonWire(Json())
    wire.bound_by(Limits(attachments_sent=3))
    for encode in (wire.event, lambda *args: wire.ack(*args, 1)):
        assert len(encode("/", ["x", [b"1", b"2", b"3"]]).parts) == 4
        with pytest.raises(EncodeError, match="'attachments_sent'"):
            encode("/", ["x", [b"1", b"2", b"3", b"4"]])
