"""Bytes to requests, without a socket: what is refused, what comes out, and where feeding stops."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenwire.errors import RemoteProtocolError
from greenwire.http.parser import Framing, RequestParser
from greenwire.limits import DEFAULT, Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def new(limits=DEFAULT):
    return RequestParser(limits, ("192.0.2.1", 1234), ("192.0.2.2", 80), "http")


def messages(pieces, limits=DEFAULT):
    """Every message in *pieces*: what its request was, and its body."""
    parser, found, body = new(limits), [], b""
    for piece in pieces:
        at = 0
        while at < len(piece):
            before = at
            at = parser.feed(piece, at)
            assert before < at <= len(piece)
            body += parser.take_body()
            if parser.framing is Framing.COMPLETE:
                request = parser.request
                found.append((request.method, request.path, request.query, request.headers, body, parser.keep_alive))
                parser.next()
                body = b""
    return found


def head(*fields, line="GET / HTTP/1.1"):
    return "\r\n".join([line, *fields, "", ""]).encode("latin-1")


def refusal(data, limits=DEFAULT):
    with pytest.raises(RemoteProtocolError) as caught:
        messages([data], limits)
    return caught.value.status


# --- requests


def test_a_request():
    parser = new()
    fields = ("Host: a:80", "X-A:  1 \t", "x-a: \xe9", "Cookie: a=1", "Cookie: b=2")
    data = head(*fields, line="GET /a%20b/%C3%A9?x=%20 HTTP/1.1")
    assert parser.feed(data, 0) == len(data)
    request = parser.request
    assert (request.method, request.target) == ("GET", "/a%20b/%C3%A9?x=%20")
    assert (request.path, request.query) == ("/a b/\xc3\xa9", "x=%20")
    assert (request.version, request.scheme) == ("1.1", "http")
    assert (request.peer, request.local) == (("192.0.2.1", 1234), ("192.0.2.2", 80))
    assert request.headers == [("host", "a:80"), ("x-a", "1"), ("x-a", "\xe9"), ("cookie", "a=1"), ("cookie", "b=2")]
    assert request.get("x-a") == "1, \xe9"
    assert request.get("cookie") == "a=1; b=2"
    assert request.get("absent") is None


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        ("http://b:81/x?y", "/x", "y", "b:81"),
        ("HTTPS://b", "/", "", "b"),
        ("http://b?y", "/", "y", "b"),
        ("http://[::1]:8/x", "/x", "", "[::1]:8"),
        ("//b/x", "//b/x", "", "a"),
        ("/?", "/", "", "a"),
    ],
)
def test_targets(target, path, query, host):
    [(_, got_path, got_query, headers, _, _)] = messages([head("Host: a", line=f"GET {target} HTTP/1.1")])
    assert (got_path, got_query, dict(headers)["host"]) == (path, query, host)


def test_a_target_with_a_host_makes_a_host_field():
    assert messages([head(line="GET http://b/ HTTP/1.0")])[0][3] == [("host", "b")]
    assert refusal(head(line="GET http://b/ HTTP/1.1")) == 400


def test_several_spaces_in_the_request_line_are_one():
    """RFC 9112 3 allows it. No target has a space, so nobody can read another one."""
    plain = messages([head("Host: a", line="GET /a HTTP/1.1")])
    for line in ("GET   /a HTTP/1.1", "GET /a   HTTP/1.1"):
        assert messages([head("Host: a", line=line)])[0][:3] == plain[0][:3]
    for line in ("GET\t/a HTTP/1.1", "GET /a\tHTTP/1.1", "GET /a HTTP/1.1 ", " GET /a HTTP/1.1", "GET /a b HTTP/1.1"):
        assert refusal(head("Host: a", line=line)) in (400, 505)


def test_the_target_of_options():
    assert messages([head("Host: a", line="OPTIONS * HTTP/1.1")])[0][1] == "*"
    assert refusal(head("Host: a", line="GET * HTTP/1.1")) == 400


@pytest.mark.parametrize("target", ["ftp://b/", "http://u:p@b/", "http:///x", "/a#b", "http://b/#", "b:80"])
def test_targets_that_are_refused(target):
    assert refusal(head("Host: a", line=f"GET {target} HTTP/1.1")) == 400


def test_feeding_stops_behind_each_message():
    data = GET + CHUNKED + b"1\r\nx\r\n0\r\n\r\n" + GET
    parser = new()
    assert parser.feed(data, 0) == len(GET)
    assert parser.framing is Framing.COMPLETE
    parser.next()
    at = parser.feed(data, len(GET))
    assert (at, parser.framing) == (len(GET + CHUNKED), Framing.CHUNKED)
    assert parser.feed(data, at) == len(data) - len(GET)
    assert parser.framing is Framing.COMPLETE


# --- what is refused, and how

SMUGGLING = {
    "length and chunks": head("Host: a", "Content-Length: 5", "Transfer-Encoding: chunked"),
    "chunks and length": head("Host: a", "Transfer-Encoding: chunked", "Content-Length: 5"),
    "two lengths": head("Host: a", "Content-Length: 5", "Content-Length: 6"),
    "the same length twice": head("Host: a", "Content-Length: 5", "Content-Length: 5"),
    "a list of lengths": head("Host: a", "Content-Length: 5, 5"),
    "a length with +": head("Host: a", "Content-Length: +5"),
    "a length with -": head("Host: a", "Content-Length: -5"),
    "a length in hex": head("Host: a", "Content-Length: 0x5"),
    "a length with _": head("Host: a", "Content-Length: 5_0"),
    "an empty length": head("Host: a", "Content-Length:"),
    "a length beyond 64 bits": head("Host: a", "Content-Length: 99999999999999999999"),
    "chunked twice": head("Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "chunked, chunked": head("Host: a", "Transfer-Encoding: chunked, chunked"),
    "chunked is not last": head("Host: a", "Transfer-Encoding: chunked, gzip"),
    "chunks in HTTP/1.0": head("Host: a", "Transfer-Encoding: chunked", line="POST / HTTP/1.0"),
    "chunked behind a vertical tab": head("Host: a", "Transfer-Encoding: \x0bchunked"),
    "chunked before a NUL": head("Host: a", "Transfer-Encoding: chunked\0"),
    "chunked and nothing": head("Host: a", "Transfer-Encoding: chunked,"),
    "chunked in a folded line": head("Host: a", "Transfer-Encoding:", " chunked"),
    "a tab before the colon": head("Host: a", "Transfer-Encoding\t: chunked"),
    "a length behind a vertical tab": head("Host: a", "Content-Length: \x0b5"),
    "a length with a space in it": head("Host: a", "Content-Length: 5 5"),
    "a length in other digits": head("Host: a", "Content-Length: \xb2"),
    "lengths that agree, in a folded line": head("Host: a", "Content-Length: 5", " , 5"),
    "CR CR LF": b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
    "bare CR instead of CR LF": b"GET / HTTP/1.1\rHost: a\r\r",
    "a NUL in a name": head("Host: a", "X\0: y"),
    "a space in a name": head("Host: a", "X y: z"),
    "a tab behind the method": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab before the version": b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "a control character in the target": head("Host: a", line="GET /\x01 HTTP/1.1"),
    "an empty first field": head("", "Host: a") + b"x",
    "a chunk size with _": CHUNKED + b"1_0\r\nx\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\nx\r\n0\r\n\r\n",
    "a chunk size behind a space": CHUNKED + b" 1\r\nx\r\n0\r\n\r\n",
    "a chunk size with ; and CR": CHUNKED + b"1;\rx\r\nx\r\n0\r\n\r\n",
    "a last chunk with a sign": CHUNKED + b"-0\r\n\r\n",
    "no coding": head("Host: a", "Transfer-Encoding:"),
    "a space before the colon": head("Host: a", "Transfer-Encoding : chunked"),
    "a folded line": head("Host: a", "X: a", " b"),
    "a folded line, tab": head("Host: a", "X: a", "\tContent-Length: 5"),
    "a folded first line": head(" X: a", "Host: a"),
    "bare LF after a field": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "bare LF after the line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "bare LF at the end": b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    "bare CR in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "no name": head("Host: a", ": x"),
    "no colon": head("Host: a", "x"),
    "a bracket in a name": head("Host: a", "X(: x"),
    "no Host": head(),
    "two Hosts": head("Host: a", "Host: a"),
    "two Hosts in one": head("Host: a, b/"),
    "a Host with a path": head("Host: a/b"),
    "a Host with a space": head("Host: a b"),
    "a Host with a user": head("Host: u@a"),
    "two spaces": b"GET / x HTTP/1.1\r\nHost: a\r\n\r\n",
    "chunk size in hex notation": CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n",
    "chunk size with a sign": CHUNKED + b"-1\r\nx\r\n0\r\n\r\n",
    "chunk size with a space": CHUNKED + b"1 \r\nx\r\n0\r\n\r\n",
    "chunk size beyond 64 bits": CHUNKED + b"11111111111111111\r\nx\r\n0\r\n\r\n",
    "bare LF after a chunk size": CHUNKED + b"1\nx\r\n0\r\n\r\n",
    "bare LF in a chunk extension": CHUNKED + b"1;a\nx\r\n0\r\n\r\n",
    "bare LF after a chunk": CHUNKED + b"1\r\nx\n0\r\n\r\n",
    "a chunk that is too long": CHUNKED + b"1\r\nxy\r\n0\r\n\r\n",
    "a length in the trailers": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_smuggling(name):
    assert refusal(SMUGGLING[name]) == 400


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head("Host: a", "Transfer-Encoding: gzip"), 501),
        (head("Host: a", "Transfer-Encoding: gzip, chunked"), 501),
        (head("Host: a", "Transfer-Encoding: identity"), 501),
        (head("Host: a", "Transfer-Encoding: xchunked"), 501),
        (head("Host: a", 'Transfer-Encoding: "chunked", chunked'), 501),
        (head("Host: a", line="BREW / HTTP/1.1"), 501),
        (head("Host: a", line="get / HTTP/1.1"), 501),
        (head("Host: a", line="CONNECT a:80 HTTP/1.1"), 501),
        (head("Host: a", line="DESCRIBE / RTSP/1.0"), 501),
        (head("Host: a", line="SOURCE / ICE/1.0"), 501),
        (head("Host: a", line="GET / HTTP/2.0"), 505),
        (head("Host: a", line="GET / HTTP/1.2"), 505),
        (head("Host: a", line="GET / HTTP/0.9"), 505),
        (head(line="GET /"), 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (head("Host: a", "Expect: 100-continue, x"), 417),
    ],
)
def test_what_is_not_spoken_here(data, status):
    assert refusal(data) == status


def test_trailers_are_dropped():
    [first, second] = messages([CHUNKED + b"1\r\nx\r\n0\r\nX-Admin: yes\r\n\r\n" + GET])
    assert "x-admin" not in dict(first[3])
    assert second[3] == [("host", "a")]


def test_upper_case_chunked_and_leading_zeros():
    data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n0001\r\nx\r\n000\r\n\r\n"
    assert messages([data])[0][4] == b"x"


# --- limits, at and one past


def test_request_line_limit():
    limits = Limits(request_line_bytes=100)
    path = "/" + "x" * (100 - len("GET / HTTP/1.1"))
    assert messages([head("Host: a", line=f"GET {path} HTTP/1.1")], limits)
    assert refusal(head("Host: a", line=f"GET {path}x HTTP/1.1"), limits) == 414


def test_request_line_limit_without_end():
    pieces = [b"GET /" + b"x" * 80, *[b"x" * 10] * 1_000]
    with pytest.raises(RemoteProtocolError) as caught:
        messages(pieces, Limits(request_line_bytes=100))
    assert caught.value.status == 414
    assert refusal(b"GET /" + b"x" * 1_000_000) == 414


def test_header_bytes_limit():
    limits = Limits(header_bytes=100)
    value = "x" * (100 - len("Host: a\r\nX: \r\n"))
    assert messages([head("Host: a", f"X: {value}")], limits)
    assert refusal(head("Host: a", f"X: {value}x"), limits) == 431


@pytest.mark.parametrize("filler", [b"x", b" ", b"\r\n\r\n"])
def test_header_bytes_limit_without_end(filler):
    start = b"\r\n" if filler == b"\r\n\r\n" else b"GET / HTTP/1.1\r\nHost: a\r\nX: "
    limits = Limits(header_bytes=1_000)
    assert messages([start, filler * 100], limits) == []
    with pytest.raises(RemoteProtocolError) as caught:
        messages([start, *[filler * 10] * 2_000], limits)
    assert caught.value.status == 431


def test_header_bytes_limit_in_one_piece():
    assert refusal(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_000_000) == 431


def test_header_count_limit():
    limits = Limits(header_count=10)
    fields = ["Host: a", *[f"X-{n}: {n}" for n in range(9)]]
    assert messages([head(*fields)], limits)
    assert refusal(head(*fields, "One: more"), limits) == 431


def test_body_limit():
    limits = Limits(body_bytes=10)
    assert messages([head("Host: a", "Content-Length: 10") + bytes(10)], limits)
    assert refusal(head("Host: a", "Content-Length: 11"), limits) == 413
    assert messages([CHUNKED + b"a\r\n0123456789\r\n0\r\n\r\n"], limits)
    assert refusal(CHUNKED + b"a\r\n0123456789\r\n1\r\nx\r\n", limits) == 413


def test_chunk_overhead_limit():
    limits = Limits(chunk_overhead_bytes=1_000)
    # 32 bytes are free for each of the two chunks; what is counted is "1;", "=", the line ends and the end.
    spare = 1_000 + 2 * 32 - len(b"1;\r\n\r\n0\r\n\r\n")
    assert messages([CHUNKED + b"1;" + b"e" * spare + b"\r\nx\r\n0\r\n\r\n"], limits)
    assert refusal(CHUNKED + b"1;" + b"e" * (spare + 1) + b"\r\nx\r\n0\r\n\r\n", limits) == 400
    assert refusal(CHUNKED + b"0\r\n" + b"X: yyyyy\r\n" * 110 + b"\r\n", limits) == 400
    many = b"".join(b"1;%b\r\nx\r\n" % (b"e" * 20) for _ in range(5_000))
    assert messages([CHUNKED + many + b"0\r\n\r\n"], limits)[0][4] == b"x" * 5_000


# --- any split of the bytes gives the same requests

WHOLE = (
    GET
    + b"\r\n"
    + b"POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello\r\n\r\nyo"
    + CHUNKED
    + b"5;x=y\r\nhello\r\n4\r\n\r\n\r\n\r\n0\r\nT: v\r\n\r\n"
    + b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc"
    + b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    + b"DELETE /end HTTP/1.1\r\nHost: a\r\nX: "
    + b"v" * 50
    + b"\r\nConnection: close\r\n\r\n"
)


def test_the_whole():
    found = messages([WHOLE])
    assert [(method, path, body, keep) for method, path, _, _, body, keep in found] == [
        ("GET", "/", b"", True),
        ("POST", "/a", b"hello\r\n\r\nyo", True),
        ("POST", "/", b"hello\r\n\r\n", True),
        ("POST", "/", b"abc", True),
        ("GET", "/", b"", True),
        ("DELETE", "/end", b"", False),
    ]


@given(st.lists(st.integers(0, len(WHOLE)), max_size=60))
def test_any_split_gives_the_same(cuts):
    edges = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[start:end] for start, end in pairwise(edges)]
    assert messages(pieces) == messages([WHOLE])


def test_byte_by_byte():
    assert messages([WHOLE[n : n + 1] for n in range(len(WHOLE))]) == messages([WHOLE])


FRAGMENTS = st.sampled_from(
    [
        *(b"GET ", b"POST ", b"/", b" HTTP/1.1", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b":", b"\0", b"http://a/", b"*"),
        *(b"Host: a", b"\r\nHost: a\r\n\r\n", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"5\r\nhello"),
        *(b"0\r\n\r\n", GET, CHUNKED, b"Upgrade: x\r\nConnection: upgrade\r\n", b"CONNECT a:1 HTTP/1.1\r\n"),
    ]
)


@settings(max_examples=300)
@given(st.lists(st.one_of(FRAGMENTS, st.binary(max_size=30)), max_size=30), st.integers(1, 50))
def test_garbage_is_parsed_or_refused_and_nothing_else(fragments, size):
    data = b"".join(fragments)
    status = None
    try:
        messages([data[n : n + size] for n in range(0, len(data), size)])
    except RemoteProtocolError as error:
        status = error.status
    assert status in (None, 400, 413, 414, 417, 431, 501, 505)
