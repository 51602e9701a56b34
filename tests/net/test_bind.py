"""Where to listen, as text; sockets that others have opened; the owner of a Unix socket's file."""

import fcntl
import os
import socket
import stat
import subprocess
import sys

import pytest

from greenwire.errors import BindError
from greenwire.net import systemd
from greenwire.net.listen import Bind, Inherited, listen, listen_on, parse_bind, url_of
from greenwire.net.systemd import handed_down


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("localhost:0", "localhost", 0),
        (":80", "", 80),
        ("[::]:80", "::", 80),
        ("[fe80::1%lo]:80", "fe80::1%lo", 80),
        ("unix:/run/a:b", "unix:/run/a:b", 0),
        ("unix:x", "unix:x", 0),
        ("fd://3", "fd://3", 0),
    ],
)
def test_binds(text, host, port):
    assert parse_bind(text) == Bind(host, port)


@pytest.mark.parametrize("text", ["", "localhost", "80", "::1:80", "localhost:", "localhost:http", "a:70000", "a:-1"])
def test_what_is_no_bind(text):
    with pytest.raises(BindError, match="port|write HOST:PORT"):
        parse_bind(text)


def test_several(tmp_path):
    path = tmp_path / "s"
    sockets = listen_on(["127.0.0.1:0", f"unix:{path}", "localhost:0"], backlog=5)
    try:
        kinds = [sock.family for sock in sockets]
        assert kinds[:3] == [socket.AF_INET, socket.AF_UNIX, socket.AF_INET]
        assert url_of(sockets[1], False) == f"unix:{path}"
    finally:
        for sock in sockets:
            sock.close()


def test_one_that_fails_closes_the_others():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]
        with pytest.raises(BindError, match=f"{port}.*another program"):
            listen_on([f"127.0.0.1:{free}", f"127.0.0.1:{port}"], backlog=5)
    with socket.create_server(("127.0.0.1", free)):
        pass


# --- inherited


def test_a_descriptor_that_listens():
    server = socket.create_server(("127.0.0.1", 0))
    number = server.detach()
    [sock] = listen(f"fd://{number}", 0, backlog=5)
    with sock:
        assert isinstance(sock, Inherited)
        assert not sock.getblocking()
        assert not os.get_inheritable(number)
        with socket.create_connection(sock.getsockname(), 20):
            pass


@pytest.mark.parametrize("text", ["fd://", "fd://x", "fd://-1", "fd://99999", "fd:// 3", "fd://²"])
def test_descriptors_that_cannot_be(text):
    with pytest.raises(BindError, match="fd://"):
        listen(text, 0, backlog=5)


def test_a_descriptor_that_does_not_listen_stays_open(tmp_path):
    with socket.socket() as sock:
        with pytest.raises(BindError, match="not a listening stream socket"):
            listen(f"fd://{sock.fileno()}", 0, backlog=5)
        sock.getsockname()
    with open(tmp_path / "file", "w") as file, pytest.raises(BindError, match="fd://"):
        listen(f"fd://{file.fileno()}", 0, backlog=5)


def test_the_file_of_an_inherited_unix_socket_is_not_ours(serve, tmp_path):
    path = tmp_path / "s"
    owner = socket.socket(socket.AF_UNIX)
    owner.bind(str(path))
    owner.listen()
    [sock] = listen(f"fd://{os.dup(owner.fileno())}", 0, backlog=5)
    site = serve(handle=lambda exchange: exchange.respond(200, [], b"x"), sockets=[sock])
    assert site.connect().get().body == b"x"
    site.loop.ask(site.server.stop_accepting)
    assert path.exists()
    owner.close()


# --- the owner of a Unix socket


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize(
    ("owner", "expected"), [("nobody", (65534, 0)), ("nobody:nogroup", (65534, 65534)), (":daemon", (0, 1))]
)
def test_owner_and_mode(tmp_path, owner, expected):
    path = tmp_path / "s"
    [sock] = listen(f"unix:{path}", 0, backlog=5, unix_mode=0o660, unix_owner=owner)
    with sock:
        found = path.stat()
        assert stat.S_IMODE(found.st_mode) == 0o660
        assert (found.st_uid, found.st_gid) == expected


@pytest.mark.parametrize("owner", ["nobody-of-that-name", ":no-group", "", ":"])
def test_an_owner_that_does_not_exist(tmp_path, owner):
    path = tmp_path / "s"
    with pytest.raises(BindError, match="unix_owner"):
        listen(f"unix:{path}", 0, backlog=5, unix_owner=owner)
    assert not path.exists()


# --- systemd

ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has sockets without a file")
ACTIVATED = """
import os, socket, sys
from greenwire.net.listen import listen_on
from greenwire.net.systemd import handed_down
os.environ["LISTEN_PID"] = str(os.getpid())
found = handed_down()
sockets = listen_on(found, backlog=5)
print(found, [s.getsockname()[1] for s in sockets], handed_down(), [n for n in os.environ if n.startswith("LISTEN")])
"""


def high(sock):
    """A descriptor of *sock* that is in nobody's way."""
    return fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD, 100)


def test_sockets_that_systemd_has_opened():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [one.getsockname()[1], two.getsockname()[1]]
        away = [high(one), high(two)]
        script = f"import os; os.dup2({away[0]}, 3); os.dup2({away[1]}, 4)\n" + ACTIVATED
        try:
            done = subprocess.run(
                [sys.executable, "-c", script],
                env=os.environ | {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"},
                pass_fds=away,
                capture_output=True,
                text=True,
                timeout=60,
            )
        finally:
            for number in away:
                os.close(number)
    assert done.stdout == f"['fd://3', 'fd://4'] {ports} [] []\n", done.stderr


def test_sockets_for_another_process(monkeypatch):
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    assert handed_down() == []
    monkeypatch.delenv("LISTEN_PID")
    assert handed_down() == []


@pytest.mark.parametrize("count", ["", "x", "-1", "100000"])
def test_a_count_that_is_none(monkeypatch, count):
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    with pytest.raises(BindError, match="LISTEN_FDS"):
        handed_down()


@pytest.mark.parametrize("abstract", [False, pytest.param(True, marks=ONLY_LINUX)])
def test_what_systemd_is_told(monkeypatch, tmp_path, abstract):
    address = f"@greenwire-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind("\0" + address[1:] if abstract else address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert systemd.ready("two sockets")
        assert manager.recv(500).decode().splitlines() == ["READY=1", f"MAINPID={os.getpid()}", "STATUS=two sockets"]
        assert systemd.reloading()
        first, second = manager.recv(500).decode().splitlines()
        assert (first, second[:15]) == ("RELOADING=1", "MONOTONIC_USEC=")
        assert systemd.stopping()
        assert manager.recv(500) == b"STOPPING=1"


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all", "@nobody-listens-here", "/" + "x" * 500])
def test_nobody_to_tell(monkeypatch, address):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not systemd.ready()
