"""Frames that wait for a peer that does not keep up."""

import asyncio
import gc
import ssl
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsnet import NoNet, Owner, pair

from greenwire.limits import Limits
from greenwire.unread import Unread
from greenwire.websocket.connection import CUT_OFF, State, WebSocketConnection
from greenwire.websocket.frame import binary_frame, text_frame
from support.certificate import self_signed
from support.rawframes import BINARY, CLOSE, TEXT, Frame, frame, parse

PATIENT = Limits(close_timeout_s=30)


class Slow(NoNet):
    """A transport whose kernel takes what it is told to."""

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__(tls=tls, stuck=True)

    def take(self) -> None:
        """All of it."""
        self.taken = len(self.output)
        self.protocol.resume_writing()

    def get_extra_info(self, name: str) -> object:
        return "a context" if name == "sslcontext" and self._tls else None


def on_slow(quick, scenario, limits=PATIENT, *, tls=False, output_bytes=float("inf"), count=1):
    async def whole():
        quick.loop.unread = Unread(output_bytes)
        transports, owners = [Slow(tls=tls) for _ in range(count)], [Owner() for _ in range(count)]
        connections = [
            WebSocketConnection(quick.loop, transport, limits, b"", b"", owner.receive, owner.is_closed)
            for transport, owner in zip(transports, owners, strict=True)
        ]
        for connection, transport in zip(connections, transports, strict=True):
            transport.writes.clear()
            transport.take()  # the head
            connection.start()
        await scenario(connections, transports, owners)
        for transport in transports:
            transport.protocol.connection_lost(None)
        assert quick.loop.unread.bytes == 0, "whoever is gone counts no longer"

    try:
        quick.run(whole)
    finally:
        quick.loop.unread = Unread()


def test_frames_wait_here_and_leave_in_order_a_part_at_a_time(quick):
    async def scenario(connections, transports, owners):
        connection, transport = connections[0], transports[0]
        sizes = [10, 7_000, 7_000, 7_000, 100_000, 5, 5, 70_000, 1]
        for size in sizes:
            connection.write(binary_frame(b"x" * size))
            connection.flush()
        assert len(transport.writes) == 1
        assert connection.congested
        for _ in range(20):
            transport.take()
        assert [len(answer.payload) for answer in parse(transport.output)] == sizes
        assert [len(data) // 1_000 for data in transport.writes] == [0, 14, 7, 100, 0, 70, 0]
        assert not connection.congested
        assert quick.loop.unread.bytes == 0

    on_slow(quick, scenario)


def test_large_frames_of_one_turn_are_not_copied(quick):
    async def scenario(connections, transports, owners):
        connection, transport = connections[0], transports[0]
        large = binary_frame(bytes(100_000))
        connection.write(text_frame(b"a"))
        connection.write(large)
        connection.write(text_frame(b"b"))
        connection.flush()
        for _ in range(5):
            transport.take()
        assert any(data is large for data in transport.writes)
        assert [answer.opcode for answer in parse(transport.output)] == [TEXT, BINARY, TEXT]

    on_slow(quick, scenario)


def test_tls_is_given_slices(quick):
    """What is encrypted is a copy, and the transport does not tell how much of it waits."""

    async def scenario(connections, transports, owners):
        connection, transport = connections[0], transports[0]
        body = bytes(range(256)) * 1_000
        for _ in range(2):
            connection.write(binary_frame(body))
            connection.flush()
        while connection.congested:
            transport.take()
        assert max(map(len, transport.writes)) == 65_536
        assert [answer.payload for answer in parse(transport.output)] == [body, body]

    on_slow(quick, scenario, tls=True)


def test_one_frame_for_many_counts_once_and_cuts_nobody(quick):
    async def scenario(connections, transports, owners):
        for _ in range(20):
            shared = binary_frame(bytes(10_000))
            for connection in connections:
                connection.write(shared)
                connection.flush()
        assert sum(connection.buffered_bytes for connection in connections) > 50 * 20 * 10_000
        assert 20 * 10_000 < quick.loop.unread.bytes < 230_000
        assert not any(transport.events for transport in transports)

    on_slow(quick, scenario, output_bytes=230_000, count=50)


def test_frames_of_their_own_cut_off_who_waits_for_most(quick):
    async def scenario(connections, transports, owners):
        for n in range(20):
            for number, connection in enumerate(connections):
                if number != 3 or n % 2:
                    connection.write(binary_frame(bytes(10_000)))
                    connection.flush()
        assert quick.loop.unread.bytes <= 230_000
        cut = [number for number, transport in enumerate(transports) if "abort" in transport.events]
        assert [number for number, connection in enumerate(connections) if connection.close_code == CUT_OFF] == cut
        assert len(cut) == 3
        assert 3 not in cut
        assert all(connections[number].buffered_bytes <= 20_008 for number in cut)  # the transport's, until it is gone

    on_slow(quick, scenario, output_bytes=230_000, count=4)


class Tight(Slow):
    """A kernel that has room for so many bytes, and a transport that tells as asyncio's do."""

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__(tls=tls)
        self._room = 0
        self._paused = False

    def write(self, data: bytes) -> None:
        assert not self._closing
        assert "eof" not in self.events
        self.writes.append(data)
        self._take()
        if self.get_write_buffer_size() > 1 and not self._paused:
            self._paused = True
            self.protocol.pause_writing()

    def _take(self) -> None:
        size = min(self._room, self.get_write_buffer_size())
        self._room -= size
        self.taken += size

    def take(self, size: int = 10**9) -> None:
        self._room = size
        self._take()
        if self._paused and not self.get_write_buffer_size():
            self._paused = False
            self.protocol.resume_writing()


def end_of(connection, kind):
    if kind == "close":
        connection.close(1000)
    elif kind == "part":
        connection.part(1001)
    elif kind == "abort":
        connection.abort()


SIZES = [0, 1, 100, 5_000, 17_000, 66_000, 140_000]
STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 2), st.sampled_from(SIZES)),
    st.tuples(st.just("broadcast"), st.just(0), st.sampled_from(SIZES)),
    st.tuples(st.just("flush"), st.just(0), st.just(0)),
    st.tuples(st.just("take"), st.integers(0, 2), st.sampled_from([1, 2, 100, 5_000, 70_000, 10**6])),
    st.tuples(st.sampled_from(["close", "part", "abort"]), st.integers(0, 2), st.just(0)),
)


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=40), st.booleans(), st.sampled_from([float("inf"), 200_000]))
def test_whatever_the_kernel_takes_and_whoever_goes(quick, steps, tls, output_bytes):
    """Frames come whole and in order, then one close frame; what counts is what waits."""

    async def scenario():
        unread = quick.loop.unread = Unread(output_bytes)
        owners, transports = [Owner() for _ in range(3)], [Tight(tls=tls) for _ in range(3)]
        connections = [
            WebSocketConnection(quick.loop, transport, PATIENT, b"", b"", owner.receive, owner.is_closed)
            for transport, owner in zip(transports, owners, strict=True)
        ]
        sent: list[list[int]] = [[], [], []]
        for kind, number, value in steps:
            if kind == "take":
                transports[number].take(value)
            elif kind == "flush":
                for connection in connections:
                    connection.flush()
            elif kind in ("write", "broadcast"):
                data = binary_frame(bytes(value))
                for to in range(3) if kind == "broadcast" else [number]:
                    if connections[to].state is State.OPEN:
                        sent[to].append(value)
                        connections[to].write(data)
            else:
                end_of(connections[number], kind)
            assert unread.bytes == waits(connections)
        for connection, transport, sizes in zip(connections, transports, sent, strict=True):
            connection.flush()
            while transport.get_write_buffer_size() and "abort" not in transport.events:
                transport.take()
            if "abort" not in transport.events:
                closes = [] if connection.state is State.OPEN else [CLOSE]
                answers = parse(transport.output)
                assert [answer.opcode for answer in answers] == [BINARY] * len(sizes) + closes
                assert [len(answer.payload) for answer in answers[: len(sizes)]] == sizes
                assert not connection.congested
            transport.protocol.connection_lost(None)
        assert [len(owner.codes) for owner in owners] == [1, 1, 1]
        assert (unread.bytes, unread._queues, unread._holders) == (0, {}, {})

    try:
        quick.run(scenario)
    finally:
        quick.loop.unread = Unread()


def waits(connections):
    """What counts for all lines, found anew."""
    lines = [connection._line for connection in connections]
    places = [data for line in lines if line is not None for data in line._queue]
    return 16 * len(places) + sum(200 + len(data) for data in {id(data): data for data in places}.values())


def test_nothing_is_left_of_slow_clients_that_came_and_went(quick):
    """However they went; and what they were sent is gone, too."""
    alive = weakref.WeakSet()

    async def scenario():
        unread = quick.loop.unread = Unread(10_000_000)
        for n in range(1_000):
            transport, owner = Tight(), Owner()
            alive.add(owner)
            connection = WebSocketConnection(quick.loop, transport, PATIENT, b"", b"", owner.receive, owner.is_closed)
            for _ in range(2):
                connection.write(binary_frame(bytes(5_000)))
                connection.flush()
            assert unread.bytes > 10_000
            end_of(connection, ["close", "part", "abort", "nothing"][n % 4])
            assert (unread.bytes == 0) is (connection.close_code == CUT_OFF or "abort" in transport.events)
            transport.protocol.connection_lost(None)
            assert unread.bytes == 0
        await asyncio.sleep(0)
        assert (unread._queues, unread._holders) == ({}, {})

    try:
        quick.run(scenario)
    finally:
        quick.loop.unread = Unread()
    gc.collect()
    assert not list(alive)


@pytest.mark.parametrize("end", [lambda connection: connection.close(1000), lambda connection: connection.part(1001)])
def test_a_close_frame_waits_behind_the_others(quick, end):
    async def scenario(connections, transports, owners):
        connection, transport = connections[0], transports[0]
        for n in range(3):
            connection.write(text_frame(b"%d" % n))
            connection.flush()
        end(connection)
        connection.flush()
        transport.feed(frame(CLOSE, (1000).to_bytes(2, "big")))
        assert connection.state is State.LINGERING
        assert owners[0].codes == [1000]
        assert "eof" not in transport.events
        transport.take()
        transport.take()
        assert [answer.opcode for answer in parse(transport.output)] == [TEXT, TEXT, TEXT, CLOSE]
        assert "eof" in transport.events
        assert "abort" not in transport.events

    on_slow(quick, scenario)


def test_what_waits_at_the_end_still_leaves_a_part_at_a_time(quick):
    async def scenario(connections, transports, owners):
        connection, transport = connections[0], transports[0]
        for _ in range(4):
            connection.write(binary_frame(bytes(100_000)))
            connection.flush()
        transport.feed(frame(CLOSE))
        for written in (2, 3, 4, 5):
            transport.take()
            assert len(transport.writes) == written
        assert [answer.opcode for answer in parse(transport.output)] == [BINARY] * 4 + [CLOSE]

    on_slow(quick, scenario)


def test_tls_is_closed_behind_what_waits(quick):
    async def scenario(connections, transports, owners):
        connection, transport = connections[0], transports[0]
        connection.write(text_frame(b"x"))
        connection.flush()
        transport.feed(frame(CLOSE))
        assert transport.events == ["resume"]
        transport.take()
        transport.take()
        assert transport.events == ["resume", "close"]
        assert parse(transport.output) == [Frame(TEXT, b"x"), Frame(CLOSE, b"")]

    on_slow(quick, scenario, tls=True)


def test_what_http_has_left_over_goes_first(quick):
    """The transport has told HTTP that it is full, and does not say so again."""

    async def scenario():
        transport, owner = Tight(), Owner()
        transport.set_protocol(asyncio.BufferedProtocol())
        transport.write(b"x" * 1_000)
        connection = WebSocketConnection(quick.loop, transport, PATIENT, b"head", b"", owner.receive, owner.is_closed)
        connection.write(text_frame(b"y"))
        connection.flush()
        assert connection.congested
        assert transport.output == b"x" * 1_000 + b"head"
        transport.take()
        assert transport.output.endswith(b"head" + text_frame(b"y"))
        transport.protocol.connection_lost(None)

    quick.run(scenario)


@pytest.mark.parametrize("secure", [False, True])
def test_a_slow_reader_gets_everything_in_order(net, secure, tmp_path):
    """On real sockets, with and without TLS, on either event loop."""
    given = wanted = None
    if secure:
        given, wanted = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
        certificate, key = self_signed(tmp_path)
        given.load_cert_chain(certificate, key)
        wanted.load_verify_locations(certificate)
    unread = net.loop.unread = Unread()

    async def scenario():
        near, far = pair(65_536)
        (transport, _), (reader, writer) = await asyncio.gather(
            net.aio.connect_accepted_socket(asyncio.Protocol, near, ssl=given),
            asyncio.open_connection(sock=far, ssl=wanted, server_hostname="localhost" if secure else None),
        )
        owner = Owner()
        connection = WebSocketConnection(net.loop, transport, PATIENT, b"", b"", owner.receive, owner.is_closed)
        sizes = [3, 1_000_000, 5, 70_000, 9_000, 400_000] * 3
        frames = [binary_frame(bytes([n]) * size) for n, size in enumerate(sizes)]
        for n, one in enumerate(frames):
            connection.write(one)
            if n % 4:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert connection.congested
        assert unread.bytes > 3_000_000
        sent = b"".join(frames)
        assert await reader.readexactly(len(sent)) == sent
        await net.until(lambda: not connection.congested)
        assert unread.bytes == 0
        assert not owner.codes
        connection.abort()
        writer.close()
        await owner.closed.wait()

    net.run(scenario)
