"""The end of a WebSocket, from both sides, and the peers that do not play by the rules."""

import asyncio
import socket

import pytest
from wsnet import NoNet, Owner

from greenwire.limits import Limits
from greenwire.websocket.connection import CUT_OFF, State, WebSocketConnection
from greenwire.websocket.frame import text_frame
from support.rawframes import CLOSE, CONTINUATION, PING, TEXT, Frame, close, frame, parse

LIMITS = Limits(close_timeout_s=0.05)
PATIENT = Limits(close_timeout_s=15.0)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 4000, 4999])
def test_a_close_code_is_echoed_and_tcp_ended(net, code):
    async def scenario():
        connection, client, owner = await net.open(PATIENT)
        await client.send(close(code, b"because"))
        assert await client.frame() == Frame(CLOSE, code.to_bytes(2, "big"))
        assert await client.at_end()  # 7.1.1: the server ends TCP first
        await owner.closed.wait()  # however long the client takes to end its own side
        assert owner.codes == [code]
        client.sock.close()
        await net.until(lambda: connection.state is State.CLOSED)

    net.run(scenario)


def test_a_close_without_a_code(net):
    async def scenario():
        _, client, owner = await net.open(PATIENT)
        await client.send(close())
        assert await client.frame() == Frame(CLOSE, b"")
        assert await client.at_end()
        client.sock.close()
        await owner.closed.wait()
        assert owner.codes == [1005]

    net.run(scenario)


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
def test_close_codes_that_may_not_be_sent(net, code):
    async def scenario():
        _, client, _ = await net.open(PATIENT)
        await client.send(close(code))
        assert (await client.frame()).close_code == 1002
        assert await client.at_end()

    net.run(scenario)


@pytest.mark.parametrize(
    ("payload", "code"), [(b"\x03", 1002), (b"\x03\xe8\xff", 1007), (b"\x03\xe8\xed\xa0\x80", 1007)]
)
def test_malformed_close_frames(net, payload, code):
    async def scenario():
        _, client, _ = await net.open(PATIENT)
        await client.send(frame(CLOSE, payload))
        assert (await client.frame()).close_code == code
        assert await client.at_end()

    net.run(scenario)


def test_what_follows_a_close_frame_is_not_delivered(net):
    async def scenario():
        _, client, owner = await net.open(PATIENT)
        await client.send(frame(TEXT, "before"), close(1000), frame(TEXT, "after"), frame(PING, "?"))
        assert (await client.frame()).close_code == 1000
        await client.send(frame(TEXT, "later"))
        assert await client.at_end()
        assert owner.messages == ["before"]

    net.run(scenario)


def test_we_close_the_peer_answers_and_tcp_ends(net):
    async def scenario():
        connection, client, owner = await net.open(PATIENT)
        connection.close(1001, "bye")
        connection.close(1000)  # once is enough
        assert connection.state is State.CLOSING
        assert await client.frame() == Frame(CLOSE, b"\x03\xe9bye")
        assert not owner.closed.is_set()
        # 5.5.1: it may still have had something to say; we listen for its close frame only.
        await client.send(frame(TEXT, "late"), frame(PING, "late"), frame(TEXT, "x", fin=False), close(1001))
        assert await client.at_end()
        client.sock.close()
        await owner.closed.wait()
        assert owner.messages == []
        assert owner.codes == [1001]

    net.run(scenario)


def test_we_part_and_what_the_peer_has_sent_before_counts(net):
    async def scenario():
        connection, client, owner = await net.open(PATIENT)
        connection.part(1001)
        connection.close(1000)  # once is enough
        connection.write(b"\x81\x04late")
        assert connection.state is State.PARTING
        assert (await client.frame()).close_code == 1001
        assert await client.at_end()  # at once: what it sends after it has seen our close frame is lost
        await client.send(frame(TEXT, "one"), frame(PING, "x"), frame(TEXT, "t", fin=False), frame(CONTINUATION, "wo"))
        assert not owner.closed.is_set()
        await client.send(close(1001))
        await owner.closed.wait()
        assert owner.messages == ["one", "two"]
        assert owner.codes == [1001]
        client.sock.close()

    net.run(scenario)


def test_a_peer_that_does_not_stop_is_paused_while_we_part_and_not_waited_for(quick):
    async def scenario(connection, transport, owner):
        connection.part(1001)
        owner.on_message = lambda message: connection.pause()
        transport.feed(frame(TEXT, "one") + frame(TEXT, "two"))
        assert transport.events[-1] == "pause"
        await quick.until(lambda: "abort" in transport.events)

    on_nonet(quick, scenario)


def test_what_was_held_when_we_part_counts(quick):
    async def scenario(connection, transport, owner):
        connection.pause()
        transport.feed(frame(TEXT, "one") + frame(TEXT, "two"))
        connection.part(1001)
        assert owner.messages == []
        assert transport.events == ["pause", "eof"]
        connection.resume()
        transport.feed(frame(TEXT, "three") + close(1001))
        assert owner.messages == ["one", "two", "three"]
        assert owner.codes == [1001]

    on_nonet(quick, scenario)


@pytest.mark.parametrize("end", [lambda connection: connection.close(1000), lambda connection: connection.part(1001)])
def test_whom_the_close_frame_itself_cuts_off_is_not_closing_any_more(quick, end):
    async def scenario(connection, transport, owner):
        most = text_frame(bytes(65_532))  # that waits for the end of the turn
        connection.write(most)
        connection.flush()
        connection.write(most)
        assert connection.state is State.OPEN
        end(connection)
        assert connection.state is State.LINGERING
        assert connection.close_code == CUT_OFF

    on_nonet(quick, scenario, Limits(queued_bytes=60_000), stuck=True)


def test_shutdown_is_going_away(net):
    async def scenario():
        connection, client, _ = await net.open()
        connection.shutdown()
        assert (await client.frame()).close_code == 1001

    net.run(scenario)


def test_frames_written_before_the_close_come_before_it_and_none_after(net):
    async def scenario():
        connection, client, _ = await net.open(LIMITS)
        connection.write(text_frame(b"last"))
        connection.close(1000)
        connection.write(text_frame(b"too late"))  # 5.5.1: no data frames after a close frame
        assert await client.frame() == Frame(TEXT, b"last")
        assert (await client.frame()).close_code == 1000
        assert await client.at_end()

    net.run(scenario)


def test_a_peer_that_never_answers_our_close_is_cut(net):
    async def scenario():
        connection, client, owner = await net.open(LIMITS)
        connection.close(1000)
        await owner.closed.wait()
        assert owner.codes == [1006]
        await client.until_cut()

    net.run(scenario)


def test_a_peer_that_never_ends_tcp_is_cut(net):
    async def scenario():
        _, client, owner = await net.open(LIMITS)
        await client.send(close(1000))
        await owner.closed.wait()
        assert owner.codes == [1000]
        await client.until_cut()

    net.run(scenario)


def test_a_peer_that_floods_after_the_end_is_cut(net):
    async def scenario():
        _, client, owner = await net.open(LIMITS)
        await client.send(close(1000))

        async def flood():
            while True:
                await client.send(frame(TEXT, "x" * 10_000))

        flooding = asyncio.ensure_future(flood())
        await owner.closed.wait()
        with pytest.raises(ConnectionError):
            await flooding
        assert owner.messages == []

    net.run(scenario)


@pytest.mark.parametrize("reset", [False, True])
def test_tcp_ends_without_a_close_frame(net, reset):
    async def scenario():
        _, client, owner = await net.open()
        await client.send(frame(TEXT, "x"))
        await net.until(lambda: owner.messages)
        if reset:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.sock.close()
        await owner.closed.wait()
        assert owner.codes == [1006]

    net.run(scenario)


def test_half_closed_tcp_is_the_end(net):
    async def scenario():
        _, client, owner = await net.open()
        client.sock.shutdown(socket.SHUT_WR)
        await owner.closed.wait()
        assert owner.codes == [1006]
        assert await client.at_end()

    net.run(scenario)


def test_abort_ends_at_once_and_is_told_once(net):
    async def scenario():
        connection, client, owner = await net.open()
        connection.write(text_frame(b"never sent"))
        connection.abort()
        connection.abort()
        await owner.closed.wait()
        await client.until_cut()
        assert not client.waiting
        connection.abort()
        connection.close()
        connection.fail(1011, "")
        connection.write(text_frame(b"x"))
        await asyncio.sleep(0)
        assert owner.codes == [1006]
        assert len(connection._transport.writes) == 1

    net.run(scenario)


def test_the_server_s_own_failure_while_it_closes_is_no_second_close_frame(net):
    async def scenario():
        connection, client, _ = await net.open(PATIENT)
        connection.close(1000)
        connection.fail(1011, "")
        assert (await client.frame()).close_code == 1000
        assert await client.at_end()

    net.run(scenario)


# --- on a transport without a network


def on_nonet(quick, scenario, limits=LIMITS, **kind):
    async def whole():
        transport, owner = NoNet(**kind), Owner()
        connection = WebSocketConnection(quick.loop, transport, limits, b"", b"", owner.receive, owner.is_closed)
        transport.writes.clear()
        connection.start()
        await scenario(connection, transport, owner)
        transport.protocol.connection_lost(None)
        assert len(owner.codes) == 1
        assert connection.state is State.CLOSED

    quick.run(whole)


@pytest.mark.parametrize("first", ["peer", "we", "failure"])
def test_tls_cannot_be_half_closed_so_it_is_closed(quick, first):
    """RFC 6455 7.1.1: the server ends TCP. A browser waits for that before it tells its page."""

    async def scenario(connection, transport, owner):
        if first == "we":
            connection.close(1000)
        transport.feed(frame(CONTINUATION, "x") if first == "failure" else close(1000))
        assert len(parse(transport.output)) == 1
        assert transport.events[-1] == "close"

    on_nonet(quick, scenario, PATIENT, tls=True)


def test_tls_that_cannot_send_its_last_bytes_is_cut(quick):
    async def scenario(connection, transport, owner):
        transport.feed(close(1000))
        await quick.until(lambda: "abort" in transport.events)

    on_nonet(quick, scenario, tls=True)


def test_a_pause_does_not_keep_the_peer_s_close_frame_away(quick):
    async def scenario(connection, transport, owner):
        connection.pause()
        connection.close(1000)
        assert transport.events == ["pause", "resume"]
        transport.feed(close(1000))
        assert transport.events[-1] == "eof"

    on_nonet(quick, scenario, PATIENT)


@pytest.mark.parametrize("again", [False, True])
def test_what_was_held_when_the_peer_closes_counts(quick, again):
    """However busy the owner is, and says that it is at each message."""

    async def scenario(connection, transport, owner):
        connection.pause()
        if again:
            owner.on_message = lambda message: connection.pause()
        transport.feed(frame(TEXT, "one") + frame(TEXT, "two") + close(1000))
        assert owner.messages == ["one", "two"]
        assert owner.codes == [1000]
        assert transport.events[-2:] == ["resume", "eof"]

    on_nonet(quick, scenario, PATIENT)


def test_the_owner_may_close_while_it_takes_what_was_held_when_the_peer_closed(quick):
    async def scenario(connection, transport, owner):
        connection.pause()
        owner.on_message = lambda message: connection.close(1008)
        transport.feed(frame(TEXT, "one") + frame(TEXT, "two") + close(1000))
        assert owner.messages == ["one"]
        assert [answer.close_code for answer in parse(transport.output)] == [1008]

    on_nonet(quick, scenario, PATIENT)


def test_what_waits_for_the_end_of_the_turn_ends_with_tcp(quick):
    async def scenario(connection, transport, owner):
        connection.write(text_frame(b"x"))
        transport.protocol.connection_lost(None)
        connection.flush()
        assert transport.writes == []

    on_nonet(quick, scenario)


def test_what_comes_after_the_end_is_kept_nowhere(quick):
    buffers = []

    async def scenario(connection, transport, owner):
        transport.feed(close(1000))
        buffers.append(transport.protocol.get_buffer(1_000_000))
        transport.feed(bytes(1_000_000))

    for _ in range(2):
        on_nonet(quick, scenario, PATIENT)
    assert buffers[0] is buffers[1]


def test_the_owner_may_close_in_the_midst_of_a_batch(quick):
    async def scenario(connection, transport, owner):
        owner.on_message = lambda message: connection.close(1000)
        transport.feed(frame(TEXT, "one") + frame(TEXT, "two"))
        assert owner.messages == ["one"]

    on_nonet(quick, scenario, PATIENT)


def test_the_owner_may_close_while_it_takes_what_was_held(quick):
    async def scenario(connection, transport, owner):
        connection.pause()
        transport.feed(frame(TEXT, "one") + frame(TEXT, "two") + frame(TEXT, "three"))
        owner.on_message = lambda message: connection.close(1000)
        connection.resume()
        assert owner.messages == ["one"]

    on_nonet(quick, scenario, PATIENT)


def test_a_connection_that_was_cut_off_writes_nothing_more(quick):
    limits = Limits(queued_bytes=1000)

    async def scenario(connection, transport, owner):
        for _ in range(5):
            connection.write(text_frame(b"x" * 600))
            connection.flush()
        assert transport.events == ["abort"]
        written = len(transport.writes)
        for _ in range(5):  # the owner hears of it in another turn, and sends on
            connection.write(text_frame(b"x" * 600))
            connection.flush()
        transport.feed(frame(TEXT, "x") + frame(PING))
        await asyncio.sleep(0)
        assert len(transport.writes) == written
        assert connection.buffered_bytes <= 2 * limits.queued_bytes
        assert connection.close_code == CUT_OFF

    on_nonet(quick, scenario, limits, stuck=True)
