"""Socket.IO over TLS, in the ways that `run` can be told of a certificate."""

import ssl
from typing import Any

import pytest

from greenwire.errors import ConfigurationError
from support.certificate import self_signed
from support.engine import Client, Polling
from support.raw import Connection
from support.site import Site, new_socketio


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[str, str]:
    return self_signed(tmp_path_factory.mktemp("tls"))


def make():
    socketio = new_socketio()

    @socketio.on("echo")
    def echo(data):
        return data

    return socketio


def secured(connection: Connection, certificate: tuple[str, str]) -> Any:
    """*connection*, with TLS on it."""
    context = ssl.create_default_context(cafile=certificate[0])
    connection.file.close()
    connection.sock = context.wrap_socket(connection.sock, server_hostname="localhost")
    connection.file = connection.sock.makefile("rb")
    return connection


def context_of(certificate: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


WAYS = {
    "files": lambda certificate: {"certfile": certificate[0], "keyfile": certificate[1]},
    "pair": lambda certificate: {"ssl_context": certificate},
    "context": lambda certificate: {"ssl_context": context_of(certificate)},
}


@pytest.mark.parametrize("way", WAYS)
def test_both_transports_over_tls(certificate, way):
    with Site(make(), **WAYS[way](certificate)) as site:
        assert site.url.startswith("https://")
        with secured(Client(site.port), certificate) as client:
            client.join()
            assert client.call("echo", "x" * 100_000) == ["x" * 100_000]
        with secured(Polling(site.port), certificate) as polling:
            polling.join()
            polling.say('421["echo",1]')
            assert polling.poll() == ["431[1]"]


def test_closing_a_websocket_over_tls_ends_tcp(certificate):
    with Site(make(), ssl_context=certificate) as site, secured(Client(site.port), certificate) as client:
        client.join()
        site.service.loop.post(site.engine.peers[client.sid].close)
        assert client.close_code() == 1000
        assert client.at_end()


def test_plain_http_on_a_tls_port_harms_nobody(certificate):
    with Site(make(), ssl_context=certificate) as site, secured(Client(site.port), certificate) as client:
        client.join()
        with Connection(site.port) as plain:
            plain.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert plain.at_end()
        assert client.call("echo", 1) == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"certfile": "/nowhere.pem"}, "/nowhere.pem"),
        ({"keyfile": "key.pem"}, "certfile is not"),
        ({"ssl_context": 5}, "ssl_context=5"),
    ],
)
def test_a_wrong_certificate_is_named(options, message):
    socketio = make()
    with pytest.raises(ConfigurationError, match=message):
        socketio.run(socketio._find_app(), port=0, **options)
