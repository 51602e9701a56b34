"""Fields that a client repeats are not read twice, and nothing of it can be seen from outside."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenwire.errors import RemoteProtocolError
from greenwire.http import parser as parser_module
from greenwire.http.parser import Framing, RequestParser
from greenwire.limits import DEFAULT

FIELDS = b"Host: a\r\nCookie: a=1\r\n\r\n"
GET = b"GET /1 HTTP/1.1\r\n" + FIELDS


@pytest.fixture(autouse=True)
def _no_line_is_known(monkeypatch):
    monkeypatch.setattr(parser_module, "_LINES_READ", {})


def new(limits=DEFAULT):
    return RequestParser(limits, ("192.0.2.1", 1234), ("192.0.2.2", 80), "http")


def read(parser, data):
    """What the messages in *data* are, and at the end maybe the status that refuses the rest."""
    found, at = [], 0
    try:
        while at < len(data):
            at = parser.feed(data, at)
            body = parser.take_body()
            request = parser.request
            if parser.framing is not Framing.COMPLETE:
                continue
            said = (request.method, request.target, request.path, request.query, request.version)
            found.append((*said, list(request.headers), body, parser.keep_alive, parser.wants_upgrade))
            parser.next()
    except RemoteProtocolError as error:
        found.append(error.status)
    return found


def test_the_same_list():
    parser = new()
    parser.feed(GET, 0)
    first = parser.request
    parser.next()
    parser.feed(b"PUT /2?x=%20 HTTP/1.1\r\n" + FIELDS, 0)
    assert parser.request.headers is first.headers == [("host", "a"), ("cookie", "a=1")]
    assert (parser.request.method, parser.request.path, parser.request.query) == ("PUT", "/2", "x=%20")


LINES = [
    b"GET /1 HTTP/1.1\r\n",
    b"HEAD /%41?b=c HTTP/1.1\r\n",
    b"GET http://b/1 HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"GET /1 HTTP/1.1\r\nX: HTTP/1.1\r\n",
    b"GET /1 HTTP/1.0\r\nX: HTTP/1.1\r\n",
    b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\nX: HTTP/1.1\r\n",
    b"\r\nGET /1 HTTP/1.1\r\n",
    b"GET /1 HTTP/1.1\n",
    b"GET /1 HTTP/1.1\nX: y HTTP/1.1\r\n",
    b"GET /1\r HTTP/1.1\r\n",
    b"GET  /1 HTTP/1.1\r\n",
    b"GET /1#x HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"GET * HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"GET /1 HTTP/2.0\r\n",
    b" HTTP/1.1\r\n",
]


@pytest.mark.parametrize("line", LINES)
def test_as_a_parser_that_knows_nothing(line):
    data = line + FIELDS
    parser = new()
    read(parser, GET)
    assert read(parser, data) == read(new(), data)


@pytest.mark.parametrize("line", LINES)
def test_what_an_odd_line_leaves_behind(line):
    parser = new()
    found = read(parser, line + FIELDS)
    if isinstance(found[-1], tuple) and found[-1][-2]:  # else nobody feeds it any more
        assert read(parser, GET) == read(new(), GET)


def test_what_looks_like_a_request_within_a_head():
    parser = new()
    read(parser, GET)
    begun = b"POST /1 HTTP/1.1\r\nX: "
    assert parser.feed(begun, 0) == len(begun)
    [found] = read(parser, b"GET /smuggled HTTP/1.1\r\n" + FIELDS)
    assert found[:2] == ("POST", "/1")


@pytest.mark.parametrize("byte", range(256))
def test_whatever_byte_stands_in_the_line(byte):
    odd = bytes([byte])
    for line in (b"GET /a" + odd + b"b", b"GET /" + odd, b"GET " + odd, odd + b" /", b"GE" + odd + b" /", b"GET" + odd):
        data = line + b" HTTP/1.1\r\n" + FIELDS
        parser = new()
        read(parser, GET)
        assert read(parser, data) == read(new(), data), line


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_line_has_its_limit(beyond):
    limits = replace(DEFAULT, request_line_bytes=200)
    line = b"GET /%b HTTP/1.1" % (b"x" * (200 - len(b"GET / HTTP/1.1") + beyond))
    parser = new(limits)
    read(parser, GET)
    [found] = read(parser, line + b"\r\n" + FIELDS)
    assert (found == 414) is bool(beyond)


def test_the_memory_of_lines_is_bounded(monkeypatch):
    monkeypatch.setattr(parser_module, "_LINES_READ_KEPT", 2)
    parser = new()
    targets = ["/1", "/2", "/3", "/?a=secret", f"/{'x' * 200}"]
    for target in [*reversed(targets), *targets]:
        [found] = read(parser, f"GET {target} HTTP/1.1\r\n".encode() + FIELDS)
        assert found[1] == target
    assert set(parser_module._LINES_READ) == {b"GET /3", b"GET /2"}


PIECES = [
    *LINES[:4],
    FIELDS,
    b"Host: a\r\n\r\n",
    b"\r\n",
    b"Host: b\r\nConnection: close\r\n\r\n",
    b"Host: a\r\nContent-Length: 5\r\n\r\nGET /",
    b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n",
    b"Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"Host: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
]


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(PIECES[:4]), st.sampled_from(PIECES[4:])), min_size=2, max_size=6))
def test_one_parser_reads_what_many_would(heads):
    data = [line + fields for line, fields in heads]
    parser, one, many = new(), [], []
    for message in data:
        one += read(parser, message)
        many += read(new(), message)
        keep_alive, wants_upgrade = (False, False) if isinstance(many[-1], int) else many[-1][-2:]
        if wants_upgrade or not keep_alive:  # nobody feeds a parser any more behind that
            break
    assert one == many


class Forgetful(RequestParser):
    """Reads every head with llhttp."""

    __slots__ = ()

    def _repeated(self, data, at):
        return 0


def read_in_pieces(parser, pieces):
    """Likewise, of what comes in several reads."""
    found, waiting = [], b""
    try:
        for piece in pieces:
            waiting, at = waiting + piece, 0
            while at < len(waiting):
                at = parser.feed(waiting, at)
                request = parser.request
                if parser.framing is not Framing.COMPLETE:
                    continue
                said = (request.method, request.target, request.path, request.query, request.version)
                found.append((*said, list(request.headers), parser.take_body(), parser.expects_continue))
                if parser.wants_upgrade or not parser.keep_alive:
                    return [*found, "end"]
                parser.next()
            waiting = b""
    except RemoteProtocolError as error:
        return [*found, error.status, str(error)]
    return [*found, parser.started, parser.framing]


TIGHT = replace(DEFAULT, request_line_bytes=24, header_bytes=60, header_count=3)
HEADS = [line + fields for line in (*LINES, b"GET /abcdefgh HTTP/1.1\r\n") for fields in PIECES[4:]]


@settings(max_examples=400)
@given(st.data(), st.sampled_from([DEFAULT, TIGHT]))
def test_however_the_bytes_come_and_whatever_is_changed_in_them(data, limits):
    """Heads that are nearly alike, cut anywhere: as a parser reads them that remembers nothing."""
    usual = data.draw(st.sampled_from([GET, *HEADS]))
    messages = [usual, *data.draw(st.lists(st.one_of(st.just(usual), st.sampled_from(HEADS)), min_size=1, max_size=4))]
    changed = data.draw(st.integers(0, len(messages) - 1))
    at = data.draw(st.integers(0, len(messages[changed])))
    kept = data.draw(st.integers(0, 1))
    odd = data.draw(st.sampled_from([b"", b"\r", b"\n", b"\0", b" ", b"\t", b"x", b"#", b":", b"\x7f", b"\xe9"]))
    messages[changed] = messages[changed][:at] + odd + messages[changed][at + kept :]
    stream = b"".join(messages)
    cuts = sorted(data.draw(st.one_of(st.just([]), st.just(range(len(stream))), st.lists(st.integers(0, len(stream))))))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    forgetful = Forgetful(limits, ("192.0.2.1", 1234), ("192.0.2.2", 80), "http")
    assert read_in_pieces(new(limits), pieces) == read_in_pieces(forgetful, pieces)


def test_pipelined():
    assert read(new(), GET * 3) == read(new(), GET) * 3


def test_a_long_host_is_not_remembered():
    parser = new()
    host = "a" * 5_000
    read(parser, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert host not in [getattr(parser, name) for name in parser.__slots__]


def test_an_idle_connection_remembers_no_more_than_a_little():
    parser, long = new(), b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + b"x" * 5000 + b"\r\n\r\n"
    parser.feed(long, 0)
    first = parser.request
    parser.next()
    parser.feed(long, 0)
    assert parser.request.headers == first.headers
    assert parser.request.headers is not first.headers
