"""Engine.IO over HTTP: the handshake, polling, CORS, the cookie, compression, and how sessions end."""

import gzip
import re
import zlib
from collections.abc import Iterator

import pytest

from greenwire.engineio.packet import message
from greenwire.limits import Limits
from support.engine import POLLING, WEBSOCKET, Client, Polling
from support.raw import Connection, WebSocket
from support.site import Site, new_socketio
from support.waiting import Log, wait_until

ORIGIN = ("Origin", "https://example.com")


def make(**options):
    socketio = new_socketio(**options)
    socketio.notes = Log()

    @socketio.on("size")
    def size(number):
        return "x" * number

    @socketio.on("disconnect")
    def gone(reason):
        socketio.notes.append(reason)

    return socketio


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(make()) as site:
        yield site


@pytest.fixture
def notes(site: Site) -> Log:
    """Reasons of disconnects, of this test only."""
    site.close_all()
    site.socketio.notes.clear()
    return site.socketio.notes


# --- the handshake


def test_the_handshake_of_polling(site):
    with Polling(site.port) as polling:
        response = polling.get(POLLING)
        assert response.get("content-type") == "text/plain; charset=UTF-8"
        assert response.get("cache-control") == "no-store"
        opened = polling.handshake()
        assert list(opened) == ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]
        assert re.fullmatch(r"[\w-]{20}", opened.pop("sid"))
        assert opened == {
            "upgrades": ["websocket"],
            "pingInterval": 25_000,
            "pingTimeout": 20_000,
            "maxPayload": 1_000_000,
        }


def test_the_handshake_of_a_websocket(site):
    with Client(site.port) as client:
        assert client.handshake()["upgrades"] == []


@pytest.mark.parametrize(("options", "upgrades"), [({"allow_upgrades": False}, []), ({"transports": ["polling"]}, [])])
def test_upgrades_are_offered_where_they_are_allowed(options, upgrades):
    with Site(make(**options)) as site, Polling(site.port) as polling:
        assert polling.handshake()["upgrades"] == upgrades


def test_a_transport_that_is_switched_off_is_unknown():
    with Site(make(transports=["websocket"])) as site, Connection(site.port) as raw:
        assert raw.get(POLLING).json == {"code": 0, "message": "Transport unknown"}
        with Client(site.port) as client:
            client.join()
    with Site(make(transports="polling")) as site, WebSocket(site.port) as socket:
        assert socket.open(WEBSOCKET, expect=400).json["code"] == 0


def test_options_are_advertised():
    options = {"ping_interval": 0.3, "ping_timeout": 0.2, "max_http_buffer_size": 1234}
    with Site(make(**options)) as site, Polling(site.port) as polling:
        opened = polling.handshake()
        assert (opened["pingInterval"], opened["pingTimeout"], opened["maxPayload"]) == (300, 200, 1234)


# --- polls and posts


def test_a_post_is_answered_ok(site):
    with Polling(site.port) as polling:
        polling.handshake()
        response = polling.post("40")
        assert (response.status, response.body) == (200, b"ok")
        assert response.get("content-type") == "text/html"
        assert response.get("cache-control") == "no-store"


def test_many_packets_in_one_post_and_in_one_poll(site):
    with Polling(site.port) as polling:
        polling.join()
        polling.say(*(f'42{n}["size",{n}]' for n in range(100)))
        packets = []
        while len(packets) < 100:
            packets += polling.poll()
        assert sorted(packets) == sorted(f'43{n}["{"x" * n}"]' for n in range(100))


def test_a_poll_waits_for_what_is_sent(site):
    with Polling(site.port) as polling, Polling(site.port) as poster:
        polling.join()
        polling.send_request("GET", polling.target)
        poster.sid = polling.sid
        poster.emit("size", 1)  # nothing comes of it
        poster.say('421["size",2]')
        assert polling.response().text == '431["xx"]'


def test_a_second_poll_ends_the_session(site, notes):
    with Polling(site.port) as polling, Polling(site.port) as second:
        polling.join()
        polling.send_request("GET", polling.target)
        second.sid = polling.sid
        wait_until(lambda: site.peers[polling.sid].session.holds_poll)
        assert second.get(second.target).status == 400
        assert polling.response().text == "1"
        assert second.get(second.target).json == {"code": 1, "message": "Session ID unknown"}
        assert notes.wait_for(1) == ["transport error"]


def test_a_second_post_ends_the_session(site, notes):
    with Polling(site.port) as polling, Polling(site.port) as second:
        polling.join()
        polling.send(f"POST {polling.target} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4".encode())
        second.sid = polling.sid
        wait_until(lambda: site.peers[polling.sid].posting)
        assert second.post("3").status == 400
        assert notes.wait_for(1) == ["transport error"]
        assert second.get(second.target).json["code"] == 1


def test_a_client_that_aborts_its_poll_is_gone(site, notes):
    with Polling(site.port) as polling:
        polling.join()
        polling.send_request("GET", polling.target)
        wait_until(lambda: site.peers[polling.sid].session.holds_poll)
    assert notes.wait_for(1) == ["transport close"]


def test_a_close_packet_ends_the_session(site, notes):
    with Polling(site.port) as polling, Polling(site.port) as poster:
        polling.join()
        polling.send_request("GET", polling.target)
        wait_until(lambda: site.peers[polling.sid].session.holds_poll)
        poster.sid = polling.sid
        poster.say("1")
        assert polling.response().text == "6"
        assert polling.get(polling.target).json["code"] == 1
        assert notes.wait_for(1) == ["client disconnect"]


@pytest.mark.parametrize("held", [True, False])
def test_what_was_sent_and_then_the_close_are_two_polls(site, notes, held):
    with Polling(site.port) as polling:
        polling.join()
        peer = site.peers[polling.sid]

        def say_and_close() -> None:
            peer.send(message("said"))
            peer.close()

        if held:
            polling.send_request("GET", polling.target)
            wait_until(lambda: peer.session.holds_poll)
        site.service.loop.ask(say_and_close)
        assert (polling.response().text if held else polling.poll()[0]) == "4said"
        assert polling.poll() == ["1"]
        assert polling.get(polling.target).json["code"] == 1
        assert notes.wait_for(1) == ["server disconnect"]


def test_a_close_packet_behind_messages(site, notes):
    with Polling(site.port) as polling:
        polling.join()
        polling.say("41", "1")
        assert notes.wait_for(1) == ["client disconnect"]
        assert polling.sid not in site.peers


def test_a_close_packet_on_a_websocket(site, notes):
    with Client(site.port) as client:
        client.join()
        client.send_text("1")
        assert client.close_code() == 1000
        assert notes.wait_for(1) == ["client disconnect"]


def test_a_websocket_that_closes(site, notes):
    with Client(site.port) as client:
        client.join()
        client.send_frame(8, (1001).to_bytes(2, "big"))
        assert client.close_code() == 1001
    assert notes.wait_for(1) == ["transport close"]


def test_a_client_that_joins_nothing_is_closed():
    with Site(make(connect_timeout=0.1)) as site, Client(site.port) as client, Polling(site.port) as polling:
        polling.handshake()
        client.handshake()
        assert polling.poll() == ["1"]
        assert client.close_code() == 1000
        with Client(site.port) as again:
            again.open_and_say(WEBSOCKET, "40")
            assert str(again.receive())[0] == "0"
            assert str(again.receive()).startswith("40")
            again.send_text("41")
            assert again.close_code() == 1000  # in no namespace any more


# --- CORS: RFC 6454, the Fetch standard


def test_an_origin_of_our_own_is_accepted(site):
    with Connection(site.port) as raw:
        response = raw.get(POLLING, ("Origin", "http://localhost"))
        assert response.status == 200
        assert response.get("access-control-allow-origin") == "http://localhost"
        assert response.get("access-control-allow-credentials") == "true"


def test_a_foreign_origin_is_refused_on_both_transports(site):
    before = set(site.peers)  # sessions of other tests, which may end meanwhile
    with Connection(site.port) as raw, WebSocket(site.port) as socket:
        forged = (ORIGIN, ("X-Forwarded-Host", "example.com"), ("X-Forwarded-Proto", "https"))
        for response in (raw.get(POLLING, *forged), socket.open(WEBSOCKET, *forged, expect=400)):
            assert response.status == 400
            assert response.json["code"] == 3
            assert "cors_allowed_origins" in response.json["message"]
    assert set(site.peers) <= before


@pytest.mark.parametrize("allowed", ["*", "https://example.com", ["https://a.example", "https://example.com"]])
def test_origins_that_are_allowed(allowed):
    with Site(make(cors_allowed_origins=allowed)) as site, Polling(site.port) as raw, Client(site.port) as client:
        response = raw.get(POLLING, ORIGIN)
        assert response.get("access-control-allow-origin") == ORIGIN[1]
        assert "Origin" in response.all("vary")
        response = raw.get(f"{POLLING}&sid=nobody", ORIGIN)  # a page is to be able to read errors, too
        assert (response.status, response.get("access-control-allow-origin")) == (400, ORIGIN[1])
        client.handshake(ORIGIN)
        refused = raw.get(POLLING, ("Origin", "https://evil.example"))
        assert refused.status == (200 if allowed == "*" else 400)


def test_a_preflight():
    with Site(make(cors_allowed_origins="*")) as site, Connection(site.port) as raw:
        asked = (ORIGIN, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "x-one, x-two"))
        response = raw.request("OPTIONS", POLLING, asked)
        assert (response.status, response.body) == (204, b"")
        assert response.get("access-control-allow-origin") == ORIGIN[1]
        assert "POST" in response.get("access-control-allow-methods")
        assert response.get("access-control-allow-headers") == "x-one, x-two"


def test_without_cors_there_are_no_headers_and_no_preflight():
    with Site(make(cors_allowed_origins=[])) as site, Connection(site.port) as raw:
        response = raw.get(POLLING, ORIGIN)
        assert (response.status, response.get("access-control-allow-origin")) == (200, None)
        assert raw.request("OPTIONS", POLLING, (ORIGIN,)).json["code"] == 2


def test_credentials_can_be_switched_off():
    with Site(make(cors_allowed_origins="*", cors_credentials=False)) as site, Connection(site.port) as raw:
        assert raw.get(POLLING, ORIGIN).get("access-control-allow-credentials") is None


def test_a_function_that_judges_origins():
    asked = Log()

    def judge(origin, environ):
        asked.append((origin, environ["PATH_INFO"]))
        return origin == ORIGIN[1]

    with Site(make(cors_allowed_origins=judge)) as site, Connection(site.port) as raw:
        assert raw.get(POLLING, ORIGIN).status == 200
        assert raw.get(POLLING, ("Origin", "https://evil.example")).status == 400
        assert asked[0] == (ORIGIN[1], "/socket.io/")


# --- the cookie, compression


def test_there_is_no_cookie_unless_asked_for(site):
    with Connection(site.port) as raw:
        assert raw.get(POLLING).get("set-cookie") is None


@pytest.mark.parametrize(
    ("option", "rest"),
    [
        ("io", "; path=/; SameSite=Lax"),
        ({"name": "io", "path": lambda: "/x", "HttpOnly": True, "Secure": False}, "; path=/x; HttpOnly"),
    ],
)
def test_the_cookie(option, rest):
    with Site(make(cookie=option)) as site, Polling(site.port) as polling, WebSocket(site.port) as socket:
        response = polling.get(POLLING)
        sid = next(iter(site.peers))
        assert response.get("set-cookie") == f"io={sid}{rest}"
        polling.sid = sid
        polling.say("40")
        assert polling.get(polling.target).get("set-cookie") is None  # the handshake's only
        assert socket.open(WEBSOCKET).get("set-cookie") is None


@pytest.mark.parametrize(
    ("accepts", "encoding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0, deflate", "deflate"),
        ("br", None),
        ("gzip;q=0", None),
        ("identity", None),
    ],
)
def test_a_long_payload_is_compressed(site, accepts, encoding):
    with Polling(site.port) as polling:
        polling.join()
        polling.say('421["size",5000]')
        response = polling.get(polling.target, ("Accept-Encoding", accepts))
        assert response.get("content-encoding") == encoding
        unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[encoding]
        assert unpack(response.body) == b'431["%s"]' % (b"x" * 5000)
        assert (len(response.body) < 200) == (encoding is not None)


def test_a_short_payload_is_not_compressed(site):
    with Polling(site.port) as polling:
        polling.join()
        polling.say('421["size",1000]')
        assert polling.get(polling.target, ("Accept-Encoding", "gzip")).get("content-encoding") is None


def test_compression_can_be_switched_off():
    with Site(make(http_compression=False)) as site, Polling(site.port) as polling:
        polling.join()
        polling.say('421["size",5000]')
        assert polling.get(polling.target, ("Accept-Encoding", "gzip")).get("content-encoding") is None


# --- the queue of a client that does not poll


def test_a_client_that_does_not_poll_is_cut_off():
    limits = Limits(queued_bytes=10_000)
    with Site(make(limits=limits)) as site, Polling(site.port) as polling:
        polling.join()
        polling.say('421["size",9000]')
        polling.say('422["size",9000]')
        assert site.socketio.notes.wait_for(1) == ["transport error"]
        assert polling.get(polling.target).json["code"] == 1
