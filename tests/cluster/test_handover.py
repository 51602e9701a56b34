"""Polling clients in front of several workers, without a load balancer: no session is lost."""

import json
import os
import resource
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients import nodejs
from cluster.several_workers import Listener, RoundRobin, Workers
from greenwire.cluster.handover import head_of
from greenwire.http.request import Request
from greenwire.ids import owner
from support.certificate import self_signed
from support.waiting import wait_until

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def plain():
    with Workers(4) as workers:
        yield workers


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    files = self_signed(tmp_path_factory.mktemp("tls"))
    with Workers(3, "", *files, secure=True) as workers:
        yield workers


def many(workers, transports, clients=24, rounds=15):
    with RoundRobin(workers) as address:
        command = [nodejs.node(), str(HERE / "many_clients.mjs"), address.url, transports, str(clients), str(rounds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("transports", ["polling", "polling,websocket", "websocket"])
def test_many_node_clients(plain, transports):
    found = many(plain, transports)
    assert found == {"problems": {}, "workers": [1, 2, 3, 4]}


@pytest.mark.parametrize("transports", ["polling", "polling,websocket"])
def test_many_node_clients_over_tls(secure, transports):
    found = many(secure, transports, clients=12, rounds=8)
    assert found == {"problems": {}, "workers": [1, 2, 3]}


def test_many_node_clients_on_a_shared_socket(plain):
    """Which worker gets a connection is for the kernel to say."""
    command = [nodejs.node(), str(HERE / "many_clients.mjs"), plain.url, "polling", "24", "15"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert json.loads(done.stdout)["problems"] == {}


class Raw:
    """A connection of which every byte is seen."""

    def __init__(self, worker, secure=False):
        self.sock = socket.create_connection(("127.0.0.1", worker.port), 15)
        if secure:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def send(self, method, target, body=b"", **headers):
        fields = {"host": "test", **({"content-length": len(body)} if body else {}), **headers}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self.sock.sendall("\r\n".join(lines).encode() + body)
        return self

    def answer(self):
        """Status and body."""
        status = int(self.file.readline().split()[1])
        length = 0
        while (line := self.file.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return status, self.file.read(length).decode()

    def ask(self, method, target, body=b"", **headers):
        return self.send(method, target, body, **headers).answer()


POLL = "/socket.io/?EIO=4&transport=polling"


def handshake(raw):
    status, body = raw.ask("GET", POLL)
    assert status == 200
    return json.loads(body[1:])["sid"]


@pytest.fixture(params=["plain", "secure"])
def group(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def raw(group):
    opened = []

    def connect(number):
        opened.append(Raw(group[number], group.scheme == "https"))
        return opened[-1]

    yield connect
    for each in opened:
        each.__exit__()


def test_a_connection_goes_over_with_all_that_comes_on_it(group, raw):
    sid = handshake(raw(1))
    assert owner(sid) == 1
    two = raw(2)
    assert two.ask("GET", "/worker") == (200, "2")
    assert two.ask("POST", f"{POLL}&sid={sid}", b"40") == (200, "ok")
    assert two.ask("GET", "/worker") == (200, "1"), "the connection belongs to worker 1 now"
    status, body = two.ask("GET", f"{POLL}&sid={sid}")
    assert (status, body[:2]) == (200, "40")
    other = handshake(raw(3))
    assert two.ask("POST", f"{POLL}&sid={other}", b"40") == (200, "ok"), "and once more, to another worker"
    assert two.ask("GET", "/worker") == (200, "3")


def test_whose_connection_it_is_is_known(group, raw):
    sid = handshake(raw(1))
    two = raw(2)
    assert two.ask("POST", f"{POLL}&sid={sid}", b"40") == (200, "ok")
    _, body = two.ask("POST", "/who", b"a body")
    assert json.loads(body) == {"worker": 1, "peer": "127.0.0.1", "scheme": group.scheme, "body": "a body"}


def test_pipelined_requests_are_answered_in_order(group, raw):
    sid = handshake(raw(1))
    two = raw(2)
    two.send("GET", "/worker").send("POST", f"{POLL}&sid={sid}", b"40").send("GET", "/worker")
    assert [two.answer() for _ in range(3)] == [(200, "2"), (200, "ok"), (200, "1")]


def test_a_chunked_body_and_100_continue(group, raw):
    sid = handshake(raw(1))
    two = raw(2)
    two.send("POST", f"{POLL}&sid={sid}", **{"transfer-encoding": "chunked", "expect": "100-continue"})
    assert two.file.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert two.file.readline() == b"\r\n"
    two.sock.sendall(b"1\r\n4\r\n1\r\n0\r\n0\r\n\r\n")
    assert two.answer() == (200, "ok")
    assert raw(1).ask("GET", f"{POLL}&sid={sid}")[1][:2] == "40"


def test_a_large_payload_goes_over(group, raw):
    sid = handshake(raw(1))
    assert raw(2).ask("POST", f"{POLL}&sid={sid}", b"40") == (200, "ok")
    body = b'42["x","' + b"y" * 900_000 + b'"]'
    assert raw(3).ask("POST", f"{POLL}&sid={sid}", body) == (200, "ok")
    status, _ = raw(2).ask("POST", f"{POLL}&sid={sid}", b"4" * 1_000_001)
    assert status == 413


def test_a_poll_that_is_held_is_answered_by_the_owner(group, raw):
    one = raw(1)
    sid = handshake(one)
    assert raw(2).ask("POST", f"{POLL}&sid={sid}", b"40") == (200, "ok")
    held = raw(3)
    assert held.ask("GET", f"{POLL}&sid={sid}")[0] == 200
    held.send("GET", f"{POLL}&sid={sid}")
    assert raw(2).ask("POST", f"{POLL}&sid={sid}", b'420["worker"]') == (200, "ok")
    assert held.answer() == (200, "430[1]")


def test_sessions_that_nobody_has(group, raw):
    sid = handshake(raw(1))
    unknown = sid[:8] + "AAAAAAAA" + sid[16:]
    status, body = raw(2).ask("GET", f"{POLL}&sid={unknown}")
    assert (status, json.loads(body)["message"]) == (400, "Session ID unknown")
    dead = sid[:16] + "Pj" + sid[18:]  # a worker that is not there
    status, body = raw(2).ask("GET", f"{POLL}&sid={dead}")
    assert (status, json.loads(body)["message"]) == (400, "Session ID unknown")
    assert raw(2).ask("GET", f"{POLL}&sid=nonsense")[0] == 400


@pytest.mark.parametrize("left_behind", [False, True])
def test_sessions_of_a_worker_that_has_just_ended(group, raw, left_behind):
    """Others have not heard of its end yet. What is left of one that was killed is a file."""
    sid = handshake(raw(1))
    path = Path(group.directory, "1.hand")
    kept = path.rename(path.with_suffix(".kept"))
    if left_behind:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    try:
        two = raw(2)
        for method, body in (("GET", b""), ("POST", b"40")):
            status, answer = two.ask(method, f"{POLL}&sid={sid}", body)
            assert (status, json.loads(answer)) == (400, {"code": 1, "message": "Session ID unknown"})
        assert two.ask("GET", "/worker") == (200, "2"), "the connection is as good as before"
    finally:
        kept.rename(path)
    assert raw(2).ask("POST", f"{POLL}&sid={sid}", b"40") == (200, "ok")
    assert "Traceback" not in group.said


def test_an_upgrade_goes_over(plain):
    """python-socketio's client makes its WebSocket after it has polled."""
    listeners = [Listener(plain.url, "x", transports=("polling", "websocket")) for _ in range(8)]
    try:
        assert {listener.client.transport() for listener in listeners} == {"websocket"}
        listeners[0].emit("tell", "x", [1], {})
        for listener in listeners:
            assert listener.notes.wait_for(1) == [("x", 1)]
    finally:
        for listener in listeners:
            listener.close()


def test_no_descriptor_is_left(plain):
    before = {number: descriptors(worker) for number, worker in plain.all.items()}
    for _ in range(10):
        with Raw(plain[1]) as one, Raw(plain[2]) as two:
            sid = handshake(one)
            assert two.ask("POST", f"{POLL}&sid={sid}", b"40") == (200, "ok")
    for number, worker in plain.all.items():
        wait_until(lambda worker=worker, number=number: descriptors(worker) <= before[number], f"{number} closes all")


@contextmanager
def no_descriptors(worker):
    """Whatever it wants to open in the block, it cannot."""
    pid = worker.popen.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def asks_elsewhere(raw):
    """A session of the first worker, and a connection that the second one has accepted."""
    sid, two = handshake(raw(1)), raw(2)
    assert two.ask("GET", f"{POLL}&sid=nonsense")[0] == 400
    return sid, two


def test_a_worker_without_descriptors_cuts_off_what_it_cannot_pass_on(group, raw):
    sid, two = asks_elsewhere(raw)
    with no_descriptors(group[2]):
        two.send("POST", f"{POLL}&sid={sid}", b"40")
        assert two.sock.recv(1) == b""
    assert raw(2).ask("POST", f"{POLL}&sid={sid}", b"40") == (200, "ok")


def test_a_worker_without_descriptors_takes_over_later_and_does_not_spin(group, raw):
    sid, two = asks_elsewhere(raw)
    with no_descriptors(group[1]):
        two.send("POST", f"{POLL}&sid={sid}", b"40")
        wait_until(lambda: "cannot take a connection over" in group[1].err)
        began, used = time.monotonic(), seconds_of(group[1])
        wait_until(lambda: time.monotonic() - began > 1)
        assert seconds_of(group[1]) - used < 0.5
    assert two.answer() == (200, "ok")


def seconds_of(worker):
    """Of processor time."""
    fields = Path(f"/proc/{worker.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(worker):
    return len(list(Path(f"/proc/{worker.popen.pid}/fd").iterdir()))


def test_the_head_that_is_passed_on():
    fields = [("host", "a"), ("connection", "keep-alive"), ("transfer-encoding", "chunked"), ("cookie", "\xff=1")]
    request = Request("POST", "/x?sid=%20", "/x", "sid=%20", "1.1", fields, "", "", "https")
    line, cookie = b"POST /x?sid=%20 HTTP/1.1\r\nhost: a\r\n", b"cookie: \xff=1\r\n"
    assert head_of(request, b"body") == line + b"connection: keep-alive\r\n" + cookie + b"content-length: 4\r\n\r\n"
    last = head_of(request, b"", last=True)
    assert last == line + cookie + b"connection: close\r\ncontent-length: 0\r\n\r\n"
