"""nginx and HAProxy in front, as they are: who the client is, what it asked for, and what it cannot claim."""

import ssl
import sys

import flask
import pytest

from greenwire.limits import Limits
from support.authority import Authority
from support.engine import Client, Polling
from support.front import HAProxy, Nginx
from support.raw import Connection
from support.site import Site, new_socketio
from support.waiting import Log, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
ORIGIN = ("Origin", "https://localhost")
ADA, BOB = "127.0.0.2", "127.0.0.3"


def make(**options):
    socketio = new_socketio(**options)
    app = socketio._find_app()
    socketio.notes = Log()

    @app.get("/who")
    def who():
        environ = flask.request.environ
        names = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SERVER_PORT")
        return {name: environ[name] for name in names} | {"told": environ.get("HTTP_X_FORWARDED_FOR", "")}

    @app.post("/length")
    def length():
        return str(len(flask.request.get_data()))

    @socketio.on("connect")
    def connect():
        socketio.notes.append((flask.request.remote_addr, flask.request.scheme))

    @socketio.on("echo")
    def echo(data):
        return data

    return socketio


UPSTREAMS = {"tcp": ("127.0.0.1",), "unix": ("unix:",)}


@pytest.fixture(params=UPSTREAMS)
def nginx(request, tmp_path):
    """A site behind nginx, reached by TCP or by a Unix socket."""
    path = f"unix:{tmp_path}/site.sock"
    socketio = make()
    with Site(socketio, port=None, bind=["127.0.0.1:0", path], forwarded_allow_ips=UPSTREAMS[request.param]) as site:
        upstream = f"127.0.0.1:{site.port}" if request.param == "tcp" else path
        with Nginx(tmp_path, upstream) as front:
            front.site = site
            yield front


def test_who_asks(nginx):
    with Connection(nginx.port, source=ADA) as client:
        for _ in range(3):
            assert client.get("/who").json == {
                "REMOTE_ADDR": ADA,
                "wsgi.url_scheme": "https",
                "HTTP_HOST": "localhost",
                "SERVER_PORT": "443",
                "told": ADA,
            }


def test_what_a_client_claims_is_not_believed(nginx):
    with Connection(nginx.port, source=ADA) as client:
        fields = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Host", "evil.com"), ("Forwarded", "for=6.6.6.6")]
        found = client.get("/who", *fields, ("X-Forwarded-Port", "666")).json
    assert (found["REMOTE_ADDR"], found["HTTP_HOST"], found["SERVER_PORT"]) == (ADA, "localhost", "443")
    assert found["told"] == f"6.6.6.6, {ADA}"


def test_the_access_log_names_the_client(tmp_path):
    path = tmp_path / "access.log"
    options = {"forwarded_allow_ips": ["127.0.0.1"], "access_log": "%(h)s %(U)s %(s)s", "access_log_file": path}
    with Site(make(), **options) as site, Nginx(tmp_path, f"127.0.0.1:{site.port}") as front:
        with Connection(front.port, source=ADA) as client:
            client.get("/who")
        with Client(front.port, source=BOB) as socket:
            socket.join()
            socket.close()
        wait_until(lambda: path.read_text().count("\n") == 2, "two lines")
        assert path.read_text().splitlines() == [f"{ADA} /who 200", f"{BOB} /socket.io/ 101"]


def test_who_comes_past_the_proxy_is_not_believed_either(tmp_path):
    with Site(make(), forwarded_allow_ips=["192.0.2.1"]) as site, Connection(site.port) as client:
        fields = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.com")]
        found = client.get("/who", *fields).json
    assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    assert found["HTTP_HOST"] == "localhost"


def test_large_bodies_in_both_directions(nginx):
    with Connection(nginx.port) as client:
        assert client.request("POST", "/length", (), b"x" * 900_000).body == b"900000"


def test_socketio_by_both_transports(nginx):
    with Client(nginx.port, source=ADA) as client:
        client.join("/", None, ORIGIN)
        assert client.call("echo", "x" * 50_000) == ["x" * 50_000]
    with Polling(nginx.port, source=BOB) as polling:
        polling.handshake(ORIGIN)
        polling.join()
        polling.say('421["echo",1]')
        assert polling.poll() == ["431[1]"]
        polling.say("1")
    notes = nginx.site.socketio.notes.wait_for(2)
    assert notes == [(ADA, "https"), (BOB, "https")]


@pytest.mark.parametrize("origin", ["http://localhost", "https://evil.com", "https://localhost:8443"])
def test_foreign_origins_stay_foreign(nginx, origin):
    with Connection(nginx.port) as client:
        assert client.get("/socket.io/?EIO=4&transport=polling", ("Origin", origin)).status == 400


def test_websockets_are_counted_for_the_client_behind_the_proxy(tmp_path):
    limits = Limits(connections_per_address=2)
    with (
        Site(make(limits=limits), forwarded_allow_ips=["127.0.0.1"]) as site,
        Nginx(tmp_path, f"127.0.0.1:{site.port}") as front,
        Client(front.port, source=ADA) as one,
        Client(front.port, source=ADA) as two,
        Client(front.port, source=ADA) as three,
        Client(front.port, source=BOB) as other,
    ):
        for client in (one, two, other):
            client.join()
        three.open("/socket.io/?EIO=4&transport=websocket", expect=429)
        one.close()
        site.wait_for_members(2)
        with Client(front.port, source=ADA) as four:
            four.join()


# --- HAProxy and its PROXY protocol


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id,crc32c"])
def test_a_proxy_header_tells_who_asks(tmp_path, version):
    with (
        Site(make(), proxy_protocol=["127.0.0.1"]) as site,
        HAProxy(tmp_path, f"127.0.0.1:{site.port}", version) as front,
        Connection(front.port, source=ADA) as client,
        Client(front.port, source=BOB) as socket,
    ):
        assert client.get("/who", ("X-Forwarded-For", "6.6.6.6")).json["REMOTE_ADDR"] == ADA
        socket.join()
        assert site.socketio.notes.wait_for(1) == [(BOB, "http")]


def test_a_proxy_header_before_tls(tmp_path):
    authority = Authority(tmp_path)
    context = ssl.create_default_context(cafile=authority.cert)
    certs = [authority.issue("site", "localhost")]
    with (
        Site(make(), proxy_protocol=["127.0.0.1"], certs=certs) as site,
        HAProxy(tmp_path, f"127.0.0.1:{site.port}", "send-proxy-v2", "tcp") as front,
        Connection(front.port, source=ADA) as client,
    ):
        client.file.close()
        client.sock = context.wrap_socket(client.sock, server_hostname="localhost")
        client.file = client.sock.makefile("rb")
        found = client.get("/who").json
        assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == (ADA, "https")


@pytest.mark.parametrize("allowed", [["127.0.0.1"], ["192.0.2.1"]])
def test_without_a_proxy_header_nobody_comes_in(allowed):
    with Site(make(), proxy_protocol=allowed) as site, Connection(site.port) as client:
        client.send_request("GET", "/who")
        assert client.at_end()
