"""``greenwire.wsgi.server`` from its start to its end: which sockets, where it may be called, what stops it."""

import asyncio
import signal
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from greenwire import green, wsgi
from greenwire.errors import ConfigurationError, ContextError
from greenwire.limits import Limits
from support.certificate import self_signed
from support.gate import Gate
from support.process import Process
from support.raw import Connection
from support.waiting import TIMEOUT_S, wait_until
from support.wsgisite import OK, TEXT, Lines, Site, app_of

SCRIPT = Path(__file__).parent.parent / "support" / "wsgi_script.py"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

hello = app_of(lambda environ: f"{environ['wsgi.url_scheme']} {environ['REMOTE_ADDR']}".encode())


@pytest.fixture(params=["uvloop", "asyncio"])
def loops(request, monkeypatch):
    monkeypatch.setattr(Site, "kind", request.param)


class Slow:
    """An application that answers when it is told to."""

    def __init__(self):
        self.begun = threading.Event()
        self.go_on = green.Event()
        self.ended = []

    def __call__(self, environ, start_response):
        self.begun.set()
        try:
            assert self.go_on.wait(TIMEOUT_S)
            self.ended.append("answered")
            return hello(environ, start_response)
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise


# --- in a plain script


@pytest.mark.parametrize("how", ["plain", "of_green", "pool", "patched"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_script_ends_at_a_signal_once_requests_are_answered(how, number):
    with (
        Gate() as gate,
        Process(SCRIPT, how) as process,
        Connection(process.port) as client,
        Connection(process.port) as idle,
    ):
        assert idle.get("/").status == 200
        client.send_request("GET", gate.path)
        gate.arrived()
        assert idle.get("/").status == 200  # while the other waits
        process.signal(number)
        assert idle.at_end()
        gate.open()
        answer = client.response()
        assert (answer.status, answer.get("connection"), answer.text) == (200, "close", "hello")
        assert process.wait() == 0
    assert process.out.endswith("returned\n")
    assert "Traceback" not in process.err
    assert process.err.count(f'"GET {gate.path} HTTP/1.1" 200 5') == 1
    assert "has ended" in process.err


def test_a_second_signal_ends_it_at_once():
    with Gate() as gate, Process(SCRIPT, "plain") as process, Connection(process.port) as client:
        client.send_request("GET", gate.path)
        gate.arrived()
        process.wait_until_asleep()
        process.signal(signal.SIGINT)
        wait_until(lambda: refuses(process.port), "it accepts no more")
        process.signal(signal.SIGINT)
        assert client.at_end()
        assert process.wait() == 0
    assert process.out.endswith("returned\n")


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), TIMEOUT_S).close()
    except OSError:
        return True
    return False


def test_the_grace_has_an_end():
    with Gate() as gate, Process(SCRIPT, "short") as process, Connection(process.port) as client:
        client.send_request("GET", gate.path)
        gate.arrived()
        process.signal(signal.SIGINT)
        assert client.at_end()
        assert process.wait() == 0
    assert "with requests still running" in process.err


def test_in_a_green_thread_signals_belong_to_whoever_runs_the_loop():
    with Process(SCRIPT, "in_green_thread") as process, Connection(process.port) as client:
        assert client.get("/").status == 200
        process.wait_until_asleep()
        process.signal(signal.SIGINT)
        assert process.wait() != 0
    assert "KeyboardInterrupt" in process.err


def test_a_signal_handler_may_exit_or_interrupt():
    with Gate() as gate, Process(SCRIPT, "exits") as process, Connection(process.port) as client:
        client.send_request("GET", gate.path)
        gate.arrived()
        process.wait_until_asleep()
        process.signal(signal.SIGTERM)
        wait_until(lambda: refuses(process.port), "it accepts no more")
        gate.open()
        assert client.response().status == 200
        assert process.wait() == 7
    with Gate() as gate, Process(SCRIPT, "interrupts") as process, Connection(process.port) as client:
        client.send_request("GET", gate.path)
        gate.arrived()
        process.wait_until_asleep()
        process.signal(signal.SIGINT)
        wait_until(lambda: refuses(process.port), "it accepts no more")
        gate.open()
        assert client.response().status == 200
        assert process.wait() == 0
    assert process.out.endswith("returned\n")


@pytest.mark.parametrize(("how", "number", "code"), [("exits", signal.SIGTERM, 7), ("interrupts", signal.SIGINT, 0)])
def test_what_a_signal_handler_raises_is_not_taken_for_an_error_of_the_request_that_runs(how, number, code):
    with Process(SCRIPT, how) as process, Connection(process.port) as client:
        client.send_request("GET", f"/signal?{number.value}")
        assert client.response().status == 200
        assert process.wait() == code


def test_one_after_the_other():
    with Process(SCRIPT, "twice") as process:
        with Connection(process.port) as client:
            assert client.get("/stop").status == 503
            wait_until(lambda: process.err.count("listens on") == 2)
        with Connection(process.port) as client:
            assert client.get("/").status == 200
            assert client.get("/stop").status == 503
        assert process.wait() == 0


# --- what stops it


def test_stop_serve_lets_others_end(loops):
    slow = Slow()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/stop":
            raise wsgi.StopServe
        return slow(environ, start_response)

    with Site(app) as site:
        client = site.connect()
        client.send_request("GET", "/")
        assert slow.begun.wait(TIMEOUT_S)
        assert site.get("/stop").status == 503
        wait_until(lambda: refuses(site.port))
        slow.go_on.set()
        assert client.response().status == 200
        site.join()
    assert site.raised is None
    assert site.sock.fileno() < 0


def test_stop_from_any_thread_twice_is_at_once(loops):
    slow = Slow()
    with Site(slow) as site:
        client = site.connect()
        client.send_request("GET", "/")
        assert slow.begun.wait(TIMEOUT_S)
        site.server.stop()
        wait_until(lambda: refuses(site.port))
        assert site.thread.is_alive()
        site.server.stop()
        assert client.at_end()
        site.join()
    assert slow.ended == ["HubClosedError"]


@pytest.mark.parametrize("make", [socket.create_server, green.listen])
@pytest.mark.parametrize("way", ["close", "shutdown"])
def test_closing_the_listening_socket_ends_it(loops, make, way):
    slow = Slow()
    with Site(slow, make(("127.0.0.1", 0))) as site:
        client = site.connect()
        client.send_request("GET", "/")
        assert slow.begun.wait(TIMEOUT_S)
        site.sock.close() if way == "close" else site.sock.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: refuses(site.port))
        slow.go_on.set()
        assert client.response().status == 200
        site.join()
    assert site.raised is None


def test_killing_its_green_thread():
    slow = Slow()
    sock = green.listen(("127.0.0.1", 0))
    thread = green.spawn(wsgi.server, sock, slow, Lines())

    def play():
        one, idle = green.connect(sock.getsockname()), green.connect(sock.getsockname())
        one.sendall(REQUEST)
        while not slow.begun.is_set():
            green.sleep(0.001)
        thread.kill()
        assert idle.recv(1) == b""
        assert thread  # it waits for the request
        slow.go_on.set()
        assert one.makefile("rb").read().endswith(b"http 127.0.0.1")
        assert thread.join(TIMEOUT_S)
        one.close()
        idle.close()

    green.spawn(play).wait(TIMEOUT_S)
    assert isinstance(thread.error, green.GreenletExit)
    assert sock.fileno() < 0
    assert slow.ended == ["answered"]


def test_killing_it_twice_ends_it_at_once():
    slow = Slow()
    sock = green.listen(("127.0.0.1", 0))
    thread = green.spawn(wsgi.server, sock, slow, Lines())

    def play():
        one = green.connect(sock.getsockname())
        one.sendall(REQUEST)
        while not slow.begun.is_set():
            green.sleep(0.001)
        thread.kill()
        green.sleep(0)
        thread.kill()
        assert thread.join(TIMEOUT_S)
        try:
            assert one.recv(1) == b""
        except ConnectionResetError:
            pass
        one.close()

    green.spawn(play).wait(TIMEOUT_S)
    slow.go_on.set()
    with green.Timeout(TIMEOUT_S):
        while not slow.ended:
            green.sleep(0)
    assert slow.ended == ["answered"]  # to nobody


# --- where it may be called


def test_many_wait_while_others_are_served():
    slow = Slow()

    def app(environ, start_response):
        return (slow if environ["PATH_INFO"] == "/slow" else hello)(environ, start_response)

    with Site(app) as site:
        waiting = [site.connect() for _ in range(50)]
        for client in waiting:
            client.send_request("GET", "/slow")
        quick = site.connect()
        for _ in range(20):
            assert quick.get("/").status == 200
        assert slow.ended == []
        slow.go_on.set()
        assert {client.response().status for client in waiting} == {200}
    assert slow.ended == ["answered"] * 50


def test_two_servers_in_one_thread():
    sockets = [green.listen(("127.0.0.1", 0)) for _ in range(2)]
    threads = [green.spawn(wsgi.server, sock, hello, Lines()) for sock in sockets]

    def ask(sock):
        connection = green.connect(sock.getsockname())
        connection.sendall(REQUEST)
        answer = connection.makefile("rb").read()
        connection.close()
        sock.close()
        return answer.split(b"\r\n")[0]

    answers = [green.spawn(ask, sock) for sock in sockets]
    assert [answer.wait(TIMEOUT_S) for answer in answers] == [b"HTTP/1.1 200 OK"] * 2
    for thread in threads:
        thread.wait(TIMEOUT_S)


def test_not_in_a_coroutine():
    async def main(sock):
        wsgi.server(sock, hello)

    with socket.create_server(("127.0.0.1", 0)) as sock, pytest.raises(ContextError):
        asyncio.run(main(sock))


def test_contexts_are_apart():
    from contextvars import ContextVar

    seen = ContextVar("seen", default=0)

    def app(environ, start_response):
        seen.set(seen.get() + 1)
        green.sleep(0)
        start_response(OK, list(TEXT))
        return [b"%d" % seen.get()]

    with Site(app) as site:
        client = site.connect()
        assert [client.get("/").text for _ in range(3)] == ["1", "1", "1"]


# --- sockets


def exchange(sock):
    sock.settimeout(TIMEOUT_S)
    sock.sendall(REQUEST)
    with sock.makefile("rb") as file:
        return file.read().split(b"\r\n\r\n")[1]


def wrapped_by_green(certificate, key):
    return green.wrap_ssl(green.listen(("127.0.0.1", 0)), certfile=certificate, keyfile=key, server_side=True)


def wrapped_by_context(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)


@pytest.mark.parametrize("wrap", [wrapped_by_green, wrapped_by_context])
def test_tls(loops, wrap, tmp_path):
    certificate, key = self_signed(tmp_path)
    with Site(hello, wrap(certificate, key)) as site:
        assert f"https://127.0.0.1:{site.port}" in site.log[0]
        with Connection(site.port) as plain:  # no TLS: its own trouble
            plain.send(REQUEST)
            assert plain.at_end()
        context = ssl.create_default_context(cafile=certificate)
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", site.port), TIMEOUT_S) as sock,
                context.wrap_socket(sock, server_hostname="localhost") as client,
            ):
                assert exchange(client) == b"https 127.0.0.1"


def test_client_certificates_can_be_demanded(tmp_path):
    certificate, key = self_signed(tmp_path)
    sock = green.wrap_ssl(
        green.listen(("127.0.0.1", 0)), key, certificate, True, cert_reqs=ssl.CERT_REQUIRED, ca_certs=certificate
    )
    context = ssl.create_default_context(cafile=certificate)
    with Site(hello, sock) as site:
        with (
            socket.create_connection(("127.0.0.1", site.port), TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
            suppress(OSError),  # it may be told why, or not
        ):
            client.sendall(REQUEST)
            assert client.recv(1) == b""
        context.load_cert_chain(certificate, key)
        with (
            socket.create_connection(("127.0.0.1", site.port), TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            assert exchange(client) == b"https 127.0.0.1"


def test_unix(loops, tmp_path):
    path = str(tmp_path / "s")
    with Site(hello, green.listen(path, family=socket.AF_UNIX)) as site:
        assert f"unix:{path}" in site.log[0]
        for _ in range(2):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                assert exchange(client) == b"http "
        assert site.logged(2)[1].startswith("- - - [")
    assert not Path(path).exists()


def test_unix_clients_that_idle_do_not_keep_it(tmp_path):
    path = str(tmp_path / "s")
    with Site(hello, green.listen(path, family=socket.AF_UNIX)) as site:
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for client in clients:
            client.settimeout(TIMEOUT_S)
            client.connect(path)
            client.sendall(REQUEST.replace(b"close", b"keep-alive"))
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        site.server.stop()
        site.join()
        for client in clients:
            assert client.recv(1) == b""
            client.close()


def test_sockets_that_cannot_be_served(tmp_path):
    with socket.socket() as sock, pytest.raises(ConfigurationError, match="does not listen"):
        wsgi.server(sock, hello)
    assert sock.fileno() < 0  # by its own block
    context = ssl.create_default_context()
    with (
        context.wrap_socket(socket.socket(), server_hostname="localhost") as sock,
        pytest.raises(ConfigurationError, match="server_side"),
    ):
        wsgi.server(sock, hello)


def test_it_leaves_nothing_open():
    with Site(hello, limits=Limits(graceful_s=1)) as site:
        assert site.get().status == 200
        connections = site.server._connections
    assert connections.idle
    assert site.sock.fileno() < 0
