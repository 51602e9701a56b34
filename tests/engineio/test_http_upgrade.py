"""From polling to a WebSocket: the order of packets, and everything that can go wrong on the way."""

from collections.abc import Iterator

import pytest

from support.engine import WEBSOCKET, Client, Polling
from support.raw import Connection, WebSocket
from support.site import Site, new_socketio
from support.waiting import Log, wait_until


def make(**options):
    socketio = new_socketio(**options)
    socketio.notes = Log()

    @socketio.on("echo")
    def echo(data):
        return data

    @socketio.on("disconnect")
    def gone(reason):
        socketio.notes.append(reason)

    return socketio


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(make()) as site:
        yield site


@pytest.fixture
def polling(site: Site) -> Iterator[Polling]:
    site.wait_for_members(0)
    site.socketio.notes.clear()
    with Polling(site.port) as polling:
        polling.join()
        yield polling
        site.close_all()


def probing(site, polling):
    client = Client(site.port)
    client.open(f"{WEBSOCKET}&sid={polling.sid}")
    client.sid = polling.sid
    return client


def upgrade(client):
    client.send_text("2probe")
    assert client.receive() == "3probe"
    client.send_text("5")


def test_an_upgrade(site, polling):
    with probing(site, polling) as client:
        upgrade(client)
        assert client.call("echo", 1) == [1]
        assert polling.get(polling.target).json == {"code": 3, "message": "Bad request"}
        assert polling.post("3").json == {"code": 3, "message": "Bad request"}
        assert client.call("echo", 2) == [2]
        client.send_text("1")
        assert site.socketio.notes.wait_for(1) == ["client disconnect"]


def test_the_probe_releases_the_poll_and_is_answered_with_nothing_else(site, polling):
    polling.send_request("GET", polling.target)
    wait_until(lambda: site.peers[polling.sid].session.holds_poll)
    with probing(site, polling) as client:
        client.send_text("2probe")
        assert client.receive() == "3probe"
        assert polling.response().text == "6"
        client.send_text("5")
        assert client.call("echo", "x") == ["x"]


def test_messages_while_probing_go_by_polling_and_what_is_left_by_the_websocket(site, polling):
    with probing(site, polling) as client:
        client.send_text("2probe")
        assert client.receive() == "3probe"
        polling.say('421["echo","a"]')
        wait_until(lambda: site.peers[polling.sid].session._queue)
        assert polling.poll() == ['431["a"]']
        polling.say('422["echo","b"]', '423["echo","c"]')
        wait_until(lambda: len(site.peers[polling.sid].session._queue or ()) == 2)
        client.send_text("5")
        assert sorted([client.receive(), client.receive()]) == ['432["b"]', '433["c"]']


def test_a_poll_while_probing_is_answered_at_once(site, polling):
    with probing(site, polling) as client:
        client.send_text("2probe")
        assert client.receive() == "3probe"
        assert polling.poll() == ["6"]


@pytest.mark.parametrize("garbage", ["3probe", "2", "40", "", "2probe\n", b"2probe", b"\xff"])
def test_anything_but_a_probe_ends_only_the_websocket(site, polling, garbage):
    with probing(site, polling) as client:
        client.send_frame(*((2, garbage) if isinstance(garbage, bytes) else (1, garbage.encode())))
        assert client.close_code() in (1002, 1007)
    polling.say('421["echo","alive"]')
    assert polling.poll() == ['431["alive"]']
    with probing(site, polling) as client:
        upgrade(client)
        assert client.call("echo", 1) == [1]


def test_a_probe_that_failed_has_no_say_in_the_next_one(site, polling):
    with probing(site, polling) as failed, probing_later(site, polling, failed) as client:
        upgrade(client)
        assert client.call("echo", 1) == [1]
        failed.close()
        assert client.call("echo", 2) == [2]
        wait_until(lambda: site.service.loop.ask(lambda: len(site.service.server.connections)) == 2)
        assert client.call("echo", 3) == [3]


def probing_later(site, polling, failed):
    failed.send_text("garbage")
    assert failed.close_code() == 1002
    return probing(site, polling)


def test_a_socket_that_goes_away_while_probing(site, polling):
    with probing(site, polling) as client:
        client.send_text("2probe")
        assert client.receive() == "3probe"
        client.reset()
    polling.say('421["echo","alive"]')
    assert '431["alive"]' in polling.poll()


def test_a_second_socket_is_refused_while_one_is_probing(site, polling):
    with probing(site, polling) as client, WebSocket(site.port) as second:
        assert second.open(f"{WEBSOCKET}&sid={polling.sid}", expect=400).json["code"] == 3
        upgrade(client)
        assert client.call("echo", 1) == [1]


def test_an_upgrade_that_takes_too_long():
    with Site(make(upgrade_timeout=0.1)) as site, Polling(site.port) as polling:
        polling.join()
        with Client(site.port) as client:
            client.open_and_say(f"{WEBSOCKET}&sid={polling.sid}", "2probe")
            assert client.receive() == "3probe"
            assert client.close_code() == 1008
        polling.say('421["echo","alive"]')
        assert polling.poll() == ['431["alive"]']


def test_no_timeout_after_the_upgrade():
    with Site(make(upgrade_timeout=0.05)) as site, Polling(site.port) as polling:
        polling.join()
        with Client(site.port) as client:
            client.open_and_say(f"{WEBSOCKET}&sid={polling.sid}", "2probe", "5")
            assert client.receive() == "3probe"
            client.sock.settimeout(0.15)
            with pytest.raises(TimeoutError):
                client.sock.recv(1)
            assert site.peers[polling.sid].transport == "websocket"


def test_the_client_closes_while_probing(site, polling):
    with probing(site, polling) as client:
        client.send_text("2probe")
        assert client.receive() == "3probe"
        polling.say("1")
        assert site.socketio.notes.wait_for(1) == ["client disconnect"]
        assert client.close_code() == 1000
    assert polling.sid not in site.peers


def test_binary_over_polling_and_over_the_websocket(site, polling):
    polling.say('451-1["echo",{"_placeholder":true,"num":0}]', "bAQID")
    assert polling.poll() == ['461-1[{"_placeholder":true,"num":0}]', "bAQID"]
    with probing(site, polling) as client:
        upgrade(client)
        client.send_text('451-2["echo",{"_placeholder":true,"num":0}]')
        client.send_frame(2, b"\x01\x02\x03")
        assert client.receive() == '461-2[{"_placeholder":true,"num":0}]'
        assert client.receive() == b"\x01\x02\x03"


def test_bytes_right_behind_the_handshake(site):
    with Client(site.port) as client, Connection(site.port):
        lines = [f"GET {WEBSOCKET} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: keep-alive, Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]
        client.send("\r\n".join(lines).encode() + b"\x81\x82\0\0\0\x0040")
        response = client.head()
        assert response.status == 101
        assert response.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert client.receive()[0] == "0"
        assert client.receive().startswith('40{"sid":')
