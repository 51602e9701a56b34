"""Thousands of clients that do not read: what waits for all of them is bounded, and who reads notices nothing."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from greenwire.flask import join_room
from greenwire.limits import Limits
from support.engine import POLLING, Client, Polling
from support.healthy import Healthy, assert_no_flood
from support.raw import Connection
from support.site import Site, new_socketio
from support.waiting import Log, wait_until

BOUND = 20_000_000


@pytest.fixture(autouse=True)
def quiet(caplog) -> Iterator[None]:
    yield
    assert_no_flood(caplog.records)


def make(**options):
    socketio = new_socketio(limits=Limits(output_bytes=BOUND, **options))
    socketio.notes = Log()
    socketio.on("echo")(lambda data: data)
    socketio.on("join")(lambda: join_room("crowd"))
    socketio.on("disconnect")(lambda reason: socketio.notes.append(reason))
    return socketio


@contextmanager
def crowd(site, count, kind=Client):
    """So many clients that do not read from now on, in the room "crowd"."""
    with ExitStack() as stack:
        deaf = [stack.enter_context(kind(site.port, receive_buffer=4_096)) for _ in range(count)]
        for client in deaf:
            client.join()
            client.emit("join")
        wait_until(lambda: sum("crowd" in (member.rooms or ()) for member in site.members_of("/")) == count)
        site.service.loop.ask(shrink_buffers, site)
        yield [member.sid for member in site.members_of("/") if "crowd" in member.rooms]


def shrink_buffers(site):
    """Else the kernel takes megabytes for each."""
    for connection in site.service.server.connections:
        sock = connection._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)


def unread(site) -> int:
    return site.service.loop.ask(lambda: site.service.loop.unread.bytes)


def unread_when_closed(site) -> int:
    """In the turn in which all sessions are closed."""
    for peer in list(site.engine.peers.values()):
        peer.close()
    return unread(site)


def resident_bytes() -> int:
    """What this process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


def test_300_who_never_read_are_sent_more_than_the_bound(caplog):
    socketio = make()
    with Site(socketio) as site, crowd(site, 300) as sids, Healthy(site.port) as healthy:
        before, most = resident_bytes(), 0
        text = "x" * 20_000
        for _ in range(20):  # 120 MB
            for sid in sids:
                socketio.emit("news", text, to=sid)
            most = max(most, unread(site))
        assert BOUND * 0.8 < most <= BOUND
        assert resident_bytes() - before < BOUND + 45_000_000
        healthy.check()
        wait_until(lambda: site.members - 1 < 100)  # who leaves is one until his handler is done
        assert set(socketio.notes) == {"transport error"}
        assert len(socketio.notes) > 200
        assert f"limit {'output_bytes'!r}" in caplog.text
        wait_until(lambda: not site.service.runner.busy())
        assert site.members - 1 > 10, "those who are within the bound stay"


def test_a_storm_of_broadcasts_is_in_memory_once():
    socketio = make()
    with Site(socketio) as site, crowd(site, 300), Healthy(site.port) as healthy:
        before = resident_bytes()
        text = "x" * 20_000
        for _ in range(100):  # 600 MB, if each were for itself
            socketio.emit("news", text, to="crowd")
            assert unread(site) < 3_000_000
        healthy.check()
        assert resident_bytes() - before < 45_000_000
        assert site.members == 301
        assert len(socketio.notes) == 0


def test_polling_sessions_that_nobody_polls():
    socketio = make()
    with Site(socketio) as site, crowd(site, 50, Polling) as sids, Healthy(site.port) as healthy:
        text = "x" * 50_000
        for _ in range(20):  # 50 MB, and each packet is kept in two forms
            for sid in sids:
                socketio.emit("news", text, to=sid)
            assert unread(site) <= BOUND
        healthy.check()
        wait_until(lambda: len(socketio.notes) > 20)
        assert set(socketio.notes) == {"transport error"}
        assert 2 < len(site.peers) < 40


def test_a_storm_of_broadcasts_for_polling_sessions_is_in_memory_once():
    socketio = make()
    with Site(socketio) as site, crowd(site, 50, Polling), Healthy(site.port):
        for _ in range(50):  # 125 MB in two forms, if each were for itself
            socketio.emit("news", "x" * 50_000, to="crowd")
        assert 5_000_000 < unread(site) < 6_000_000
        assert site.members == 51


def test_polled_payloads_that_are_not_read(caplog):
    """The queue is empty then; the answer waits in the connection, and a client may have many."""
    socketio = make()
    with Site(socketio) as site, crowd(site, 1, Polling) as sids, ExitStack() as stack, Healthy(site.port) as healthy:
        sid = next(iter(site.peers.keys() - {healthy._client.sid}))
        for _ in range(30):  # 60 MB
            for _ in range(40):
                socketio.emit("news", "x" * 50_000, to=sids[0])
            poll = stack.enter_context(Connection(site.port, receive_buffer=4_096))
            poll.get("/")
            site.service.loop.ask(shrink_buffers, site)
            poll.send(f"GET {POLLING}&sid={sid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert poll.sock.recv(1) == b"H"
            assert unread(site) <= BOUND
        healthy.check()
        assert "output_bytes" in caplog.text


def test_whole_answers_of_views_that_are_not_read(caplog):
    socketio = make()
    site = Site(socketio)
    site.app.add_url_rule("/big", view_func=lambda: bytes(9_000_000))
    with site, ExitStack() as stack, Healthy(site.port) as healthy:
        clients = []
        for _ in range(6):
            client = stack.enter_context(Connection(site.port, receive_buffer=4_096))
            client.send(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            clients.append(client)
        wait_until(lambda: "output_bytes" in caplog.text)
        wait_until(lambda: 2 <= len(site.service.server.connections) <= 4)
        assert 9_000_000 < unread(site) <= BOUND
        healthy.check()


def test_who_reads_again_gets_everything_in_order():
    socketio = make()
    with Site(socketio) as site, Client(site.port, receive_buffer=4_096) as client:
        sid = client.join()
        site.service.loop.ask(shrink_buffers, site)
        for n in range(300):
            socketio.emit("news", (n, "x" * (n % 7) * 4_000), to=sid)
        assert unread(site) > 2_000_000
        for n in range(300):
            assert client.event() == ["news", n, "x" * (n % 7) * 4_000]
        wait_until(lambda: unread(site) == 0)


@pytest.mark.slow
def test_sessions_that_were_closed_and_are_not_polled_count_until_they_are_forgotten():
    socketio = make(polling_close_s=0.5)
    with Site(socketio) as site, crowd(site, 5, Polling):
        socketio.emit("news", "x" * 50_000, to="crowd")
        assert site.service.loop.ask(unread_when_closed, site) > 100_000
        wait_until(lambda: unread(site) == 0, "they are forgotten")
