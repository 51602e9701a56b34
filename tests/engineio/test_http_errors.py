"""Engine.IO over HTTP: what is refused, with which status, code and text (Node's engine.io 6.6), and to whom."""

from collections.abc import Iterator

import pytest

from greenwire.flask import emit
from greenwire.limits import Limits
from support.engine import POLLING, WEBSOCKET, Client, Polling
from support.raw import HANDSHAKE, Connection, WebSocket
from support.site import Site, new_socketio

PATH = "/socket.io/"
UNKNOWN_TRANSPORT = {"code": 0, "message": "Transport unknown"}
UNKNOWN_SESSION = {"code": 1, "message": "Session ID unknown"}
BAD_METHOD = {"code": 2, "message": "Bad handshake method"}
BAD_REQUEST = {"code": 3, "message": "Bad request"}
BAD_VERSION = {"code": 5, "message": "Unsupported protocol version"}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(new_socketio(limits=Limits(graceful_s=5))) as site:
        yield site


@pytest.fixture
def raw(site: Site) -> Iterator[Connection]:
    with Connection(site.port) as raw:
        yield raw


@pytest.fixture
def polling(site: Site) -> Iterator[Polling]:
    with Polling(site.port) as polling:
        polling.handshake()
        yield polling


def refused(response, expected):
    assert response.status == 400
    assert response.get("content-type") == "application/json"
    assert response.json == expected


# --- without a session


@pytest.mark.parametrize(
    ("method", "query", "expected"),
    [
        ("GET", "", UNKNOWN_TRANSPORT),
        ("GET", "?EIO=4", UNKNOWN_TRANSPORT),
        ("GET", "?EIO=4&transport=", UNKNOWN_TRANSPORT),
        ("GET", "?EIO=4&transport=carrier-pigeon", UNKNOWN_TRANSPORT),
        ("GET", "?EIO=4&transport=constructor", UNKNOWN_TRANSPORT),
        ("GET", "?EIO=4&transport=webtransport", UNKNOWN_TRANSPORT),
        ("GET", "?EIO=4&transport=polling&sid=nobody", UNKNOWN_SESSION),
        ("GET", "?EIO=4&transport=polling&sid=__proto__", UNKNOWN_SESSION),
        ("GET", "?EIO=4&transport=polling&sid=", UNKNOWN_SESSION),
        ("POST", "?EIO=4&transport=polling&sid=nobody", UNKNOWN_SESSION),
        ("GET", "?EIO=4&transport=websocket&sid=nobody", UNKNOWN_SESSION),
        ("POST", "?EIO=4&transport=polling", BAD_METHOD),
        ("PUT", "?EIO=4&transport=polling", BAD_METHOD),
        ("DELETE", "?EIO=4&transport=polling", BAD_METHOD),
        ("GET", "?EIO=4&transport=websocket", BAD_REQUEST),
        ("GET", "?transport=polling", BAD_VERSION),
        ("GET", "?EIO=3&transport=polling", BAD_VERSION),
        ("GET", "?EIO=abc&transport=polling", BAD_VERSION),
    ],
)
def test_refusals_without_a_session(raw, method, query, expected):
    refused(raw.request(method, PATH + query), expected)
    assert raw.get(POLLING).status == 200  # the connection can be used again


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?EIO=4&transport=tcp", UNKNOWN_TRANSPORT),
        ("?EIO=4&transport=websocket&sid=nobody", UNKNOWN_SESSION),
        ("?EIO=4&transport=polling", BAD_REQUEST),
        ("?EIO=3&transport=websocket", BAD_VERSION),
    ],
)
def test_refusals_of_an_upgrade_come_before_the_101(site, query, expected):
    with WebSocket(site.port) as socket:
        refused(socket.open(PATH + query, expect=400), expected)


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (("Sec-WebSocket-Version", "8"), 426),
        (("Sec-WebSocket-Key", "short"), 400),
        (("Sec-WebSocket-Key", "not base64 at all!"), 400),
        (("Connection", "keep-alive"), 400),
    ],
)
def test_bad_handshakes(raw, field, status):
    fields = tuple(dict([*HANDSHAKE, field]).items())
    response = raw.get(WEBSOCKET, *fields)
    assert response.status == status
    assert response.json["code"] == 3


def test_the_path_needs_its_slash(raw):
    assert raw.get("/socket.io?EIO=4&transport=polling").status == 404
    assert raw.get("/socket.io/anything?EIO=4&transport=polling").status == 200


# --- with a session


def test_what_does_not_fit_the_session_leaves_it_alive(polling):
    refused(polling.get(f"{WEBSOCKET}&sid={polling.sid}"), BAD_REQUEST)
    refused(polling.get(f"/socket.io/?EIO=3&transport=polling&sid={polling.sid}"), BAD_VERSION)
    refused(polling.request("PUT", polling.target), BAD_METHOD)
    refused(polling.request("DELETE", polling.target, (), b"x"), BAD_METHOD)
    polling.join()


def test_a_session_on_a_websocket_does_not_poll(site):
    with Client(site.port) as client, Connection(site.port) as raw, WebSocket(site.port) as second:
        client.handshake()
        target = f"{POLLING}&sid={client.sid}"
        refused(raw.get(target), BAD_REQUEST)
        refused(raw.request("POST", target, (), b"41"), BAD_REQUEST)
        refused(second.open(f"{WEBSOCKET}&sid={client.sid}", expect=400), BAD_REQUEST)
        client.join()


@pytest.mark.parametrize("body", ["abc", "9", "", "4ok\x1e", "2", "0", "bnot base64"])
def test_packets_that_are_none_end_the_session(polling, body):
    response = polling.post(body)
    assert response.status == 400
    assert response.json["code"] == 3
    refused(polling.get(polling.target), UNKNOWN_SESSION)


def test_bytes_that_are_no_utf8_end_the_session(polling):
    assert polling.request("POST", polling.target, (), b"4\xff").status == 400
    refused(polling.get(polling.target), UNKNOWN_SESSION)


def test_a_websocket_packet_that_is_none(site):
    for packet in ("x", "", "7", "0", "2", "bAAAA"):
        with Client(site.port) as client:
            client.handshake()
            client.send_text(packet)
            assert client.close_code() == 1002


def test_a_websocket_that_is_sent_more_before_its_connect_packet_than_may_wait():
    socketio = new_socketio(limits=Limits(queued_packets=3))
    socketio.on("connect")(lambda: [emit("hello", n) for n in range(4)])
    with Site(socketio) as site, Client(site.port) as client:
        client.handshake()
        client.send_text("40")
        assert client.close_code() == 1008


# --- sizes


@pytest.mark.parametrize(("size", "status"), [(1_000_000, 200), (1_000_001, 413)])
def test_a_post_at_the_limit_and_past_it(site, polling, size, status):
    polling.join()
    assert polling.post('42["' + "x" * (size - 6) + '"]').status == status
    with Polling(site.port) as again:  # the answer may have ended the connection, never the session
        again.sid = polling.sid
        again.say("3")


@pytest.mark.parametrize(("size", "code"), [(1_000_000, None), (1_000_001, 1009)])
def test_a_websocket_message_at_the_limit_and_past_it(site, size, code):
    with Client(site.port) as client:
        client.join()
        client.send_text('42["' + "x" * (size - 6) + '"]')
        if code is None:
            client.send_text("41")
            client.send_text("1")
            code = 1000
        assert client.close_code() == code


def test_many_fragments_past_the_limit(site):
    with Client(site.port) as client:
        client.join()
        client.send_frame(1, b"4", first_byte=0x01)
        for _ in range(101):
            client.send_frame(0, b"x" * 10_000, first_byte=0x00)
        assert client.close_code() == 1009
