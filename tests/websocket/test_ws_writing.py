"""What goes out: one write a turn, slow readers, and the pause of a peer that sends too much."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsnet import HEAD, NoNet, Owner

from greenwire.limits import Limits
from greenwire.websocket.connection import CUT_OFF, State, WebSocketConnection
from greenwire.websocket.frame import binary_frame, text_frame
from support.rawframes import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, frame, parse

# --- coalescing


def test_all_frames_of_a_turn_leave_in_one_write(net):
    async def scenario():
        connection, client, _ = await net.open()
        for n in range(1000):
            connection.write(text_frame(b"%d" % n))
        assert connection._transport.writes == [HEAD]  # nothing before the end of the turn
        for n in range(1000):
            assert await client.frame() == Frame(TEXT, b"%d" % n)
        assert len(connection._transport.writes) == 2

    net.run(scenario)


def test_answers_to_a_batch_that_came_together_leave_together(net):
    async def scenario():
        connection, client, owner = await net.open(start=False, early=frame(TEXT, "x") * 50 + frame(PING, "p"))
        owner.on_message = lambda message: connection.write(text_frame(message.encode()))
        connection.start()
        for _ in range(50):
            assert await client.frame() == Frame(TEXT, b"x")
        assert await client.frame() == Frame(PONG, b"p")
        assert len(connection._transport.writes) == 2

    net.run(scenario)


def test_each_turn_has_its_own_write(net):
    async def scenario():
        connection, client, _ = await net.open()
        for n in range(3):
            connection.write(text_frame(b"a"))
            connection.write(text_frame(b"b"))
            await client.frame()
            await client.frame()
            assert len(connection._transport.writes) == 2 + n

    net.run(scenario)


def test_frames_of_a_turn_leave_in_one_write_however_much_has_left_before(net):
    async def scenario():
        connection, client, _ = await net.open()
        for n in range(20):
            connection.write(binary_frame(bytes(10_000)))
            connection.write(text_frame(b"a"))
            assert len((await client.frame()).payload) == 10_000
            assert await client.frame() == Frame(TEXT, b"a")
            assert len(connection._transport.writes) == 2 + n

    net.run(scenario)


# --- slow readers


def test_it_is_known_at_once_that_the_kernel_is_full(net):
    """And not only when a transport's usual 64 KiB wait behind it."""

    async def scenario():
        connection, client, _ = await net.open(send_buffer=4_096)
        while not connection.buffered_bytes:
            connection.write(binary_frame(bytes(2_000)))
            connection.flush()
        assert connection.congested
        while connection.congested:
            await client.read()
            await asyncio.sleep(0)

    net.run(scenario)


def test_a_slow_reader_is_cut_off_and_the_memory_stays_bounded(net):
    limits = Limits(queued_bytes=200_000)
    one = binary_frame(b"x" * 10_000)

    async def scenario():
        connection, client, owner = await net.open(limits, send_buffer=16_384)
        most = 0
        for _ in range(2000):
            if owner.codes:
                break
            connection.write(one)
            most = max(most, connection.buffered_bytes)
            await asyncio.sleep(0)
        assert owner.codes == [CUT_OFF]
        assert limits.queued_bytes < most <= limits.queued_bytes + 2 * len(one)
        await client.until_cut()

    net.run(scenario)


def test_a_reader_that_keeps_up_is_sent_any_amount(net):
    one = binary_frame(b"x" * 50_000)

    async def scenario():
        connection, client, owner = await net.open(Limits(queued_bytes=200_000))
        for n in range(100):
            connection.write(one)
            assert len((await client.frame()).payload) == 50_000, n
        assert not owner.codes

    net.run(scenario)


def test_a_burst_of_one_turn_may_be_larger_than_the_limit(net):
    """It counts with what the kernel has not taken, and a kernel takes quickly."""
    one = binary_frame(b"x" * 1000)

    async def scenario():
        connection, client, owner = await net.open(Limits(queued_bytes=20_000))
        for _ in range(60):
            connection.write(one)
        for _ in range(60):
            assert (await client.frame()).opcode == BINARY
        assert not owner.codes
        assert connection.state is State.OPEN

    net.run(scenario)


def on_nonet(quick, scenario, limits, **kind):
    async def whole():
        transport, owner = NoNet(**kind), Owner()
        connection = WebSocketConnection(quick.loop, transport, limits, b"", b"", owner.receive, owner.is_closed)
        transport.writes.clear()
        connection.start()
        await scenario(connection, transport, owner)
        transport.protocol.connection_lost(None)

    quick.run(whole)


@pytest.mark.parametrize(("size", "cut"), [(998, False), (999, True)])
def test_queued_bytes_at_the_limit_and_one_past(quick, size, cut):
    async def scenario(connection, transport, owner):
        frame = binary_frame(b"x" * (size - 4))
        connection.write(frame)
        connection.flush()
        connection.write(b"\x81\x00")
        connection.flush()
        connection.write(b"\x81\x00")
        connection.flush()
        assert ("abort" in transport.events) == cut
        assert (connection.close_code == CUT_OFF) == cut

    on_nonet(quick, scenario, Limits(queued_bytes=1000), stuck=True)


# --- pause and resume


def test_a_pause_holds_what_was_read_and_keeps_the_order(quick):
    async def scenario(connection, transport, owner):
        transport.feed(frame(TEXT, "1"))
        connection.pause()
        connection.pause()
        transport.feed(frame(TEXT, "2") + frame(BINARY, b"3") + frame(TEXT, "4", fin=False) + frame(CONTINUATION, "4"))
        assert owner.messages == ["1"]
        assert transport.events == ["pause"]
        connection.resume()
        assert owner.messages == ["1", "2", b"3", "44"]
        assert transport.events == ["pause", "resume"]
        connection.resume()
        assert transport.events == ["pause", "resume"]
        transport.feed(frame(TEXT, "5"))
        assert owner.messages[-1] == "5"

    on_nonet(quick, scenario, Limits())


def test_a_pause_in_the_midst_of_what_was_held(quick):
    async def scenario(connection, transport, owner):
        connection.pause()
        transport.feed(b"".join(frame(TEXT, str(n)) for n in range(6)))
        owner.on_message = lambda message: connection.pause() if int(message) % 2 else None
        connection.resume()
        assert owner.messages == ["0", "1"]
        transport.feed(frame(TEXT, "6"))
        connection.resume()
        connection.resume()
        assert owner.messages == ["0", "1", "2", "3", "4", "5"]
        connection.resume()
        assert owner.messages[-1] == "6"
        assert transport.events[-1] == "resume"

    on_nonet(quick, scenario, Limits())


@pytest.mark.parametrize(("size", "cut"), [(100, False), (101, True)])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_held_bytes_at_the_limit_and_one_past(quick, opcode, size, cut):
    async def scenario(connection, transport, owner):
        connection.pause()
        transport.feed(frame(opcode, "x" * 60) + frame(opcode, "x" * (size - 60)))
        assert ("abort" in transport.events) == cut
        assert (connection.close_code == CUT_OFF) == cut
        assert owner.messages == []

    on_nonet(quick, scenario, Limits(held_bytes=100))


def test_what_was_taken_counts_no_longer(quick):
    async def scenario(connection, transport, owner):
        for _ in range(10):
            connection.pause()
            transport.feed(frame(TEXT, "x" * 60))
            connection.resume()
        assert len(owner.messages) == 10
        assert "abort" not in transport.events

    on_nonet(quick, scenario, Limits(held_bytes=100))


def test_pings_are_answered_during_a_pause_if_they_were_read(quick):
    async def scenario(connection, transport, owner):
        connection.pause()
        transport.feed(frame(PING, "p"))
        connection.flush()
        assert parse(transport.output) == [Frame(PONG, b"p")]

    on_nonet(quick, scenario, Limits())


def test_a_paused_peer_is_really_not_read(net):
    async def scenario():
        connection, client, owner = await net.open(Limits(held_bytes=1_000_000), send_buffer=16_384)
        connection.pause()
        sending = asyncio.ensure_future(client.send(*[frame(TEXT, "x" * 10_000)] * 400))
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not sending.done()  # TCP holds it back
        assert owner.messages == []
        connection.resume()
        await net.until(lambda: len(owner.messages) == 400)
        await sending

    net.run(scenario)


# --- any split of the bytes gives the same messages

CONTROL = st.sampled_from([frame(PING, "p"), frame(PONG), frame(PONG, "x" * 125)])


@st.composite
def streams(draw):
    """A good stream of frames, and the messages in it."""
    wire, messages = [], []
    for _ in range(draw(st.integers(1, 5))):
        text = draw(st.booleans())
        size = draw(st.sampled_from([0, 1, 5, 125, 126, 300, 3000, 70_000]))
        data = ("é" * size).encode()[: size - size % 2] if text else b"\xfe" * size
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        for n, part in enumerate(parts):
            opcode = CONTINUATION if n else TEXT if text else BINARY
            wire.append(frame(opcode, part, fin=n == len(parts) - 1))
            wire += draw(st.lists(CONTROL, max_size=1))
        messages.append(data.decode() if text else data)
    return b"".join(wire), messages


@settings(max_examples=150)
@given(
    stream=streams(),
    early=st.integers(0, 200_000),
    sizes=st.lists(st.integers(1, 4000), max_size=40),
    pauses=st.booleans(),
)
def test_any_split_gives_the_same_messages(quick, stream, early, sizes, pauses):
    wire, messages = stream

    async def scenario():
        transport, owner = NoNet(), Owner()
        connection = WebSocketConnection(
            quick.loop, transport, Limits(), HEAD, wire[:early], owner.receive, owner.is_closed
        )
        if pauses:
            owner.on_message = lambda message: connection.pause()
        connection.start()
        transport.feed(wire[early:], sizes)
        for _ in messages:
            connection.resume()
        connection.flush()
        assert owner.messages == messages
        answers = parse(transport.output.removeprefix(HEAD))
        assert all(answer == Frame(PONG, b"p") for answer in answers)
        transport.protocol.connection_lost(None)
        assert owner.codes == [1006]

    quick.run(scenario)


@settings(max_examples=200)
@given(st.lists(st.binary(min_size=1, max_size=400), max_size=6), st.booleans())
def test_garbage_fails_the_connection_or_is_waited_for(quick, pieces, after_good):
    async def scenario():
        transport, owner = NoNet(), Owner()
        connection = WebSocketConnection(
            quick.loop, transport, Limits(message_bytes=100), HEAD, b"", owner.receive, owner.is_closed
        )
        connection.start()
        if after_good:
            transport.feed(frame(TEXT, "good"))
        for piece in pieces:
            transport.feed(piece)
        connection.flush()
        answers = parse(transport.output.removeprefix(HEAD))
        closes = [answer for answer in answers if answer.opcode == CLOSE]
        assert len(closes) <= 1
        assert (connection.state is State.OPEN) == (not closes)
        transport.protocol.connection_lost(None)

    quick.run(scenario)
