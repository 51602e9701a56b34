"""Clients that want too much: each meets its limit, and nobody else feels it."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from greenwire.errors import DisconnectedError
from greenwire.flask import call, join_room
from greenwire.limits import Limits
from support.engine import Client, Polling
from support.healthy import Healthy, assert_no_flood
from support.raw import TEXT, frame
from support.site import Site, new_socketio
from support.waiting import Log, wait_until


def make(**options):
    socketio = new_socketio(**options)
    socketio.notes = Log()
    socketio.on("echo")(lambda data: data)
    socketio.on("join")(lambda: join_room("crowd"))
    socketio.on("disconnect")(lambda reason: socketio.notes.append(reason))
    return socketio


@pytest.fixture(autouse=True)
def quiet(caplog) -> Iterator[None]:
    yield
    assert_no_flood(caplog.records)


def in_flight(site) -> int:
    """Of the client that has the most."""
    return max(len(member.client.running) for member in site.members_of("/"))


def test_5000_namespaces_of_one_client():
    with Site(make(namespaces="*")) as site, Healthy(site.port), Client(site.port) as client:
        client.handshake()
        good = bad = 0
        for n in range(5_000):
            client.send_text(f"40/{n},")
            packet = client.packet()
            good += packet.startswith(f'40/{n},{{"sid"')
            bad += packet == f'44/{n},{{"message":"Too many namespaces"}}'
        assert (good, bad) == (100, 4_900)
        assert site.members == 101


@pytest.mark.parametrize("kind", [Client, Polling])
def test_a_client_that_never_reads_is_cut_off(kind):
    socketio = make(limits=Limits(queued_bytes=500_000))
    with (
        Site(socketio) as site,
        Healthy(site.port),
        kind(site.port, receive_buffer=4_096) as deaf,
        Client(site.port) as good,
    ):
        for client in (deaf, good):
            client.join()
            client.emit("join")
        wait_until(lambda: sum("crowd" in (member.rooms or ()) for member in site.members_of("/")) == 2)
        sent = 0
        while deaf.sid in site.peers:
            socketio.emit("news", "x" * 50_000, to="crowd")
            assert good.event()[0] == "news"
            sent += 50_000
            assert sent < 20_000_000  # the kernel takes some megabytes by itself
        assert socketio.notes.wait_for(1) == ["transport error"]
        assert good.call("echo", 2) == [2]


def test_a_client_that_floods_is_read_no_faster_than_it_is_served():
    socketio = make(limits=Limits(events_in_flight=10))
    gate, seen = threading.Event(), Log()

    @socketio.on("flood")
    def flood(n):
        assert gate.wait(15)
        seen.append(n)

    with Site(socketio) as site, Healthy(site.port) as healthy, Client(site.port) as client:
        client.join()
        for n in range(5_000):
            client.emit("flood", n)
        wait_until(lambda: in_flight(site) == 10)
        healthy.check()
        assert len(site.peers) == 2
        assert in_flight(site) == 10
        gate.set()
        assert sorted(seen.wait_for(5_000)) == list(range(5_000))


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("always_connect", [False, True])
def test_events_before_the_answer_to_connect_keep_nobody_paused(accepted, always_connect, ordered):
    """As many as make a client wait, of a namespace that refuses it, or that nobody handles."""
    socketio = make(limits=Limits(events_in_flight=10), async_handlers=not ordered, always_connect=always_connect)
    gate = threading.Event()

    @socketio.on("connect", namespace="/slow")
    def connect():
        assert gate.wait(15)
        return accepted

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        client.send_text("40/slow,")
        for _ in range(20):
            client.send_text('42/slow,["nobody"]')
        wait_until(lambda: any(member.client.paused for member in site.members_of("/")))
        gate.set()
        answers = [client.packet() for _ in range(1 if accepted or not always_connect else 2)]
        assert all("/slow" in answer for answer in answers)
        assert client.call("echo", 1) == [1]


@pytest.mark.parametrize("mode", ["threading", "green"])
def test_handlers_that_wait_for_their_client_do_not_keep_it_from_answering(mode):
    """An acknowledgement comes in behind the events that were sent before it."""
    socketio = make(limits=Limits(events_in_flight=2), async_mode=mode)

    @socketio.on("ask")
    def ask(n):
        return call("question", n, timeout=15)

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        for n in range(20):
            client.emit("ask", n, ack=n)
        answers = []
        while len(answers) < 20:
            packet = client.packet()
            if packet.startswith("43"):
                answers.append(packet)
            else:
                ack_id, _, n = packet[2:].partition('["question",')
                client.send_text(f"43{ack_id}[{n}")
        assert sorted(answers) == sorted(f"43{n}[{n}]" for n in range(20))


def test_the_oldest_call_beyond_pending_acks_ends_at_once():
    socketio = make(limits=Limits(pending_acks=2))
    ended = Log()

    @socketio.on("ask")
    def ask(n):
        try:
            call("question", n, timeout=15)
        except DisconnectedError:
            ended.append(n)

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        for n in range(3):
            client.emit("ask", n)
            client.packet()
        assert ended.wait_for(1) == [0]


def test_a_client_that_floods_over_polling():
    socketio = make(limits=Limits(events_in_flight=10))
    gate, seen = threading.Event(), Log()

    @socketio.on("flood")
    def flood(n):
        assert gate.wait(15)
        seen.append(n)

    with Site(socketio) as site, Healthy(site.port) as healthy, Polling(site.port) as polling:
        polling.join()
        packets = "\x1e".join(f'42["flood",{n}]' for n in range(1_000))
        polling.send_request("POST", polling.target, (), packets.encode())
        wait_until(lambda: in_flight(site) == 10)
        healthy.check()
        assert in_flight(site) == 10
        gate.set()
        assert polling.response().body == b"ok"  # when the server has taken them all in
        assert sorted(seen.wait_for(1_000)) == list(range(1_000))


def test_a_flood_that_cannot_be_held_is_cut_off():
    """What one read has brought when the pause begins is held, up to a limit."""
    socketio = make(limits=Limits(events_in_flight=2, held_bytes=10_000))
    gate = threading.Event()
    socketio.on("flood")(lambda data: gate.wait(15))
    with Site(socketio) as site, Healthy(site.port), Client(site.port) as client:
        client.join()
        client.call("echo", "x" * 60_000)  # the parser's buffer grows to that, and so does what one read can bring
        sent = threading.Event()
        site.service.loop.post(sent.wait, 15)  # until then nothing is read, and then all of it at once
        client.send(frame(TEXT, b'42["flood","%b"]' % (b"x" * 1_000)) * 30)
        sent.set()
        assert socketio.notes.wait_for(1) == ["transport error"]
        assert client.at_end()
        gate.set()


def test_floods_of_coroutines_are_bounded_too():
    socketio = make(limits=Limits(events_in_flight=10))
    seen = Log()
    running = most = 0
    gate = asyncio.Event()

    @socketio.on("flood")
    async def flood(n):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        seen.append(n)

    with Site(socketio) as site, Healthy(site.port), Client(site.port) as client:
        client.join()
        for n in range(2_000):
            client.emit("flood", n)
        wait_until(lambda: running == 10)
        site.service.loop.ask(gate.set)
        assert sorted(seen.wait_for(2_000)) == list(range(2_000))
        assert most == 10


def test_a_client_that_joins_and_leaves_without_end():
    with Site(make()) as site, Healthy(site.port), Client(site.port) as client:
        client.handshake()
        client.send((frame(TEXT, b"40") + frame(TEXT, b"41")) * 1_000)
        client.send_text("40")
        while client.receive() != "41 never comes":
            if site.members == 2:
                break
        wait_until(lambda: not site.service.runner.queued)


def test_polling_sessions_that_nobody_polls_end():
    with Site(make(ping_interval=0.2, ping_timeout=0.8)) as site:
        for _ in range(300):
            with Polling(site.port) as polling:
                polling.join()
        wait_until(lambda: not site.peers and not site.members)
        assert site.socketio.notes.wait_for(300) == ["ping timeout"] * 300


def test_acknowledgements_that_never_come_are_forgotten():
    socketio = make(limits=Limits(pending_acks=50))
    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        called = Log()
        for n in range(500):
            socketio.emit("question", n, callback=called.append)
        packets = [client.packet() for _ in range(500)]
        for packet in packets:
            client.send_text("43" + packet[2 : packet.index("[")] + "[1]")
        assert client.call("echo", 1, ack=1) == [1]
        assert len(called.wait_for(50)) == 50


def test_more_rooms_than_a_client_may_have():
    socketio = make(limits=Limits(rooms=20))

    @socketio.on("collect")
    def collect():
        for n in range(30):
            join_room(f"room {n}")

    with Site(socketio) as site, Client(site.port) as client:
        sid = client.join()
        client.emit("collect")
        assert client.call("echo", 1) == [1]
        wait_until(lambda: not site.service.runner.busy())
        assert len(socketio.server.rooms(sid)) == 1 + 20
