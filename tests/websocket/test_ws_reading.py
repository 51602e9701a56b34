"""What comes in, over a real connection: messages, control frames, and every way to break the protocol."""

import asyncio
import socket

import pytest
from wsnet import HEAD

from greenwire.limits import Limits
from greenwire.websocket.connection import State
from support.rawframes import BINARY, CLOSE, CONTINUATION, MASK, PING, PONG, TEXT, Frame, close, frame

LIMITS = Limits(message_bytes=1000, fragments=5, close_timeout_s=15.0)


def exchange(net, sent, messages, code=None, limits=LIMITS):
    """*sent* gives *messages*, and, with *code*, a close frame and the end of TCP."""

    async def scenario():
        _, client, owner = await net.open(limits)
        await client.send(*sent)
        if code is None:
            await net.until(lambda: len(owner.messages) >= len(messages))
        else:
            assert (await client.frame()).close_code == code
            assert await client.at_end()
            client.sock.close()
            await owner.closed.wait()
        assert owner.messages == messages

    net.run(scenario)


@pytest.mark.parametrize(
    ("sent", "messages"),
    [
        ([frame(TEXT, "4hi")], ["4hi"]),
        ([frame(TEXT, "")], [""]),
        ([frame(BINARY, b"\x00\xff")], [b"\x00\xff"]),
        ([frame(TEXT, "é€😀")], ["é€😀"]),
        ([frame(TEXT, "one"), frame(BINARY, b"two"), frame(TEXT, "three")], ["one", b"two", "three"]),
        ([frame(TEXT, "x" * 126)], ["x" * 126]),
        ([frame(TEXT, "a", fin=False), frame(CONTINUATION, "b", fin=False), frame(CONTINUATION, "c")], ["abc"]),
        ([frame(BINARY, b"a", fin=False), frame(CONTINUATION, b"")], [b"a"]),
        # A character divided between two fragments is good UTF-8 in the end.
        ([frame(TEXT, b"\xe2\x82", fin=False), frame(CONTINUATION, b"\xac")], ["€"]),
        # 5.4: control frames may stand between fragments.
        ([frame(TEXT, "a", fin=False), frame(PING), frame(PONG, "?"), frame(CONTINUATION, "b")], ["ab"]),
        ([frame(TEXT, "zero mask", mask=b"\0\0\0\0")], ["zero mask"]),
    ],
)
def test_messages(net, sent, messages):
    exchange(net, sent, messages)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([frame(TEXT, "x", mask=None)], 1002),
        ([frame(PING, "x", mask=None)], 1002),
        *(([frame(TEXT, "x", rsv=rsv)], 1002) for rsv in (1, 2, 4, 7)),
        ([frame(PING, rsv=4)], 1002),
        ([frame(TEXT, "a", fin=False), frame(CONTINUATION, "b", rsv=4)], 1002),
        *(([frame(opcode, "x")], 1002) for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)),
        ([frame(PING, fin=False)], 1002),
        ([frame(PING, "x" * 126)], 1002),
        ([frame(CONTINUATION, "x")], 1002),
        ([frame(CONTINUATION, "x", fin=False)], 1002),
        ([frame(TEXT, "a", fin=False), frame(TEXT, "b")], 1002),
        ([frame(TEXT, "a", fin=False), frame(BINARY, "b", fin=False)], 1002),
        ([b"\x81\xfe\x00\x01" + MASK + b"\x00"], 1002),  # 5.2: the length is not in its shortest form
        ([b"\x81\xff" + (1 << 63).to_bytes(8, "big") + MASK], 1002),  # 5.2: the highest bit is 0
        ([frame(TEXT, b"\xff")], 1007),
        ([frame(TEXT, b"\xed\xa0\x80")], 1007),  # a surrogate
        ([frame(TEXT, b"ok", fin=False), frame(CONTINUATION, b"\xff")], 1007),
        ([frame(TEXT, b"\xe2\x82", fin=False), frame(CONTINUATION, b"a")], 1007),
        ([frame(TEXT, "x" * 1001)], 1009),
        ([b"\x82\xff" + (1 << 62).to_bytes(8, "big") + MASK], 1009),  # refused by its length alone
        ([frame(BINARY, b"x" * 600, fin=False), frame(CONTINUATION, b"x" * 401)], 1009),
        ([frame(TEXT, "x", fin=False), *[frame(CONTINUATION, "x", fin=False)] * 5], 1009),
        ([frame(TEXT, "x", fin=False), *[frame(CONTINUATION, "", fin=False)] * 5], 1009),
    ],
)
def test_protocol_errors(net, sent, code):
    exchange(net, sent, [], code)


def test_message_bytes_at_the_limit(net):
    exchange(
        net,
        [frame(TEXT, "x" * 1000), frame(BINARY, b"y" * 600, fin=False), frame(CONTINUATION, b"y" * 400)],
        ["x" * 1000, b"y" * 1000],
    )


def test_fragments_at_the_limit(net):
    middle = [frame(CONTINUATION, "x", fin=False)] * 3
    exchange(net, [frame(TEXT, "x", fin=False), *middle, frame(CONTINUATION, "x")] * 2, ["xxxxx"] * 2)


def test_messages_before_the_error_arrive_and_those_behind_it_do_not(net):
    exchange(net, [frame(TEXT, "good"), frame(TEXT, b"\xff"), frame(TEXT, "late")], ["good"], 1007)


def test_nothing_is_written_twice_to_a_peer_that_goes_on_being_wrong(net):
    async def scenario():
        connection, client, owner = await net.open(LIMITS)
        for _ in range(3):
            await client.send(frame(CONTINUATION, "x"), frame(TEXT, b"\xff"), frame(TEXT, "x", mask=None))
        assert (await client.frame()).close_code == 1002
        assert await client.at_end()
        assert connection.state is State.LINGERING
        client.sock.close()
        await owner.closed.wait()
        assert len(connection._transport.writes) == 2  # the head, and one close frame

    net.run(scenario)


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00" * 125])
def test_a_ping_is_answered_with_its_payload(net, payload):
    async def scenario():
        _, client, _ = await net.open()
        await client.send(frame(PING, payload))
        assert await client.frame() == Frame(PONG, payload)

    net.run(scenario)


def test_pings_between_fragments_are_answered_before_the_message_ends(net):
    async def scenario():
        _, client, owner = await net.open()
        await client.send(frame(TEXT, "a", fin=False), frame(PING, "1"))
        assert await client.frame() == Frame(PONG, b"1")
        assert owner.messages == []
        await client.send(frame(CONTINUATION, "b"))
        await net.until(lambda: owner.messages == ["ab"])

    net.run(scenario)


def test_a_pong_means_nothing(net):
    exchange(net, [frame(PONG), frame(PONG, "x" * 125), frame(TEXT, "a")], ["a"])


def test_byte_by_byte(net):
    wire = frame(TEXT, "a" * 200) + frame(PING, "p") + frame(BINARY, b"b", fin=False) + frame(CONTINUATION, b"c")

    async def scenario():
        _, client, owner = await net.open()
        for n in range(len(wire)):
            await client.send(wire[n : n + 1])
            if n % 20 == 0:
                await asyncio.sleep(0)
        await net.until(lambda: owner.messages == ["a" * 200, b"bc"])
        assert await client.frame() == Frame(PONG, b"p")

    net.run(scenario)


@pytest.mark.parametrize("cut", [0, 1, 5, 9, 14])
def test_bytes_that_came_with_the_request_come_first(net, cut):
    wire = frame(TEXT, "one") + frame(TEXT, "two")

    async def scenario():
        _, client, owner = await net.open(early=wire[:cut])
        await client.send(wire[cut:], frame(TEXT, "three"))
        await net.until(lambda: owner.messages == ["one", "two", "three"])

    net.run(scenario)


def test_early_bytes_wait_for_the_start(net):
    async def scenario():
        connection, _, owner = await net.open(early=frame(TEXT, "early"), start=False)
        assert owner.messages == []
        connection.start()
        assert owner.messages == ["early"]
        connection.start()
        assert owner.messages == ["early"]

    net.run(scenario)


def test_early_bytes_may_break_the_protocol(net):
    async def scenario():
        _, client, owner = await net.open(LIMITS, early=frame(TEXT, "x", mask=None) + b"\xff" * 10_000)
        assert (await client.frame()).close_code == 1002
        assert await client.at_end()
        assert owner.messages == []

    net.run(scenario)


def test_the_first_small_frame_after_a_big_one_gives_the_buffer_back_and_nothing_is_lost(net):
    big = "x" * 200_000

    async def scenario():
        connection, client, owner = await net.open(Limits(message_bytes=1_000_000))
        inner = connection._transport._transport
        first = inner.get_protocol()
        for n in range(2):
            await client.send(frame(TEXT, big))
            await net.until(lambda n=n: len(owner.messages) == n + 1)
            assert inner.get_protocol() is first  # the next may be as big
        await client.send(frame(PONG))
        await net.until(lambda: inner.get_protocol() is not first)
        second = inner.get_protocol()
        assert len(second.get_buffer(-1)) < 5_000
        await client.send(frame(PING))
        assert (await client.frame()).opcode == PONG
        assert inner.get_protocol() is second  # once is enough
        for n in range(3):
            await client.send(frame(TEXT, f"{n}"), frame(BINARY, big.encode()), frame(TEXT, "after"))
        await net.until(lambda: len(owner.messages) == 11)
        assert owner.messages == [big, big, *(m for n in range(3) for m in (f"{n}", big.encode(), "after"))]

    net.run(scenario)


def test_a_big_fragment_gives_the_buffer_back_in_the_midst_of_a_message(net):
    part = b"x" * 100_000

    async def scenario():
        connection, client, owner = await net.open()
        inner = connection._transport._transport
        first = inner.get_protocol()
        await client.send(frame(BINARY, part, fin=False), frame(CONTINUATION, part, fin=False), frame(PING))
        await net.until(lambda: inner.get_protocol() is not first)
        await client.send(frame(CONTINUATION, b"end"))
        await net.until(lambda: owner.messages)
        assert owner.messages == [part + part + b"end"]
        await client.send(close(1000))
        assert await client.frame() == Frame(PONG, b"")
        assert (await client.frame()).opcode == CLOSE

    net.run(scenario)


def test_messages_go_to_whom_they_are_to_go_from_now_on(net):
    async def scenario():
        connection, client, owner = await net.open()
        await client.send(frame(TEXT, "one"))
        await net.until(lambda: owner.messages)
        later = []
        connection.listen(later.append)
        await client.send(frame(TEXT, "two"), frame(BINARY, b"three"))
        await net.until(lambda: len(later) == 2)
        assert (owner.messages, later) == (["one"], ["two", b"three"])

    net.run(scenario)


def test_one_read_brings_no_more_than_the_limit_says(net):
    async def scenario():
        connection, _, _ = await net.open(Limits(receive_buffer_bytes=8_192))
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * 8_192  # Linux doubles it

    net.run(scenario)


def test_an_owner_that_raises_closes_with_1011_and_tells_nothing(net, caplog):
    async def scenario():
        _, client, owner = await net.open(LIMITS)
        owner.on_message = lambda message: 1 / 0
        await client.send(frame(TEXT, "x"))
        assert await client.frame() == Frame(CLOSE, (1011).to_bytes(2, "big"))
        assert await client.at_end()

    net.run(scenario)
    assert "ZeroDivisionError" in caplog.text


def test_the_head_is_written_first(net):
    async def scenario():
        connection, client, _ = await net.open()
        connection.write(b"\x81\x01x")
        assert await client.frame() == Frame(TEXT, b"x")
        assert connection._transport.writes[0] == HEAD

    net.run(scenario)
