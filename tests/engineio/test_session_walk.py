"""Random walks over a session: nothing is lost, doubled or reordered, whichever transports it went over."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from greenwire.engineio.packet import PROBE, Outgoing, decode_payload, message
from greenwire.engineio.session import Conflict, Reason, Session, State
from greenwire.limits import Limits
from support.rawframes import BINARY, parse

REASONS = st.sampled_from([Reason.SERVER, Reason.PING_TIMEOUT, Reason.PARSE_ERROR])


class Poll:
    def __init__(self, walk):
        self.walk = walk
        self.answers = 0
        self.abandoned = False

    def reply(self, payload):
        self.answers += 1
        assert not self.abandoned, "a poll was answered whose client has gone"
        self.walk.comes(decode_payload(payload))


class Walk(RuleBasedStateMachine):
    """The client, the server's application and the engine around a session, all taking turns by chance."""

    @initialize(direct=st.booleans(), packets=st.sampled_from([3, 1000]))
    def open(self, direct, packets):
        self.sent: list[str | bytes] = []
        self.received: list[str | bytes] = []
        self.closed: list[Reason] = []
        self.polls: list[Poll] = []
        self.woken = False
        self.close_packets = 0
        self.session = Session(
            "sid",
            Limits(queued_packets=packets),
            wake=self.wake,
            on_pong=lambda: None,
            on_closed=self.is_closed,
            write=self.frame if direct else None,
        )

    def wake(self):
        self.woken = True

    def is_closed(self, reason):
        assert self.session.state is State.CLOSED
        self.closed.append(reason)

    def frame(self, data):
        assert self.session.state is not State.CLOSED, "a frame was written after the end"
        packets = [one.payload if one.opcode == BINARY else one.payload.decode() for one in parse(data)]
        if self.session.state is State.PROBING:
            assert packets == ["3probe"], "the client takes the first packet for the answer to its probe"
        self.comes(packets)

    def comes(self, packets):
        for packet in packets:
            if isinstance(packet, bytes):
                self.received.append(packet)
            elif packet[0] == "4":
                self.received.append(packet[1:])
            elif packet[0] == "1":
                self.close_packets += 1
            else:
                assert packet in ("6", "3probe")

    @property
    def held(self):
        return [poll for poll in self.polls if not poll.answers and not poll.abandoned]

    # --- the server's side

    @rule(binary=st.booleans(), attachments=st.integers(0, 2))
    def send(self, binary, attachments):
        number = len(self.sent)
        if self.session.state is State.CLOSED:
            self.session.send(message("lost"))
            return
        parts: list[str | bytes] = [b"%d" % number] if binary else [str(number)]
        if not binary:
            parts += [b"%d.%d" % (number, n) for n in range(attachments)]
        self.sent += parts
        data = parts[0]
        packet = message(data) if binary else Outgoing(b"4" + str(data).encode(), tuple(parts[1:]))
        self.session.send(packet)

    @rule()
    def turn_ends(self):
        if self.woken:
            self.woken = False
            self.session.flush()

    @rule(reason=REASONS)
    def close(self, reason):
        self.session.close(reason)

    # --- the client's side

    @rule()
    def poll(self):
        poll = Poll(self)
        held = bool(self.held)
        polling = self.session.state in (State.POLLING, State.PROBING)
        try:
            self.session.poll_arrives(poll.reply)
        except Conflict:
            assert held or not polling
            assert not poll.answers
            assert not polling or self.session.state is State.CLOSED
        else:
            assert polling
            assert not held
            self.polls.append(poll)

    @precondition(lambda self: self.held)
    @rule()
    def abandon(self):
        for poll in self.held:
            poll.abandoned = True
            self.session.poll_abandoned()
        assert self.session.state is State.CLOSED

    @rule(texts=st.lists(st.sampled_from(["4a", "4b", "3", "6"]), max_size=4), last=st.booleans())
    def post(self, texts, last):
        state = self.session.state
        packets = [*texts, "1", "4never"] if last else texts
        try:
            payloads = self.session.post_arrives(packets)
        except Conflict:
            assert state in (State.WEBSOCKET, State.CLOSED)
        else:
            assert payloads == [text[1:] for text in texts if text[0] == "4"]
            assert (self.session.state is State.CLOSED) == last

    @rule()
    def probe_opens(self):
        polling = self.session.state is State.POLLING
        assert self.session.socket_opens(self.frame) == polling

    @rule(text=st.sampled_from([PROBE, "5", "5", PROBE, "4x", b"x"]))
    def probe_says(self, text):
        self.session.probe_receives(text)

    @rule()
    def socket_closes(self):
        self.session.socket_closes()

    @rule(text=st.sampled_from(["4up", b"up", "3", "1"]))
    def socket_says(self, text):
        open_ = self.session.state is State.WEBSOCKET
        payload = self.session.receive(text)
        assert payload == ({"4up": "up", b"up": b"up"}.get(text) if open_ else None)

    # --- what holds after every step

    @invariant()
    def in_order_and_never_twice(self):
        if hasattr(self, "session"):
            assert self.received == self.sent[: len(self.received)]

    @invariant()
    def a_poll_is_answered_once_and_never_forgotten(self):
        if hasattr(self, "session"):
            assert all(poll.answers <= 1 for poll in self.polls)
            assert len(self.held) <= 1
            if self.session.state in (State.WEBSOCKET, State.CLOSED):
                assert not self.held

    @invariant()
    def the_end_is_told_once(self):
        if hasattr(self, "session"):
            assert len(self.closed) == (self.session.state is State.CLOSED)
            assert self.close_packets <= 1
            assert self.session.reason == (self.closed[0] if self.closed else None)

    @invariant()
    def on_a_websocket_nothing_waits(self):
        if hasattr(self, "session") and self.session.state is State.WEBSOCKET:
            assert self.received == self.sent

    @invariant()
    def what_waits_for_a_held_poll_has_asked_for_the_end_of_the_turn(self):
        if hasattr(self, "session") and self.held and self.received != self.sent:
            assert self.woken

    def teardown(self):
        if not hasattr(self, "session"):
            return
        self.turn_ends()
        if self.session.state in (State.POLLING, State.PROBING):
            if not self.held:
                self.poll()
            assert self.received == self.sent
        elif self.closed == [Reason.SERVER] and not self.close_packets:
            for _ in range(len(self.sent) + 1):
                if not self.close_packets:
                    self.comes(decode_payload(self.session.last_words()))
            self.in_order_and_never_twice()
            assert self.close_packets == 1


Walk.TestCase.settings = settings(max_examples=300, stateful_step_count=40, derandomize=True)
TestWalk = Walk.TestCase


@pytest.mark.parametrize("seed", range(20))
def test_a_client_that_upgrades_in_the_midst_of_a_stream_misses_nothing(seed):
    """The well-behaved client of the protocol, with sends at every point between its steps."""
    walk = Walk()
    walk.open(direct=False, packets=1000)
    steps = [
        walk.poll,
        walk.probe_opens,
        lambda: walk.probe_says(PROBE),
        lambda: None if walk.held else walk.poll(),
        lambda: walk.probe_says("5"),
    ]
    for n, step in enumerate(steps):
        for _ in range(seed >> n & 1 or seed % 3):
            walk.send(binary=bool(n % 2), attachments=n % 3)
        if seed % 2:
            walk.turn_ends()
        step()
        walk.in_order_and_never_twice()
    assert walk.session.state is State.WEBSOCKET
    assert walk.received == walk.sent
