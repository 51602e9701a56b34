"""The greenlet runner: order, waiting without keeping others waiting, and WSGI applications in it."""

import logging
import threading

import pytest

from greenwire import green
from greenwire.green.hub import can_wait, hub_of
from greenwire.green.runner import Gate, GreenRunner, GreenWaiter, new_lock
from greenwire.http.connection import HTTPConnection
from greenwire.http.wsgi import Gateway
from greenwire.limits import DEFAULT
from greenwire.loop import Loop
from greenwire.net.listen import listen
from greenwire.net.server import Server
from greenwire.quiet import QuietLog
from greenwire.runners import Runner
from greenwire.socketio.acks import Waiter

LONG_S = 60.0


@pytest.fixture(autouse=True)
def hub():
    """The loop of these tests runs in a thread of its own."""


@pytest.fixture
def runner(loop_thread):
    return loop_thread.loop.ask(GreenRunner, loop_thread.loop)


def until_done(runner, loop, *calls):
    """Start *calls* in one turn, and wait until all have ended; what they returned, in order of ending."""
    results, done = [], threading.Event()

    def run(call):
        try:
            results.append(call())
        except Exception as error:
            results.append(error)
        if len(results) == len(calls):
            done.set()

    def start():
        for call in calls:
            runner.start(run, call)

    loop.ask(start)
    assert done.wait(LONG_S)
    return results


def test_it_is_a_runner(runner):
    checked: Runner = runner
    assert "greenlets" in checked.description
    assert checked.queued == checked.busy() == 0


def test_items_start_in_order_and_switch_only_where_they_wait(runner, loop_thread):
    seen = []

    def work(name, waits):
        seen.append(name)
        if waits:
            runner.sleep(0.001)
        seen.append(name.upper())
        return name

    calls = [lambda: work("a", False), lambda: work("b", True), lambda: work("c", False)]
    assert until_done(runner, loop_thread.loop, *calls) == ["a", "c", "b"]
    assert "".join(seen) == "aAbcCB"
    assert loop_thread.loop.ask(runner.busy) == 0


def test_items_that_do_not_wait_share_a_greenlet_and_no_context(runner, loop_thread):
    until_done(runner, loop_thread.loop, *[lambda: 1] * 100)
    assert loop_thread.loop.ask(lambda: len(hub_of(loop_thread.loop.aio).workers)) == 1


def test_what_must_not_raise_and_does_harms_nobody(runner, loop_thread, caplog):
    loop_thread.loop.post(runner.start, divmod, 1, 0)
    assert until_done(runner, loop_thread.loop, lambda: "next") == ["next"]
    assert "let an exception through" in caplog.text
    assert loop_thread.loop.ask(runner.busy) == 0


def test_it_counts_what_runs_and_what_waits(runner, loop_thread):
    def start_two():
        runner.start(int)
        runner.start(int)
        return runner.queued, runner.busy()

    assert loop_thread.loop.ask(start_two) == (2, 2)
    gate = green.Event()
    running = threading.Event()

    def work():
        running.set()
        gate.wait()

    loop_thread.loop.post(runner.start, work)
    assert running.wait(LONG_S)
    assert loop_thread.loop.ask(lambda: (runner.busy(), runner.queued)) == (1, 0)
    loop_thread.loop.ask(runner.stop)
    gate.set()
    until_done(runner, loop_thread.loop, lambda: None)
    assert loop_thread.loop.ask(runner.busy) == 0


def test_background_tasks_from_any_thread_can_be_joined(runner, loop_thread):
    seen = []

    def work(name, *, often):
        for _ in range(often):
            runner.sleep(0)
        seen.append((name, threading.get_ident()))

    job = runner.background(work, ("job",), {"often": 3})  # from a plain thread
    assert job.join(LONG_S)
    loop_ident = loop_thread.loop.ask(threading.get_ident)
    assert seen == [("job", loop_ident)]
    assert until_done(runner, loop_thread.loop, lambda: runner.background(work, ("x",), {"often": 1}).join()) == [True]


def test_twenty_thousand_may_wait_at_once(runner, loop_thread):
    gate = green.Event()
    arrived, done = [], threading.Event()

    def work():
        arrived.append(1)
        gate.wait()
        arrived.pop()
        if not arrived:
            done.set()

    def start():
        for _ in range(20_000):
            runner.start(work)

    loop_thread.loop.ask(start)
    assert until_done(runner, loop_thread.loop, lambda: len(arrived)) == [20_000]
    gate.set()
    assert done.wait(LONG_S)


# --- waiting for the loop


def test_waiters_wait_on_the_hub_in_greenlets_and_on_locks_in_threads(runner, loop_thread):
    loop = loop_thread.loop
    assert isinstance(new_lock(), type(threading.Lock()))
    waiter = GreenWaiter()
    loop.post(waiter.wake)
    waiter.wait()

    def work():
        assert can_wait()
        assert isinstance(new_lock(), Gate)
        waiter = GreenWaiter()
        for _ in range(3):
            loop.call_soon(waiter.wake)
            waiter.wait()
        waiter.wake()  # before it waits
        waiter.wait()
        return "woken"

    assert until_done(runner, loop, work) == ["woken"]


def test_call_waits_on_the_hub(runner, loop_thread):
    """What ``call()`` waits with, on a gate: an answer, a client that leaves, a timeout."""

    def waiter():
        made = Waiter()
        made._lock = new_lock()
        made._lock.acquire()
        return made

    def answered():
        made = waiter()
        loop_thread.loop.call_later(0.001, made, "an", "answer")
        return made.wait(LONG_S), made.args

    def left():
        made = waiter()
        loop_thread.loop.call_later(0.001, made.fail)
        return made.wait(LONG_S), made.args

    def late():
        made = waiter()
        return made.wait(0.001), made.args

    assert until_done(runner, loop_thread.loop, answered) == [(True, ("an", "answer"))]
    assert until_done(runner, loop_thread.loop, left) == [(True, None)]
    assert until_done(runner, loop_thread.loop, late) == [(False, None)]


# --- a WSGI server in it


class GreenSite:
    """A server whose application runs in greenlets."""

    def __init__(self, thread, app):
        self.loop = thread.loop
        self.sockets = listen(None, 0, backlog=10)
        self.loop.ask(self._start, app)

    def _start(self, app):
        quiet = QuietLog(logging.getLogger("greenwire"), self.loop.now)
        self.runner = GreenRunner(self.loop)
        handle = Gateway(app, self.runner, self.loop, DEFAULT, new_waiter=GreenWaiter).handle

        def make():
            return HTTPConnection(self.loop, DEFAULT, handle, self.server, quiet, None)

        self.server = Server(self.loop, self.sockets, make, DEFAULT, quiet, None)
        self.server.start()

    def connect(self):
        from greenwire.green import socket

        return socket.create_connection(self.sockets[0].getsockname(), timeout=LONG_S)

    def end(self):
        self.loop.ask(self.server.stop_accepting)
        self.loop.ask(self.server.abort)


@pytest.fixture
def site(loop_thread):
    sites = []

    def start(app):
        sites.append(GreenSite(loop_thread, app))
        return sites[-1]

    yield start
    for site in sites:
        site.end()


def test_a_request_that_waits_keeps_no_other_waiting(site):
    gate = green.Event()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            gate.wait(LONG_S)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    served = site(app)
    with served.connect() as slow, served.connect() as quick:
        slow.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        quick.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert quick.recv(1000).endswith(b"ok")
        gate.set()
        assert slow.recv(1000).endswith(b"ok")


def test_a_body_is_waited_for_on_the_hub(site):
    def app(environ, start_response):
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    served = site(app)
    with served.connect() as slow, served.connect() as quick:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
        for _ in range(3):
            quick.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
            assert quick.recv(1000).endswith(b"hi")
        slow.sendall(b"def")
        assert slow.recv(1000).endswith(b"abcdef")


def test_a_long_answer_waits_for_a_slow_reader_on_the_hub(site):
    piece, number = bytes(100_000), 200

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/":
            start_response("200 OK", [("Content-Length", "2")])
            return [b"ok"]
        start_response("200 OK", [("Content-Length", str(number * len(piece)))])
        return (piece for _ in range(number))

    served = site(app)
    with served.connect() as slow, served.connect() as quick:
        slow.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        head = slow.recv(50, 2)  # MSG_PEEK: the answer has begun, and nobody reads on
        assert head.startswith(b"HTTP/1.1 200")
        quick.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert quick.recv(1000).endswith(b"ok")
        with slow.makefile("rb") as file:
            while file.readline() != b"\r\n":
                pass
            assert len(file.read(number * len(piece))) == number * len(piece)


def test_green_threads_that_still_run_at_the_end_get_an_error():
    errors = []

    def endless():
        loop.aio.stop()
        try:
            green.sleep(LONG_S)
        except green.HubClosedError as error:
            errors.append(error)

    loop = Loop()
    runner = GreenRunner(loop)
    runner.start(endless)
    loop.aio.run_forever()
    runner.start(endless)  # too late to begin
    other = threading.Thread(target=lambda: jobs.append(runner.background(endless, (), {})))
    jobs = []
    other.start()
    other.join()
    loop.close()
    assert len(errors) == 1
    assert runner.busy() == 0
    other = threading.Thread(target=lambda: jobs.append(runner.background(endless, (), {})))
    other.start()
    other.join()
    assert [type(job.error) for job in jobs] == [green.HubClosedError] * 2
