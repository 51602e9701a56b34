"""``greenwire.wsgi.server``: each parameter, over real sockets."""

import io
import logging
import re
import socket
import threading
from functools import partial

import pytest

from greenwire import green, wsgi
from greenwire.errors import ConfigurationError
from greenwire.limits import Limits
from support.in_time import asked_in_time
from support.waiting import TIMEOUT_S, wait_until
from support.wsgisite import OK, TEXT, Lines, Site, app_of

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

hello = app_of(lambda environ: b"hello")


@pytest.fixture(params=["uvloop", "asyncio"], autouse=True)
def _loops(request, monkeypatch):
    monkeypatch.setattr(Site, "kind", request.param)


def failing(environ, start_response):
    raise ValueError("oops")


# --- log, log_output, log_format, log_x_forwarded_for


def test_one_line_for_each_request():
    with Site(hello) as site:
        client = site.connect()
        client.get("/a?b=c")
        client.request("POST", "/d", body=b"x")
        first, second = site.logged(2)
    pattern = r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] "GET /a\?b=c HTTP/1\.1" 200 5 \d+\.\d{6}'
    assert re.fullmatch(pattern, first)
    assert '"POST /d HTTP/1.1" 200 5' in second
    assert f"listens on http://127.0.0.1:{site.port}" in site.log[0]
    assert "has ended" in site.log[-1]
    assert len(site.log) == 4


def test_log_goes_to_standard_error(capsys):
    with Site(hello, log=None) as site:
        site.get()
    assert '"GET / HTTP/1.1" 200 5' in capsys.readouterr().err


def test_log_to_a_logger(caplog):
    logger = logging.getLogger("test.of.wsgi")
    with caplog.at_level(logging.INFO, logger.name), Site(hello, log=logger) as site:
        site.get("/logged")
    said = [record for record in caplog.records if record.name == logger.name]
    assert [record.levelno for record in said] == [logging.INFO] * 3
    assert '"GET /logged HTTP/1.1"' in said[1].getMessage()


def test_log_output_false_is_silent(capsys):
    lines = Lines()
    with Site(hello, log=lines, log_output=False) as site:
        assert site.get().status == 200
    assert lines == []
    assert capsys.readouterr().err == ""


def test_log_format():
    keys = "client_ip client_port date_time request_line status_code body_length wall_seconds".split()
    with Site(hello, log_format="|".join(f"%({key})s" for key in keys)) as site:
        client = site.connect()
        address = client.sock.getsockname()
        client.get("/")
        (line,) = site.logged()
    ip, port, _, asked, status, length, seconds = line.split("|")
    assert (ip, int(port)) == address
    assert (asked, status, length) == ("GET / HTTP/1.1", "200", "5")
    assert 0 <= float(seconds) < TIMEOUT_S


@pytest.mark.parametrize("bad", ["%(client)s", "%(client_ip)d", "%(client_ip)"])
def test_a_format_that_cannot_be_filled_is_an_error_at_once(bad):
    with pytest.raises(ConfigurationError, match="log_format"), Site(hello, log_format=bad):
        pass


def test_forwarded_for_stands_in_front_unless_it_may_not():
    field = ("X-Forwarded-For", '192.0.2.7, 10.0.0.1"')
    with Site(hello) as site:
        site.get("/", field)
        assert site.logged()[0].startswith(r"192.0.2.7,10.0.0.1\x22,127.0.0.1 - - [")
    with Site(hello, log_x_forwarded_for=False) as site:
        site.get("/", field)
        assert site.logged()[0].startswith("127.0.0.1 - - [")


def test_a_log_that_fails_ends_nothing(caplog):
    class Full(Lines):
        def write(self, text):
            if "GET" in text:
                raise OSError("disk full")

    with Site(hello, log=Full()) as site:
        client = site.connect()
        assert [client.get("/").status, client.get("/").status] == [200, 200]
    assert "disk full" in caplog.text


# --- environ


def test_environ_is_added_and_wins():
    names = ("my.thing", "SCRIPT_NAME", "wsgi.multithread", "REQUEST_METHOD")
    app = app_of(lambda environ: repr([environ[name] for name in names]).encode())
    with Site(app, environ={"my.thing": 1, "SCRIPT_NAME": "/app", "wsgi.multithread": False}) as site:
        assert site.get().text == "[1, '/app', False, 'GET']"
        assert site.get().text == "[1, '/app', False, 'GET']"


# --- max_size, custom_pool


class Rooms:
    """An application that notes how many of it run at once, each until it is let go."""

    def __init__(self):
        self.inside = self.most = self.begun = 0
        self.go_on = green.Event()

    def __call__(self, environ, start_response):
        self.begun += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        assert self.go_on.wait(TIMEOUT_S)
        self.inside -= 1
        return hello(environ, start_response)


@pytest.mark.parametrize("room", ["max_size", "custom_pool"])
def test_no_more_at_once_than_there_is_room_for(room):
    rooms = Rooms()
    options = {"max_size": 3} if room == "max_size" else {"custom_pool": green.GreenPool(3)}
    with Site(rooms, **options) as site:
        idle = [site.connect() for _ in range(5)]  # they take no room
        clients = [site.connect() for _ in range(10)]
        for client in clients:
            client.send_request("GET", "/")
        wait_until(lambda: rooms.begun == 3, "three run")
        for client in idle:  # they are heard, and wait as well
            client.send_request("GET", "/")
        rooms.go_on.set()
        assert {client.response().status for client in clients + idle} == {200}
    assert (rooms.most, rooms.begun) == (3, 15)


def test_they_wait_in_order():
    order = []

    def app(environ, start_response):
        order.append(environ["PATH_INFO"])
        green.sleep(0)
        return hello(environ, start_response)

    with Site(app, max_size=1) as site:
        client = site.connect()
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(20)))
        assert [client.response().status for _ in range(20)] == [200] * 20
    assert order == [f"/{number}" for number in range(20)]


def test_a_pool_that_fails_ends_the_server():
    class Broken:
        def spawn(self, fn, *args):
            raise LookupError("no more")

    with Site(hello, custom_pool=Broken(), limits=Limits(graceful_s=0.1)) as site:
        site.connect().send_request("GET", "/")
        site.join()
    assert isinstance(site.raised, LookupError)


# --- max_http_version


def test_http_1_0_only():
    def app(environ, start_response):
        start_response(OK, list(TEXT))
        yield environ["SERVER_PROTOCOL"].encode()
        yield b"!"

    with Site(app, max_http_version="HTTP/1.0") as site:
        client = site.connect()
        client.send_request("GET", "/")
        answer = client.file.read()
        assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nHTTP/1.0!")
        assert b"chunked" not in answer
    with Site(hello, max_http_version="HTTP/1.0") as site:
        client = site.connect()
        for _ in range(2):  # a client may still ask for more than one
            client.send_request("GET", "/", (("Connection", "keep-alive"),))
            assert client.file.readline() == b"HTTP/1.0 200 OK\r\n"
            assert b"Connection: keep-alive\r\n" in list(iter(client.file.readline, b"\r\n"))
            assert client.file.read(5) == b"hello"
    with pytest.raises(ConfigurationError, match="max_http_version"), Site(hello, max_http_version="HTTP/2"):
        pass


def test_http_1_0_clients():
    with Site(hello) as site:
        client = site.connect()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.response().get("connection") == "close"
        assert client.at_end()
        client = site.connect()
        for _ in range(2):
            client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert client.response().get("connection") == "keep-alive"


# --- protocol, server_event, minimum_chunk_size


def test_protocol_is_accepted_with_a_word(caplog):
    with Site(hello, protocol=object) as site:
        assert site.get().status == 200
    assert "protocol" in caplog.text


def test_server_event_of_either_kind():
    ready = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        serve = partial(wsgi.server, sock, hello, server_event=ready, log=Lines())
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert ready.wait(TIMEOUT_S)
        sock.close()
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


def test_small_pieces_are_not_kept_back():
    go_on = green.Event()

    def app(environ, start_response):
        start_response(OK, list(TEXT))
        yield b"a"
        assert go_on.wait(TIMEOUT_S)
        yield b"b"

    with Site(app, minimum_chunk_size=4096) as site:
        client = site.connect()
        client.send_request("GET", "/")
        assert client.head().get("transfer-encoding") == "chunked"
        assert client.file.read(6) == b"1\r\na\r\n"
        go_on.set()
        assert client.file.read(11) == b"1\r\nb\r\n0\r\n\r\n"


# --- keepalive, socket_timeout


@pytest.mark.parametrize("no", [False, 0])
def test_without_keep_alive(no):
    with Site(hello, keepalive=no) as site:
        client = site.connect()
        assert client.get("/").get("connection") == "close"
        assert client.at_end()


def test_keep_alive_is_a_number():
    with Site(hello, keepalive=7.5) as site:
        client = site.connect()
        for _ in range(2):
            answer = client.get("/")
            assert (answer.get("keep-alive"), answer.get("connection")) == ("timeout=7", "keep-alive")
        assert client.get("/", ("Connection", "close")).get("keep-alive") is None
    with Site(hello, keepalive=0.05) as site:
        client = asked_in_time(site.connect, GET)
        assert client.response().status == 200
        assert client.at_end()
        assert site.connect().at_end()  # also before the first request


def test_socket_timeout():
    app = app_of(lambda environ: environ["wsgi.input"].read() or b"hello")
    with Site(app, socket_timeout=0.05) as site:
        assert site.connect().at_end()  # says nothing
        client = asked_in_time(site.connect, GET[:-9])
        assert client.response().status == 408
        client = asked_in_time(site.connect, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        assert client.response().status == 408
        client = asked_in_time(site.connect, GET)
        assert client.response().status == 200
        assert client.at_end()  # idle


# --- url_length_limit


def test_url_length_limit():
    with Site(hello, url_length_limit=100) as site:
        longest = "/" + "x" * (100 - len("GET / HTTP/1.1\r\n") - 1)
        assert site.get(longest).status == 200
        assert site.get(longest + "x").status == 414
    with Site(hello) as site:
        assert site.get("/" + "x" * 8000).status == 200
        assert site.get("/" + "x" * 8192).status == 414


# --- debug


def test_an_error_is_a_500_and_one_entry(caplog):
    with Site(failing) as site:
        client = site.connect()
        answer = client.get("/")
        assert (answer.status, answer.text) == (500, "Internal Server Error\n")
        assert client.get("/").status == 500
        assert [" 500 " in line for line in site.logged(2)] == [True, True]
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 2
    assert "ValueError: oops" in caplog.text


def test_debug_shows_tracebacks(caplog):
    with Site(failing, debug=True) as site:
        answer = site.get()
    assert answer.status == 500
    assert "ValueError: oops" in answer.text
    assert "Traceback" in answer.text


# --- capitalize_response_headers


def test_header_names_are_capitalized_or_not():
    def app(environ, start_response):
        start_response(OK, [("content-type", "text/plain"), ("x-REQUEST-id", "a"), ("etag", "b")])
        return [b""]

    with Site(app) as site:
        names = [name for name, _ in site.get().fields]
    assert {"Content-Type", "X-Request-Id", "Etag"} <= set(names)
    with Site(app, capitalize_response_headers=False) as site:
        names = [name for name, _ in site.get().fields]
    assert {"content-type", "x-REQUEST-id", "etag"} <= set(names)


@pytest.mark.parametrize("headers", [[("x", 5)], ["bad"], [5], [(5, "x")], None, [("x", "a\r\nb: c")]])
def test_headers_that_cannot_be_sent(headers, caplog):
    def app(environ, start_response):
        start_response(OK, headers)
        return [b""]

    with Site(app) as site:
        assert site.get().status == 500


def test_hop_by_hop_headers_are_dropped():
    def app(environ, start_response):
        start_response(OK, [("connection", "upgrade"), ("transfer-encoding", "chunked"), ("Upgrade", "h2c"), *TEXT])
        return [b"hello"]

    with Site(app) as site:
        answer = site.get()
    assert (answer.text, answer.get("content-length")) == ("hello", "5")
    assert not {"connection", "transfer-encoding", "upgrade"} & {name.lower() for name, _ in answer.fields}


# --- hooks


@pytest.mark.parametrize("key", ["greenwire.posthooks", "eventlet.posthooks"])
def test_hooks_are_called_after_the_answer(key, caplog):
    called = green.Event()
    seen = []
    answered = threading.Event()

    def hook(environ, *args, **kwargs):
        assert answered.wait(TIMEOUT_S)  # by the client: it keeps the loop waiting, and the answer is out
        seen.append((environ["PATH_INFO"], args, kwargs))
        called.set()

    def app(environ, start_response):
        environ[key].append((failing, (1,), {}))
        environ[key].append((hook, (1, 2), {"c": 3}))
        return hello(environ, start_response)

    with Site(app) as site:
        client = site.connect()
        assert client.get("/hooked").status == 200
        answered.set()
        assert called.wait(TIMEOUT_S)
        assert client.get("/again").status == 200
        wait_until(lambda: len(seen) == 2)
    assert seen == [("/hooked", (1, 2), {"c": 3}), ("/again", (1, 2), {"c": 3})]
    assert caplog.text.count("post hook") == 2


def test_hooks_are_called_after_an_error(caplog):
    called = threading.Event()

    def app(environ, start_response):
        environ["greenwire.posthooks"].append((lambda environ: called.set(), (), {}))
        raise ValueError("oops")

    with Site(app) as site:
        assert site.get().status == 500
        assert called.wait(TIMEOUT_S)


# --- wsgi.input, 100 Continue


def test_a_hundred_continue_with_fields():
    def app(environ, start_response):
        body = environ["wsgi.input"]
        body.set_hundred_continue_response_headers([("X-Go", "on"), ("X-More", "1")])
        return app_of(lambda environ: body.read())(environ, start_response)

    with Site(app) as site:
        client = site.connect()
        for _ in range(2):
            client.send_request("POST", "/", (("Expect", "100-continue"), ("Content-Length", "4")))
            first = client.head()
            assert (first.status, first.get("x-go"), first.get("x-more")) == (100, "on", "1")
            client.send(b"body")
            assert client.response().text == "body"
        assert client.request("POST", "/", body=b"whole").text == "whole"  # nobody waits: nothing to say


def test_a_hundred_continue_said_twice():
    def app(environ, start_response):
        body = environ["wsgi.input"]
        body.send_hundred_continue_response()
        first = body.readline()
        body.set_hundred_continue_response_headers([("X-Go", "on")])
        body.send_hundred_continue_response()
        return app_of(lambda environ: first + body.read())(environ, start_response)

    with Site(app) as site:
        client = site.connect()
        client.send_request("POST", "/", (("Expect", "100-continue"), ("Transfer-Encoding", "chunked")))
        assert client.head().status == 100
        client.send(b"4\r\none\n\r\n")
        answer = client.head()
        assert (answer.status, answer.get("x-go")) == (100, "on")
        client.send(b"3\r\ntwo\r\n0\r\n\r\n")
        assert client.response().text == "one\ntwo"


def test_no_hundred_continue_without_a_read_or_an_expectation():
    def app(environ, start_response):
        environ["wsgi.input"].set_hundred_continue_response_headers([("X-Go", "on")])
        if environ["PATH_INFO"] == "/send":
            environ["wsgi.input"].send_hundred_continue_response()
            environ["wsgi.input"].read()
        return hello(environ, start_response)

    with Site(app) as site:
        client = site.connect()
        client.send_request("POST", "/", (("Expect", "100-continue"), ("Content-Length", "4")))
        assert client.response().status == 200
        client = site.connect()
        client.send(b"POST /send HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        client.send(b"dy")
        assert client.response().status == 200


def test_fields_of_a_hundred_continue_are_judged(caplog):
    def app(environ, start_response):
        environ["wsgi.input"].set_hundred_continue_response_headers([("X-Go", "on\r\nX: y")])
        return hello(environ, start_response)

    with Site(app) as site:
        client = site.connect()
        client.send_request("POST", "/", (("Expect", "100-continue"), ("Content-Length", "4")))
        assert client.response().status == 500


BODY = b"one\ntwo\n\nthree"
READS = {
    "read": lambda body: [body.read(2), body.read(0), body.read(), body.read(), body.read(5)],
    "readline": lambda body: [*(body.readline(limit) for limit in (-1, 2, 0, None)), body.readline()],
    "readlines": lambda body: body.readlines(),
    "readlines(5)": lambda body: [*body.readlines(5), b"|", *body.readlines(0)],
    "iteration": lambda body: [next(body), *body],
    "text": lambda body: [line.encode() for line in io.TextIOWrapper(body, "latin-1", newline="\n")],
    "readinto": lambda body: [bytes(body.readinto(buffer := bytearray(6))), bytes(buffer)],
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("chunked", [False, True])
def test_input_reads_as_a_file_does(name, chunked):
    got = []

    def app(environ, start_response):
        got.append(READS[name](environ["wsgi.input"]))
        return hello(environ, start_response)

    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(BODY)))
    with Site(app) as site:
        client = site.connect()
        client.send_request("POST", "/", (framing,))
        for at in range(0, len(BODY), 3):
            piece = BODY[at : at + 3]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            client.send(b"0\r\n\r\n")
        assert client.response().status == 200
    assert got == [READS[name](io.BytesIO(BODY))]


def test_file_wrapper():
    def app(environ, start_response):
        start_response(OK, list(TEXT))
        return environ["wsgi.file_wrapper"](io.BytesIO(b"x" * 200_000))

    with Site(app) as site:
        client = site.connect()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.response().body == b"x" * 200_000
