"""What goes wrong on the open internet: slow, deaf and vanished clients, a clock that jumps. Others are served."""

import ast
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenwire.flask import join_room
from greenwire.limits import Limits
from support.engine import WEBSOCKET, Client, Polling
from support.healthy import Healthy, assert_no_flood
from support.raw import Connection
from support.site import Site, new_socketio
from support.waiting import Log, wait_until

SOURCE = Path(__file__).parent.parent.parent / "src" / "greenwire"


def make(**options):
    socketio = new_socketio(**options)
    socketio.notes = Log()
    socketio.on("echo")(lambda data: data)
    socketio.on("join")(lambda: join_room("chat"))
    socketio.on("say")(lambda text: socketio.emit("said", text, to="chat"))
    socketio.on("disconnect")(lambda reason: socketio.notes.append(reason))
    return socketio


@pytest.fixture(autouse=True)
def quiet(caplog) -> Iterator[None]:
    yield
    assert_no_flood(caplog.records)


# --- slow ones


@pytest.mark.slow
@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"POST / HTTP/1.1\r\nContent-Length: 9999\r\nHost: x\r\n\r\n"]
)
def test_250_slow_lorises(start):
    """Each sends a byte now and then, for ever. Each has its deadline, and nobody else feels it."""
    limits = Limits(header_timeout_s=1, body_grace_s=1, body_min_bytes_s=1_000, close_timeout_s=0.5)
    with Site(make(limits=limits)) as site, Healthy(site.port) as healthy:
        slow = [Connection(site.port) for _ in range(250)]
        try:
            end = threading.Event()
            dripping = threading.Thread(target=drip, args=(slow, start, end))
            dripping.start()
            healthy.check()
            assert all(client.at_end() for client in slow), "all of them are let go"
            healthy.check()
            end.set()
            dripping.join()
            wait_until(lambda: len(site.service.server.connections) == 1)
        finally:
            for client in slow:
                client.close()


def drip(clients, start, end):
    data = start
    while not end.is_set():
        for client in clients:
            try:
                client.sock.send(data)
            except OSError:
                pass
        data = b"x"
        end.wait(0.05)


def test_300_silent_connections_cost_nothing_but_themselves():
    with Site(make(limits=Limits(keep_alive_s=1))) as site, Healthy(site.port) as healthy:
        silent = [Connection(site.port) for _ in range(300)]
        healthy.check()
        for client in silent:
            assert client.at_end()
            client.close()
        healthy.check()
        wait_until(lambda: len(site.service.server.connections) == 1)


# --- deaf ones


def test_those_who_never_read_while_others_chat():
    socketio = make(limits=Limits(queued_bytes=300_000))
    with Site(socketio) as site:
        deaf = [Client(site.port, receive_buffer=4_096) for _ in range(10)]
        chatting = [Client(site.port) for _ in range(3)]
        try:
            for client in (*deaf, *chatting):
                client.join()
                client.emit("join")
            wait_until(lambda: sum("chat" in (member.rooms or ()) for member in site.members_of("/")) == 13)
            text = "x" * 50_000
            for n in range(400):
                speaker = chatting[n % 3]
                speaker.emit("say", text)
                for client in chatting:
                    assert client.event() == ["said", text]
                if site.members == 3:
                    break
            assert site.members == 3
            assert socketio.notes.wait_for(10) == ["transport error"] * 10
        finally:
            for client in (*deaf, *chatting):
                client.close()


# --- those who vanish


def test_a_half_open_peer_is_noticed_and_let_go():
    """It is gone without a FIN: it answers no ping, no close frame, nothing."""
    socketio = make(ping_interval=0.3, ping_timeout=0.2, limits=Limits(close_timeout_s=0.2))
    with Site(socketio) as site, Client(site.port) as gone:
        gone.open_and_say(WEBSOCKET, "40")
        assert socketio.notes.wait_for(1) == ["ping timeout"]
        wait_until(lambda: not site.service.server.connections, "its connection is reset")


def test_a_half_open_polling_peer_is_noticed():
    socketio = make(ping_interval=0.3, ping_timeout=1)
    with Site(socketio) as site, Polling(site.port) as gone:
        gone.join()
        assert socketio.notes.wait_for(1) == ["ping timeout"]
        wait_until(lambda: not site.peers)


def test_a_client_that_joins_no_namespace_is_let_go():
    with Site(make(limits=Limits(connect_timeout_s=0.2))) as site, Client(site.port) as client:
        client.handshake()
        assert client.close_code() == 1000
        wait_until(lambda: not site.peers)


def test_a_closed_session_that_nobody_polls_is_forgotten():
    with Site(make(limits=Limits(polling_close_s=0.2))) as site, Polling(site.port) as polling:
        polling.join()
        peer = site.peers[polling.sid]

        def close_and_look() -> bool:
            peer.close()
            return polling.sid in site.engine.peers

        assert site.service.loop.ask(close_and_look)
        wait_until(lambda: not site.peers)


# --- a process that has too much to do


def test_events_queued_in_the_process_slow_each_client_down():
    gate = threading.Event()
    socketio = make(limits=Limits(threads=2, events_queued=20, events_in_flight=1_000))
    done = Log()

    @socketio.on("wait")
    def wait(n):
        assert gate.wait(15)
        done.append(n)

    with Site(socketio) as site, Client(site.port) as one, Client(site.port) as two:
        one.join()
        two.join()
        for n in range(500):
            one.emit("wait", n)
            two.emit("wait", n)
        wait_until(lambda: all(member.client.paused for member in site.members_of("/")), "both are paused")
        assert site.service.runner.queued < 100  # what one read has brought is held, not queued
        gate.set()
        assert sorted(done.wait_for(1_000)) == sorted([*range(500), *range(500)])


def test_what_one_read_can_bring_is_bounded():
    with Site(make(limits=Limits(receive_buffer_bytes=8_192))) as site, Client(site.port) as client:
        client.join()
        transport = site.peers[client.sid].socket._transport
        size = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert size <= 2 * 8_192  # Linux counts its own bookkeeping in
        assert client.call("echo", "x" * 100_000) == ["x" * 100_000]


# --- a clock that jumps


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0, 3e8])
def test_a_clock_that_jumps_ends_nothing(monkeypatch, jump_s):
    real = time.time
    socketio = make(ping_interval=0.3, ping_timeout=15)
    with Site(socketio) as site, Client(site.port) as client, Connection(site.port) as web:
        client.join()
        assert web.get("/").status == 404
        monkeypatch.setattr(time, "time", lambda: real() + jump_s)
        for n in range(3):
            while client.receive() != "2":
                pass
            client.send_text("3")
            client.emit("echo", n)
            assert web.get("/").status == 404
        assert client.sid in site.peers
        assert socketio.notes == []


MAY_ASK_FOR_THE_TIME_OF_DAY = {
    "http/log.py": "what a line of the log says",
    "http/wsgi_log.py": "likewise",
    "http/response.py": "the field Date",
    "net/tls.py": "whether a certificate has expired",
    "socketio/adapter.py": "when a deadline is, for another process",
}


def test_only_what_is_shown_comes_from_the_clock_on_the_wall():
    """Deadlines are monotonic."""
    asks = set()
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        if name.startswith(("green/", "compat/")):  # those give the functions of the standard library to others
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.time", "datetime.now")
            from_time = isinstance(node, ast.ImportFrom) and node.module == "time"
            imported = from_time and "time" in [each.name for each in node.names]
            if called or imported:
                asks.add(name)
    assert asks <= set(MAY_ASK_FOR_THE_TIME_OF_DAY)
