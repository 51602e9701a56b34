"""The WSGI face: PEP 3333 as an application sees it, and what a client gets of it."""

import io
import sys
import threading
from wsgiref.validate import validator

import pytest

from greenwire.http import wsgi
from greenwire.http.request import Request
from greenwire.http.wsgi import environ_of

OK = "200 OK"
TEXT = [("Content-Type", "text/plain")]
POST = "POST / HTTP/1.1\r\nHost: a\r\n"


def app_of(fn):
    """An application that answers with the bytes that ``fn(environ)`` returns."""

    def app(environ, start_response):
        body = fn(environ)
        start_response(OK, [*TEXT, ("Content-Length", str(len(body)))])
        return [body]

    return app


def fixed(*chunks, headers=TEXT, status=OK):
    def app(environ, start_response):
        start_response(status, list(headers))
        return iter(chunks)

    return app


# --- the environ


def request_of(*headers, method="GET", path="/", target="/", peer=("192.0.2.1", 1234), local=("192.0.2.2", 80)):
    return Request(method, target, path, "q=1", "1.1", list(headers), peer, local, "http")


def test_environ():
    environ = environ_of(request_of(("host", "a"), ("x-y", "1"), path="/a b", target="/a%20b?q=1"))
    expected = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b",
        "QUERY_STRING": "q=1",
        "RAW_URI": "/a%20b?q=1",
        "REQUEST_URI": "/a%20b?q=1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "192.0.2.2",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "1234",
        "HTTP_HOST": "a",
        "HTTP_X_Y": "1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    assert {key: environ.get(key) for key in expected} == expected
    assert set(environ) - set(expected) == {"wsgi.input", "wsgi.file_wrapper"}


def test_environ_of_headers():
    environ = environ_of(
        request_of(
            ("content-type", "a/b"),
            ("content-length", "5"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("x_twice", "spoofed"),
            ("proxy", "http://evil"),
        )
    )
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("a/b", "5")
    assert (environ["HTTP_COOKIE"], environ["HTTP_X_TWICE"]) == ("a=1; b=2", "1,2")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_PROXY"} & set(environ)


def test_environ_invents_nothing():
    environ = environ_of(request_of(method="OPTIONS", path="*"))
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_HOST"} & set(environ)
    assert environ["PATH_INFO"] == ""


def test_environ_of_a_unix_socket():
    environ = environ_of(request_of(("host", "a.example:81"), peer="", local="/run/x"))
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("a.example", "81")
    assert environ["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in environ
    environ = environ_of(request_of(("host", "[::1]"), peer="", local="/run/x"))
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("[::1]", "80")


def test_http_1_0_is_told(serve):
    site = serve(app=app_of(lambda environ: environ["SERVER_PROTOCOL"].encode()))
    assert site.connect().send(b"GET / HTTP/1.0\r\n\r\n").answer().body == b"HTTP/1.0"


def kept(site):
    """What its open connections keep for their next request."""
    return site.loop.ask(lambda: [connection.kept for connection in site.server.connections])


def test_an_idle_connection_keeps_no_long_fields(serve):
    site = serve(app=app_of(lambda environ: environ["HTTP_X"].encode()))
    client = site.connect()
    for _ in range(3):
        long = "x" * 20_000
        assert client.send(f"GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n".encode()).answer().body == long.encode()
        assert kept(site) == [None]


def test_what_a_client_repeats_is_kept_also_over_a_request_with_a_body(serve):
    site = serve(app=app_of(lambda environ: environ["HTTP_X"].encode()))
    client = site.connect()
    for _ in range(2):
        assert client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n").answer().body == b"1"
    [ground] = kept(site)
    assert client.send(f"{POST}X: 2\r\nContent-Length: 1\r\n\r\nx".encode()).answer().body == b"2"
    assert client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n").answer().body == b"1"
    assert kept(site) == [ground]


def test_long_names_of_fields_are_not_remembered():
    name = "x-" + "y" * 1_000
    assert environ_of(request_of((name, "1")))["HTTP_X_" + "Y" * 1_000] == "1"
    assert name not in wsgi._KEYS


# --- clean under the validator


@pytest.mark.filterwarnings("ignore::wsgiref.validate.WSGIWarning")
def test_the_validator_is_content(serve):
    @validator
    def app(environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(OK, [*TEXT, ("Content-Length", str(len(body)))])
        return [body]

    @validator
    def streaming(environ, start_response):
        write = start_response(OK, list(TEXT))
        write(b"written ")
        return iter([b"one ", b"two"])

    client = serve(app=app).connect()
    for body in (b"", b"x", b"y" * 200_000):
        answer = client.send(f"{POST}Content-Length: {len(body)}\r\n\r\n".encode() + body).answer()
        assert (answer.status, answer.body) == (200, body)
    assert client.get(method="OPTIONS", target="*").status == 200
    assert serve(app=streaming).connect().get().body == b"written one two"


# --- answers


def test_a_list_has_a_length(serve):
    def app(environ, start_response):
        start_response(OK, list(TEXT))
        return [b"one", b"", b"two"]

    answer = serve(app=app).connect().get()
    assert (answer.get("content-length"), answer.body) == ("6", b"onetwo")
    assert answer.get("server") == "greenwire"
    assert answer.get("date").endswith(" GMT")


def test_an_iterator_is_chunked(serve):
    client = serve(app=fixed(b"one", b"", b"two")).connect()
    for _ in range(2):
        answer = client.get()
        assert (answer.get("transfer-encoding"), answer.body) == ("chunked", b"onetwo")


def test_an_iterator_that_yields_its_whole_length_at_once(serve):
    site = serve(app=fixed(b"onetwo", headers=[*TEXT, ("Content-Length", "6")]))
    answer = site.connect().get()
    assert (answer.get("transfer-encoding"), answer.get("content-length"), answer.body) == (None, "6", b"onetwo")


def test_nothing_at_all(serve):
    answer = serve(app=fixed()).connect().get()
    assert (answer.status, answer.get("content-length")) == (200, "0")


def test_own_server_and_date_stay(serve):
    answer = serve(app=fixed(headers=[("Server", "mine"), ("Date", "today")])).connect().get()
    assert (answer.get("server"), answer.get("date")) == ("mine", "today")


def test_reason_phrases_stay(serve):
    assert serve(app=fixed(status="299 What \xe9ver")).connect().get().reason == "What \xe9ver"


def test_each_block_is_sent_before_the_next_is_made(serve):
    go_on = threading.Event()

    def app(environ, start_response):
        start_response(OK, list(TEXT))
        yield b"first"
        assert go_on.wait(20)
        yield b"second"

    client = serve(app=app).connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.head()
    chunks = client.chunks()
    assert next(chunks) == b"first"
    go_on.set()
    assert list(chunks) == [b"second"]


def test_head_has_no_body(serve):
    for app in (app_of(lambda environ: b"body"), fixed(b"one", b"two")):
        client = serve(app=app).connect()
        assert client.get(method="HEAD").body == b""
        assert client.get().body in (b"body", b"onetwo")


def test_head_answered_without_a_body_claims_no_length(serve):
    assert serve(app=fixed()).connect().get(method="HEAD").get("content-length") is None


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_no_body_where_none_may_be(serve, status):
    client = serve(app=fixed(b"dropped", status=status, headers=[("Content-Length", "7")])).connect()
    for _ in range(2):
        answer = client.get()
        assert (f"{answer.status} {answer.reason}", answer.get("content-length")) == (status, None)


def test_hop_by_hop_headers_are_dropped(serve):
    headers = [("Transfer-Encoding", "chunked"), ("Keep-Alive", "5"), ("Upgrade", "x"), ("Content-Length", "2")]
    answer = serve(app=fixed(b"ok", headers=headers)).connect().get()
    assert answer.body == b"ok"
    assert not {"keep-alive", "upgrade", "transfer-encoding"} & {name for name, _ in answer.headers}


def test_an_application_may_close(serve):
    client = serve(app=fixed(b"ok", headers=[("Connection", "close"), ("Content-Length", "2")])).connect()
    assert client.get().get("connection") == "close"
    assert client.at_end()


@pytest.mark.parametrize(
    ("status", "headers", "named"),
    [
        (OK, [("X-Split", "a\r\nSet-Cookie: b=c")], "X-Split"),
        (OK, [("X-Fine", "1"), ("X-Lf", "a\nb")], "X-Lf"),
        (OK, [("X-Nul", "a\0b")], "X-Nul"),
        (OK, [("X-Bad\r\nName", "a")], "X-Bad"),
        (OK, [("", "a")], "name ''"),
        (OK, [("X-Number", 5)], "X-Number"),
        (OK, [("X-Snowman", "☃")], "X-Snowman"),
        (OK, [("Content-Length", "-1")], "Content-Length"),
        (OK, [("Content-Length", "1"), ("Content-Length", "2")], "Content-Length"),
        (OK, ["no pair"], "no pair"),
        ("200 OK\r\nX: y", [], "status"),
        ("OK", [], "status"),
        ("101 Switching Protocols", [], "status"),
        (200, [], "status"),
    ],
)
def test_heads_that_cannot_be_sent(serve, caplog, status, headers, named):
    answer = serve(app=fixed(b"", status=status, headers=headers)).connect().get()
    assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
    assert named in caplog.text


def test_longer_than_its_length(serve, caplog):
    client = serve(app=fixed(b"one", b"two", headers=[("Content-Length", "5")])).connect()
    assert [client.get().body, client.get().body] == [b"onetw", b"onetw"]
    assert "longer than its Content-Length" in caplog.text
    client = serve(app=fixed(b"one", b"two", headers=[("Content-Length", "3")])).connect()
    assert [client.get().body, client.get().body] == [b"one", b"one"]


def test_shorter_than_its_length(serve, caplog):
    headers = [("Content-Length", "5")]
    for app in (fixed(b"one", headers=headers), lambda _, start_response: start_response(OK, headers) and [b"one"]):
        client = serve(app=app).connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.head().get("content-length") == "5"
        assert client.file.read() == b"one"
    assert caplog.text.count("2 bytes shorter") == 2


def test_the_write_callable(serve):
    def app(environ, start_response):
        write = start_response(OK, list(TEXT))
        write(b"one")
        write(b"")
        write(b"two")
        return [b"three"]

    assert serve(app=app).connect().get().body == b"onetwothree"


def test_file_wrapper(serve):
    files = []

    def app(environ, start_response):
        start_response(OK, list(TEXT))
        files.append(io.BytesIO(b"x" * 200_000))
        return environ["wsgi.file_wrapper"](files[-1], 1_000)

    site = serve(app=app)
    assert site.connect().get().body == b"x" * 200_000
    site.wait_until(lambda: files[0].closed)


# --- errors


def failing(before=(), after=ValueError):
    def app(environ, start_response):
        if before:
            start_response(OK, list(TEXT))
        yield from before
        raise after("oops")  # a new one each time: its traceback would keep the connection

    return app


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_an_error_before_the_head_is_a_500(serve, caplog, error):
    client = serve(app=failing(after=error)).connect()
    for _ in range(2):
        answer = client.get()
        assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
    assert "oops" in caplog.text
    assert "Traceback" in caplog.text


def test_the_traceback_is_shown_in_debug_mode_only(serve):
    assert b"ValueError: oops" in serve(app=failing(), debug=True).connect().get().body


def test_an_error_after_the_head_breaks_off(serve, caplog):
    client = serve(app=failing(before=[b"one"])).connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.head()
    assert client.file.read() == b"3\r\none\r\n"
    assert "oops" in caplog.text


def test_an_error_after_the_head_resets_http_1_0(serve, caplog):
    client = serve(app=failing(before=[b"one"])).connect().send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.is_reset()


def test_start_response_is_not_called(serve, caplog):
    assert serve(app=lambda environ, start_response: [b"x"]).connect().get().status == 500
    assert serve(app=lambda environ, start_response: []).connect().get().status == 500
    assert "start_response" in caplog.text


def test_start_response_twice_needs_exc_info(serve, caplog):
    def app(environ, start_response):
        start_response(OK, [])
        start_response("201 Created", [])
        return []

    assert serve(app=app).connect().get().status == 500


def test_exc_info_replaces_a_head_that_is_not_sent(serve):
    def app(environ, start_response):
        start_response(OK, [("X", "1")])
        try:
            raise ValueError
        except ValueError:
            start_response("503 Sorry", list(TEXT), sys.exc_info())
        return [b"sorry"]

    answer = serve(app=app).connect().get()
    assert (answer.status, answer.get("x"), answer.body) == (503, None, b"sorry")


def test_exc_info_is_raised_when_the_head_is_sent(serve, caplog):
    raised = []

    def app(environ, start_response):
        start_response(OK, list(TEXT))(b"one")
        try:
            raise ValueError("original")
        except ValueError:
            try:
                start_response("500 Oops", [], sys.exc_info())
            except ValueError as error:
                raised.append(str(error))
                raise
        return []

    client = serve(app=app).connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.head()
    assert client.file.read() == b"3\r\none\r\n"
    assert raised == ["original"]


class Closing:
    """An iterable that counts how often it is closed."""

    def __init__(self, chunks, *, closed, fails=False):
        self._chunks = chunks
        self._closed = closed
        self._fails = fails

    def __iter__(self):
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self):
        self._closed.append(True)
        if self._fails:
            raise LookupError("close has failed")


@pytest.mark.parametrize("chunks", [[], [b"one"], [b"one", b"two"], [ValueError("oops")], [b"one", ValueError("oops")]])
def test_close_is_called_once(serve, caplog, chunks):
    closed = []

    def app(environ, start_response):
        start_response(OK, list(TEXT))
        return Closing(chunks, closed=closed)

    site = serve(app=app)
    site.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").file.read()
    site.wait_until(lambda: closed)
    assert closed == [True]


def test_an_error_in_close_is_logged(serve, caplog):
    closed = []

    def app(environ, start_response):
        start_response(OK, list(TEXT))
        return Closing([b"fine"], closed=closed, fails=True)

    site = serve(app=app)
    client = site.connect()
    assert [client.get().body, client.get().body] == [b"fine", b"fine"]
    site.wait_until(lambda: len(caplog.records) == 2)
    assert "close has failed" in caplog.text


def test_text_instead_of_bytes_is_an_error(serve, caplog):
    assert serve(app=fixed("text")).connect().get().status == 500
    assert serve(app=lambda environ, start_response: start_response(OK, []) and ["text"]).connect().get().status == 500
    assert "bytes" in caplog.text
