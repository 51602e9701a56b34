"""Events a second for each client, with a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenwire.errors import EncodeError
from greenwire.flask.memory import InlineLoop, InlineTasks
from greenwire.limits import Limits
from greenwire.socketio.packet import Json
from greenwire.socketio.rate import EventRate
from greenwire.socketio.server import Server
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


class CountingLoop(InlineLoop):
    """Knows how many timers have not fired yet."""

    waiting = 0

    def call_later(self, delay_s, fn, *args):
        self.waiting += 1
        return super().call_later(delay_s, self._fire, fn, args)

    def _fire(self, fn, args):
        self.waiting -= 1
        fn(*args)


class StubPeer:
    """A session that says how often it was told to go on."""

    writable = True
    paused = False
    resumed = 0

    def send(self, packet):
        pass

    close = send

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False
        self.resumed += 1


@pytest.mark.parametrize("ordered", [False, True])
def test_a_client_that_waits_has_one_timer_however_much_has_come(ordered):
    server = Server(limits=Limits(events_per_second=2))
    server.async_handlers = not ordered
    handled = []
    server.on("connect")(lambda sid: None)
    server.on("note")(lambda sid, n: handled.append(n))
    loop, peer = CountingLoop(), StubPeer()
    server.bind(loop, loop, InlineTasks(loop), loop, print).opened(peer)
    before = loop.waiting

    def speak():  # while the connect handler waits for its turn
        peer.on_message(peer.owner, "0")
        for n in range(12):
            peer.on_message(peer.owner, f'2["note",{n}]')

    loop.ask(speak)
    assert handled == list(range(12))
    assert peer.paused
    assert loop.waiting == before + 1
    loop.advance(5.4)
    assert peer.paused
    loop.advance(0.2)  # twelve events at two a second, one second's worth of them at once
    assert not peer.paused
    assert peer.resumed == 1
    assert loop.waiting == before
