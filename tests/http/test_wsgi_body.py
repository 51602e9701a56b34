"""``wsgi.input``, and back-pressure in both directions."""

import io
import socket
import threading

import pytest

from greenwire.errors import TruncatedBodyError
from greenwire.limits import Limits

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


# --- wsgi.input


def reading(how):
    return app_of(lambda environ: repr(how(environ["wsgi.input"])).encode())


BODY = b"one\ntwo\n\nthree " + b"x" * 100_000 + b"\nlast"


@pytest.mark.parametrize(
    "how",
    [
        lambda file: file.read(),
        lambda file: file.read(-1),
        lambda file: file.read(None),
        lambda file: file.read(0) + file.read(5) + file.read(70_000) + file.read(10_000_000) + file.read(5),
        lambda file: [file.readline(), file.readline(2), file.readline(0), file.readline(-1), file.read()],
        lambda file: file.readlines(),
        lambda file: [file.readlines(5), file.readlines()],
        lambda file: list(file),
        lambda file: [file.readline() for _ in range(8)],
        lambda file: b"".join(iter(lambda: file.read(777), b"")),
        lambda file: b"".join(iter(lambda: file.read1(70_000), b"")) + file.read1(),
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunked", "whole"])
def test_reading_the_body(serve, how, framing):
    """Like a file, whether the body was there already or is still coming in."""
    client = serve(app=reading(how)).connect()
    if framing == "chunked":
        client.send(f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode())
        for part in (BODY[:2], BODY[2:50_000], BODY[50_000:]):
            client.send(b"%x\r\n%b\r\n" % (len(part), part))
        client.send(b"0\r\n\r\n")
    elif framing == "length":
        client.send(f"{POST}Content-Length: {len(BODY)}\r\n\r\n".encode())
        for part in (BODY[:2], BODY[2:50_000], BODY[50_000:]):
            client.send(part)
    else:
        client.send(f"{POST}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
    assert client.answer().body == repr(how(io.BytesIO(BODY))).encode()


def test_flask_sees_chunked_bodies(serve):
    flask = pytest.importorskip("flask")
    app = flask.Flask("chunky")

    @app.post("/")
    def index():
        return flask.request.form["a"]

    client = serve(app=app).connect()
    fields = "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(f"{POST}{fields}3\r\na=5\r\n0\r\n\r\n".encode())
    assert client.answer().body == b"5"


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ("Content-Length: 100000", b"x" * 10),
        ("Content-Length: 100000", b"x" * 70_000),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n"),
    ],
)
@pytest.mark.parametrize("leave", ["half-close", "reset"])
def test_truncated_bodies_raise(serve, fields, part, leave):
    heard, began = [], threading.Event()

    def app(environ, start_response):
        file = environ["wsgi.input"]
        began.set()
        for _ in range(2):
            try:
                while file.read(1_000):
                    pass
                heard.append("looks whole")
            except TruncatedBodyError as error:
                heard.append(error)
        start_response(OK, list(TEXT))
        return [b""]

    site = serve(app=app)
    client = site.connect().send(f"{POST}{fields}\r\n\r\n".encode() + part)
    assert began.wait(20)
    if leave == "reset":
        client.reset()
    else:
        client.sock.shutdown(1)
        assert client.answer().status == 200
    site.wait_until(lambda: len(heard) == 2)
    assert all(isinstance(error, TruncatedBodyError) for error in heard)
    assert isinstance(heard[0], OSError)


def test_malformed_chunks_raise_and_the_client_hears_400(serve):
    began = threading.Event()

    def app(environ, start_response):
        began.set()
        environ["wsgi.input"].read()
        raise AssertionError("it looks whole")

    client = serve(app=app).connect().send(f"{POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhel".encode())
    assert began.wait(20)
    client.send(b"lo\r\nxyz\r\n")
    assert client.answer().status == 400


def test_a_slow_body_raises_and_the_client_hears_408(serve):
    def app(environ, start_response):
        environ["wsgi.input"].read()
        raise AssertionError("it looks whole")

    client = serve(app=app, limits=Limits(body_grace_s=0.1)).connect()
    assert client.send(f"{POST}Content-Length: 5\r\n\r\nx".encode()).answer().status == 408


class LateReader:
    """An answer that reads the request's body only when it is closed, after the next request has come."""

    def __init__(self, file, heard, go_on):
        self._file = file
        self._heard = heard
        self._go_on = go_on

    def __iter__(self):
        yield b"ok"

    def close(self):
        assert self._go_on.wait(20)
        try:
            self._heard.append(self._file.read())
        except TruncatedBodyError as error:
            self._heard.append(str(error))


def test_reading_after_the_answer_takes_nothing_from_the_next_request(serve):
    heard, go_on = [], threading.Event()

    def app(environ, start_response):
        start_response(OK, [("Content-Length", "2")])
        return LateReader(environ["wsgi.input"], heard, go_on)

    site = serve(app=app)
    client = site.connect().send(f"{POST}Content-Length: 5\r\n\r\n".encode())
    assert client.answer().body == b"ok"
    client.send(f"hello{POST}Content-Length: 6\r\n\r\nsecond".encode())
    assert client.answer().body == b"ok"
    go_on.set()
    site.wait_until(lambda: len(heard) == 2)
    assert sorted(map(str, heard)) == ["b'second'", "the request has been answered"]


def test_100_continue_is_sent_by_the_first_read(serve):
    go_on = threading.Event()

    def app(environ, start_response):
        assert go_on.wait(20)
        start_response(OK, list(TEXT))
        return [environ["wsgi.input"].read()]

    client = serve(app=app).connect()
    client.send(f"{POST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode())
    client.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.sock.recv(1)
    client.sock.settimeout(20)
    client.file = client.sock.makefile("rb")
    go_on.set()
    assert client.head().status == 100
    assert client.send(b"hello").answer().body == b"hello"


# --- back-pressure


def test_an_upload_that_nobody_reads_is_not_buffered(serve):
    go_on, began = threading.Event(), threading.Event()

    def app(environ, start_response):
        began.set()
        assert go_on.wait(20)
        size = sum(map(len, iter(lambda: environ["wsgi.input"].read(100_000), b"")))
        start_response(OK, list(TEXT))
        return [str(size).encode()]

    site = serve(app=app, limits=Limits(body_buffer_bytes=10_000, pipelined_bytes=10_000, body_grace_s=0.3))
    client = site.connect()
    size, begun = 30_000_000, 20_000  # more than enough to be paused for, in one piece with the head: before that
    client.send(f"{POST}Content-Length: {size}\r\n\r\n".encode() + bytes(begun))  # the client would have to hurry
    sender = threading.Thread(target=client.send, args=(bytes(size - begun),))
    sender.start()
    assert began.wait(20)
    [connection] = site.server.connections
    site.wait_until(lambda: connection._paused_at is not None)
    start = site.loop.now()
    site.wait_until(lambda: site.loop.now() > start + 0.6)  # twice the grace: a pause of ours is not the client's fault
    held = site.loop.ask(lambda: len(connection._held) - connection._at + connection._parser.body_size)
    assert held < 600_000  # one read of the event loop brings up to 256 KiB
    go_on.set()
    assert client.answer().body == str(size).encode()
    sender.join()


def test_a_slow_reader_keeps_the_application_waiting(serve):
    total, chunk = 200_000_000, bytes(50_000)
    made = []
    ended = threading.Event()

    def app(environ, start_response):
        start_response(OK, list(TEXT))
        try:
            for _ in range(total // len(chunk)):
                made.append(len(chunk))
                yield chunk
        finally:
            ended.set()

    limits = Limits(response_buffer_bytes=262_144)
    site = serve(app=app, limits=limits)
    client = site.connect()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # else it is the system that sets its bounds
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    site.wait_until(lambda: site.server.connections)
    [connection] = site.server.connections
    received, highest = 0, 0
    for _ in range(60):
        received += len(client.sock.recv(50_000))
        highest = max(highest, site.loop.ask(lambda: connection.output.buffered))
    assert highest <= limits.response_buffer_bytes + len(chunk) + 100
    # Beside our own buffer the kernel has two, of some megabytes.
    assert sum(made) < received + 20_000_000
    assert not ended.is_set()
    client.reset()
    assert ended.wait(20)
    assert sum(made) < total


def ticking(ended):
    """Server-sent events without end."""

    def app(environ, start_response):
        start_response(OK, list(TEXT))
        pause = threading.Event()
        try:
            while not pause.wait(0.01):
                yield b"tick"
        finally:
            ended.set()

    return app


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_quiet_stream_ends_when_the_client_goes(serve, leave):
    ended = threading.Event()
    client = serve(app=ticking(ended)).connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.head()
    assert next(client.chunks()) == b"tick"
    getattr(client, leave)()
    assert ended.wait(20)


def test_head_does_not_run_a_stream(serve):
    ended = threading.Event()
    client = serve(app=ticking(ended)).connect()
    assert client.get(method="HEAD").status == 200
    assert ended.wait(20)


def test_a_reader_that_stalls_is_cut_off(serve, caplog):
    ended = threading.Event()

    def app(environ, start_response):
        start_response(OK, list(TEXT))
        try:
            while True:
                yield bytes(100_000)
        finally:
            ended.set()

    site = serve(app=app, limits=Limits(write_stall_s=0.2))
    site.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert ended.wait(20)
    site.wait_until_empty()
    assert "taken nothing" in caplog.text


def test_a_whole_answer_that_nobody_takes_is_cut_off(serve, caplog):
    site = serve(app=app_of(lambda environ: bytes(20_000_000)), limits=Limits(write_stall_s=0.2))
    site.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    site.wait_until(lambda: site.access)
    site.wait_until_empty()
    assert "taken nothing" in caplog.text


def test_a_large_answer_arrives_whole(serve):
    body = bytes(range(256)) * 40_000
    client = serve(app=app_of(lambda environ: body)).connect()
    assert client.get().body == body
    assert client.get().body == body
