"""``greenwire.green.ssl``: TLS in green threads, and its ends in the middle."""

import ssl as real

import pytest

from greenwire import green
from greenwire.green import socket, ssl
from greenwire.green import time as green_time
from support.certificate import self_signed

LONG_S = 60.0
SOON_S = 0.002


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def contexts(certificate):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate)
    return server, ssl.create_default_context(cafile=certificate[0])


def encrypted(pair, contexts):
    """Both ends, once they have agreed."""
    server = green.spawn(contexts[0].wrap_socket, pair[0], server_side=True)
    client = contexts[1].wrap_socket(pair[1], server_hostname="localhost")
    return server.wait(LONG_S), client


def test_it_has_every_name_of_ssl():
    for name in dir(real):
        assert hasattr(ssl, name), name
    assert issubclass(ssl.SSLContext, real.SSLContext)
    assert issubclass(ssl.SSLSocket, socket.socket)


def test_a_server_and_a_client(contexts):
    def handle(connection, _):
        with contexts[0].wrap_socket(connection, server_side=True) as secure, secure.makefile("rwb") as file:
            for line in file:
                file.write(line.upper())
                file.flush()

    with green.listen(("127.0.0.1", 0)) as listener:
        server = green.spawn(green.serve, listener, handle)
        port = listener.getsockname()[1]

        def talk(number):
            plain = socket.create_connection(("localhost", port))
            with contexts[1].wrap_socket(plain, server_hostname="localhost") as client:
                assert client.version() == "TLSv1.3"
                client.sendall(b"hello %d\n" % number)
                return client.recv(100)

        threads = [green.spawn(talk, number) for number in range(20)]
        assert [thread.wait(LONG_S) for thread in threads] == [b"HELLO %d\n" % number for number in range(20)]
        server.kill()
        server.join()


def test_a_listening_tls_socket_accepts_and_a_client_connects_by_itself(contexts):
    with contexts[0].wrap_socket(green.listen(("127.0.0.1", 0)), server_side=True) as listener:
        accepting = green.spawn(listener.accept)
        with contexts[1].wrap_socket(socket.socket(), server_hostname="localhost") as client:
            client.connect(listener.getsockname())
            connection, address = accepting.wait(LONG_S)
            assert address == client.getsockname()
            with connection:
                connection.sendall(b"hi")
                assert client.recv(10) == b"hi"


def test_large_data_both_ways(pair, contexts):
    server, client = encrypted(pair, contexts)
    size = 2_000_000

    def read(sock):
        left = size
        while left:
            left -= len(sock.recv(65_536))
        return left

    with server, client:
        threads = [green.spawn(server.sendall, bytes(size)), green.spawn(read, client)]
        for thread in threads:
            thread.wait(LONG_S)
        buffer = bytearray(10)
        client.send(b"0123456789")
        assert server.recv_into(buffer) == 10
        client.write(b"x")
        assert server.read(5) == b"x"


def test_unwrap_gives_the_plain_connection(pair, contexts):
    server, client = encrypted(pair, contexts)
    with server, client:
        ending = green.spawn(server.unwrap)
        plain_client = client.unwrap()
        plain_server = ending.wait(LONG_S)
        plain_server.sendall(b"plain")
        assert plain_client.recv(10) == b"plain"


def test_the_server_hears_the_name_that_the_client_asks_for(pair, contexts):
    names = []
    contexts[0].sni_callback = lambda _sock, name, _context: names.append(name)
    server, client = encrypted(pair, contexts)
    server.close()
    client.close()
    assert names == ["localhost"]


def test_timeouts_and_no_waiting_at_all(pair, contexts):
    server, client = encrypted(pair, contexts)
    with server, client:
        client.settimeout(SOON_S)
        with pytest.raises(TimeoutError, match="read operation timed out"):
            client.recv(1)
        client.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            client.recv(1)
        client.settimeout(None)
        server.sendall(b"x")
        assert client.recv(1) == b"x"


def test_a_certificate_that_is_not_trusted(pair, contexts):
    server = green.spawn(contexts[0].wrap_socket, pair[0], server_side=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(pair[1], server_hostname="localhost")
    with pytest.raises(OSError, match="."):
        server.wait(LONG_S)


@pytest.mark.parametrize("end", ["kill", "timeout", "socket timeout"])
def test_the_handshake_of_a_peer_that_is_silent_can_be_ended(pair, contexts, end):
    def shake():
        if end == "socket timeout":
            pair[0].settimeout(SOON_S)
        with green.Timeout(SOON_S if end == "timeout" else None):
            contexts[0].wrap_socket(pair[0], server_side=True)

    thread = green.spawn(shake)
    for _ in range(5):
        green.sleep(0)
    if end == "kill":
        thread.kill()
    expected = {"kill": green.GreenletExit, "timeout": green.Timeout, "socket timeout": TimeoutError}
    with pytest.raises(expected[end]):
        thread.wait(LONG_S)
    assert pair[0].fileno() == -1
    assert pair[1].recv(1) == b""  # closed, not forgotten


def test_close_wakes_the_one_that_reads(pair, contexts):
    server, client = encrypted(pair, contexts)
    with server, client:
        reader = green.spawn(client.recv, 1)
        green.sleep(0)
        green.sleep(0)
        client.close()
        with pytest.raises(OSError, match="closed"):
            reader.wait(LONG_S)


def test_wrap_ssl_heeds_what_it_is_told(pair, certificate):
    server = green.spawn(green.wrap_ssl, pair[0], certfile=certificate[0], keyfile=certificate[1], server_side=True)
    client = green.wrap_ssl(pair[1], cert_reqs=ssl.CERT_REQUIRED, ca_certs=certificate[0], server_hostname="localhost")
    with client, server.wait(LONG_S) as served:
        served.sendall(b"hi")
        assert client.recv(10) == b"hi"
        assert client.getpeercert()


def test_time_sleep_lets_others_run():
    thread = green.spawn(green_time.sleep, 0)
    for _ in range(3):
        green_time.sleep(0)
    assert thread.dead
    green_time.sleep(0.001)
    with pytest.raises(ValueError, match="non-negative"):
        green_time.sleep(-1)
    assert green_time.monotonic() > 0
