"""curl and openssl s_client against a running site: TLS, names, Unix sockets, the access log and its signal."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import flask
import pytest

from greenwire.errors import ConfigurationError
from support.authority import Authority
from support.engine import Client
from support.front import needed
from support.raw import Connection
from support.site import Site, new_socketio
from support.waiting import Log, wait_until


@pytest.fixture(scope="module")
def issued(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return SimpleNamespace(
        ca=authority.cert,
        one=authority.issue("one", "one.test"),
        wild=authority.issue("wild", "*.two.test"),
        ada=authority.issue("ada", subject="/CN=Ada"),
    )


def make():
    socketio = new_socketio()
    app = socketio._find_app()

    @app.get("/")
    def index():
        environ = flask.request.environ
        said = [environ.get("SSL_CLIENT_VERIFY"), environ.get("SSL_CLIENT_S_DN"), flask.request.scheme]
        return "|".join(map(str, said))

    socketio.on("echo")(lambda data: data)
    return socketio


@pytest.fixture
def site(issued):
    with Site(make(), certs=[issued.one, issued.wild], ca_certs=issued.ca) as running:
        yield running


def run(*command, data=b""):
    done = subprocess.run([needed(command[0]), *command[1:]], input=data, capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def curl(*arguments):
    return run("curl", "-sS", "--noproxy", "*", "--max-time", "30", *arguments)


@pytest.mark.parametrize("name", ["one.test", "a.two.test"])
def test_curl_trusts_each_name(site, issued, name):
    resolve = f"{name}:{site.port}:127.0.0.1"
    code, out, err = curl("--cacert", issued.ca, "--resolve", resolve, f"https://{name}:{site.port}/")
    assert (code, out) == (0, "NONE|None|https"), err


def test_curl_shows_its_certificate(site, issued):
    shown = ("--cert", issued.ada[0], "--key", issued.ada[1])
    resolve = ("--resolve", f"one.test:{site.port}:127.0.0.1")
    code, out, err = curl("--cacert", issued.ca, *shown, *resolve, f"https://one.test:{site.port}/")
    assert (code, out) == (0, "SUCCESS|CN=Ada|https"), err


def test_a_handler_sees_the_certificate_of_its_client(issued):
    socketio = make()
    seen = Log()

    @socketio.on("connect")
    def connect():
        seen.append(flask.request.environ["SSL_CLIENT_S_DN"])

    @socketio.on("who")
    def who():
        certificate = flask.request.environ["greenwire.client_certificate"]
        return certificate.subject, len(certificate.der) > 200

    with Site(socketio, certs=[issued.one], ca_certs=issued.ca) as site, Client(site.port) as client:
        context = ssl.create_default_context(cafile=issued.ca)
        context.load_cert_chain(*issued.ada)
        client.file.close()
        client.sock = context.wrap_socket(client.sock, server_hostname="one.test")
        client.file = client.sock.makefile("rb")
        client.join()
        assert client.call("who") == ["CN=Ada", True]
        assert seen == ["CN=Ada"]


def test_curl_speaks_plain_http(site):
    code, out, err = curl("-i", f"http://127.0.0.1:{site.port}/")
    assert code == 0, err
    assert out.startswith("HTTP/1.1 400 Bad Request")
    assert "https://" in out


def s_client(site, *arguments):
    request = b"GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n"
    return run("openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-ign_eof", *arguments, data=request)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_s_client(site, issued, version):
    trust = ("-CAfile", issued.ca, "-verify_return_error")
    code, out, err = s_client(site, version, *trust, "-servername", "b.two.test", "-alpn", "h2,http/1.1")
    assert code == 0, err
    assert "ALPN protocol: http/1.1" in out
    assert "CN = *.two.test" in out
    assert "NONE|None|https" in out
    assert "unexpected eof" not in err  # RFC 8446 6.1: a close_notify was said


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_s_client_of_old(site, version):
    code, _, _ = s_client(site, version, "-cipher", "DEFAULT@SECLEVEL=0")
    assert code != 0


def test_certificates_are_read_again(issued, tmp_path):
    files = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")

    def put(pair):
        for source, target in zip(pair, files, strict=True):
            shutil.copy(source, target)

    put(issued.one)
    with Site(make(), certfile=files[0], keyfile=files[1]) as site:
        assert "CN = one.test" in s_client(site)[1]
        put(issued.wild)
        site.service.reload_certificates()
        assert "CN = *.two.test" in s_client(site)[1]
        Path(files[0]).write_text("")
        with pytest.raises(ConfigurationError, match=files[0]):
            site.service.reload_certificates()
        assert "CN = *.two.test" in s_client(site)[1]


def test_curl_on_a_unix_socket(tmp_path):
    path = tmp_path / "s"
    with Site(make(), port=None, bind=["127.0.0.1:0", f"unix:{path}"], unix_mode=0o600):
        code, out, err = curl("--unix-socket", str(path), "http://localhost/")
        assert (code, out) == (0, "None|None|http"), err
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_two_servers_cannot_have_the_same_place(tmp_path):
    path = tmp_path / "s"
    with Site(make(), port=None, bind=["127.0.0.1:0", f"unix:{path}"]) as site:
        for bind in (f"127.0.0.1:{site.port}", f"unix:{path}"):
            socketio = make()
            with pytest.raises(ConfigurationError, match="another program listens there already"):
                socketio.run(socketio._find_app(), bind=[bind])
        code, out, err = curl("--unix-socket", str(path), "http://localhost/")
        assert (code, out) == (0, "None|None|http"), err


def test_our_own_fields_can_be_left_out():
    with Site(make(), server_header=False, date_header=False) as site, Connection(site.port) as client:
        for target in ("/", "/socket.io/?EIO=4&transport=polling", "/\x7f"):
            answer = client.get(target)
            assert (answer.get("server"), answer.get("date")) == (None, None)


# --- the access log


def test_requests_and_websockets_are_logged(tmp_path):
    path = tmp_path / "access.log"
    with Site(make(), access_log="json", access_log_file=path) as site:
        with Connection(site.port) as client:
            assert client.get("/?x=\x7f").status == 400
        with Connection(site.port) as client:
            client.get("/?x=1", ("User-Agent", 'a"\xe9'))
        with Client(site.port) as client:
            client.join()
            client.call("echo", "x" * 5_000)
            client.send_frame(8, (1001).to_bytes(2, "big"))
            assert client.at_end()
        wait_until(lambda: path.read_text().count("\n") == 3, "three lines are written")
        bad, view, socket = map(json.loads, path.read_text().splitlines())
        assert (bad["status"], bad["target"], bad["address"]) == (400, "-", "127.0.0.1")
        assert (view["status"], view["target"], view["user_agent"]) == (200, "/?x=1", 'a"\xe9')
        assert (socket["status"], socket["close_code"]) == (101, 1001)
        assert 5_000 < socket["bytes"] < 6_000


def test_the_line_of_a_websocket_that_the_server_ends(tmp_path):
    path = tmp_path / "access.log"
    with Site(make(), access_log="%(s)s %(c)s", access_log_file=path) as site, Client(site.port) as client:
        client.join()
        site.service.loop.ask(site.service.server.shutdown)
        assert client.close_code() == 1001
        client.close()
        wait_until(lambda: path.read_text(), "a line is written")
    assert path.read_text() in ("101 1001\n", "101 1006\n")  # whether it answered before it went


def test_a_wrong_format_is_named():
    socketio = make()
    with pytest.raises(ConfigurationError, match=r"no %\(x\)s"):
        socketio.run(socketio._find_app(), port=0, access_log="%(x)s")


SCRIPT = """
import sys
from greenwire import serve

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]

serve(app, port=0, access_log="%(U)s", access_log_file=sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no SIGUSR1")
def test_logrotate(tmp_path):
    path, script = tmp_path / "access.log", tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, str(script), str(path)], stderr=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline()
        port = int(line.rsplit(":", 1)[1])
        with Connection(port) as client:
            client.get("/before")
            os.rename(path, tmp_path / "moved")
            process.send_signal(signal.SIGUSR1)
            wait_until(path.exists, "the file is opened anew")
            client.get("/after")
            wait_until(path.read_text, "a line is written")
        assert (tmp_path / "moved").read_text() == "/before\n"
        assert path.read_text() == "/after\n"
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
