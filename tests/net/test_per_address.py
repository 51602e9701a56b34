"""Connections of one address, at the limit and one past it."""

import socket

import pytest

from greenwire.limits import Limits
from greenwire.net.proxy_protocol import Header
from greenwire.net.tls import server_context
from greenwire.net.trust import Trusted

TWO = Limits(connections_per_address=2)


def hello(exchange):
    exchange.respond(200, [], b"hello")


def test_at_the_limit_and_one_past(serve, caplog):
    site = serve(handle=hello, limits=TWO)
    first, second = site.connect(), site.connect()
    assert first.get().status == second.get().status == 200
    third = site.connect()
    answer = third.answer()
    assert (answer.status, answer.get("connection")) == (429, "close")
    assert third.at_end()
    assert "connections_per_address" in caplog.text


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_who_leaves_makes_room(serve, leave):
    site = serve(handle=hello, limits=TWO)
    for _ in range(5):
        clients = [site.connect(), site.connect()]
        assert {client.get().status for client in clients} == {200}
        for client in clients:
            getattr(client, leave)()
        site.wait_until_empty()
    assert site.loop.ask(lambda: len(site.server._addresses)) == 0


def test_who_takes_a_connection_over_keeps_its_place(serve):
    taken = []

    def handle(exchange):
        transport, _ = exchange.upgrade()
        connection = exchange.connection

        class Other:
            shutdown = abort = staticmethod(transport.abort)

        other = Other()
        connection.server.replace(connection, other)
        transport.write(b"taken")
        taken.append(other)

    site = serve(handle=handle, limits=Limits(connections_per_address=1))
    client = site.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    assert client.file.read(5) == b"taken"
    assert site.connect().answer().status == 429
    site.loop.ask(taken[0].abort)
    site.loop.ask(site.server.closed, taken[0])
    assert site.loop.ask(lambda: len(site.server._addresses)) == 0


def test_one_that_another_process_has_accepted_counts_for_its_client(serve):
    """Else who names a session of another worker in his request would be counted by nobody."""
    site = serve(handle=hello, limits=TWO)
    held, answers = [], []
    for _ in range(3):
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        held.append(ours)
        theirs.setblocking(False)
        client = Header(0, ("192.0.2.1", 4711), ("127.0.0.1", site.port))
        site.loop.ask(site.server.adopt, theirs, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", client, "http")
        answers.append(ours.recv(1000).split()[1])
    assert answers == [b"200", b"200", b"429"]
    for ours in held:
        ours.close()
    site.wait_until_empty()
    assert site.loop.ask(lambda: len(site.server._addresses)) == 0


def test_a_handshake_that_fails_makes_room(serve, certificate):
    context = server_context(certificate.cert, certificate.key)
    site = serve(handle=hello, context=context, limits=Limits(connections_per_address=1, tls_handshake_s=0.1))
    for _ in range(3):
        with socket.create_connection(site.sockets[0].getsockname(), 20) as silent:
            assert silent.recv(1) == b""
        site.wait_until(lambda: not len(site.server._addresses))


def test_a_proxy_that_is_believed_has_no_such_limit(serve):
    site = serve(handle=hello, limits=TWO, forwarders=Trusted("127.0.0.1"))
    clients = [site.connect() for _ in range(10)]
    assert {client.get().status for client in clients} == {200}


def test_unix_clients_are_not_counted(serve, tmp_path):
    site = serve(handle=hello, limits=TWO, host=f"unix:{tmp_path}/s")
    assert {client.get().status for client in [site.connect() for _ in range(5)]} == {200}


def test_without_the_limit_nothing_is_counted(serve):
    site = serve(handle=hello)
    assert site.connect().get().status == 200
    assert site.server._addresses is None
    assert not site.server._keys
