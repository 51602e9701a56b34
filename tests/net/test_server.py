"""The accept loop survives everything; connections are counted, limited and ended."""

import errno
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from greenwire.errors import BindError
from greenwire.limits import Limits
from greenwire.net.listen import listen


def hello(exchange):
    exchange.respond(200, [], b"hello")


# --- what accept() may say


class Failing:
    """A listening socket whose accept() fails with each of *errors* first."""

    def __init__(self, errors):
        [self._sock] = listen("127.0.0.1", 0, backlog=10)
        self.errors = list(errors)
        self.accepts = 0

    def accept(self):
        self.accepts += 1
        if self.errors:
            raise OSError(self.errors[0], os.strerror(self.errors.pop(0)))
        return self._sock.accept()

    def __getattr__(self, name):
        return getattr(self._sock, name)


OF_CLIENTS = [errno.ECONNABORTED, errno.ECONNRESET, errno.EPERM, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH]
OF_CLIENTS += [errno.ENOTCONN, errno.EPIPE, errno.ETIMEDOUT, errno.EOPNOTSUPP]
EXHAUSTED = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]


@pytest.mark.parametrize("number", OF_CLIENTS)
def test_errors_of_one_client_are_passed_over(serve, caplog, number):
    failing = Failing([number] * 3)
    site = serve(handle=hello, sockets=[failing], limits=Limits(accept_pause_s=60))
    assert site.connect().get().body == b"hello"
    assert not failing.errors
    assert caplog.records == []


@pytest.mark.parametrize("number", [*EXHAUSTED, errno.EIO, errno.EBADF])
def test_other_errors_pause_and_are_logged_once(serve, caplog, number):
    failing = Failing([number] * 4)
    start = time.monotonic()
    site = serve(handle=hello, sockets=[failing], limits=Limits(accept_pause_s=0.01))
    assert site.connect().get().body == b"hello"
    assert not failing.errors
    assert 1 <= len(caplog.records) <= 1 + time.monotonic() - start  # once a second
    assert os.strerror(number) in caplog.records[0].getMessage()
    assert site.connect().get().body == b"hello"


def test_the_pause_doubles_up_to_eight_times(serve):
    failing = Failing([errno.EMFILE] * 6)
    site = serve(handle=hello, sockets=[failing], limits=Limits(accept_pause_s=0.01))
    [listener] = site.server._listeners
    pauses = []
    real = site.loop.call_later

    def call_later(delay, fn, *args):
        if fn == listener.resume:
            pauses.append(delay)
        return real(delay, fn, *args)

    site.loop.call_later = call_later
    assert site.connect().get().body == b"hello"
    site.loop.call_later = real
    assert pauses == [0.01, 0.02, 0.04, 0.08, 0.08, 0.08]
    assert site.loop.ask(lambda: listener._pause_s) == 0.01


@pytest.mark.parametrize("kind", ["uvloop", "asyncio"])
def test_running_out_of_descriptors(kind):
    """A process that may open few files: it serves on, waits without spinning, and recovers."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("few_files.py")), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    clients = []
    try:
        port = int(process.stdout.readline())
        clients += [socket.create_connection(("127.0.0.1", port), 10) for _ in range(60)]
        assert ask(clients[0]).startswith(b"HTTP/1.1 200")
        assert "cannot accept connections" in process.stderr.readline()
        for client in clients[1:50]:
            client.close()
        assert ask(clients[59]).startswith(b"HTTP/1.1 200")  # it has waited in the backlog all the time
        process.stdin.close()
        assert process.wait(20) == 0
        assert process.stderr.read().count("cannot accept") < 20
    finally:
        process.kill()
        process.wait()
        for resource in (*clients, process.stdin, process.stdout, process.stderr):
            resource.close()


def ask(sock):
    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return sock.recv(1_000)


# --- the limit of connections


def test_over_the_limit_is_a_503(serve, caplog):
    site = serve(handle=hello, limits=Limits(connections=2))
    first, second = site.connect(), site.connect()
    assert first.get().status == second.get().status == 200
    third = site.connect()
    answer = third.answer()
    assert (answer.status, answer.get("connection")) == (503, "close")
    assert third.at_end()
    assert "limit 'connections'" in caplog.text
    second.close()
    site.wait_until(lambda: len(site.server.connections) == 1)
    assert site.connect().get().status == 200


def test_many_at_once_are_all_accepted(serve):
    site = serve(handle=hello, limits=Limits(connections=200))
    clients = [site.connect() for _ in range(200)]
    assert {client.get().status for client in clients} == {200}
    assert site.count() == 200


# --- the end


def test_stop_accepting_keeps_what_is_open(serve):
    site = serve(handle=hello)
    client = site.connect()
    assert client.get().status == 200
    address = site.sockets[0].getsockname()
    site.loop.ask(site.server.stop_accepting)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 10)
    assert client.get().status == 200


def test_shutdown_without_connections_tells_at_once(serve):
    site = serve(handle=hello)
    told = threading.Event()

    def stop():
        site.server.on_idle = told.set
        site.server.shutdown()

    site.loop.ask(stop)
    assert told.wait(20)
    assert site.server.idle


def test_a_connection_that_comes_during_shutdown_is_ended(serve):
    site = serve(handle=hello)
    site.loop.ask(site.server.shutdown)
    assert site.connect().at_end()


@pytest.mark.parametrize("turns", range(5))
def test_a_shutdown_at_any_moment_of_an_arrival(serve, turns):
    site = serve(handle=hello)
    ours, theirs = socket.socketpair()

    def later(left):
        if left:
            site.loop.call_soon(later, left - 1)
        else:
            site.server.shutdown()

    def arrive():
        site.server.take(ours, "")
        later(turns)

    site.loop.ask(arrive)
    site.wait_until(lambda: site.server.idle)
    theirs.settimeout(20)
    assert theirs.recv(1) == b""
    theirs.close()


def test_abort_ends_busy_connections(serve):
    waiting = []
    site = serve(handle=waiting.append)
    client = site.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    site.wait_until(lambda: waiting)
    site.loop.ask(site.server.abort)
    assert client.at_end()
    site.wait_until_empty()


def test_replace_hands_the_place_over(serve):
    ended = []

    class Other:
        def shutdown(self):
            ended.append("shutdown")

        def abort(self):
            ended.append("abort")

    other = Other()

    def handle(exchange):
        transport, _ = exchange.upgrade()
        connection = exchange.connection
        connection.server.replace(connection, other)
        transport.write(b"taken")

    site = serve(handle=handle)
    client = site.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    assert client.file.read(5) == b"taken"
    assert site.loop.ask(lambda: site.server.connections) == {other}
    site.loop.ask(site.server.shutdown)
    site.loop.ask(site.server.abort)
    assert ended == ["shutdown", "abort"]
    site.loop.ask(site.server.closed, other)


# --- kinds of sockets


def peer(exchange):
    exchange.respond(200, [], repr(exchange.request.peer).encode())


def test_a_unix_socket(serve, tmp_path):
    path = tmp_path / "s"
    site = serve(handle=peer, host=f"unix:{path}")
    assert site.connect().get().body == b"''"
    clients = [site.connect() for _ in range(3)]
    assert {client.get().status for client in clients} == {200}
    site.loop.ask(site.server.stop_accepting)
    assert not path.exists()
    site.loop.ask(site.server.shutdown)
    assert all(client.at_end() for client in clients)


def test_the_successors_unix_socket_is_not_removed(serve, tmp_path):
    path = tmp_path / "s"
    site = serve(handle=hello, host=f"unix:{path}")
    path.unlink()
    [successor] = listen(f"unix:{path}", 0, backlog=1)
    site.loop.ask(site.server.stop_accepting)
    assert path.exists()
    successor.close()


def test_ipv6(serve):
    try:
        sockets = listen("::1", 0, backlog=10)
    except BindError:
        pytest.skip("this machine has no IPv6 loopback address")
    assert serve(handle=peer, sockets=sockets).connect().get().body.startswith(b"('::1', ")


def test_accepted_sockets_do_not_delay(serve):
    found = []

    def handle(exchange):
        sock = exchange.connection._transport.get_extra_info("socket")
        found.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        hello(exchange)

    serve(handle=handle).connect().get()
    assert found[0]
