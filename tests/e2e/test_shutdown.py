"""The end of a server: by a signal, by stop(), and never with a client left in the dark."""

import signal
import socket
import threading
from pathlib import Path

import pytest

from greenwire.errors import BindError, NotRunningError
from greenwire.limits import Limits
from support.engine import Client, Polling
from support.gate import Gate
from support.process import Process
from support.raw import Connection
from support.site import Site, new_socketio
from support.waiting import TIMEOUT_S, Log, wait_until

APP = Path(__file__).parent / "served_app.py"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_gracefully(number):
    with Gate() as gate, Process(APP, f"gate={gate.port}") as process:
        port = process.port
        with Client(port) as client, Polling(port) as polling, Connection(port) as browser, Connection(port) as idle:
            client.join()
            polling.join()
            assert idle.get("/").text == "hello"
            polling.send_request("GET", polling.target)
            browser.send_request("GET", gate.path)
            gate.arrived()
            process.signal(number)
            assert client.close_code() == 1001
            assert polling.response().text == "1"
            assert idle.at_end()
            gate.arrived(2)  # the two handlers of "disconnect"
            gate.open()
            response = browser.response()
            assert (response.text, response.get("connection")) == ("finished", "close")
        assert process.wait() == 0
        assert process.out.splitlines() == [*["gone: server disconnect"] * 2, "run has returned"]
        assert "Traceback" not in process.err
        with pytest.raises(ConnectionRefusedError):
            Connection(port)


def test_the_second_signal_ends_it_at_once():
    with Gate() as gate, Process(APP) as process, Connection(process.port) as browser:
        browser.send_request("GET", gate.path)
        gate.arrived()
        process.signal(signal.SIGINT)
        wait_until(lambda: _refused(process.port))
        process.signal(signal.SIGINT)
        assert process.wait() == 0
        assert browser.at_end()


def _refused(port):
    try:
        Connection(port).close()
    except (ConnectionRefusedError, ConnectionResetError):  # a reset: it closed with us in its backlog
        return True
    return False


def test_a_second_signal_of_the_other_kind():
    with Gate() as gate, Process(APP) as process, Connection(process.port) as browser:
        browser.send_request("GET", gate.path)
        gate.arrived()
        process.signal(signal.SIGTERM)
        wait_until(lambda: _refused(process.port))
        process.signal(signal.SIGINT)
        assert process.wait() == 0


def test_stop_from_a_view():
    with Process(APP) as process, Connection(process.port) as browser, Client(process.port) as client:
        client.join()
        assert browser.get("/stop").text == "stopping"
        assert client.close_code() == 1001
        assert process.wait() == 0
        assert process.out.splitlines() == ["gone: server disconnect", "run has returned"]


def test_stop_from_a_handler():
    with Process(APP) as process, Client(process.port) as client:
        client.join()
        client.emit("stop", ack=1)
        assert client.close_code() == 1001
        assert process.wait() == 0


def test_stop_from_another_thread():
    socketio = new_socketio()
    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        socketio.stop()
        assert client.close_code() == 1001
        wait_until(lambda: socketio._service is None)


def test_run_in_another_thread_leaves_the_signals_alone():
    with Process(APP, "in_thread=1") as process, Client(process.port) as client:
        client.join()
        assert client.call("echo", 1) == [1]
        process.signal(signal.SIGTERM)
        assert process.wait() == -signal.SIGTERM


def test_a_server_can_be_run_again():
    socketio = new_socketio()
    socketio.on("echo")(lambda data: data)
    for _ in range(3):
        with Site(socketio) as site, Client(site.port) as client:
            client.join()
            assert client.call("echo", 1) == [1]
            socketio.stop()
            assert client.close_code() == 1001
            wait_until(lambda: socketio._service is None)


def test_nothing_new_while_it_ends():
    socketio = new_socketio()
    notes, leave = Log(), threading.Event()

    @socketio.on("disconnect")
    def gone():
        notes.append("gone")
        assert leave.wait(15)

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        site.service.stop()
        notes.wait_for(1)
        assert client.close_code() == 1001
        with pytest.raises(ConnectionRefusedError):
            Connection(site.port)
        leave.set()
        wait_until(lambda: socketio._service is None)


def test_what_takes_too_long_is_abandoned(caplog):
    socketio = new_socketio(limits=Limits(graceful_s=0.1))
    leave = threading.Event()
    socketio.on("wait")(lambda: leave.wait(15))
    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        client.emit("wait")
        wait_until(lambda: site.service.runner.busy())
        site.stop()
        leave.set()
        wait_until(lambda: not site.service.runner.busy())
    assert "stopped after 0.1 s with handlers or requests still running" in caplog.text


def test_a_port_in_use_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        socketio = new_socketio()
        with pytest.raises(BindError) as caught:
            socketio.run(socketio._find_app(), port=port)
        message = str(caught.value)
        assert str(port) in message
        assert "\n" not in message
        with Process(APP, f"port={port}") as process:
            assert process.wait() == 1
            assert process.err.splitlines()[-1] == f"greenwire.errors.BindError: {message}"


def test_emit_and_rooms_before_and_after():
    socketio = new_socketio()
    socketio.emit("nobody hears it", 1)
    socketio.stop()
    with pytest.raises(NotRunningError):
        socketio.server.rooms("x")
    with Site(socketio):
        pass
    socketio.emit("nobody hears it", 2)
    with pytest.raises(NotRunningError):
        socketio.call("x", to="y")


def test_a_connection_that_arrives_in_the_turn_of_the_stop():
    socketio = new_socketio(limits=Limits(graceful_s=0.5))
    with Site(socketio) as site:
        server = site.service.server
        ours, theirs = socket.socketpair()

        def together():
            server.take(theirs, "a client")
            server.shutdown()

        with ours:
            site.service.loop.ask(together)
            ours.settimeout(TIMEOUT_S)
            try:
                assert ours.recv(1) == b""
                wait_until(lambda: server.idle)
            finally:
                theirs.close()
                server._arriving.clear()


def test_a_background_task_that_sleeps_ends_before_the_server_has():
    socketio, ended = new_socketio(), Log()

    def task():
        try:
            socketio.sleep(60)
        finally:
            wait_until(lambda: _refused(port))  # it has something to put away
            ended.append("ended")

    with Site(socketio) as site:
        port = site.port
        socketio.start_background_task(task)
        wait_until(lambda: socketio.stopping.asleep)
        site.stop()  # as a signal does
        assert ended == ["ended"]
