"""A server on a real socket, and a client that shows every byte of what it says."""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from dataclasses import dataclass, field

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from greenwire.http.connection import HTTPConnection
from greenwire.http.wsgi import Gateway
from greenwire.limits import DEFAULT
from greenwire.loop import Loop
from greenwire.net.listen import listen
from greenwire.net.server import Server
from greenwire.quiet import QuietLog
from greenwire.runners import ThreadRunner

# How fast the machine is at this moment is not what is tested.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

TIMEOUT_S = 20.0  # for what must happen; never waited out by a test that passes


class LoopThread:
    """A loop that runs in a thread of its own."""

    def __init__(self, kind):
        self.errors = []  # what the event loop complains of
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(kind, ready), daemon=True)
        self._thread.start()
        assert ready.wait(TIMEOUT_S)

    def _run(self, kind, ready):
        aio = uvloop.new_event_loop() if kind == "uvloop" else asyncio.new_event_loop()
        aio.set_exception_handler(lambda _, context: self.errors.append(context))
        self.loop = Loop(aio)
        aio.call_soon(ready.set)
        aio.run_forever()
        with contextlib.suppress(RuntimeError):
            aio.run_until_complete(aio.shutdown_asyncgens())
        self.loop.close()

    def stop(self):
        self.loop.aio.call_soon_threadsafe(self.loop.aio.stop)
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()


@dataclass
class Answer:
    """One answer as the client has read it."""

    status: int
    reason: str
    headers: list = field(default_factory=list)
    body: bytes = b""

    def get(self, name):
        values = [value for key, value in self.headers if key == name.lower()]
        assert len(values) <= 1, f"{name} stands there {len(values)} times"
        return values[0] if values else None


class Client:
    """A blocking connection to a server, with no opinion about HTTP but how an answer ends."""

    def __init__(self, address, family=socket.AF_INET, context=None):
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(address)
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")

    def send(self, data):
        self.sock.sendall(data)
        return self

    def get(self, target="/", *fields, method="GET"):
        lines = [f"{method} {target} HTTP/1.1", "Host: test", *fields, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))
        return self.answer(method)

    def head(self):
        """Status line and fields of the next answer."""
        line = self.file.readline().decode("latin-1")
        assert line.endswith("\r\n"), f"no status line: {line!r}"
        version, status, reason = line.rstrip("\r\n").split(" ", 2)
        assert version == "HTTP/1.1"
        answer = Answer(int(status), reason)
        while (line := self.file.readline().decode("latin-1")) != "\r\n":
            assert line.endswith("\r\n"), f"the head ends early: {line!r}"
            name, value = line[:-2].split(": ", 1)
            answer.headers.append((name.lower(), value))
        return answer

    def answer(self, method="GET"):
        """The next final answer, with its body."""
        while (answer := self.head()).status == 100:
            pass
        if method == "HEAD" or answer.status in (204, 304):
            return answer
        if answer.get("transfer-encoding") == "chunked":
            assert answer.get("content-length") is None
            answer.body = b"".join(self.chunks())
        elif (length := answer.get("content-length")) is not None:
            answer.body = self.file.read(int(length))
            assert len(answer.body) == int(length), "the body ends early"
        else:
            answer.body = self.file.read()
        return answer

    def chunks(self):
        while True:
            line = self.file.readline()
            assert line.endswith(b"\r\n"), f"the chunks end early: {line!r}"
            size = int(line, 16)
            data = self.file.read(size)
            assert self.file.read(2) == b"\r\n"
            if size == 0:
                return
            yield data

    def at_end(self):
        """Whether the server has closed, in whatever way."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def is_reset(self):
        """Whether the connection ends with a reset, whatever comes before it."""
        try:
            while self.sock.recv(65_536):
                pass
        except ConnectionResetError:
            return True
        return False

    def reset(self):
        """Go away with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()


class Site:
    """A server in a loop thread; *app* is a WSGI application, *handle* takes exchanges on the loop."""

    def __init__(self, thread, *, app=None, handle=None, limits=DEFAULT, context=None, host=None, **options):
        self.thread = thread
        self.loop = thread.loop
        self.clients = []
        self._context = context
        self.access = []
        names = ("proxy_protocol", "forwarders", "share")
        self._of_server = {name: options.pop(name) for name in names if name in options}
        self.sockets = options.pop("sockets", None) or listen(host, 0, backlog=limits.backlog)
        self.loop.ask(self._start, app, handle, limits, options)

    def _start(self, app, handle, limits, options):
        quiet = QuietLog(logging.getLogger("greenwire"), self.loop.now)
        self.runner = ThreadRunner(self.loop, limits)
        if app is not None:
            handle = Gateway(app, self.runner, self.loop, limits, **options).handle

        def make():
            return HTTPConnection(self.loop, limits, handle, self.server, quiet, lambda *line: self.access.append(line))

        self.server = Server(self.loop, self.sockets, make, limits, quiet, self._context, **self._of_server)
        self.server.start()

    @property
    def port(self):
        return self.sockets[0].getsockname()[1]

    def connect(self):
        sock = self.sockets[0]
        context = None
        if self._context is not None:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        client = Client(sock.getsockname(), sock.family, context)
        self.clients.append(client)
        return client

    def count(self):
        return self.loop.ask(lambda: len(self.server.connections))

    def wait_until(self, fact):
        """Have *fact* looked at by the loop, turn by turn, until it is true."""
        done = threading.Event()
        expired = []

        def look(left):
            if fact():
                done.set()
            elif left <= 0:
                expired.append(True)
                done.set()
            else:
                self.loop.call_later(0.005, look, left - 0.005)

        self.loop.post(look, TIMEOUT_S)
        assert done.wait(2 * TIMEOUT_S)
        assert not expired, "it has not come true"

    def wait_until_empty(self):
        self.wait_until(lambda: not self.server.connections)

    def end(self):
        for client in self.clients:
            client.close()
        self.loop.ask(self.server.stop_accepting)
        self.loop.ask(self.server.abort)
        self.wait_until(lambda: self.server.idle)
        self.loop.ask(self.runner.stop)


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_thread(request):
    thread = LoopThread(request.param)
    yield thread
    thread.stop()
    assert not thread.errors


@pytest.fixture
def serve(loop_thread):
    """``serve(app=…)`` or ``serve(handle=…)``: a running :class:`Site`."""
    sites = []

    def start(**options):
        sites.append(Site(loop_thread, **options))
        return sites[-1]

    yield start
    for site in sites:
        site.end()
