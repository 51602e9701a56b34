"""TLS: it works, and no client can do harm to another one with it."""

import socket
import ssl

import pytest

from greenwire.limits import Limits
from greenwire.net.tls import server_context


def hello(exchange):
    exchange.respond(200, [], exchange.request.scheme.encode())


@pytest.fixture
def context(certificate):
    return server_context(certificate.cert, certificate.key)


def plain(site):
    sock = socket.create_connection(site.sockets[0].getsockname(), 20)
    site.clients.append(sock)
    return sock


def still_serves(site):
    assert site.connect().get().body == b"https"


def test_https(serve, context):
    client = serve(handle=hello, context=context).connect()
    for _ in range(3):
        assert client.get().body == b"https"
    assert client.sock.version() in ("TLSv1.2", "TLSv1.3")


def test_a_large_answer(serve, context):
    body = bytes(range(256)) * 8_000
    client = serve(handle=lambda exchange: exchange.respond(200, [], body), context=context).connect()
    assert client.get().body == body
    assert client.get("/", "Connection: close").body == body
    assert client.at_end()


def test_a_refusal_can_be_read(serve, context):
    client = serve(handle=hello, context=context, limits=Limits(close_timeout_s=0.2)).connect()
    assert client.send(b"BREW / HTTP/1.1\r\n\r\n").answer().status == 501
    assert client.at_end()


def test_alpn(serve, context, certificate):
    site = serve(handle=hello, context=context)
    offer = ssl.create_default_context(cafile=certificate.cert)
    offer.set_alpn_protocols(["h2", "http/1.1"])
    with offer.wrap_socket(plain(site), server_hostname="localhost") as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"


def test_client_certificates_are_demanded(serve, certificate):
    context = server_context(certificate.cert, certificate.key, ca_certs=certificate.cert, cert_reqs=ssl.CERT_REQUIRED)
    site = serve(handle=hello, context=context)
    anonymous = ssl.create_default_context(cafile=certificate.cert)
    anonymous.maximum_version = ssl.TLSVersion.TLSv1_2  # in 1.3 the client learns of the refusal only later
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        anonymous.wrap_socket(plain(site), server_hostname="localhost")
    known = ssl.create_default_context(cafile=certificate.cert)
    known.load_cert_chain(certificate.cert, certificate.key)
    with known.wrap_socket(plain(site), server_hostname="localhost") as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert sock.recv(1_000).startswith(b"HTTP/1.1 200")


def test_plain_http_on_a_tls_port(serve, context, caplog):
    site = serve(handle=hello, context=context)
    sock = plain(site)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    try:
        while sock.recv(1_000):
            pass
    except ConnectionResetError:
        pass
    still_serves(site)
    [record] = caplog.records
    assert "plain HTTP" in record.getMessage()
    assert record.exc_info is None


def test_resets_during_the_handshake(serve, context, caplog):
    """The server whose accept loop did this work died of it."""
    site = serve(handle=hello, context=context)
    for data in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00", b"garbage" * 100):
        for _ in range(3):
            sock = plain(site)
            sock.sendall(data)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()
    still_serves(site)
    site.wait_until(lambda: not site.server._arriving)
    assert all(record.exc_info is None and record.levelname == "WARNING" for record in caplog.records)


def test_a_reset_after_the_handshake(serve, context, caplog):
    site = serve(handle=hello, context=context)
    for _ in range(3):
        client = site.connect()
        client.send(b"GET / HT")
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    site.wait_until_empty()
    still_serves(site)
    assert caplog.records == []


def test_a_handshake_has_a_deadline(serve, context):
    site = serve(handle=hello, context=context, limits=Limits(tls_handshake_s=0.1))
    silent = [plain(site) for _ in range(3)]
    assert {sock.recv(1) for sock in silent} == {b""}
    site.wait_until(lambda: not site.server._arriving)


def test_handshakes_count_as_connections(serve, context):
    site = serve(handle=hello, context=context, limits=Limits(connections=2))
    silent = [plain(site), plain(site)]
    site.wait_until(lambda: len(site.server._arriving) == 2)
    assert plain(site).recv(1) == b""
    for sock in silent:
        sock.close()
    site.wait_until(lambda: not site.server._arriving)
    still_serves(site)


def test_shutdown_does_not_wait_for_handshakes(serve, context):
    site = serve(handle=hello, context=context)
    sock = plain(site)
    site.wait_until(lambda: site.server._arriving)
    site.loop.ask(site.server.shutdown)
    assert sock.recv(1) == b""
    site.wait_until(lambda: site.server.idle)
