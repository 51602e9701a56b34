"""permessage-deflate: what is agreed, what compressed messages become, and what a bomb becomes."""

import json
import subprocess
import tracemalloc
import zlib
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

from clients.nodejs import ROOT, node
from greenwire.errors import RemoteProtocolError
from greenwire.limits import Limits
from greenwire.websocket.compressed import CompressedWebSocket
from greenwire.websocket.connection import WebSocketConnection
from greenwire.websocket.deflate import Deflater, agree, inflate
from greenwire.websocket.frame import binary_frame, close_frame, pong_frame, text_frame
from support.rawframes import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, frame, parse
from support.site import Site, new_socketio

LIMITS = Limits(message_bytes=100_000, fragments=5, close_timeout_s=15.0)
BASE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def deflated(data, bits=15, end=zlib.Z_SYNC_FLUSH):
    data = data.encode() if isinstance(data, str) else data
    stream = zlib.compressobj(6, zlib.DEFLATED, -bits)
    return (stream.compress(data) + stream.flush(end)).removesuffix(b"\x00\x00\xff\xff")


# --- the handshake


@pytest.mark.parametrize(
    ("offers", "bits", "answer"),
    [
        ("permessage-deflate", 15, BASE),
        ("permessage-deflate; client_max_window_bits", 15, BASE),
        ("permessage-deflate;client_max_window_bits=8", 15, BASE),
        ("Permessage-Deflate ; Server_No_Context_Takeover; client_no_context_takeover", 15, BASE),
        ("permessage-deflate; server_max_window_bits=15", 15, BASE),
        ("permessage-deflate; server_max_window_bits=10", 10, BASE + "; server_max_window_bits=10"),
        ('permessage-deflate; server_max_window_bits="9"', 9, BASE + "; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", 15, BASE),
        ("x-other, permessage-deflate; nonsense, permessage-deflate", 15, BASE),
    ],
)
def test_what_is_agreed(offers, bits, answer):
    assert agree(offers) == (bits, answer)


@pytest.mark.parametrize(
    "offers",
    [
        None,
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits=" + "1" * 5_000,
        "permessage-deflate;",
    ],
)
def test_what_is_declined(offers):
    assert agree(offers) is None


# --- bytes


@given(st.binary(max_size=3_000), st.integers(9, 15))
def test_there_and_back(data, bits):
    [found] = parse(Deflater(0).deflate(text_frame(data), bits))
    assert found.rsv in (0, 4)
    assert (inflate(found.payload, 10_000) if found.rsv else found.payload) == data
    assert inflate(deflated(data, bits), len(data) or 1) == data


def test_several_frames_in_one():
    text, blob = b"x" * 2_000, b"y" * 90_000
    frames = text_frame(text) + binary_frame(b"short") + binary_frame(blob) + pong_frame(b"p" * 100) + close_frame(1000)
    first, second, third, fourth, fifth = parse(Deflater(50).deflate(frames, 15))
    assert (first.opcode, first.rsv, inflate(first.payload, 10_000)) == (TEXT, 4, text)
    assert (second.opcode, second.rsv, second.payload) == (BINARY, 0, b"short")
    assert (third.opcode, third.rsv, inflate(third.payload, 100_000)) == (BINARY, 4, blob)
    assert (fourth.opcode, fourth.rsv) == (PONG, 0)
    assert (fifth.opcode, fifth.rsv) == (CLOSE, 0)


def test_only_what_is_worth_it():
    small, random = text_frame(b"x" * 99), text_frame(bytes(range(256)))
    assert Deflater(100).deflate(small, 15) == small
    assert Deflater(100).deflate(random, 15) == random
    assert Deflater(99).deflate(small, 15) != small


def test_a_broadcast_is_compressed_once(monkeypatch):
    made = []
    real = zlib.compressobj
    monkeypatch.setattr(zlib, "compressobj", lambda *args: made.append(args) or real(*args))
    deflater, message = Deflater(100), text_frame(b"x" * 1_000)
    results = [deflater.deflate(message, 15 if n % 3 else 10) for n in range(300)]
    assert len(made) == 2
    assert len({id(result) for result in results}) == 2


def test_what_is_no_compressed_message():
    for data in (b"\xff\xff\xff", b"\x07", b"\x00\x05\x00\x00\x00Hello"):
        with pytest.raises(RemoteProtocolError) as caught:
            inflate(data, 1_000)
        assert caught.value.close_code == 1007


def test_a_stream_that_has_ended():
    """RFC 7692 7.2.3.5: its last block may be final."""
    assert inflate(deflated("Hello", end=zlib.Z_FINISH) + b"\0", 100) == b"Hello"
    assert inflate(deflated("Hello", end=zlib.Z_FINISH), 100) == b"Hello"
    with pytest.raises(RemoteProtocolError):
        inflate(deflated("a", end=zlib.Z_FINISH) * 3, 100)


def test_the_examples_of_the_standard():
    compressed, stored = b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"\x00\x05\x00\xfa\xffHello\x00"
    for data in (compressed, stored, b"\xf3" + compressed[1:] + b"\0"):
        assert inflate(data, 100) == b"Hello"
    assert inflate(b"\x00", 100) == b""


def test_the_limit_and_one_past():
    assert inflate(deflated(b"x" * 1_000), 1_000) == b"x" * 1_000
    with pytest.raises(RemoteProtocolError) as caught:
        inflate(deflated(b"x" * 1_001), 1_000)
    assert caught.value.close_code == 1009


def test_a_bomb_takes_no_more_memory_than_a_message_may():
    bomb = deflated(bytes(20_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError):
            inflate(bomb, 1_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


# --- a connection


def exchange(net, sent, messages, code=None):
    """*sent* gives *messages*, and, with *code*, a close frame and the end of TCP."""

    async def scenario():
        kind = partial(CompressedWebSocket, deflater=Deflater(50), window_bits=15)
        connection, client, owner = await net.open(LIMITS, kind=kind)
        await client.send(*sent)
        if code is None:
            await net.until(lambda: len(owner.messages) >= len(messages))
            connection.write(text_frame(b"answer " * 100))
            answer = await client.frame()
            while answer.opcode == PONG:
                answer = await client.frame()
            assert (answer.rsv, inflate(answer.payload, 10_000)) == (4, b"answer " * 100)
        else:
            assert (await client.frame()).close_code == code
            client.sock.close()
            await owner.closed.wait()
        assert owner.messages == messages

    net.run(scenario)


@pytest.mark.parametrize(
    ("sent", "messages"),
    [
        ([frame(TEXT, deflated("hällo"), rsv=4)], ["hällo"]),
        ([frame(BINARY, deflated(b"\0\xff"), rsv=4)], [b"\0\xff"]),
        ([frame(TEXT, b"\0", rsv=4)], [""]),
        ([frame(TEXT, "plain"), frame(TEXT, deflated("a"), rsv=4), frame(TEXT, "plain")], ["plain", "a", "plain"]),
        ([frame(TEXT, deflated("a" * 5_000), rsv=4)] * 3, ["a" * 5_000] * 3),
        (
            [frame(TEXT, deflated("abc")[:2], rsv=4, fin=False), frame(PING), frame(CONTINUATION, deflated("abc")[2:])],
            ["abc"],
        ),
        ([frame(TEXT, "a", fin=False), frame(CONTINUATION, "b"), frame(TEXT, deflated("c"), rsv=4)], ["ab", "c"]),
        ([frame(BINARY, deflated(b"x" * 100_000), rsv=4)], [b"x" * 100_000]),
    ],
)
def test_messages(net, sent, messages):
    exchange(net, sent, messages)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([frame(TEXT, deflated("a"), rsv=6)], 1002),
        ([frame(TEXT, deflated("a"), rsv=5)], 1002),
        ([frame(TEXT, "a", rsv=2)], 1002),
        ([frame(PING, "a", rsv=4)], 1002),
        ([frame(TEXT, "a", fin=False), frame(CONTINUATION, "b", rsv=4)], 1002),
        ([frame(TEXT, deflated("a"), rsv=4, fin=False), frame(CONTINUATION, b"", rsv=4)], 1002),
        ([frame(TEXT, deflated("a"), rsv=4, fin=False), frame(TEXT, deflated("a"), rsv=4)], 1002),
        ([frame(CONTINUATION, deflated("a"), rsv=4)], 1002),
        ([frame(TEXT, b"\xff\xff\xff", rsv=4)], 1007),
        ([frame(TEXT, deflated(b"\xff\xfe"), rsv=4)], 1007),
        ([frame(BINARY, deflated(b"x" * 100_001), rsv=4)], 1009),
        ([frame(BINARY, deflated(bytes(50_000_000)), rsv=4)], 1009),
        ([frame(TEXT, b"a", rsv=4, fin=False), *[frame(CONTINUATION, b"a", fin=False)] * 5], 1009),
    ],
)
def test_what_ends_it(net, sent, code):
    exchange(net, sent, [], code)


def test_a_closed_one_says_nothing_more(net):
    async def scenario():
        kind = partial(CompressedWebSocket, deflater=Deflater(50), window_bits=15)
        connection, client, _ = await net.open(LIMITS, kind=kind)
        connection.close(1000)
        connection.write(text_frame(b"late" * 100))
        assert (await client.frame()).close_code == 1000
        await client.send(close(1000))
        assert await client.at_end()

    net.run(scenario)


@pytest.mark.parametrize(("end", "heard"), [("part", ["one", "two"]), ("close", [])])
def test_what_comes_compressed_after_our_close_frame(net, end, heard):
    async def scenario():
        kind = partial(CompressedWebSocket, deflater=Deflater(50), window_bits=15)
        connection, client, owner = await net.open(LIMITS, kind=kind)
        getattr(connection, end)(1001)
        assert (await client.frame()).close_code == 1001
        parts = deflated("two")
        fragments = frame(TEXT, parts[:2], rsv=4, fin=False), frame(CONTINUATION, parts[2:])
        await client.send(frame(TEXT, deflated("one"), rsv=4), *fragments, close(1001))
        await owner.closed.wait()
        assert owner.messages == heard

    net.run(scenario)


# --- clients that are not ours


@pytest.fixture
def site():
    socketio = new_socketio(ws_compression=True)
    socketio.on("echo")(lambda data: data)
    socketio.on("all")(lambda data: socketio.emit("news", data))
    with Site(socketio) as running:
        yield running


def test_it_is_off_unless_asked_for():
    with Site(new_socketio()) as site, connect(url_of(site)) as socket:
        assert socket.protocol.extensions == []
        (connection,) = site.service.loop.ask(lambda: list(site.service.server.connections))
        assert type(connection) is WebSocketConnection


def url_of(site):
    return f"ws://127.0.0.1:{site.port}/socket.io/?EIO=4&transport=websocket"


OFFERS = {
    "the usual one": {},
    "a small window": {"server_max_window_bits": 9, "client_max_window_bits": 9},
    "no takeover": {"server_no_context_takeover": True, "client_no_context_takeover": True},
}


@pytest.mark.parametrize("name", OFFERS)
def test_the_websockets_library(site, name):
    extensions = [ClientPerMessageDeflateFactory(**OFFERS[name])]
    with connect(url_of(site), extensions=extensions, compression=None, proxy=None) as socket:
        assert socket.protocol.extensions
        assert socket.recv()[0] == "0"
        socket.send("40")
        assert socket.recv()[:2] == "40"
        for size in (10, 2_000, 200_000):
            socket.send(f'421["echo","{"x" * size}"]')
            assert socket.recv() == f'431["{"x" * size}"]'


def test_the_websockets_library_throws_a_bomb(site):
    with connect(url_of(site), proxy=None) as socket:
        socket.recv()
        socket.send("40")
        socket.recv()
        socket.send('42["echo","' + "x" * 50_000_000 + '"]')
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv()
        assert caught.value.rcvd.code == 1009


NODE = """
import { createRequire } from "node:module";
const WebSocket = createRequire(process.argv[2])("ws");
const text = "x".repeat(50000);
const socket = new WebSocket(process.argv[3], { perMessageDeflate: { threshold: 0 } });
socket.on("message", (data) => {
  const packet = data.toString();
  if (packet[0] === "0") socket.send("40");
  else if (packet.startsWith("40")) socket.send(`421["echo","${text}"]`);
  else if (packet.startsWith("43")) {
    console.log(JSON.stringify({ extensions: socket.extensions, same: packet === `431["${text}"]` }));
    socket.close();
  }
});
"""


def test_nodes_ws(site, tmp_path):
    script = tmp_path / "client.mjs"
    script.write_text(NODE)
    command = [node(), str(script), str(ROOT / "package.json"), url_of(site)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {"extensions": "permessage-deflate", "same": True}


def test_a_broadcast_reaches_both_kinds(site):
    with (
        connect(url_of(site), proxy=None) as compressed,
        connect(url_of(site), compression=None, proxy=None) as plain,
    ):
        for socket in (compressed, plain):
            socket.recv()
            socket.send("40")
            socket.recv()
        plain.send('42["all","' + "x" * 5_000 + '"]')
        for socket in (compressed, plain):
            assert socket.recv() == '42["news","' + "x" * 5_000 + '"]'
