"""Several worker processes on one listening socket, and real clients that choose a worker."""

import json
import selectors
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from itertools import cycle
from pathlib import Path
from urllib.request import urlopen

import socketio as peer

from support.waiting import TIMEOUT_S, Log, wait_until

APP = Path(__file__).parent / "worker_app.py"
_UNVERIFIED = ssl._create_unverified_context()


class WorkerProcess:
    """One of them."""

    def __init__(self, workers, number):
        self.number = number
        self.err = ""
        self.popen = subprocess.Popen(
            [sys.executable, "-u", str(APP), workers.directory, str(number), str(workers.sock.fileno()), *workers.args],
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[workers.sock.fileno()],
        )
        self._scheme = workers.scheme
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.popen.stderr:
            self.err += line
        self.popen.stderr.close()

    @property
    def url(self):
        """Where this worker, and no other, answers."""
        wait_until(lambda: "listens on" in self.err or self.popen.poll() is not None, "the worker listens")
        assert self.popen.poll() is None, self.err
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def port(self):
        return int(self.err.partition("own port ")[2].split()[0])

    def others(self):
        """The numbers of the workers that it can reach."""
        context = _UNVERIFIED if self._scheme == "https" else None
        with urlopen(f"{self.url}/others", context=context, timeout=TIMEOUT_S) as answer:
            return json.load(answer)

    def end(self):
        self.popen.kill()
        self.popen.wait(10)
        self._reader.join(10)


class Workers:
    """``with Workers(3) as workers:``. Ended with the block at the latest, by their own ids."""

    def __init__(self, count, *args, secure=False):
        self.args = args
        self.scheme = "https" if secure else "http"
        self._count = count

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="gw-")
        self.directory = self._folder.name
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.sock.setblocking(False)
        self.url = f"{self.scheme}://127.0.0.1:{self.sock.getsockname()[1]}"
        self.all = {}
        try:
            for number in range(1, self._count + 1):
                self.start(number)
            assert all(worker.url for worker in self.all.values())
            for worker in self.all.values():
                wait_until(lambda worker=worker: len(worker.others()) == self._count - 1, "the workers have met")
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, number):
        self.all[number] = WorkerProcess(self, number)
        return self.all[number]

    def __getitem__(self, number):
        return self.all[number]

    @property
    def said(self):
        return "".join(worker.err for worker in self.all.values())

    def __exit__(self, *_):
        for worker in self.all.values():
            worker.end()
        self.sock.close()
        self._folder.cleanup()


class RoundRobin:
    """An address whose connections go to one worker after the other: no two of a client's to the same."""

    def __init__(self, workers):
        self._ports = cycle([worker.port for worker in workers.all.values()])
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"{workers.scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sides = {}  # each socket's other one
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def _run(self):
        while not self._stopping.is_set():
            for key, _ in self._selector.select(0.1):
                if key.fileobj is self._listener:
                    self._pair(self._listener.accept()[0], socket.create_connection(("127.0.0.1", next(self._ports))))
                elif key.fileobj in self._sides:
                    self._carry(key.fileobj)

    def _pair(self, one, other):
        for side, opposite in ((one, other), (other, one)):
            self._sides[side] = opposite
            self._selector.register(side, selectors.EVENT_READ)

    def _carry(self, side):
        try:
            data = side.recv(65_536)
            self._sides[side].sendall(data)
        except OSError:
            data = b""
        if not data:
            for each in (self._sides[side], side):
                self._selector.unregister(each)
                del self._sides[each]
                each.close()

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join(10)
        for each in (*self._sides, self._listener, self._selector):
            each.close()


class Listener:
    """A real client at one worker that notes what it is sent."""

    def __init__(self, url, *events, room=None, answer=None, transports=("websocket",)):
        self.notes = Log()
        self.client = peer.Client(reconnection=False)
        self.answer = answer
        self._closing = threading.Event()
        for event in events:
            self.client.on(event, self._noting(event))
        self.client.connect(url, transports=list(transports))
        self.sid = self.client.get_sid()
        self._websocket = self.client.eio.ws
        if room is not None:
            self.call("join", room)

    def _noting(self, event):
        def note(*args):
            self.notes.append((event, *args))
            return self.answer

        return note

    def call(self, event, *args, timeout=15):
        return self.client.call(event, args, timeout=timeout)

    def emit(self, event, *args):
        self.client.emit(event, args)

    def be_silent(self):
        """Acknowledge no question before the end."""
        self.client.on("question", lambda data: self._closing.wait(60) and None)
        return self

    def close(self):
        self._closing.set()
        self.client.disconnect()
        if self._websocket is not None:  # the client leaves it open where the server has died
            self._websocket.shutdown()
