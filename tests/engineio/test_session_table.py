"""The table at the head of session.py, cell by cell: a cell that changes there fails here, and the reverse."""

from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest

from greenwire.engineio import session as module
from greenwire.engineio.packet import CLOSE_PACKET, NOOP_PACKET, PROBE, Outgoing, message
from greenwire.engineio.session import Conflict, Reason, Session, State
from greenwire.errors import RemoteProtocolError
from greenwire.limits import Limits
from greenwire.unread import Unread
from support.rawframes import parse

LIMITS = Limits(queued_bytes=100, queued_packets=4)


class World:
    """A session and all that leaves it."""

    def __init__(
        self,
        state: State = State.POLLING,
        limits: Limits = LIMITS,
        unread: Unread | None = None,
        payload_packets: float = inf,
    ) -> None:
        self.written: list[bytes] = []
        self.replies: list[bytes] = []
        self.closed: list[Reason] = []
        self.wakes = 0
        self.pongs = 0
        self.session = Session(
            "sid",
            limits,
            wake=self.wake,
            on_pong=self.pong,
            on_closed=self.closed.append,
            write=self.written.append if state is State.WEBSOCKET else None,
            unread=unread,
            payload_packets=payload_packets,
        )
        if state is State.PROBING:
            assert self.session.socket_opens(self.written.append)
        elif state is State.CLOSED:
            self.session.close(Reason.SERVER)
            assert self.closed == [Reason.SERVER]
            self.closed.clear()
        assert self.session.state is state

    def wake(self) -> None:
        self.wakes += 1

    def pong(self) -> None:
        self.pongs += 1

    def poll(self) -> None:
        self.session.poll_arrives(self.replies.append)

    def conflicts(self) -> None:
        """A poll is answered with 400, and not by the session."""
        before = len(self.replies)
        with pytest.raises(Conflict) as caught:
            self.poll()
        assert caught.value.status == 400
        assert len(self.replies) in (before, before + 1)  # the first poll, where one was held, is ended

    def nothing_left(self) -> None:
        left = [*self.written, *self.replies, *self.closed]
        assert (left, self.wakes, self.pongs) == ([], 0, 0)

    def texts(self) -> list[bytes]:
        """The payloads of the frames written."""
        return [frame.payload for frame in parse(b"".join(self.written))]


def packet(text: str = "hi") -> Outgoing:
    return message(text)


# --- what each cell means. Every check gets a world in the state of its column.


def reply_or_hold(w: World) -> None:
    w.poll()
    w.nothing_left()  # held
    w.session.send(packet())
    w.session.flush()
    assert w.replies == [b"4hi"]
    w.session.send(packet("a"))
    w.session.send(packet("b"))
    w.poll()
    assert w.replies == [b"4hi", b"4a\x1e4b"]


def reply_queue_or_noop(w: World) -> None:
    w.poll()
    assert w.replies == [b"6"]
    w.session.send(packet())
    w.poll()
    assert w.replies == [b"6", b"4hi"]


def poll_400(w: World) -> None:
    w.conflicts()
    w.nothing_left()


def second_poll_closes(w: World) -> None:
    if w.session.state is State.PROBING:  # one can be held there only from before
        w.session.socket_closes()
        w.poll()
        assert w.session.socket_opens(w.written.append)
    else:
        w.poll()
    w.session.send(packet())
    w.conflicts()
    assert w.replies == [b"4hi"]
    assert w.closed == [Reason.TRANSPORT_ERROR]
    assert w.session.state is State.CLOSED


def delivers_post(w: World) -> None:
    assert w.session.post_arrives(["4one", b"\x00two", "3", "4", "5", "6"]) == ["one", b"\x00two", ""]
    assert w.pongs == 1
    assert not w.closed
    assert w.session.post_arrives(["4last", "1", "4after"]) == ["last"]
    assert w.closed == [Reason.CLIENT]


def post_400(w: World) -> None:
    with pytest.raises(Conflict):
        w.session.post_arrives(["4x", "3", "1"])
    w.nothing_left()


def probe_starts(w: World) -> None:
    w.poll()
    assert w.session.socket_opens(w.written.append)
    assert w.session.state is State.PROBING
    w.nothing_left()


def refuses_socket(w: World) -> None:
    state = w.session.state
    other: list[bytes] = []
    assert not w.session.socket_opens(other.append)
    assert w.session.state is state
    assert not other


def probe_answered(w: World) -> None:
    hold_from_before(w)
    assert w.session.probe_receives(PROBE)
    assert w.texts() == [b"3probe"]
    assert w.replies == [b"6"]
    assert w.session.state is State.PROBING


def upgrades(w: World) -> None:
    hold_from_before(w)
    w.session.send(packet("a"))
    w.session.send(packet("b"))
    assert w.session.probe_receives("5")
    assert w.session.state is State.WEBSOCKET
    assert w.replies == [b"6"]
    assert w.texts() == [b"4a", b"4b"]


def hold_from_before(w: World) -> None:
    w.session.socket_closes()
    w.poll()
    assert w.session.socket_opens(w.written.append)


def probe_shut(w: World) -> None:
    for bad in ("", "4x", "2", "3probe", "5 ", b"5", b"2probe"):
        assert not w.session.probe_receives(bad)
        assert w.session.state is State.POLLING
        w.nothing_left()
        assert w.session.socket_opens(w.written.append)


def no_probe_here(*messages: str | bytes) -> Callable[[World], None]:
    def check(w: World) -> None:
        state = w.session.state
        for one in messages:
            assert not w.session.probe_receives(one)
        assert w.session.state is state
        w.nothing_left()

    return check


def back_to_polling(w: World) -> None:
    w.session.send(packet())
    w.session.socket_closes()
    assert w.session.state is State.POLLING
    w.nothing_left()
    w.poll()
    assert w.replies == [b"4hi"]
    assert w.session.socket_opens(w.written.append)  # it may try again


def socket_close_closes(w: World) -> None:
    w.session.socket_closes()
    assert w.session.state is State.CLOSED
    assert w.closed == [Reason.TRANSPORT_CLOSE]
    assert w.session.reason is Reason.TRANSPORT_CLOSE


def socket_close_is_nothing(w: World) -> None:
    state = w.session.state
    w.session.socket_closes()
    assert w.session.state is state
    w.nothing_left()


def delivers_frame(w: World) -> None:
    receive = w.session.receive
    assert receive("4one") == "one"
    assert receive("4") == ""
    assert receive(b"4one") == b"4one"
    assert receive("3") is receive("6") is None
    with pytest.raises(RemoteProtocolError):
        receive("5")  # it has upgraded already
    assert w.pongs == 1
    for bad in ("", "0{}", "2", "2probe", "7", "x", "bAAAA"):
        with pytest.raises(RemoteProtocolError):
            receive(bad)
    assert not w.closed
    assert receive("1") is None
    assert w.closed == [Reason.CLIENT]


def frame_is_dropped(w: World) -> None:
    for one in ("4one", b"one", "3", "1", ""):
        assert w.session.receive(one) is None
    w.nothing_left()


def queues_and_wakes(w: World) -> None:
    w.session.send(packet("a"))
    w.nothing_left()
    if w.session.state is State.PROBING:
        w.poll()
        hold_from_before(w)
    else:
        w.poll()
        w.poll()
    w.replies.clear()
    w.session.send(packet("b"))
    assert w.wakes == 1
    assert not w.replies  # not before the end of the turn
    w.session.send(packet("c"))
    assert w.wakes == 1  # one flush takes both
    w.session.flush()
    w.session.flush()
    assert w.replies == [b"4b\x1e4c"]
    assert not w.written


def writes_a_frame(w: World) -> None:
    one = packet()
    w.session.send(one)
    assert w.written == [one.frame]


def send_is_dropped(w: World) -> None:
    w.session.send(packet())
    w.nothing_left()
    assert w.session.last_words() == b"1"


def overflow_closes(w: World) -> None:
    for _ in range(LIMITS.queued_packets):
        w.session.send(packet())
    assert not w.closed
    w.session.send(packet())
    assert w.closed == [Reason.TRANSPORT_ERROR]
    assert not w.written


def left_to_the_connection(w: World) -> None:
    for _ in range(1000):
        w.session.send(packet())
    assert len(w.written) == 1000
    assert not w.closed


def overflow_is_nothing(w: World) -> None:
    for _ in range(1000):
        w.session.send(packet())
    w.nothing_left()


def closes(w: World) -> None:
    w.session.close(Reason.PING_TIMEOUT)
    assert w.session.state is State.CLOSED
    assert w.session.reason is Reason.PING_TIMEOUT
    w.session.close(Reason.SERVER)
    assert w.closed == [Reason.PING_TIMEOUT]
    assert not w.written


def close_is_nothing(w: World) -> None:
    w.session.close(Reason.PING_TIMEOUT)
    w.nothing_left()
    assert w.session.reason is Reason.SERVER


EXPECTED: dict[str, list[tuple[str, Callable[[World], None]]]] = {
    "poll_arrives": [
        ("reply or hold", reply_or_hold),
        ("reply: queue, or NOOP", reply_queue_or_noop),
        ("400", poll_400),
        ("400", poll_400),
    ],
    "a second one while held": [
        ("close, 400", second_poll_closes),
        ("close, 400", second_poll_closes),
        ("400", poll_400),
        ("400", poll_400),
    ],
    "post_arrives": [
        ("deliver", delivers_post),
        ("deliver", delivers_post),
        ("400", post_400),
        ("400", post_400),
    ],
    "socket_opens": [
        ("→ PROBING", probe_starts),
        ("refuse", refuses_socket),
        ("refuse", refuses_socket),
        ("refuse", refuses_socket),
    ],
    "probe_receives 2probe": [
        ("–", no_probe_here(PROBE)),
        ("3probe; end a held poll", probe_answered),
        ("–", no_probe_here(PROBE)),
        ("–", no_probe_here(PROBE)),
    ],
    "probe_receives 5": [
        ("–", no_probe_here("5")),
        ("→ WEBSOCKET; flush", upgrades),
        ("–", no_probe_here("5")),
        ("–", no_probe_here("5")),
    ],
    "probe_receives other": [
        ("–", no_probe_here("4x", "", b"x")),
        ("→ POLLING, socket shut", probe_shut),
        ("–", no_probe_here("4x", "", b"x")),
        ("–", no_probe_here("4x", "", b"x")),
    ],
    "socket_closes": [
        ("–", socket_close_is_nothing),
        ("→ POLLING", back_to_polling),
        ("→ CLOSED", socket_close_closes),
        ("–", socket_close_is_nothing),
    ],
    "receive (a frame)": [
        ("–", frame_is_dropped),
        ("–", frame_is_dropped),
        ("deliver", delivers_frame),
        ("drop", frame_is_dropped),
    ],
    "send": [
        ("queue; wake a poll", queues_and_wakes),
        ("queue; wake a poll", queues_and_wakes),
        ("write a frame", writes_a_frame),
        ("drop", send_is_dropped),
    ],
    "queue over its limit": [
        ("→ CLOSED", overflow_closes),
        ("→ CLOSED", overflow_closes),
        ("(connection)", left_to_the_connection),
        ("–", overflow_is_nothing),
    ],
    "close": [
        ("→ CLOSED", closes),
        ("→ CLOSED", closes),
        ("→ CLOSED", closes),
        ("–", close_is_nothing),
    ],
}


def table() -> tuple[list[str], dict[str, list[str]]]:
    """Heads and rows of the table in the docstring."""
    lines = (module.__doc__ or "").splitlines()
    rules = [n for n, line in enumerate(lines) if line.startswith("====")]
    starts = [n for n, c in enumerate(lines[rules[0]]) if c == "=" and (n == 0 or lines[rules[0]][n - 1] == " ")]

    def cells(line: str) -> list[str]:
        ends = [*starts[1:], None]
        return [line[a:b].strip().replace("``", "") for a, b in zip(starts, ends, strict=True)]

    heads = cells(lines[rules[0] + 1])
    rows = [cells(line) for line in lines[rules[1] + 1 : rules[2]]]
    return heads, {row[0]: row[1:] for row in rows}


def test_the_columns_are_the_states():
    assert table()[0] == ["input", *(state.name for state in State)]


def test_the_rows_are_those_that_are_walked():
    assert list(table()[1]) == list(EXPECTED)


CELLS = [
    pytest.param(row, state, text, check, id=f"{row}-{state.name}")
    for row, cells in EXPECTED.items()
    for state, (text, check) in zip(State, cells, strict=True)
]


@pytest.mark.parametrize(("row", "state", "text", "check"), CELLS)
def test_cell(row, state, text, check):
    assert table()[1][row][list(State).index(state)] == text
    check(World(state))


# --- limits


@pytest.mark.parametrize("state", [State.POLLING, State.PROBING])
def test_queued_bytes_at_the_limit_and_one_past(state):
    one = message("x" * 47)  # a frame of 50 bytes
    assert len(one.frame) == 50
    at = World(state, replace(LIMITS, queued_bytes=100))
    at.session.send(one)
    at.session.send(one)
    assert not at.closed
    past = World(state, replace(LIMITS, queued_bytes=99))
    past.session.send(one)
    past.session.send(one)
    assert past.closed == [Reason.TRANSPORT_ERROR]
    assert past.session.last_words() == CLOSE_PACKET.payload  # nothing of it is kept


@pytest.mark.parametrize("state", [State.POLLING, State.PROBING])
def test_output_bytes_at_the_limit_and_one_past(state):
    """Of two sessions: 50 bytes in two forms, and what two objects and places cost."""
    for limit, closed in ((2 * 316, []), (2 * 316 - 1, [Reason.TRANSPORT_ERROR])):
        unread = Unread(limit)
        worlds = [World(state, unread=unread) for _ in range(2)]
        for w in worlds:
            w.session.send(message("x" * 47))
        assert worlds[0].closed + worlds[1].closed == closed
        assert unread.bytes == 316 * (2 - len(closed))


def test_what_nobody_will_poll_for_counts_no_longer():
    unread = Unread()
    for end, counts in (
        (lambda session: session.close(Reason.PING_TIMEOUT), False),
        (lambda session: session.close(Reason.SERVER), True),  # its last words may be asked for
        (lambda session: session.post_arrives(["1"]), False),
        (lambda session: session.last_words(), False),
        (lambda session: session.forget(), False),
        (lambda session: session.poll_arrives(lambda payload: None), False),
    ):
        w = World(unread=unread)
        w.session.send(packet("a"))
        w.session.send(packet("b"))
        assert unread.bytes > 0
        end(w.session)
        assert (unread.bytes > 0) == counts
        w.session.forget()
        assert unread.bytes == 0


def test_queued_packets_at_the_limit_and_one_past():
    w = World()
    for _ in range(4):
        w.session.send(packet(""))
    assert not w.closed
    w.session.send(packet(""))
    assert w.closed == [Reason.TRANSPORT_ERROR]


def test_a_poll_empties_the_count():
    w = World()
    for _ in range(50):
        for _ in range(4):
            w.session.send(packet("x" * 20))
        w.poll()
    assert not w.closed
    assert len(w.replies) == 50


def test_overflow_ends_a_held_poll():
    w = World()
    w.poll()
    for _ in range(5):
        w.session.send(packet())
    assert w.replies == [NOOP_PACKET.payload]
    assert w.closed == [Reason.TRANSPORT_ERROR]


def test_the_upgrade_empties_the_count():
    w = World(State.PROBING)
    for _ in range(4):
        w.session.send(packet())
    w.session.probe_receives("5")
    assert len(w.texts()) == 4
    assert not w.closed


# --- the end


def test_last_words_are_what_was_queued_and_then_the_close_packet():
    """Not in one payload: Node's client looks at an acknowledgement in a later turn than at the close behind it."""
    w = World()
    w.session.send(packet("a"))
    w.session.send(packet("b"))
    w.session.close(Reason.SERVER)
    assert w.session.last_words() == b"4a\x1e4b"
    assert w.session.last_words() == b"1"


def test_last_words_are_no_more_packets_than_the_client_takes():
    w = World(payload_packets=2)
    for text in "abc":
        w.session.send(packet(text))
    w.session.close(Reason.SERVER)
    assert [w.session.last_words() for _ in range(3)] == [b"4a\x1e4b", b"4c", b"1"]


@pytest.mark.parametrize(("queued", "told"), [("", b"1"), ("a", b"4a")])
def test_a_held_poll_gets_the_last_words_at_once(queued, told):
    w = World()
    w.poll()
    for text in queued:
        w.session.send(packet(text))
    w.session.close(Reason.SERVER)
    assert w.replies == [told]
    w.session.flush()
    assert len(w.replies) == 1
    assert w.session.last_words() == b"1"


def test_the_client_s_close_ends_a_held_poll_with_a_noop():
    w = World()
    w.poll()
    assert w.session.post_arrives(["4bye", "1"]) == ["bye"]
    assert w.replies == [b"6"]
    assert w.closed == [Reason.CLIENT]


def test_an_abandoned_poll_ends_the_session():
    w = World()
    w.poll()
    w.session.poll_abandoned()
    assert w.closed == [Reason.TRANSPORT_CLOSE]
    assert not w.replies
    w.session.poll_abandoned()
    assert len(w.closed) == 1


def test_abandoning_a_poll_that_was_answered_is_nothing():
    w = World()
    w.session.send(packet())
    w.poll()
    w.session.poll_abandoned()
    assert not w.closed


@pytest.mark.parametrize("bad", ["0", "2", "7", "x", "é"])
def test_what_is_no_packet_in_a_post(bad):
    w = World()
    with pytest.raises(RemoteProtocolError) as caught:
        w.session.post_arrives(["4x", bad])
    assert not isinstance(caught.value, Conflict)
    assert not w.closed  # the caller closes, with the reason that it knows


def test_reasons_are_the_texts_that_applications_know():
    assert [reason.value for reason in Reason] == [
        "client disconnect",
        "server disconnect",
        "ping timeout",
        "transport close",
        "transport error",
        "parse error",
    ]
