"""Addresses as users write them, and what they are told when one cannot be listened on."""

import os
import socket
import ssl
import stat

import pytest

from greenwire.errors import BindError, ConfigurationError
from greenwire.net.listen import listen, url_of
from greenwire.net.tls import server_context


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")


@pytest.fixture
def listening():
    opened = []

    def start(host, port=0, **options):
        opened.extend(sockets := listen(host, port, backlog=10, **options))
        return sockets

    yield start
    for sock in opened:
        sock.close()


def refusal(host, port=0, **options):
    with pytest.raises(BindError) as caught:
        listen(host, port, backlog=10, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def names(sockets):
    return [sock.getsockname()[0] for sock in sockets]


# --- TCP


def test_no_host_is_the_loopback(listening):
    [sock] = listening(None)
    assert sock.getsockname()[0] == "127.0.0.1"
    assert sock.getblocking() is False
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    assert not sock.get_inheritable()


@needs_ipv6
def test_localhost_is_both(listening):
    sockets = listening("localhost")
    assert names(sockets) == ["127.0.0.1", "::1"]
    assert len({sock.getsockname()[1] for sock in sockets}) == 1


@needs_ipv6
def test_an_empty_host_is_every_address(listening):
    sockets = listening("")
    assert names(sockets) == ["0.0.0.0", "::"]
    port = sockets[0].getsockname()[1]
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, port), 10).close()


@needs_ipv6
def test_two_colons_are_dual_stack(listening):
    [sock] = listening("::")
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, sock.getsockname()[1]), 10).close()


@needs_ipv6
def test_an_ipv6_address_is_only_that(listening):
    for host in ("::1", "[::1]"):
        [sock] = listening(host)
        assert sock.getsockname()[0] == "::1"


def test_a_literal_address(listening):
    assert names(listening("127.0.0.1")) == ["127.0.0.1"]
    assert names(listening("0.0.0.0")) == ["0.0.0.0"]


def test_a_port_may_be_a_string(listening):
    [first] = listening("127.0.0.1")
    port = first.getsockname()[1]
    first.close()
    [second] = listening("127.0.0.1", f" {port} ")
    assert second.getsockname()[1] == port


@pytest.mark.parametrize("port", ["http", "", "80.5", -1, 65_536, 1.5, True, None, "²"])
def test_bad_ports(port):
    message = refusal("127.0.0.1", port)
    assert repr(port) in message or str(port) in message
    assert "0 to 65535" in message


def test_in_use(listening):
    [sock] = listening("127.0.0.1")
    port = sock.getsockname()[1]
    message = refusal("127.0.0.1", port)
    assert f"127.0.0.1:{port}" in message
    assert "another program listens there" in message


@needs_ipv6
def test_localhost_is_refused_when_half_of_it_is_in_use(listening):
    [sock] = listening("::1")
    port = sock.getsockname()[1]
    assert f"[::1]:{port}" in refusal("localhost", port)
    [free] = listening("127.0.0.1", port)  # and the other half has been given back
    assert free.getsockname()[1] == port


def test_a_name_that_does_not_resolve():
    assert "cannot be resolved" in refusal("no-such-host.invalid")
    assert "cannot be resolved" in refusal("a" * 64 + ".invalid")


def test_an_address_of_another_machine():
    assert "no such address" in refusal("192.0.2.1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use any port")
def test_a_privileged_port():
    assert "below 1024" in refusal("127.0.0.1", 1)


def test_urls(listening):
    [sock] = listening("127.0.0.1")
    port = sock.getsockname()[1]
    assert url_of(sock, False) == f"http://127.0.0.1:{port}"
    assert url_of(sock, True) == f"https://127.0.0.1:{port}"


@needs_ipv6
def test_url_of_ipv6(listening):
    [sock] = listening("::1")
    assert url_of(sock, False) == f"http://[::1]:{sock.getsockname()[1]}"


# --- Unix


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "s")


def test_unix(listening, path):
    [sock] = listening(f"unix:{path}")
    assert sock.family == socket.AF_UNIX
    assert sock.getblocking() is False
    assert url_of(sock, False) == f"unix:{path}"


def test_unix_mode(listening, path):
    listening(f"unix:{path}", unix_mode=0o600)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_stale_socket_is_replaced(listening, path):
    listening(f"unix:{path}")[0].close()
    assert os.path.exists(path)
    listening(f"unix:{path}")


def test_a_socket_in_use_is_left_alone(listening, path):
    listening(f"unix:{path}")
    assert "another program listens there" in refusal(f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_file_that_is_no_socket_is_left_alone(path):
    with open(path, "w") as file:
        file.write("precious")
    assert "no socket" in refusal(f"unix:{path}")
    with open(path) as file:
        assert file.read() == "precious"


def test_unix_without_a_directory(path):
    assert "directory does not exist" in refusal(f"unix:{path}/deeper/s")


def test_unix_paths_that_cannot_be(path):
    assert "path is missing" in refusal("unix:")
    assert "too long" in refusal(f"unix:{path}{'x' * 200}")


# --- TLS contexts


def test_a_context(certificate):
    context = server_context(certificate.cert, certificate.key)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_NONE


def test_a_context_that_asks_for_certificates(certificate):
    assert server_context(certificate.cert, certificate.key, ca_certs=certificate.cert).verify_mode == ssl.CERT_OPTIONAL
    context = server_context(certificate.cert, certificate.key, ca_certs=certificate.cert, cert_reqs=ssl.CERT_REQUIRED)
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_an_encrypted_key(certificate):
    assert server_context(certificate.cert, certificate.encrypted_key, password="secret")
    with pytest.raises(ConfigurationError, match="encrypted"):
        server_context(certificate.cert, certificate.encrypted_key)
    with pytest.raises(ConfigurationError, match="password is wrong"):
        server_context(certificate.cert, certificate.encrypted_key, password="wrong")


def test_contexts_that_cannot_be(certificate, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    cert, key = certificate.cert, certificate.key
    for options, said in [
        ({"certfile": "/absent.pem"}, "certfile /absent.pem: No such file"),
        ({"certfile": cert, "keyfile": "/absent.pem"}, "keyfile /absent.pem: No such file"),
        ({"certfile": empty, "keyfile": key}, f"certfile {empty}"),
        ({"certfile": cert, "keyfile": certificate.other_key}, "not the key of the certificate"),
        ({"certfile": cert, "keyfile": key, "ca_certs": empty}, f"ca_certs {empty}"),
        ({"certfile": cert, "keyfile": key, "cert_reqs": ssl.CERT_REQUIRED}, "ca_certs must say"),
        ({"certfile": cert, "keyfile": key, "ciphers": "NONSENSE"}, "NONSENSE"),
    ]:
        with pytest.raises(ConfigurationError) as caught:
            server_context(**options)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
