"""Engine.IO without Socket.IO, beside a WSGI application: ``engineio.Server`` mounted by ``serve``."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from greenwire import engineio
from greenwire.errors import ConfigurationError
from greenwire.limits import DEFAULT
from greenwire.run_options import RunOptions
from greenwire.stack import Service
from support.inorder import InOrder
from support.raw import Connection
from support.waiting import Log, wait_until


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


@contextmanager
def served(*mounts: engineio.Server, app=None) -> Iterator[int]:
    ready: list[Service] = []

    def run():
        service = Service(app, mounts, RunOptions(port=0), DEFAULT)
        service.loop.call_soon(ready.append, service)
        service.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    service = wait_until(lambda: ready, "the service runs")[0]
    try:
        yield int(service.urls[0].rsplit(":", 1)[1])
    finally:
        service.stop()
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def connected(port: int, *transports: str) -> Iterator[tuple[InOrder, Log]]:
    client, got = InOrder(), Log()
    client.on("message", got.append)
    client.connect(f"http://127.0.0.1:{port}", transports=list(transports) or None)
    try:
        yield client, got
    finally:
        client.disconnect()


@pytest.mark.parametrize("transports", [("polling",), ("websocket",), ()], ids=["polling", "websocket", "upgrade"])
def test_texts_and_bytes_come_back_in_order(transports):
    server = engineio.Server(on_message=lambda sid, data: server.send(sid, data))
    with served(server) as port, connected(port, *transports) as (client, got):
        sent = [f"text {n}" if n % 3 else bytes([n]) for n in range(50)]
        for data in sent:
            client.send(data)
        assert got.wait_for(50) == sent


def test_callbacks_of_one_session_run_one_at_a_time():
    running, together, seen = threading.Semaphore(1), Log(), Log()

    def on_message(sid, data):
        if not running.acquire(blocking=False):
            together.append(data)
        seen.append(data)
        running.release()

    server = engineio.Server(on_message=on_message)
    with served(server) as port, connected(port, "websocket") as (client, _):
        for n in range(200):
            client.send(str(n))
        assert seen.wait_for(200) == [str(n) for n in range(200)]
        assert together == []


def test_connect_sees_the_environ_and_close_the_reason():
    notes = Log()
    server = engineio.Server(
        on_connect=lambda sid, environ: notes.append(environ["PATH_INFO"]),
        on_close=lambda sid, reason: notes.append(reason),
    )
    with served(server) as port, Connection(port) as polling:
        sid = polling.get("/engine.io/?EIO=4&transport=polling").text.split('"')[3]
        notes.wait_for(1)
        server.close(sid)
        assert notes.wait_for(2) == ["/engine.io/", "server disconnect"]
        assert polling.get(f"/engine.io/?EIO=4&transport=polling&sid={sid}").text == "1"


def test_false_from_connect_refuses_and_close_is_not_called():
    notes = Log()
    server = engineio.Server(
        on_connect=lambda sid, environ: False,
        on_message=lambda sid, data: notes.append(data),
        on_close=lambda sid, reason: notes.append(reason),
    )
    with served(server) as port, Connection(port) as polling:
        sid = polling.get("/engine.io/?EIO=4&transport=polling").text.split('"')[3]
        assert polling.get(f"/engine.io/?EIO=4&transport=polling&sid={sid}").text == "1"
        wait_until(lambda: not server.busy, "the session is forgotten")
    assert notes == []


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_failing_callback_ends_nothing(caplog, error):
    def on_message(sid, data):
        if data == "bad":
            raise error("as bad as it gets")
        server.send(sid, data)

    server = engineio.Server(on_message=on_message)
    with served(server) as port, connected(port, "websocket") as (client, got):
        client.send("bad")
        client.send("good")
        assert got.wait_for(1) == ["good"]
    assert "as bad as it gets" in caplog.text


def test_who_cannot_be_judged_is_refused(caplog):
    notes = Log()

    def on_connect(sid, environ):
        raise ValueError("the list of users cannot be read")

    server = engineio.Server(on_connect, lambda sid, data: notes.append(data), lambda sid, reason: notes.append(reason))
    with served(server) as port, Connection(port) as polling:
        sid = polling.get("/engine.io/?EIO=4&transport=polling").text.split('"')[3]
        assert polling.get(f"/engine.io/?EIO=4&transport=polling&sid={sid}").text == "1"
        wait_until(lambda: not server.busy, "the session is forgotten")
    assert notes == []
    assert "the list of users cannot be read" in caplog.text


def test_two_servers_and_an_application_on_one_port():
    loud = engineio.Server(on_message=lambda sid, data: loud.send(sid, data.upper()), path="loud")
    plain = engineio.Server(on_message=lambda sid, data: plain.send(sid, data))
    with served(loud, plain, app=hello) as port:
        with Connection(port) as http:
            assert http.get("/").text == "hello"
        client, got = InOrder(), Log()
        client.on("message", got.append)
        client.connect(f"http://127.0.0.1:{port}", engineio_path="loud")
        client.send("quiet")
        assert got.wait_for(1) == ["QUIET"]
        client.disconnect()


def test_without_an_application_other_paths_are_404():
    with served(engineio.Server()) as port, Connection(port) as http:
        assert http.get("/").status == 404


def test_sending_before_it_runs_or_to_nobody_does_nothing():
    server = engineio.Server()
    server.send("nobody", "text")
    server.close("nobody")
    with served(server):
        server.send("nobody", "text")


def test_a_wrong_option_is_named():
    with pytest.raises(ConfigurationError, match="ping_interval=0"):
        engineio.Server(ping_interval=0)
