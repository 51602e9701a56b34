"""PROXY headers: what the specification's examples say, what is refused, and any split of the bytes."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenwire.errors import RemoteProtocolError
from greenwire.limits import Limits
from greenwire.net.proxy_protocol import MAX_BYTES, Header, parse
from greenwire.net.trust import Trusted

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
REST = b"GET / HTTP/1.1\r\n"


def binary(command=1, family=1, kind=1, body=b"", version=2, length=None):
    length = len(body) if length is None else length
    return SIGNATURE + bytes((version << 4 | command, family << 4 | kind)) + length.to_bytes(2, "big") + body


V4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.1") + b"\x12\x67\x01\xbb"
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") * 2 + b"\x12\x67\x01\xbb"
UNIX = b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0")
TLV = b"\x04\x00\x03abc"

GOOD = {
    "TCP4": (b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n", ("192.0.2.1", 4711), ("198.51.100.1", 443)),
    "TCP6": (b"PROXY TCP6 2001:DB8::1 2001:db8:0::2 0 65535\r\n", ("2001:db8::1", 0), ("2001:db8::2", 65535)),
    "UNKNOWN": (b"PROXY UNKNOWN\r\n", None, None),
    "UNKNOWN with more": (b"PROXY UNKNOWN ff:ff:ff:ff:ff:ff:ff:ff ff:ff 65535 65535\r\n", None, None),
    "the longest line": (b"PROXY UNKNOWN ".ljust(105, b"x") + b"\r\n", None, None),
    "v2 TCP4": (binary(body=V4), ("192.0.2.1", 4711), ("198.51.100.1", 443)),
    "v2 TCP6": (binary(family=2, body=V6), ("2001:db8::1", 4711), ("2001:db8::1", 443)),
    "v2 UNIX": (binary(family=3, body=UNIX), "/run/a", "/run/b"),
    "v2 LOCAL": (binary(command=0, family=0, kind=0), None, None),
    "v2 LOCAL with addresses": (binary(command=0, body=V4), None, None),
    "v2 UNSPEC": (binary(family=0, kind=0, body=b"whatever"), None, None),
    "v2 datagrams": (binary(kind=2, body=V4), None, None),
    "v2 with TLVs": (binary(body=V4 + TLV * 20), ("192.0.2.1", 4711), ("198.51.100.1", 443)),
    "v2 as long as may be": (binary(body=V4.ljust(MAX_BYTES - 16, b"\0")), ("192.0.2.1", 4711), ("198.51.100.1", 443)),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_headers_at_every_split(name):
    data, source, destination = GOOD[name]
    assert parse(data + REST) == Header(len(data), source, destination)
    for end in range(len(data)):
        assert parse(data[:end]) is None
    assert parse(data) == Header(len(data), source, destination)


BAD = {
    "HTTP": REST,
    "TLS": b"\x16\x03\x01\x02\x00",
    "another letter": b"PROXX TCP4",
    "lower case": b"proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
    "bare LF": b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n",
    "no end": b"PROXY TCP4 ".ljust(107, b"1"),
    "one byte too long": b"PROXY UNKNOWN ".ljust(106, b"x") + b"\r\n",
    "nothing": b"PROXY \r\n",
    "another family": b"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
    "two spaces": b"PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n",
    "a word too many": b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
    "a word too few": b"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
    "no address": b"PROXY TCP4 localhost 198.51.100.1 1 2\r\n",
    "a part too large": b"PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n",
    "an octal part": b"PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n",
    "IPv6 as TCP4": b"PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n",
    "IPv4 as TCP6": b"PROXY TCP6 192.0.2.1 2001:db8::1 1 2\r\n",
    "an interface": b"PROXY TCP6 fe80::1%lo fe80::1 1 2\r\n",
    "a port too large": b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n",
    "a leading zero": b"PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n",
    "a sign": b"PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n",
    "a very long port": b"PROXY TCP4 192.0.2.1 198.51.100.1 " + b"1" * 60 + b" 2\r\n",
    "no ASCII": b"PROXY TCP4 192.0.2.1 198.51.100.1 1 \xb2\r\n",
    "v2 of version 1": binary(version=1, body=V4),
    "v2 of version 3": binary(version=3, body=V4),
    "v2 with an unknown command": binary(command=2, body=V4),
    "v2 too short for IPv4": binary(body=V4[:-1]),
    "v2 too short for IPv6": binary(family=2, body=V6[:-1]),
    "v2 too short for Unix": binary(family=3, body=UNIX[:-1]),
    "v2 too long": binary(body=V4, length=MAX_BYTES - 15),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_headers(name):
    with pytest.raises(RemoteProtocolError):
        parse(BAD[name])


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", SIGNATURE, b"PROXY TCP4 ", SIGNATURE + b"\x21\x11"]))
def test_garbage_is_a_header_or_refused_or_not_complete(data, start):
    data = start + data
    try:
        header = parse(data)
    except RemoteProtocolError:
        return
    if header is not None:
        assert 0 < header.size <= len(data)
        assert parse(data[: header.size]) == header


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 65_535), st.integers(0, 65_535))
def test_both_versions_say_the_same(source, destination, source_port, destination_port):
    line = f"PROXY TCP4 {source} {destination} {source_port} {destination_port}\r\n".encode()
    ports = source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    one, two = parse(line), parse(binary(body=source.packed + destination.packed + ports))
    assert one[1:] == two[1:] == ((str(source), source_port), (str(destination), destination_port))


# --- on a connection


def peer(exchange):
    exchange.respond(200, [], repr((exchange.request.peer, exchange.request.local)).encode())


LOOPBACK = Trusted("127.0.0.1")


@pytest.mark.parametrize("name", ["TCP4", "TCP6", "v2 TCP4", "v2 TCP6", "v2 UNIX", "v2 with TLVs"])
def test_the_request_is_the_clients(serve, name):
    data, source, destination = GOOD[name]
    client = serve(handle=peer, proxy_protocol=LOOPBACK).connect().send(data)
    assert client.get().body == repr((source, destination)).encode()
    assert client.get().body == repr((source, destination)).encode()


@pytest.mark.parametrize("name", ["UNKNOWN", "v2 LOCAL"])
def test_a_proxy_that_speaks_for_itself(serve, name):
    site = serve(handle=peer, proxy_protocol=LOOPBACK)
    client = site.connect()
    own = (client.sock.getsockname(), client.sock.getpeername())
    assert client.send(GOOD[name][0]).get().body == repr(own).encode()


@pytest.mark.parametrize("name", ["TCP4", "v2 TCP4"])
def test_a_header_in_single_bytes(serve, name):
    client = serve(handle=peer, proxy_protocol=LOOPBACK).connect()
    for byte in GOOD[name][0]:
        client.send(bytes((byte,)))
    assert b"192.0.2.1" in client.get().body


def test_a_header_before_tls(serve, certificate):
    import ssl

    from greenwire.net.tls import server_context

    site = serve(handle=peer, context=server_context(certificate.cert, certificate.key), proxy_protocol=LOOPBACK)
    with socket.create_connection(site.sockets[0].getsockname(), 20) as plain:
        plain.sendall(GOOD["v2 TCP4"][0])
        context = ssl.create_default_context(cafile=certificate.cert)
        with context.wrap_socket(plain, server_hostname="localhost") as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"192.0.2.1" in sock.recv(4_096)


@pytest.mark.parametrize("data", [REST, BAD["a part too large"], BAD["v2 too long"]])
def test_without_a_good_header_the_connection_ends(serve, caplog, data):
    site = serve(handle=peer, proxy_protocol=LOOPBACK)
    assert site.connect().send(data).at_end()
    assert "PROXY" in caplog.text
    assert site.connect().send(GOOD["TCP4"][0]).get().status == 200


@pytest.mark.parametrize("data", [b"", b"PROXY TCP4 192"])
def test_a_silent_client_is_let_go(serve, caplog, data):
    site = serve(handle=peer, proxy_protocol=LOOPBACK, limits=Limits(proxy_header_s=0.1))
    assert site.connect().send(data).at_end()
    assert "proxy_header_s" in caplog.text


def test_a_client_that_ends_in_its_header(serve):
    client = serve(handle=peer, proxy_protocol=LOOPBACK).connect().send(b"PROXY TCP4")
    client.sock.shutdown(socket.SHUT_WR)
    assert client.at_end()


def test_nobody_else_may_speak_for_others(serve, caplog):
    client = serve(handle=peer, proxy_protocol=Trusted("192.0.2.7")).connect().send(GOOD["TCP4"][0] + REST)
    assert client.at_end()
    assert "proxy_protocol" in caplog.text


def test_connections_are_counted_for_the_client_and_not_for_the_proxy(serve):
    limits = Limits(connections_per_address=1)
    site = serve(handle=peer, proxy_protocol=LOOPBACK, limits=limits)
    one = site.connect().send(GOOD["TCP4"][0])
    other = site.connect().send(GOOD["TCP6"][0])
    assert one.get().status == other.get().status == 200
    assert site.connect().send(GOOD["TCP4"][0]).answer().status == 429
    one.close()
    site.wait_until(lambda: len(site.server.connections) == 1)
    assert site.connect().send(GOOD["TCP4"][0]).get().status == 200
