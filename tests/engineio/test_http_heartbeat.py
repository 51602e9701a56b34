"""Heartbeats on real connections: a session lives exactly as long as it answers."""

import threading
import time
from collections.abc import Iterator

import pytest

from greenwire.limits import Limits
from support.engine import Client, Polling
from support.site import Site, new_socketio
from support.waiting import Log, wait_until

pytestmark = pytest.mark.slow
INTERVAL_S, TIMEOUT_S = 0.3, 0.7
EARLY_S = 0.02  # by so much a clock may differ; a busy machine adds what it likes


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    socketio = new_socketio(ping_interval=INTERVAL_S, ping_timeout=TIMEOUT_S)
    socketio.notes = Log()

    @socketio.on("disconnect")
    def gone(reason):
        socketio.notes.append(reason)

    with Site(socketio) as site:
        yield site


@pytest.fixture(autouse=True)
def notes(site: Site) -> Log:
    """Reasons of disconnects, of this test only."""
    site.wait_for_members(0)
    site.socketio.notes.clear()
    return site.socketio.notes


def test_a_ping_comes_after_the_interval(site):
    with Client(site.port) as client:
        start = time.monotonic()
        opened = client.handshake()
        assert (opened["pingInterval"], opened["pingTimeout"]) == (300, 700)
        for count in (1, 2):
            assert client.receive() == "2"
            assert time.monotonic() - start > count * INTERVAL_S - EARLY_S
            client.send_text("3")


def test_pings_come_in_time_where_the_timeout_is_longer_than_the_interval():
    with Site(new_socketio(ping_interval=INTERVAL_S, ping_timeout=1_000.0)) as site, Client(site.port) as client:
        client.handshake()
        for _ in range(3):
            assert client.receive() == "2"  # the second would come when the first one's answer is overdue
            client.send_text("3")


def test_a_websocket_that_does_not_answer_is_closed(site, notes):
    with Client(site.port) as client:
        start = time.monotonic()
        client.join()
        assert client.receive() == "2"
        assert client.close_code() == 1000
        assert time.monotonic() - start > INTERVAL_S + TIMEOUT_S - EARLY_S
        assert notes.wait_for(1) == ["ping timeout"]


def test_a_polling_session_that_does_not_answer_is_unknown_when_its_time_is_over(site, notes):
    with Polling(site.port) as polling:
        start = time.monotonic()
        polling.join()
        assert notes.wait_for(1) == ["ping timeout"]
        assert time.monotonic() - start > INTERVAL_S + TIMEOUT_S - EARLY_S
        assert polling.get(polling.target).json == {"code": 1, "message": "Session ID unknown"}


def test_a_held_poll_gets_the_ping_and_then_the_close(site):
    with Polling(site.port) as polling:
        polling.join()
        for _ in range(2):  # the second waits behind the first, so it is there in time
            polling.send_request("GET", polling.target)
        assert polling.response().text == "2"
        assert polling.response().text == "1"
        assert polling.get(polling.target).json["code"] == 1


def test_a_session_that_answers_lives_on_whatever_else_it_says():
    socketio = new_socketio(ping_interval=INTERVAL_S, ping_timeout=15.0)  # a busy machine may answer late
    notes = Log()
    socketio.on("disconnect")(notes.append)
    with Site(socketio) as site, Client(site.port) as client, Polling(site.port) as polling:
        client.join()
        polling.join()
        client.send_text("3")  # unsolicited: without effect
        for _ in range(3):
            assert polling.poll() == ["2"]
            polling.say("3")
            assert client.receive() == "2"
            client.send_text("3")
        assert site.members == 2
        assert not notes


def test_talking_does_not_replace_the_pong(site, notes):
    with Client(site.port) as client:
        client.join()
        wait_until(lambda: client.send_text('42["x"]') or notes)
        assert notes == ["ping timeout"]


@pytest.mark.parametrize("kind", [Client, Polling])
def test_a_client_that_is_not_read_is_not_blamed(kind):
    """While its handlers keep it paused, its pong lies unread in the socket."""
    limits = Limits(events_in_flight=1)
    socketio = new_socketio(ping_interval=INTERVAL_S, ping_timeout=TIMEOUT_S, limits=limits)
    notes, leave = Log(), threading.Event()
    socketio.on("disconnect")(notes.append)

    @socketio.on("slow")
    def slow():
        notes.append("in")
        assert leave.wait(15)
        notes.append("out")

    with Site(socketio) as site, kind(site.port) as client:
        client.join()
        if kind is Client:
            client.emit("slow")
        else:  # the second waits, and the answer to the POST with it
            body = b'42["slow"]\x1e42["slow"]'
            client.send_request("POST", client.target, (), body)
        notes.wait_for(1)
        start = time.monotonic()
        wait_until(lambda: time.monotonic() - start > 2 * (INTERVAL_S + TIMEOUT_S) or len(notes) > 1)
        assert notes == ["in"]
        leave.set()
        notes.wait_for_item("out")


def test_a_session_that_has_joined_nothing_is_pinged_as_well(site):
    with Client(site.port) as client:
        client.handshake()
        assert client.receive() == "2"
        assert client.close_code() == 1000
    wait_until(lambda: not site.peers)
