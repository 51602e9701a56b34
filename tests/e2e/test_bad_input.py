"""Clients that send what they must not: each gets the defined answer, and nobody else feels it."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenwire.limits import Limits
from support.engine import POLLING, WEBSOCKET, Client, Polling
from support.healthy import Healthy, assert_no_flood
from support.raw import Connection
from support.site import Site, new_socketio
from support.waiting import Log, wait_until

DEEP = 100_000
NESTED = "[" * 900 + "]" * 900  # as deep as JSON may be, and deeper than Python likes to recurse


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    socketio = new_socketio(limits=Limits(namespaces=100, header_timeout_s=5, graceful_s=5))
    socketio.notes = Log()
    socketio.on("echo")(lambda *data: data)
    socketio.on("disconnect")(lambda reason: socketio.notes.append(reason))
    with Site(socketio) as site, Healthy(site.port) as healthy:
        site.healthy = healthy
        yield site


@pytest.fixture
def site(running: Site, caplog) -> Iterator[Site]:
    """Around each test: the healthy client is served, and nothing has grown."""
    wait_until(lambda: len(running.peers) == 1)
    running.socketio.notes.clear()
    before = resident_bytes()
    running.healthy.check()
    yield running
    running.healthy.check()
    wait_until(lambda: running.members == 1 and len(running.peers) == 1, "only the healthy client is left")
    assert resident_bytes() - before < 60_000_000
    assert_no_flood(caplog.records)


def resident_bytes() -> int:
    """What this process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


# --- HTTP


def test_random_bytes(site):
    dice = random.Random(7)
    for _ in range(200):
        with Connection(site.port) as raw:
            raw.send(dice.randbytes(dice.randint(1, 400)))
            raw.sock.shutdown(1)
            assert raw.at_end()


def test_half_requests(site):
    request = f"GET {POLLING} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    for length in range(1, len(request) - 1, 3):
        with Connection(site.port) as raw:
            raw.send(request[:length])
            raw.sock.shutdown(1)
            assert raw.at_end()


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        ["Content-Length: 3", "Content-Length: 4"],
        ["Content-Length: -1"],
        ["Content-Length: 3x"],
        ["Transfer-Encoding: chunked, identity"],
    ],
)
def test_bodies_of_two_minds(site, lines):
    with Connection(site.port) as raw:
        head = [f"POST {POLLING}&sid=x HTTP/1.1", "Host: x", *lines, "", ""]
        raw.send("\r\n".join(head).encode() + b"0\r\n\r\n")
        assert raw.response().status == 400
        assert raw.at_end()


# --- Engine.IO


def test_random_frames(site):
    dice = random.Random(8)
    for _ in range(100):
        with Client(site.port) as client:
            client.handshake()
            client.send(dice.randbytes(dice.randint(2, 200)))
            client.sock.shutdown(1)
            assert client.at_end()


def test_random_messages(site):
    dice = random.Random(9)
    for _ in range(100):
        with Client(site.port) as client:
            client.join()
            text = "4" + "".join(dice.choices('0123456789-,/[]{}"abc\x00é', k=dice.randint(0, 40)))
            client.send_text(text)
            client.send_text("41")
            client.send_text("1")
            assert client.close_code() in (1000, 1002)


def test_a_frame_cut_in_the_middle(site):
    for _ in range(20):
        with Client(site.port) as client:
            client.join()
            client.send(b"\x81\xfe\x7f\xff\x00\x00\x00\x0042")
            client.reset()


def test_unknown_sids(site):
    with Connection(site.port) as raw:
        for n in range(300):
            assert raw.request("POST", f"{POLLING}&sid={n:020}", (), b"4").json["code"] == 1


def test_garbage_during_an_upgrade(site):
    with Polling(site.port) as polling:
        polling.join()
        for _ in range(50):
            with Client(site.port) as client:
                client.open(f"{WEBSOCKET}&sid={polling.sid}")
                client.send_text("garbage")
                assert client.close_code() == 1002
        polling.say("3", "1")


def test_sessions_opened_and_dropped(site):
    for n in range(300):
        with Client(site.port) as client:
            if n % 3 == 0:
                client.handshake()
            elif n % 3 == 1:
                client.join()
            else:
                client.open(WEBSOCKET)
                client.reset()


# --- Socket.IO

BAD = {
    "an unknown type": ["49"],
    "no packet at all": ["4"],
    "a letter": ["4x"],
    "an event without data": ["42"],
    "an event that is an object": ["42{}"],
    "an event without a name": ["42[]"],
    "a name that is no text": ["42[1.5]"],
    "a name that is an object": ["42[{}]"],
    "a name that is true": ["42[true]"],
    "a reserved name": ['42["connect"]'],
    "another reserved name": ['42["disconnect"]'],
    "half of the JSON": ['42["x"'],
    "an acknowledgement without id": ["43[]"],
    "an acknowledgement that is no list": ["431{}"],
    "a long id": ["42" + "9" * 30 + '["x"]'],
    "a very long id": ["42" + "9" * 100_000 + '["x"]'],
    "a binary event without count": ['45["x"]'],
    "no attachments": ['450-["x"]'],
    "too many attachments": ['4511-["x"]'],
    "far too many attachments": ["45" + "9" * 100_000 + '-["x"]'],
    "attachments where there are none": ['421-["x"]'],
    "a text instead of an attachment": ['451-["x",{"_placeholder":true,"num":0}]', '42["x"]'],
    "an attachment that nobody announced": [b"x"],
    "one attachment too many": ['451-["x",{"_placeholder":true,"num":0}]', b"x", b"y"],
    "a placeholder beyond": ['451-["x",{"_placeholder":true,"num":1}]', b"x"],
    "a placeholder before": ['451-["x",{"_placeholder":true,"num":-1}]', b"x"],
    "a placeholder without number": ['451-["x",{"_placeholder":true}]', b"x"],
    "a placeholder that is no number": ['451-["x",{"_placeholder":true,"num":"0"}]', b"x"],
    "a CONNECT_ERROR": ["44{}"],
    "a CONNECT with a list": ["40/y,[]"],
    "a CONNECT with a text": ['40/y,"x"'],
    "a second CONNECT": ["40"],
    "a DISCONNECT with data": ['41{"x":1}'],
    "a namespace that was never joined": ['42/other,["x"]'],
    "a binary event for a namespace that was never joined": ['451-/other,["x",{"_placeholder":true,"num":0}]'],
    "leaving a namespace that was never joined": ["41/other,"],
    "a bomb of lists": ['42["echo",' + "[" * DEEP],
    "a bomb of lists, closed": ['42["echo",' + "[" * DEEP + "]" * DEEP + "]"],
    "a bomb of objects": ['42["echo",' + '{"a":' * DEEP],
    "a bomb in CONNECT": ['40/y,{"a":' + "[" * DEEP],
    "a bomb around an attachment": ['451-["echo",' + "[" * DEEP],
}


@pytest.mark.parametrize("packets", BAD.values(), ids=BAD)
def test_what_is_no_packet_ends_the_session(site, packets):
    with Client(site.port) as client:
        client.join()
        for packet in packets:
            client.send_frame(*((2, packet) if isinstance(packet, bytes) else (1, packet.encode())))
        assert client.close_code() == 1002
    assert site.socketio.notes.wait_for(1) == ["parse error"]


@pytest.mark.parametrize("packet", ["49", '42["x"', "40/y,[]"])
def test_what_is_no_packet_ends_a_polling_session(site, packet):
    with Polling(site.port) as polling:
        polling.join()
        polling.post(packet, '42["echo"]', "49")
        assert polling.get(polling.target).json["code"] == 1
    assert site.socketio.notes.wait_for(1) == ["parse error"]


@pytest.mark.parametrize("packet", ['42["x"]', "41", "431[]", '451-["x",{"_placeholder":true,"num":0}]'])
def test_anything_before_connect_ends_the_session(site, packet):
    with Client(site.port) as client:
        client.handshake()
        client.send_text(packet)
        assert client.close_code() == 1002


@pytest.mark.parametrize("where", [f'["echo",{NESTED},', f'["echo",{"[" * 900}'])
def test_depth_around_an_attachment(site, where):
    """Deep, but good JSON: the packet may be refused, and then as any other."""
    closing = "]" if where.endswith(",") else "]" * 901
    with Client(site.port) as client:
        client.join()
        client.send_text("451-" + where + '{"_placeholder":true,"num":0}' + closing)
        client.send_frame(2, b"x")
        client.send_text("41")
        client.send_text("1")
        assert client.close_code() in (1000, 1002)


def test_half_of_an_emoji_is_no_crime(site):
    """JSON.stringify writes a lone surrogate for a text that was cut in the middle of an emoji."""
    with Client(site.port) as client:
        client.join()
        client.send_text(r'421["echo","\ud83d"]')
        assert client.receive() == r'431["\ud83d"]'
        client.send_text(r'422["echo","\ud83d\ude00"]')
        assert client.receive() == '432["😀"]'


def test_numbers_beyond_64_bits(site):
    with Client(site.port) as client:
        client.join()
        client.send_text(f'421["echo",{2**80}]')
        assert float(client.receive()[4:-1]) == float(2**80)
        client.send_text(f'422["echo",{"9" * 50_000}]')
        client.send_text("41")
        client.send_text("1")
        assert client.close_code() in (1000, 1002)


def test_a_binary_packet_is_not_kept_when_the_client_goes(site):
    with Client(site.port) as client:
        client.join()
        client.send_text('4510-["x",{"_placeholder":true,"num":0}]')
        for _ in range(9):
            client.send_frame(2, bytes(100_000))


def test_namespaces_that_do_not_exist(site):
    with Client(site.port) as client:
        client.handshake()
        for n in range(5_000):
            client.send_text(f"40/{n},")
            if n % 100 == 99:
                for m in range(n - 99, n + 1):
                    assert client.packet() == f'44/{m},{{"message":"Invalid namespace"}}'
        client.join()


def test_a_long_namespace(site):
    with Client(site.port) as client:
        client.handshake()
        name = "/" + "x" * 500_000
        client.send_text(f"40{name},")
        assert client.receive() == f'44{name},{{"message":"Invalid namespace"}}'
