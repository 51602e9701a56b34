"""Files as answers: what the kernel sends by itself, what it may not, and readers that are slow or leave."""

import errno
import gzip
import io
import os
import socket
import tempfile
import threading

import flask
import pytest

from greenwire.http import output
from greenwire.http.waiting import ThreadWaiter
from greenwire.http.wsgi_file import extent_of
from greenwire.limits import Limits
from greenwire.net.tls import server_context
from support.certificate import self_signed

pytestmark = pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no sendfile")
DATA = bytes(range(256)) * 8_000  # 2 MB


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(DATA)
    return file


@pytest.fixture
def calls(monkeypatch):
    """What the kernel has answered each time: how many bytes it took, or ``None`` where it had no room."""
    made = []
    real = os.sendfile

    def sendfile(*args):
        try:
            count = real(*args)
        except BlockingIOError:
            made.append(None)
            raise
        made.append(count)
        return count

    monkeypatch.setattr(os, "sendfile", sendfile)
    return made


def opened(path, *how):
    """A file that the server has to close."""
    return open(path, *how or ("rb",))


def giving(open_file, *headers, seek=0):
    def app(environ, start_response):
        start_response("200 OK", list(headers))
        file = open_file()
        file.seek(seek)
        return environ["wsgi.file_wrapper"](file)

    return app


def test_the_kernel_sends_it(serve, path, calls):
    closed = []

    class Told(io.FileIO):
        def close(self):
            if not self.closed:
                closed.append(True)
            super().close()

    site = serve(app=giving(lambda: Told(path)))
    client = site.connect()
    for n in range(1, 4):
        answer = client.get()
        assert answer.body == DATA
        assert answer.get("content-length") == str(len(DATA))
        site.wait_until(lambda n=n: len(closed) == n)  # by the application's thread, after the answer
    assert calls


@pytest.mark.parametrize(
    "open_file",
    [
        lambda path: opened(path),
        lambda path: opened(path, "rb", 0),
        lambda path: opened(path, "r+b"),
        lambda path: named(path),
    ],
)
def test_kinds_of_files(serve, path, calls, open_file):
    assert serve(app=giving(lambda: open_file(path))).connect().get().body == DATA
    assert calls


def named(path):
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115  # the server closes it
    file.write(path.read_bytes())
    file.flush()
    return file


def test_from_where_it_stands(serve, path, calls):
    file = giving(lambda: opened(path), seek=1_000)
    assert serve(app=file).connect().get().body == DATA[1_000:]
    assert calls


def test_a_part_of_it(serve, path, calls):
    """PEP 3333: no more than the Content-Length says."""
    client = serve(app=giving(lambda: opened(path), ("Content-Length", "100000"), seek=10)).connect()
    for _ in range(2):
        assert client.get().body == DATA[10:100_010]
    assert calls


def test_http_1_0(serve, path, calls):
    client = serve(app=giving(lambda: opened(path))).connect()
    assert client.send(b"GET / HTTP/1.0\r\n\r\n").answer().body == DATA
    assert client.at_end()
    assert calls


def test_head(serve, path, calls):
    client = serve(app=giving(lambda: opened(path), ("Content-Length", str(len(DATA))))).connect()
    answer = client.get(method="HEAD")
    assert (answer.get("content-length"), answer.body) == (str(len(DATA)), b"")
    assert client.get().body == DATA


# --- where it is read instead

OTHERS = {
    "memory": lambda path: io.BytesIO(path.read_bytes()),
    "gzip": lambda path: gzip.GzipFile(compressed(path)),
    "a spooled file": lambda path: spooled(path),
}


def compressed(path):
    target = path.with_suffix(".gz")
    target.write_bytes(gzip.compress(path.read_bytes(), 1))
    return target


def spooled(path):
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115  # the server closes it
    file.write(path.read_bytes())
    return file


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_plain_file_is_read(serve, path, calls, name):
    assert serve(app=giving(lambda: OTHERS[name](path))).connect().get().body == DATA
    assert not calls


def test_small_files_are_read(serve, tmp_path, calls):
    (tmp_path / "small").write_bytes(b"small")
    client = serve(app=giving(lambda: opened(tmp_path / "small"))).connect()
    assert client.get().body == b"small"
    assert not calls


def test_under_tls_it_is_read(serve, path, calls, tmp_path):
    context = server_context(*self_signed(tmp_path))
    client = serve(app=giving(lambda: opened(path)), context=context).connect()
    for _ in range(2):
        assert client.get().body == DATA
    assert not calls


def test_where_the_loop_would_wait_it_is_read(serve, path, calls):
    class OtherWaiter(ThreadWaiter):
        pass

    client = serve(app=giving(lambda: opened(path)), new_waiter=OtherWaiter).connect()
    assert client.get().body == DATA
    assert not calls


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS])
def test_where_the_kernel_cannot_it_is_read(serve, path, monkeypatch, number):
    def sendfile(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "sendfile", sendfile)
    client = serve(app=giving(lambda: opened(path), seek=100)).connect()
    for _ in range(2):
        assert client.get().body == DATA[100:]


def test_without_descriptors_it_is_read(serve, path, calls, monkeypatch):
    def dup(descriptor):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    site = serve(app=giving(lambda: opened(path)))
    client = site.connect()
    monkeypatch.setattr(output.os, "dup", dup)
    assert client.get().body == DATA
    assert not calls


def test_a_length_that_the_file_has_not_is_an_error(serve, path, caplog):
    client = serve(app=giving(lambda: opened(path), ("Content-Length", "9000000"))).connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.head().status == 200
    assert len(client.file.read()) == len(DATA)
    assert "shorter than its Content-Length" in caplog.text


@pytest.mark.parametrize("file", [io.StringIO("x"), "no file", None, 5])
def test_what_is_no_file_has_no_extent(file):
    assert extent_of(file) is None


def test_a_closed_file_has_no_extent(path):
    file = opened(path)
    file.close()
    assert extent_of(file) is None
    reader, writer = os.pipe()
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert extent_of(pipe) is None


# --- readers


@pytest.fixture
def large(tmp_path):
    """More than kernels keep for a connection."""
    file = tmp_path / "large"
    with open(file, "wb") as out:
        out.truncate(64_000_000)
    return file


def test_a_slow_reader_gets_all_of_it(serve, large, calls):
    site = serve(app=giving(lambda: opened(large)))
    client = site.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    site.wait_until(lambda: None in calls)  # it waits for us meanwhile, and the loop does not
    assert site.connect().get("/", method="HEAD").status == 200
    assert len(client.answer().body) == 64_000_000
    assert client.get(method="HEAD").status == 200


@pytest.mark.slow
def test_a_reader_that_takes_nothing_is_cut_off(serve, large):
    site = serve(app=giving(lambda: opened(large)), limits=Limits(write_stall_s=1))
    client = site.connect()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    site.wait_until(lambda: site.access)  # written when it has been cut off
    site.wait_until_empty()


def test_a_reader_that_leaves(serve, large, caplog):
    done = threading.Event()

    class Told(io.FileIO):
        def close(self):
            super().close()
            done.set()

    site = serve(app=giving(lambda: Told(large)))
    client = site.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.head().status == 200
    client.reset()
    assert done.wait(20)
    site.wait_until_empty()
    assert caplog.records == []


def test_the_end_of_the_server_ends_it(serve, large):
    site = serve(app=giving(lambda: opened(large)))
    client = site.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.head().status == 200
    site.loop.ask(site.server.abort)
    site.wait_until_empty()
    try:
        assert len(client.file.read()) < 64_000_000
    except ConnectionResetError:
        pass


def test_flask_sends_files_and_ranges(serve, path, calls):
    app = flask.Flask("files")
    app.add_url_rule("/", view_func=lambda: flask.send_file(path, "application/octet-stream", conditional=True))
    client = serve(app=app).connect()
    assert client.get().body == DATA
    assert len(calls) >= 1
    answer = client.get("/", "Range: bytes=1000-200999")
    assert (answer.status, answer.body) == (206, DATA[1_000:201_000])
    assert answer.get("content-range") == f"bytes 1000-200999/{len(DATA)}"
