"""Several certificates on one port, new ones under way, certificates of clients, and what goes wrong with them."""

import logging
import os
import shutil
import socket
import ssl
import threading
from types import SimpleNamespace

import pytest

from greenwire.errors import ConfigurationError
from greenwire.http.certificate import KEY, ClientCertificates, _escaped
from greenwire.http.wsgi import environ_of
from greenwire.limits import Limits
from greenwire.net.tls import contexts, decoded, names_of, server_context
from support.authority import Authority


def hello(exchange):
    exchange.respond(200, [], b"hello")


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def issued(authority):
    return SimpleNamespace(
        one=authority.issue("one", "one.test", "alias.test"),
        wild=authority.issue("wild", "*.two.test"),
        exact=authority.issue("exact", "exact.two.test"),
        nameless=authority.issue("nameless", subject="/CN=Three.test"),
        ada=authority.issue("ada", subject="/C=UK/O=Engines, Ltd/CN=Ada"),
        expired=authority.issue("expired", "old.test", days=-1),
    )


def dial(site, authority, name, **given):
    """A connection over TLS that asks for *name*."""
    context = ssl.create_default_context(cafile=authority.cert)
    context.check_hostname = False
    for certificate in given.values():
        context.load_cert_chain(*certificate)
    sock = context.wrap_socket(socket.create_connection(site.sockets[0].getsockname(), 20), server_hostname=name)
    site.clients.append(sock)
    return sock


def shown(sock):
    return [name for _, name in sock.getpeercert().get("subjectAltName", ())]


def say(sock):
    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return sock.recv(65_536)


# --- several


def test_names(issued):
    assert names_of(decoded(issued.one[0])) == ["one.test", "alias.test"]
    assert names_of(decoded(issued.nameless[0])) == ["three.test"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("one.test", "one.test"),
        ("ALIAS.test", "one.test"),
        ("a.two.test", "*.two.test"),
        ("exact.two.test", "exact.two.test"),
        ("a.b.two.test", "one.test"),
        ("two.test", "one.test"),
        ("elsewhere.test", "one.test"),
        (None, "one.test"),
    ],
)
def test_each_name_gets_its_certificate(serve, authority, issued, asked, expected):
    site = serve(handle=hello, context=contexts([issued.one, issued.wild, issued.exact]))
    sock = dial(site, authority, asked)
    assert shown(sock)[0] == expected
    assert say(sock).endswith(b"hello")


def test_alpn_is_the_same_for_each(serve, authority, issued):
    site = serve(handle=hello, context=contexts([issued.one, issued.wild]))
    context = ssl.create_default_context(cafile=authority.cert)
    context.set_alpn_protocols(["h2", "http/1.1"])
    plain = socket.create_connection(site.sockets[0].getsockname(), 20)
    with context.wrap_socket(plain, server_hostname="a.two.test") as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("pair", ["cert.pem", ("cert.pem",), ("a", "b", "c")])
def test_what_is_no_pair(pair):
    with pytest.raises(ConfigurationError, match="is no pair"):
        contexts([pair])


def test_no_certificate_at_all():
    with pytest.raises(ConfigurationError, match="at least one pair"):
        contexts([])


# --- new ones


def test_new_handshakes_use_the_new_certificate(serve, authority, issued, tmp_path):
    files = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    for source, target in zip(issued.one, files, strict=True):
        shutil.copy(source, target)
    site = serve(handle=hello, context=contexts([files]))
    old = dial(site, authority, "one.test")
    assert shown(old)[0] == "one.test"
    for source, target in zip(issued.exact, files, strict=True):
        shutil.copy(source, target)
    site.loop.ask(setattr, site.server, "ssl_context", contexts([files]))
    assert shown(dial(site, authority, "one.test"))[0] == "exact.two.test"
    assert say(old).endswith(b"hello")


# --- of clients


def tell(exchange):
    found = environ_of(exchange.request)
    certificate = found.get(KEY)
    said = [found.get("SSL_CLIENT_VERIFY"), found.get("SSL_CLIENT_S_DN"), found.get("SSL_CLIENT_I_DN")]
    if certificate is not None:
        assert ssl.PEM_cert_to_DER_cert(certificate.pem) == certificate.der
        assert certificate.fields["serialNumber"] == found["SSL_CLIENT_M_SERIAL"]
        assert found["SSL_CLIENT_V_START"] < found["SSL_CLIENT_V_END"] or found["SSL_CLIENT_V_START"]
        said.append(repr(certificate))
    exchange.respond(200, [], "|".join(map(str, said)).encode())


def test_the_clients_certificate_is_in_the_environ(serve, authority, issued):
    context = contexts([issued.one, issued.wild], ca_certs=authority.cert)
    site = serve(handle=ClientCertificates(tell).handle, context=context)
    for name in ("one.test", "a.two.test"):
        said = say(dial(site, authority, name, client=issued.ada)).partition(b"\r\n\r\n")[2].decode()
        subject = "CN=Ada,O=Engines\\, Ltd,C=UK"
        assert said == f"SUCCESS|{subject}|CN=Test CA|<ClientCertificate {subject}>"


def test_a_client_without_one(serve, authority, issued):
    site = serve(handle=ClientCertificates(tell).handle, context=contexts([issued.one], ca_certs=authority.cert))
    assert say(dial(site, authority, "one.test")).endswith(b"NONE|None|None")


def test_a_header_is_no_certificate(serve, authority, issued):
    site = serve(handle=ClientCertificates(tell).handle, context=contexts([issued.one], ca_certs=authority.cert))
    sock = dial(site, authority, "one.test")
    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nSSL-Client-Verify: SUCCESS\r\nSSL_CLIENT_S_DN: CN=Ada\r\n\r\n")
    assert sock.recv(65_536).endswith(b"NONE|None|None")


def test_a_certificate_of_somebody_else_fails(serve, authority, issued, certificate, caplog):
    site = serve(handle=hello, context=contexts([issued.one], ca_certs=authority.cert, cert_reqs=ssl.CERT_REQUIRED))
    try:  # in TLS 1.3 only the first read tells, in whatever way
        assert say(dial(site, authority, "one.test", client=(certificate.cert, certificate.key))) == b""
    except (ssl.SSLError, ConnectionError):
        pass
    assert say(dial(site, authority, "one.test", client=issued.ada)).endswith(b"hello")
    assert "certificate verify failed" in caplog.text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a,b", "a\\,b"),
        ("#a", "\\#a"),
        (" a ", "\\ a\\ "),
        ("a\r\nb", "a\\0D\\0Ab"),
        ('"<>;+\\', '\\"\\<\\>\\;\\+\\\\'),
    ],
)
def test_names_are_escaped(value, written):
    assert _escaped(value) == written


# --- what goes wrong


def test_an_expired_certificate_is_a_warning(issued, caplog):
    contexts([issued.expired])
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert f"certfile {issued.expired[0]}: it has expired on" in record.getMessage()


def test_each_certificate_is_decoded_once(issued, monkeypatch):
    seen = []
    monkeypatch.setattr("greenwire.net.tls.decoded", lambda path: seen.append(path) or decoded(path))
    contexts([issued.one, issued.wild])
    assert seen == [issued.one[0], issued.wild[0]]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read any file")
def test_a_file_that_may_not_be_read(issued, tmp_path):
    path = tmp_path / "key.pem"
    shutil.copy(issued.one[1], path)
    path.chmod(0)
    with pytest.raises(ConfigurationError, match="the user that serves must be able to read it"):
        server_context(issued.one[0], path)


def test_every_error_says_what_to_do(issued, tmp_path):
    for options, said in [
        ((tmp_path / "absent",), "give the path of a file in PEM format"),
        ((issued.one[0],), "give a keyfile, too"),
        ((issued.one[0], issued.wild[1]), "give the pair"),
    ]:
        with pytest.raises(ConfigurationError, match=said):
            server_context(*options)


# --- handshakes


def plain(site, data=b""):
    sock = socket.create_connection(site.sockets[0].getsockname(), 20)
    site.clients.append(sock)
    sock.sendall(data)
    return sock


def read_all(sock):
    data = b""
    try:
        while piece := sock.recv(65_536):
            data += piece
    except ConnectionResetError:
        pass
    return data


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"P", b"OPTIONS * HTTP/1.1\r\n"])
def test_plain_http_is_told_in_plain_http(serve, issued, start):
    site = serve(handle=hello, context=contexts([issued.one]))
    answer = read_all(plain(site, start))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"https://" in answer


@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01\x02"])
def test_a_silent_client_is_let_go(serve, issued, caplog, start):
    site = serve(handle=hello, context=contexts([issued.one]), limits=Limits(tls_handshake_s=0.1))
    assert read_all(plain(site, start)) == b""
    site.wait_until(lambda: caplog.records)
    [record] = caplog.records
    assert "TLS handshake with 127.0.0.1" in record.message
    assert record.message.endswith("(limit 'tls_handshake_s')")


@pytest.mark.parametrize("half", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_handshakes_in_flight_at_the_limit_and_one_past(serve, authority, issued, half, caplog):
    """Those who only pretend are dropped, the oldest first, and cannot keep out who is honest."""
    site = serve(handle=hello, context=contexts([issued.one]), limits=Limits(tls_handshakes=3))
    slow = [plain(site, half) for _ in range(3)]
    site.wait_until(lambda: len(site.server._shaking) == 3)
    assert caplog.records == []
    assert say(dial(site, authority, "one.test")).endswith(b"hello")
    assert read_all(slow[0]) == b""
    assert "tls_handshakes" in caplog.text
    site.wait_until(lambda: len(site.server._arriving) == 2)
    slow[1].settimeout(0.05)
    with pytest.raises(TimeoutError):
        slow[1].recv(1)


def test_many_at_once_all_come_through(serve, authority, issued):
    site = serve(handle=hello, context=contexts([issued.one]))
    socks, failed = [], []

    def one():
        try:
            socks.append(dial(site, authority, "one.test"))
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert all(say(sock).endswith(b"hello") for sock in socks)


def test_close_notify_is_said(serve, authority, issued):
    """A client can tell a proper end from one that somebody on the way has made (RFC 8446 6.1)."""
    site = serve(handle=hello, context=contexts([issued.one]))
    context = ssl.create_default_context(cafile=authority.cert)
    sock = context.wrap_socket(plain(site), server_hostname="one.test", suppress_ragged_eofs=False)
    site.clients.append(sock)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    while sock.recv(65_536):  # without a close_notify it would raise
        pass


def test_a_clients_close_notify_is_answered(serve, authority, issued):
    site = serve(handle=hello, context=contexts([issued.one]))
    sock = dial(site, authority, "one.test")
    assert say(sock).endswith(b"hello")
    sock.unwrap()
    site.wait_until_empty()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(serve, authority, issued, version):
    site = serve(handle=hello, context=contexts([issued.one]))
    context = ssl.create_default_context(cafile=authority.cert)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError), socket.create_connection(site.sockets[0].getsockname(), 20) as sock:
        context.wrap_socket(sock, server_hostname="one.test")
