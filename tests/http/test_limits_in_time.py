"""Slow and hostile clients: deadlines, refusals as a client sees them, and garbage."""

import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenwire.limits import Limits
from support.in_time import asked_in_time

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


def hello(exchange):
    exchange.respond(200, [], b"hello")


def drip(site, client, data):
    """Send byte after byte, each a few milliseconds after the one before, until the server has had enough."""
    client.sock.settimeout(0.01)
    for byte in data:
        try:
            client.sock.send(bytes((byte,)))
            if received := client.sock.recv(65_536):
                return received
            return b""
        except TimeoutError:
            continue
        except OSError:
            return b""
    raise AssertionError("the server has let everything through")


def test_half_a_head_times_out(serve):
    client = serve(handle=hello, limits=Limits(header_timeout_s=0.1)).connect()
    answer = client.send(b"GET / HTTP/1.1\r\nHo").answer()
    assert (answer.status, answer.get("connection")) == (408, "close")
    assert answer.get("content-type").startswith("text/plain")
    assert client.at_end()


def test_a_dripping_head_times_out_all_the_same(serve):
    site = serve(handle=hello, limits=Limits(header_timeout_s=0.2))
    assert b" 408 " in drip(site, site.connect(), b"GET / HTTP/1.1\r\nX: " + b"x" * 3_000)


def test_the_deadline_counts_from_the_first_byte_of_each_request(serve):
    site = serve(handle=hello, limits=Limits(header_timeout_s=0.2))
    client = site.connect()
    assert client.get().status == 200
    assert b" 408 " in drip(site, client, b"GET / HTTP/1.1\r\nX: " + b"x" * 3_000)


def collected(heard):
    def handle(exchange):
        def done(body, error):
            heard.append((body, error))
            exchange.respond(error.status if error else 200, [], str(error).encode())

        exchange.collect(1_000_000, done)

    return handle


def test_a_body_that_never_comes_times_out(serve):
    heard = []
    client = serve(handle=collected(heard), limits=Limits(body_grace_s=0.1)).connect()
    answer = client.send(HEAD + b"Content-Length: 5\r\n\r\n").answer()
    assert (answer.status, answer.body) == (408, b"the request body came too slowly")
    assert client.at_end()


def test_a_dripping_body_times_out(serve):
    heard = []
    limits = Limits(body_grace_s=0.1, body_min_bytes_s=10_000)
    site = serve(handle=collected(heard), limits=limits)
    client = site.connect().send(HEAD + b"Content-Length: 5000\r\n\r\n")
    assert b" 408 " in drip(site, client, bytes(5_000))


def test_a_body_at_the_minimum_rate_is_fine(serve):
    """By a clock that stands still where the machine does. The timers are real: each of them looks at that clock."""
    heard, seconds = [], 0.0
    limits = Limits(body_grace_s=0.2, body_min_bytes_s=20)
    site = serve(handle=collected(heard), limits=limits)
    really = site.loop.now
    began = really()
    site.loop.now = lambda: seconds
    client = site.connect().send(HEAD + b"Content-Length: 60\r\n\r\n")
    site.wait_until(lambda: site.server.connections)
    [connection] = site.server.connections
    for number in range(1, 60):
        client.send(b"x")
        site.wait_until(lambda number=number: connection._parser.received == number)
        seconds += 0.04  # 2.4 s in all, twelve times the grace
    site.wait_until(lambda: really() > began + 0.4)  # the first timer has looked
    client.send(b"x")
    site.wait_until(lambda: heard)
    assert heard[0][1] is None


def test_a_body_below_the_minimum_rate_times_out_by_that_clock(serve):
    heard, seconds = [], 0.0
    site = serve(handle=collected(heard), limits=Limits(body_grace_s=0.2, body_min_bytes_s=20))
    site.loop.now = lambda: seconds
    client = site.connect().send(HEAD + b"Content-Length: 60\r\n\r\n" + b"xx")
    site.wait_until(lambda: site.server.connections)
    [connection] = site.server.connections
    site.wait_until(lambda: connection._parser.received == 2)
    seconds = 0.31  # the grace, and two twentieths of a second
    assert client.answer().status == 408


def test_the_body_clock_stands_still_while_the_client_waits_for_100(serve):
    waiting, heard = [], []
    limits = Limits(body_grace_s=0.05, header_timeout_s=0.05, keep_alive_s=0.05)
    site = serve(handle=waiting.append, limits=limits)
    data = HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    client = asked_in_time(site.connect, data, waiting)
    start = site.loop.now()
    site.wait_until(lambda: site.loop.now() > start + 0.3)
    assert waiting[0].body_error is None
    site.loop.post(collected(heard), waiting[0])
    assert client.answer().status == 408


def test_the_rest_of_an_unread_body_has_a_deadline(serve):
    client = serve(handle=hello, limits=Limits(header_timeout_s=0.1)).connect()
    answer = client.send(HEAD + b"Content-Length: 5\r\n\r\n").answer()
    assert (answer.status, answer.get("connection")) == (200, None)
    assert client.at_end()


def test_lingering_has_an_end(serve):
    site = serve(handle=hello, limits=Limits(close_timeout_s=0.1))
    client = site.connect().send(b"BREW / HTTP/1.1\r\n\r\n")
    assert client.answer().status == 501
    site.wait_until_empty()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 700_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: x\r\n" * 101 + b"\r\n", 431),
        (HEAD + b"Content-Length: 2000000000\r\n\r\n" + bytes(300_000), 413),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
def test_refusals_reach_the_client(serve, data, status):
    seen = []
    client = serve(handle=seen.append).connect()
    try:
        client.send(data)
    except OSError:
        pytest.fail("the connection was reset before the answer could be read")
    answer = client.answer()
    assert (answer.status, answer.get("connection")) == (status, "close")
    assert answer.body.endswith(b"\n")
    assert client.at_end()
    assert seen == []


def test_a_bad_request_behind_good_ones_is_answered_in_its_turn(serve):
    client = serve(handle=hello).connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + b"GET / HTTP/1.1\r\n\r\n" + b"GET / HTTP/1.1\r\n")
    assert [client.answer().status for _ in range(4)] == [200, 200, 200, 400]
    assert client.at_end()


def test_a_reset_at_any_point_leaves_nothing_behind(serve):
    site = serve(handle=hello)
    whole = HEAD + b"Content-Length: 5\r\n\r\nhello" + HEAD
    for end in range(0, len(whole), 7):
        site.connect().send(whole[:end]).reset()
    site.wait_until_empty()
    assert site.connect().get().status == 200


PIECES = st.sampled_from(
    [
        *(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST ", b"/ HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"\n"),
        *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n"),
        b"Upgrade: x\r\nConnection: upgrade\r\n",
    ]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(st.one_of(PIECES, st.binary(max_size=20)), max_size=20))
def test_garbage_ends_in_an_answer_or_a_close(serve, data):
    """A server that answers each request or closes, and goes on to serve others, whatever it is sent."""
    site = _site(serve)
    client = site.connect()
    client.send(b"".join(data))
    client.sock.shutdown(socket.SHUT_WR)
    received = b""
    try:
        while part := client.sock.recv(65_536):
            received += part
    except ConnectionResetError:
        pass
    assert not received or received.startswith(b"HTTP/1.1 ")
    client.close()
    site.clients.remove(client)
    assert site.connect().get().body == b"hello"
    site.clients.pop().close()


_sites = {}  # one site for all examples of a test: the fixture is made once for them


def _site(serve):
    if serve not in _sites:
        _sites.clear()
        _sites[serve] = serve(handle=hello, limits=Limits(close_timeout_s=0.5))
    return _sites[serve]


def test_idle_connections_hold_no_requests_bytes(serve):
    """An idle connection keeps nothing of what it has received."""
    site = serve(handle=hello)
    client = site.connect()
    assert client.get("/", "X: " + "x" * 10_000).status == 200
    [connection] = site.server.connections
    assert connection._held == b""
    assert connection._exchange is None
    assert connection._parser.request is None
