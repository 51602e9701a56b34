"""Connections as a client sees them: persistence, order, framing, what ends them."""

import gc
import socket
import threading

import pytest

from greenwire.http.connection import HTTPConnection
from greenwire.limits import Limits
from support.in_time import asked_in_time

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TEXT = [("Content-Type", "text/plain")]


def echo_target(exchange):
    exchange.respond(200, TEXT, exchange.request.target.encode())


def echo_body(exchange):
    def done(body, error):
        if error is not None:
            exchange.respond(error.status, TEXT, str(error).encode())
        else:
            exchange.respond(200, TEXT, body)

    exchange.collect(1_000_000, done)


# --- keep-alive


def test_keep_alive_is_the_default_of_http_1_1(serve):
    client = serve(handle=echo_target).connect()
    for number in range(3):
        answer = client.get(f"/{number}")
        assert (answer.status, answer.body) == (200, b"/%d" % number)
        assert answer.get("connection") is None


def test_close_is_honoured(serve):
    client = serve(handle=echo_target).connect()
    answer = client.get("/", "Connection: close")
    assert answer.get("connection") == "close"
    assert client.at_end()


def test_http_1_0_closes(serve):
    client = serve(handle=echo_target).connect()
    answer = client.send(b"GET /old HTTP/1.0\r\n\r\n").answer()
    assert (answer.body, answer.get("connection")) == (b"/old", "close")
    assert client.at_end()


def test_http_1_0_may_keep_alive(serve):
    client = serve(handle=echo_target).connect()
    for _ in range(2):
        answer = client.send(b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer()
        assert (answer.body, answer.get("connection")) == (b"/old", "keep-alive")


def test_idle_connections_are_closed(serve):
    site = serve(handle=echo_target, limits=Limits(keep_alive_s=0.1))
    client = asked_in_time(site.connect, GET)
    assert client.answer().status == 200
    assert client.at_end()


def test_a_silent_connection_is_closed(serve):
    assert serve(handle=echo_target, limits=Limits(keep_alive_s=0.1)).connect().at_end()


def test_an_exchange_under_way_is_not_idle(serve):
    waiting = []
    site = serve(handle=waiting.append, limits=Limits(keep_alive_s=0.05, header_timeout_s=0.05))
    client = asked_in_time(site.connect, GET, waiting)
    later = threading.Event()
    site.loop.post(site.loop.call_later, 0.2, later.set)
    assert later.wait(10)
    site.loop.post(waiting[0].respond, 200, TEXT, b"late")
    assert client.answer().body == b"late"


# --- pipelining


def test_pipelined_requests_are_answered_in_order(serve):
    client = serve(handle=echo_target).connect()
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(200)))
    assert [client.answer().body for _ in range(200)] == [b"/%d" % n for n in range(200)]


def test_pipelined_requests_wait_for_the_one_that_runs(serve):
    waiting = []
    site = serve(handle=waiting.append)
    client = site.connect().send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    site.wait_until(lambda: waiting)
    assert [exchange.request.target for exchange in waiting] == ["/1"]
    site.loop.post(waiting[0].respond, 200, [], b"one")
    site.wait_until(lambda: len(waiting) == 2)
    site.loop.post(waiting[1].respond, 200, [], b"two")
    assert [client.answer().body, client.answer().body] == [b"one", b"two"]


def test_reading_pauses_past_pipelined_bytes(serve):
    waiting = []
    site = serve(handle=waiting.append, limits=Limits(pipelined_bytes=1_000))
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    client = site.connect().send(request)
    site.wait_until(lambda: waiting)
    connection = waiting[0].connection
    client.send(b"x" * 1_000)
    site.wait_until(lambda: len(connection._held) == 1_000)
    assert connection._paused_at is None
    client.send(b"x")
    site.wait_until(lambda: connection._paused_at is not None)
    site.loop.post(waiting[0].respond, 200, [], b"")
    assert client.answer().status == 200
    assert client.answer().status in (400, 501)  # x is no method


def test_a_client_that_pipelines_and_never_reads_is_held_and_cut_off(serve):
    served = []

    def handle(exchange):
        served.append(exchange)
        exchange.respond(200, [], bytes(50_000))

    limits = Limits(response_buffer_bytes=100_000, write_stall_s=0.2)
    site = serve(handle=handle, limits=limits)
    client = site.connect()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.send(GET * 2_000)
    site.wait_until(lambda: served)
    site.wait_until_empty()
    assert len(served) < 2_000


# --- request bodies


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 900_000])
def test_bodies_of_known_length(serve, size):
    client = serve(handle=echo_body).connect()
    body = bytes(range(256)) * (size // 256 + 1)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + body[:size])
    assert client.answer().body == body[:size]
    assert client.get().status == 200


def test_chunked_bodies(serve):
    client = serve(handle=echo_body).connect()
    for _ in range(2):
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"4;name=value\r\nWiki\r\n6\r\n\r\n\r\npe\r\nA\r\n0123456789\r\n0\r\nX-Trailer: dropped\r\n\r\n"
        )
        assert client.answer().body == b"Wiki\r\n\r\npe0123456789"


def test_large_chunked_body(serve):
    client = serve(handle=echo_body).connect()
    chunk = b"%x\r\n%b\r\n" % (30_000, b"\r\n\r\n" * 7_500)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 30 + b"0\r\n\r\n")
    assert client.answer().body == b"\r\n\r\n" * 7_500 * 30
    assert client.get().status == 200


def test_100_continue_comes_when_the_body_is_asked_for(serve):
    waiting = []
    site = serve(handle=waiting.append)
    client = site.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    site.wait_until(lambda: waiting)
    client.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.sock.recv(1)
    client.sock.settimeout(20)
    client.file = client.sock.makefile("rb")
    site.loop.post(echo_body, waiting[0])
    assert client.head().status == 100
    client.send(b"hello")
    answer = client.answer()
    assert (answer.status, answer.body, answer.get("connection")) == (200, b"hello", None)


def test_answering_without_reading_sends_no_100_and_closes(serve):
    client = serve(handle=echo_target).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    answer = client.head()
    assert (answer.status, answer.get("connection")) == (200, "close")
    assert client.file.read(1) == b"/"
    assert client.at_end()


@pytest.mark.parametrize(
    ("version", "begun"),
    [
        (b"1.0", b""),  # RFC 9110 10.1.1: to be ignored
        (b"1.1", b"he"),  # and needless once the body has begun
    ],
)
def test_no_100_for_http_1_0_nor_in_the_middle_of_a_body(serve, version, begun):
    waiting = []
    site = serve(handle=waiting.append)
    client = site.connect()
    fields = b"Host: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    client.send(b"POST / HTTP/" + version + b"\r\n" + fields + begun)
    site.wait_until(lambda: waiting)
    site.loop.post(echo_body, waiting[0])
    client.send(b"hello"[len(begun) :])
    assert client.head().status == 200


def test_no_100_once_the_answer_has_begun(serve):
    def answer_early(exchange):
        exchange.start(200, None, [("Content-Length", "2")])
        exchange.invite_body(b"")
        exchange.write(b"ok")
        exchange.end()

    client = serve(handle=answer_early).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.body) == (200, b"ok")


def test_other_expectations_are_refused(serve):
    assert serve(handle=echo_target).connect().get("/", "Expect: tea").status == 417


def test_a_small_unread_body_is_read_away(serve):
    client = serve(handle=echo_target).connect()
    client.send(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n")
    assert client.answer().get("connection") is None
    client.send(bytes(65_536))
    assert client.get("/2").body == b"/2"


def test_after_a_large_unread_body_the_connection_ends(serve):
    client = serve(handle=echo_target).connect()
    client.send(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n")
    answer = client.answer()
    assert (answer.body, answer.get("connection")) == (b"/1", "close")
    assert client.at_end()


def test_the_answer_arrives_although_the_client_still_sends(serve):
    """Closing on unread input would reset the connection and could lose the answer."""
    client = serve(handle=echo_target).connect()
    client.send(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + bytes(2_000_000))
    assert client.answer().body == b"/early"


def test_unread_chunks_that_are_here_are_read_away(serve):
    client = serve(handle=echo_target).connect()
    head = b"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert client.send(head + b"5\r\nhello\r\n0\r\n\r\n").answer().get("connection") is None
    assert client.send(head + b"5\r\nhel").answer().get("connection") == "close"
    assert client.at_end()


def test_collect_says_413_at_once_for_a_length_past_its_limit(serve):
    def handle(exchange):
        exchange.collect(10, lambda body, error: exchange.respond(error.status if error else 200, [], b""))

    site = serve(handle=handle)
    known = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
    assert site.connect().send(known + b"10\r\n\r\n0123456789").answer().status == 200
    assert site.connect().send(known + b"11\r\n\r\n").answer().status == 413
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert site.connect().send(chunked + b"a\r\n0123456789\r\n0\r\n\r\n").answer().status == 200
    assert site.connect().send(chunked + b"b\r\n0123456789X\r\n").answer().status == 413


@pytest.mark.parametrize(
    ("framing", "part", "message"),
    [
        (b"Content-Length: 10", b"short", "ended early"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n", "ended early"),
    ],
)
def test_collect_hears_of_a_truncated_body(serve, framing, part, message):
    heard = []
    site = serve(handle=lambda exchange: exchange.collect(100, lambda *result: heard.append(result)))
    client = site.connect().send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n" + part)
    client.sock.shutdown(socket.SHUT_WR)
    site.wait_until(lambda: heard)
    body, error = heard[0]
    assert body is None
    assert message in str(error)
    assert error.status == 400


def test_collect_hears_of_a_reset(serve):
    heard, waiting = [], []

    def handle(exchange):
        waiting.append(exchange)
        exchange.collect(100, lambda *result: heard.append(result))

    site = serve(handle=handle)
    client = site.connect().send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx")
    site.wait_until(lambda: waiting)
    client.reset()
    site.wait_until(lambda: heard)
    assert heard[0][0] is None
    site.loop.ask(waiting[0].respond, 200, [], b"nobody hears it")


def test_collect_hears_of_malformed_chunks(serve):
    heard, waiting = [], []

    def handle(exchange):
        waiting.append(exchange)
        exchange.collect(100, lambda body, error: (heard.append(error), exchange.respond(error.status, [], b"no")))

    site = serve(handle=handle)
    client = site.connect().send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    site.wait_until(lambda: waiting)
    client.send(b"lo0\r\n\r\n")
    assert client.answer().status == 400
    assert client.at_end()


# --- answers


def test_head_has_the_length_and_no_body(serve):
    client = serve(handle=echo_target).connect()
    answer = client.get("/four", method="HEAD")
    assert (answer.get("content-length"), answer.body) == ("5", b"")
    assert client.get("/next").body == b"/next"


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body(serve, status):
    client = serve(handle=lambda exchange: exchange.respond(status, [], b"dropped")).connect()
    for _ in range(2):
        answer = client.get()
        assert (answer.status, answer.get("content-length")) == (status, None)


def stream(*pieces, headers=()):
    def handle(exchange):
        exchange.start(200, "Fine", list(headers))
        for piece in pieces:
            exchange.write(piece)
        exchange.end()

    return handle


def test_streams_are_chunked(serve):
    client = serve(handle=stream(b"one", b"", b"two" * 50_000)).connect()
    for _ in range(2):
        answer = client.get()
        assert (answer.reason, answer.get("transfer-encoding")) == ("Fine", "chunked")
        assert answer.body == b"one" + b"two" * 50_000


def test_streams_of_known_length_are_not_chunked(serve):
    client = serve(handle=stream(b"one", b"two", headers=[("Content-Length", "6")])).connect()
    for _ in range(2):
        answer = client.get()
        assert (answer.get("transfer-encoding"), answer.body) == (None, b"onetwo")


def test_streams_to_http_1_0_end_with_the_connection(serve):
    client = serve(handle=stream(b"one", b"two")).connect()
    answer = client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer()
    assert (answer.get("connection"), answer.get("transfer-encoding"), answer.body) == ("close", None, b"onetwo")


def test_streams_to_head_are_silent(serve):
    client = serve(handle=stream(b"one")).connect()
    assert client.get(method="HEAD").body == b""
    assert client.get().body == b"one"


def test_what_exceeds_the_length_is_dropped(serve, caplog):
    client = serve(handle=stream(b"onetwo", b"three", headers=[("Content-Length", "3")])).connect()
    assert client.get().body == b"one"
    assert client.get().body == b"one"
    assert [record.message for record in caplog.records] == [
        "the answer to GET / is longer than its Content-Length; the rest is dropped"
    ] * 2


def test_a_stream_that_is_too_short_closes(serve, caplog):
    client = serve(handle=stream(b"one", headers=[("Content-Length", "5")])).connect()
    assert client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").head().get("content-length") == "5"
    assert client.file.read() == b"one"
    assert "2 bytes shorter" in caplog.text


def test_a_cut_stream_has_no_last_chunk(serve):
    def handle(exchange):
        exchange.start(200, None, [])
        exchange.write(b"one")
        exchange.cut()

    client = serve(handle=handle).connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.head()
    assert client.file.read() == b"3\r\none\r\n"


def test_a_cut_stream_that_only_its_end_would_end_is_reset(serve):
    def handle(exchange):
        exchange.start(200, None, [])
        exchange.write(b"one")
        exchange.cut()

    client = serve(handle=handle).connect().send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.is_reset()


def test_a_handler_that_raises_is_a_500(serve, caplog):
    def handle(exchange):
        raise LookupError("oops")

    answer = serve(handle=handle).connect().get()
    assert (answer.status, b"oops" in answer.body) == (500, False)
    assert "oops" in caplog.text


def test_a_header_that_splits_the_answer_is_refused(serve):
    refused = []

    def handle(exchange):
        for headers in ([("X", "a\r\nSet-Cookie: b")], [("X\r\nY", "a")], [("X", "a\0")], [("X ", "a")]):
            try:
                exchange.respond(200, headers, b"")
            except ValueError as error:
                refused.append(str(error))
        exchange.respond(200, [], b"fine")

    assert serve(handle=handle).connect().get().body == b"fine"
    assert len(refused) == 4
    assert "header X" in refused[0]


# --- abandonment


def test_a_client_that_goes_away_is_told_once(serve):
    heard, waiting = [], []

    def handle(exchange):
        exchange.on_abandoned = lambda: heard.append("gone")
        waiting.append(exchange)

    site = serve(handle=handle)
    for leave in ("close", "reset"):
        client = site.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        site.wait_until(lambda: waiting)
        getattr(client, leave)()
        site.wait_until_empty()
        assert heard == ["gone"]
        site.loop.ask(waiting[0].respond, 200, [], b"")
        heard.clear()
        waiting.clear()


def test_nobody_is_abandoned_after_the_answer(serve):
    heard = []

    def handle(exchange):
        exchange.on_abandoned = lambda: heard.append("gone")
        exchange.respond(200, [], b"")

    site = serve(handle=handle)
    client = site.connect()
    client.get()
    client.close()
    site.wait_until_empty()
    assert heard == []


def test_a_half_closed_client_is_still_answered(serve):
    waiting = []
    site = serve(handle=waiting.append)
    client = site.connect().send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    client.sock.shutdown(socket.SHUT_WR)
    for number in (1, 2):
        site.wait_until(lambda number=number: len(waiting) == number)
        site.loop.post(echo_target, waiting[-1])
        assert client.answer().body == b"/%d" % number
    assert client.at_end()


# --- upgrade


def test_an_upgrade_hands_over_the_transport_and_the_bytes_behind(serve):
    got = []

    def handle(exchange):
        assert exchange.wants_upgrade
        transport, rest = exchange.upgrade()
        got.append(rest)
        transport.write(b"raw bytes")
        transport.close()

    client = serve(handle=handle).connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: keep-alive, Upgrade\r\n\r\nearly\r\n\r\n")
    assert client.file.read() == b"raw bytes"
    assert got == [b"early\r\n\r\n"]


def test_an_upgrade_that_nobody_takes_is_a_request(serve):
    client = serve(handle=echo_target).connect()
    client.send(
        b"GET /1 HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n"
        b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert [client.answer().body, client.answer().body] == [b"/1", b"/2"]


@pytest.mark.parametrize(
    "framed",
    [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"],
)
def test_an_upgrade_with_a_body_is_a_request(serve, framed):
    seen = []

    def handle(exchange):
        seen.append(exchange.wants_upgrade)
        echo_body(exchange)

    client = serve(handle=handle).connect()
    for _ in range(2):
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n" + framed)
        assert client.answer().body == b"hello"
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n")
    assert client.answer().status == 200
    assert seen == [False, False, True]


def test_upgrade_without_connection_or_in_http_1_0_is_none(serve):
    seen = []

    def handle(exchange):
        seen.append(exchange.wants_upgrade)
        exchange.respond(200, [], b"")

    client = serve(handle=handle).connect()
    client.get("/", "Upgrade: websocket")
    client.send(b"GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n").answer()
    assert seen == [False, False]


# --- graceful stop


def test_shutdown_closes_idle_connections_and_lets_others_finish(serve):
    waiting, idle_called = [], threading.Event()

    def handle(exchange):
        waiting.append(exchange)
        if exchange.request.target == "/now":
            exchange.respond(200, [], b"")

    site = serve(handle=handle)
    idle, busy = site.connect(), site.connect()
    idle.get("/now")
    busy.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    site.wait_until(lambda: len(waiting) == 2)

    def stop():
        site.server.on_idle = idle_called.set
        site.server.shutdown()

    site.loop.ask(stop)
    assert idle.at_end()
    assert not idle_called.is_set()
    site.loop.post(waiting[1].respond, 200, [], b"done")
    answer = busy.answer()
    assert (answer.body, answer.get("connection")) == (b"done", "close")
    assert busy.at_end()
    assert idle_called.wait(20)


def test_shutdown_while_a_rest_is_read_away_still_lets_the_answer_arrive(serve):
    site = serve(handle=echo_target)
    client = site.connect().send(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
    site.wait_until(lambda: site.access)
    site.loop.ask(site.server.shutdown)
    assert client.answer().body == b"/1"
    assert client.at_end()


def test_an_answer_to_a_connection_that_was_aborted_in_the_same_turn(serve, caplog):
    waiting = []
    site = serve(handle=waiting.append)
    site.connect().send(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello")
    site.wait_until(lambda: waiting)

    def answer():
        site.server.abort()
        waiting[0].respond(200, [], b"nobody")

    site.loop.ask(answer)
    site.wait_until_empty()
    assert caplog.records == []


def is_of(site, thing):
    return isinstance(thing, HTTPConnection) and thing.server is site.server


def test_closed_connections_leave_no_garbage(serve):
    """They are freed when they close, not when the collector comes by."""
    site = serve(handle=echo_target)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            client = site.connect()
            client.get()
            client.close()
        site.wait_until_empty()
        site.wait_until(lambda: not any(is_of(site, thing) for thing in gc.get_objects()))
    finally:
        gc.enable()


def test_the_access_log_has_a_line_for_each_answer(serve):
    site = serve(handle=echo_target)
    client = site.connect()
    client.get("/a")
    client.get("/b", method="HEAD")
    lines = [(request.target, status, size) for request, status, size, _ in site.access]
    assert lines == [("/a", 200, 2), ("/b", 200, 0)]
    assert all(0 <= seconds < 60 for *_, seconds in site.access)
