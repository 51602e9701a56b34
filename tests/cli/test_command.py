"""``greenwire run``, ``check``, ``version``: what is served, exit codes, and that errors name cause and fix."""

import os
import re
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from commanding import APPS, Command, copy_app, environment, get, once, python_for_everybody

from greenwire.command.target import TargetError, load, parse
from greenwire.errors import ConfigurationError
from greenwire.run_options import CommandOptions
from greenwire.settings import limit_rows
from support.certificate import self_signed
from support.engine import WEBSOCKET, Client
from support.process import Process
from support.raw import Connection, WebSocket, refused
from support.site import new_socketio
from support.waiting import wait_until

ANYWHERE = ("--bind", "127.0.0.1:0")


# --- what is served


@pytest.mark.parametrize(
    "last_line", ["socketio.run(app, port=0)", "socketio.run(app, port=0, debug=True)", "greenwire.serve(app, port=0)"]
)
def test_an_application_that_runs_itself_is_imported_all_the_same(tmp_path, last_line):
    (tmp_path / "shop.py").write_text(
        "import greenwire\nfrom flask import Flask\nfrom greenwire.flask import SocketIO\n"
        f"app = Flask(__name__)\nsocketio = SocketIO(app)\n{last_line}\n"
    )
    done = once(tmp_path, "check", "shop:app")
    assert done.returncode == 0, done.stderr
    assert "would serve the Flask application 'shop' with Socket.IO" in done.stdout
    assert "is ignored here" in done.stderr


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("shop:app", "hello"),
        ("shop:socketio", "hello"),
        ("shop", "hello"),
        ("shop:create_app()", "made"),
        ("shop:create_app('x', answer='other')", "other"),
        ("shop:create_socketio()", "made"),
        ("shop:wsgi", "plain WSGI"),
    ],
)
def test_what_can_be_served(target, answer):
    with Command(APPS, "run", target, *ANYWHERE) as command:
        assert get(command.port) == answer
        command.signal(signal.SIGTERM)
        assert command.wait() == 0


def test_a_flask_application_is_served_with_its_socketio():
    with Command(APPS, "run", "shop:app", *ANYWHERE) as command, Client(command.port) as client:
        client.join()
        assert client.call("pid") == [command.popen.pid]


def test_the_application_of_the_file(tmp_path):
    copy_app(tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.greenwire]\napp = "shop:app"\nbind = "127.0.0.1:0"\n[tool.greenwire.limits]\nthreads = 9\n'
    )
    with Command(tmp_path, "run", "--graceful-timeout", "7") as command:
        assert get(command.port, "/limits") == '{"graceful_s":7.0,"threads":9}\n'


def test_chdir(tmp_path):
    (tmp_path / "inner").mkdir()
    copy_app(tmp_path / "inner")
    with Command(tmp_path, "run", "shop:app", *ANYWHERE, "--chdir", "inner") as command:
        assert get(command.port) == "hello"


def test_a_log_file_is_where_the_command_was_started(tmp_path):
    (tmp_path / "inner").mkdir()
    copy_app(tmp_path / "inner")
    args = ("--chdir", "inner", "--access-log-file", "access.log")
    with Command(tmp_path, "run", "shop:app", *ANYWHERE, *args) as command:
        assert get(command.port) == "hello"
        wait_until(lambda: (tmp_path / "access.log").exists() and (tmp_path / "access.log").read_text())


def test_certificates_are_where_the_command_was_started(tmp_path):
    (tmp_path / "inner").mkdir()
    copy_app(tmp_path / "inner")
    cert, key = (Path(path).name for path in self_signed(tmp_path))
    args = ("--chdir", "inner", "--certs", f"{cert}:{key}")
    with Command(tmp_path, "run", "shop:app", *ANYWHERE, *args) as command:
        wait_until(lambda: "https://" in command.err)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_standard_error_on_a_full_disk(tmp_path, workers):
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full is missing")
    address = tmp_path / "http.sock"
    command = [sys.executable, "-m", "greenwire", "run", "shop:app", "--workers", workers, "--bind", f"unix:{address}"]
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen(command, cwd=APPS, env=environment(), stderr=full, stdout=full)
    try:
        wait_until(lambda: process.poll() is not None or _answers(address))
        assert process.poll() is None
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def _answers(address):
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(address))
        except OSError:
            return False
        sock.settimeout(10)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return sock.recv(100).startswith(b"HTTP/1.1 200")


def test_several_addresses(tmp_path):
    path = tmp_path / "socket"
    with Command(APPS, "run", "shop:app", *ANYWHERE, "-b", f"unix:{path}", "-b", "[::1]:0", "-w", "2") as command:
        assert get(command.port) == "hello"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            assert _all_of_the_answer(sock).endswith(b"hello")
        port = int(re.findall(r"http://\[::1\]:(\d+)", command.err)[0])
        with socket.create_connection(("::1", port), 10) as sock:
            assert _all_of_the_answer(sock).startswith(b"HTTP/1.1 200 OK")
        for worker in command.workers():  # a worker that ends leaves the file where it is
            os.kill(worker, signal.SIGTERM)
            break
        command.says("another one is started")
        assert path.exists()
        command.signal(signal.SIGTERM)
        assert command.wait() == 0
        assert not path.exists()


def _all_of_the_answer(sock):
    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
    with sock.makefile("rb") as file:
        return file.read()


def test_run_in_a_program_with_workers(tmp_path):
    (tmp_path / "main.py").write_text(
        "from shop import app, socketio\n"
        "if __name__ == '__main__':\n"
        "    socketio.run(app, port=0, workers=2, graceful_timeout=5)\n"
        "    print('run has returned')\n"
    )
    copy_app(tmp_path)
    with Process(tmp_path / "main.py") as process:
        port = process.port
        with Connection(port) as browser:
            assert browser.get("/pid").text != str(process.popen.pid)
            assert browser.get("/limits").json["graceful_s"] == 5
        process.signal(signal.SIGINT)
        assert process.wait() == 0
        assert process.out == "run has returned\n"  # once, not in each worker


def test_serve_with_workers(tmp_path):
    (tmp_path / "main.py").write_text(
        "from greenwire import serve\nfrom shop import wsgi\n"
        "if __name__ == '__main__':\n    serve(wsgi, port=0, workers=2, threads=3)\n"
    )
    copy_app(tmp_path)
    with Process(tmp_path / "main.py") as process:
        assert get(process.port) == "plain WSGI"
        wait_until(lambda: "2 workers under supervisor" in process.err)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0


def test_the_reloader_of_run_has_one_process():
    socketio = new_socketio()
    with pytest.raises(ConfigurationError, match="leave out workers, or use_reloader=False"):
        socketio.run(socketio._find_app(), port=0, workers=2, use_reloader=True)


def test_health():
    args = ("--health", "/healthz", "--supervisor", "--limit-drain-s", "30")
    with Command(APPS, "run", "shop:app", *ANYWHERE, *args) as command:
        port = command.port
        with Connection(port) as old:
            assert (old.get("/healthz").status, old.get("/").text, old.get("/nothing").status) == (200, "hello", 404)
            command.signal(signal.SIGHUP)
            command.says("reloaded")

            def last_answer():
                response = old.get("/healthz")
                assert response.status == 200  # the server is well, its new worker serves
                return response.get("connection") == "close"

            wait_until(last_answer)
            assert get(port, "/healthz") == "serving\n"
    with Command(APPS, "run", "shop:app", *ANYWHERE, *args) as command, Connection(command.port) as probe:
        probe.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Begun: ")  # the rest comes when the server ends
        assert get(command.port) == "hello"
        command.signal(signal.SIGTERM)
        wait_until(lambda: refused(command.port))
        probe.send(b"1\r\n\r\n")
        response = probe.response()
        assert (response.status, response.text) == (503, "ending\n")


def test_compression_of_websockets():
    offer = ("Sec-WebSocket-Extensions", "permessage-deflate")
    for args, answer in (((), None), (("--ws-compression",), "permessage-deflate")):
        with Command(APPS, "run", "shop:app", *ANYWHERE, *args) as command, WebSocket(command.port) as client:
            agreed = client.open(WEBSOCKET, offer).get("sec-websocket-extensions")
            assert (agreed and agreed.split(";")[0]) == answer


# --- who and where


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_user_and_group(tmp_path, workers):
    folder = copy_app(tmp_path)
    for path in (folder, *folder.parents):
        if path != Path("/tmp") and path.is_relative_to("/tmp"):
            path.chmod(0o755)
    certificate, key = self_signed(folder)
    os.chmod(key, 0o600)  # root's: it is read before
    args = ("--user", "nobody", "--group", "1234", "--workers", workers, "--certfile", certificate, "--keyfile", key)
    python, env = python_for_everybody()
    command = Command(folder, "run", "shop:app", *ANYWHERE, *args, env=env)
    command.command[0] = python
    with command:
        wait_until(lambda: "listens on https" in command.err or command.popen.poll() is not None)
        port = command.err.split("https://127.0.0.1:")[1].split()[0]
        answer = subprocess.run(
            ["curl", "-sk", f"https://127.0.0.1:{port}/who"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
        uid, gid, *groups = (int(each) for each in re.findall(r"\d+", answer))
        assert (uid, gid) == (65534, 1234)
        assert 0 not in groups


def test_pid_file_and_umask(tmp_path):
    pid, made = tmp_path / "pid", tmp_path / "socket"
    args = ("--pid", str(pid), "--umask", "077", "-b", f"unix:{made}", "-w", "2")
    with Command(APPS, "run", "shop:app", *ANYWHERE, *args) as command:
        assert command.port
        assert pid.read_text() == f"{command.popen.pid}\n"
        assert made.stat().st_mode & 0o777 == 0o700
        other = once(APPS, "run", "shop:app", *ANYWHERE, "--pid", str(pid))
        assert other.returncode == 1
        assert f"process {command.popen.pid} is alive" in other.stderr
        command.signal(signal.SIGTERM)
        assert command.wait() == 0
        assert not pid.exists()
    pid.write_text(f"{command.popen.pid}\n")  # a dead one's
    with Command(APPS, "run", "shop:app", *ANYWHERE, "--pid", str(pid)) as command:
        assert command.port
        assert pid.read_text() == f"{command.popen.pid}\n"


def test_hup_without_a_supervisor_reads_certificates_again(tmp_path):
    certificate, key = self_signed(tmp_path)
    with Command(APPS, "run", "shop:app", *ANYWHERE, "--certfile", certificate, "--keyfile", key) as command:
        wait_until(lambda: "listens on https" in command.err)
        command.signal(signal.SIGHUP)
        command.says("new code needs a supervisor (--supervisor)")
        Path(certificate).unlink()
        command.signal(signal.SIGHUP)
        command.says("the old certificates stay")
        command.signal(signal.SIGTERM)
        assert command.wait() == 0


def test_hup_at_a_terminal_and_when_that_is_gone():
    master, terminal = os.openpty()
    command = Command(APPS, "run", "shop:app", *ANYWHERE)
    command.stdin = terminal
    with command, Client(command.port) as client:
        client.join()
        os.close(terminal)
        command.signal(signal.SIGHUP)
        command.says("certificates are read again")
        os.close(master)
        command.signal(signal.SIGHUP)  # as the kernel does now
        assert client.close_code() == 1001
        assert command.wait() == 0
    assert "gone: server disconnect" in command.out


@pytest.mark.parametrize("workers", ["1", "2"])
def test_lines_of_the_access_log_are_that_and_nothing_else(workers):
    args = ("--access-log", "combined", "--log-level", "warning", "--workers", workers)
    with Command(APPS, "run", "shop:app", *ANYWHERE, *args) as command:
        assert get(command.port) == "hello"
        command.says('"GET / HTTP/1.1" 200 5')
        [line] = [line for line in command.err.splitlines() if "GET /" in line]
        assert line.startswith("127.0.0.1 - - [")


def test_the_application_says_where_log_lines_go(tmp_path):
    copy_app(tmp_path)
    (tmp_path / "logged.py").write_text(
        "import logging\nlogging.basicConfig(format='MINE %(name)s %(message)s', level='INFO')\nfrom shop import app\n"
    )
    with Command(tmp_path, "run", "logged:app", *ANYWHERE, "--access-log", "combined") as command:
        assert get(command.port) == "hello"
        command.says("MINE greenwire.access 127.0.0.1")
        assert command.err.count("GET /") == 1


# --- what cannot be served


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_port_in_use(workers):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        done = once(APPS, "run", "shop:app", "-b", where, "-w", workers)
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: cannot listen on {where}: another program listens there already; stop it, or choose another port\n"
    )


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_certificate_that_is_missing(workers):
    done = once(APPS, "run", "shop:app", *ANYWHERE, "-w", workers, "--certfile", "/no/such.pem")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: certfile /no/such.pem: No such file or directory")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("workers", ["1", "3"])
def test_an_application_that_cannot_be_imported(tmp_path, workers):
    (tmp_path / "broken.py").write_text("import os\n\n\ndef fails():\n    return 1 / 0\n\n\nfails()\n")
    done = once(tmp_path, "run", "broken:app", *ANYWHERE, "-w", workers)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.count("ZeroDivisionError") == 1
    assert re.findall(r'File "([^"]+)"', done.stderr) == [str(tmp_path / "broken.py")] * 2  # the user's lines only


def test_an_import_of_the_application_that_fails(tmp_path):
    (tmp_path / "needs.py").write_text("import not_installed_here\n")
    done = once(tmp_path, "run", "needs:app", *ANYWHERE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'not_installed_here'"
    assert 'needs.py", line 1' in done.stderr


def test_a_factory_that_fails(tmp_path):
    (tmp_path / "fails.py").write_text("def create_app():\n    raise RuntimeError('no database')\n")
    done = once(tmp_path, "run", "fails", *ANYWHERE)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "RuntimeError: no database")


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("sho:app", 1, "there is no module 'sho' in"),
        ("sho:app", 1, "there is 'shop'"),
        ("shop:ap", 1, "'shop' has no 'ap'; did you mean 'app'?"),
        ("shop:create_app", 1, "a function that makes an application: write shop:create_app()"),
        ("shop:create_app(1, 2, 3)", 1, "create_app cannot be called like that: too many positional arguments"),
        ("shop:asgi", 1, "is an ASGI application"),
        ("shop:NUMBER", 1, "'shop:NUMBER' is 7: that is no application"),
        ("shop.py:app", 2, "it takes a module, not a file: write shop:app"),
        ("shop:", 2, "write MODULE:APP"),
        ("shop app", 2, "write MODULE:APP"),
        ("shop:create_app(open('x'))", 2, "a call with literal arguments"),
        ("shop:1+1", 2, "a call with literal arguments"),
    ],
)
def test_targets_that_will_not_do(target, code, message):
    done = once(APPS, "run", target, *ANYWHERE)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_application_of_flask_socketio(tmp_path):
    (tmp_path / "old.py").write_text(
        "from flask import Flask\nfrom flask_socketio import SocketIO\napp = Flask(__name__)\nSocketIO(app)\n"
    )
    done = once(tmp_path, "run", "old:app", *ANYWHERE)
    assert done.returncode == 1
    assert "import SocketIO from greenwire.flask instead" in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "what shall be served? Write greenwire run MODULE:APP"),
        (("shop:app", "--workers", "none"), "command line --workers: 'none' will not do"),
        (("shop:app", "--worker", "2"), "No such option"),
        (("shop:app", "--workers", "2", "--no-supervisor"), "without a supervisor there is one worker"),
        (("shop:app", "--limit-threads", "0"), "limit threads=0: it takes a positive whole number"),
        (("shop:app", "--config", "no.toml"), "config no.toml: No such file or directory"),
    ],
)
def test_usage_errors(args, message):
    done = once(APPS, "run", *args)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_name_in_the_environment_that_is_misspelt():
    with Command(APPS, "run", "shop:app", *ANYWHERE, env={"GREENWIRE_WORKER": "2"}) as command:
        assert command.port
        assert "GREENWIRE_WORKER in the environment is no setting; did you mean GREENWIRE_WORKERS?" in command.err


# --- check, version, help


def test_check_shows_each_value_and_its_source(tmp_path):
    copy_app(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.greenwire]\nkeyfile = 'k'\n[tool.greenwire.limits]\nthreads = 3\n")
    done = once(tmp_path, "check", "shop:app", "-w", "3", env={"GREENWIRE_LOG_LEVEL": "debug", "PORT": "8000"})
    assert done.returncode == 1  # keyfile without certfile
    assert "keyfile is given, and certfile is not" in done.stderr
    (tmp_path / "pyproject.toml").write_text("[tool.greenwire.limits]\nthreads = 3\n")
    done = once(tmp_path, "check", "shop:app", "-w", "3", env={"GREENWIRE_LOG_LEVEL": "debug", "PORT": "8000"})
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: re.split(r"\s{2,}", line) for line in done.stdout.partition("\n\n")[0].splitlines()}
    assert rows["app"] == ["app", "shop:app", "command line"]
    assert rows["workers"] == ["workers", "3", "command line --workers"]
    assert rows["log-level"] == ["log-level", "debug", "environment GREENWIRE_LOG_LEVEL"]
    assert rows["bind"] == ["bind", "0.0.0.0:8000", "environment PORT"]
    assert rows["limit-threads"] == ["limit-threads", "3", "pyproject.toml limits.threads"]
    assert rows["green"] == ["green", "false", "default"]
    assert "limit-backlog" not in rows
    assert done.stdout.endswith(
        "would serve the Flask application 'shop' with Socket.IO on /socket.io/\n"
        "on 0.0.0.0:8000, 3 workers under a supervisor\n"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--access-log", "%(zz)s"), "access_log: there is no %(zz)s"),
        (("--forwarded-allow-ips", "proxy"), "forwarded_allow_ips: 'proxy' is no address"),
        (("--forwarded-headers", "x-real-ip"), "forwarded_headers: 'x-real-ip' is not one of"),
        (("--proxy-protocol", "proxy"), "proxy_protocol: 'proxy' is no address"),
    ],
)
def test_check_refuses_what_run_would_refuse(args, message):
    done = once(APPS, "check", "shop:app", *args)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {message}")


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--bind", "nosuch.invalid:80"), "cannot listen on 'nosuch.invalid': the name cannot be resolved"),
        (("--bind", "203.0.113.1:0"), "cannot listen on 203.0.113.1:0: this machine has no such address"),
        (("--metrics", "nosuch.invalid:80"), "cannot listen on 'nosuch.invalid': the name cannot be resolved"),
        (("--bind", "unix:none/socket"), "cannot listen on unix:{}/none/socket: its directory does not exist"),
        (("--bind", "unix:file/socket"), "cannot listen on unix:{}/file/socket: its directory is not a directory"),
        (("--bind", "unix:file"), "cannot listen on unix:{}/file: a file that is no socket is there"),
        (("--bind", "unix:socket", "--unix-owner", "nosuchuser"), "cannot listen on unix:{}/socket: unix_owner"),
        (("--bind", "unix:socket", "--unix-owner", ":nosuchgroup"), "cannot listen on unix:{}/socket: unix_owner"),
        (("--bind", "unix:"), "cannot listen on 'unix:': the path is missing"),
        (("--bind", "fd://99"), "cannot listen on fd://99: Bad file descriptor"),
        (("--pid", "none/pid"), "pid file {}/none/pid: No such file or directory"),
        (("--pid", "folder"), "pid file {}/folder: Is a directory"),
        (("--access-log-file", "none/log"), "access_log_file {}/none/log: No such file or directory"),
        (("--access-log-file", "file/log"), "access_log_file {}/file/log: Not a directory"),
        (("--access-log-file", "folder"), "access_log_file {}/folder: Is a directory"),
    ],
)
def test_run_and_check_refuse_the_same(tmp_path, command, args, message):
    copy_app(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    where = () if "--bind" in args else ANYWHERE
    done = once(tmp_path, command, "shop:app", *where, *args)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {message.format(tmp_path)}"), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"shop.py", "file", "folder"}  # nothing is left


def test_check_leaves_things_as_they_are(tmp_path):
    copy_app(tmp_path)
    (tmp_path / "old.pid").write_text(f"{os.getpid()}\n")
    with socket.socket() as taken, socket.socket(socket.AF_UNIX) as other:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other.bind(str(tmp_path / "http.sock"))
        other.listen()
        args = ("--bind", f"127.0.0.1:{taken.getsockname()[1]}", "--bind", "unix:http.sock", "--unix-owner", "root")
        before = sorted(tmp_path.iterdir())
        done = once(tmp_path, "check", "shop:app", *args, "--pid", "old.pid", "--access-log-file", "new.log")
        assert (done.returncode, done.stderr) == (0, "")  # who serves there now is to be replaced
        assert sorted(tmp_path.iterdir()) == before
        assert (tmp_path / "old.pid").read_text() == f"{os.getpid()}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("command", ["run", "check"])
def test_what_another_user_may_not_write(tmp_path, command):
    folder = copy_app(tmp_path)
    for path in (folder, *folder.parents):
        if path != Path("/tmp") and path.is_relative_to("/tmp"):
            path.chmod(0o755)
    python, env = python_for_everybody()
    args = ("--user", "nobody", "--access-log-file", "access.log")
    done = subprocess.run(
        [python, "-m", "greenwire", command, "shop:app", *ANYWHERE, *args],
        cwd=folder, env=environment(env), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"access_log_file {folder}/access.log: Permission denied" in done.stderr


def test_check_shows_several_certificates(tmp_path):
    certificate, key = self_signed(tmp_path)
    done = once(APPS, "check", "shop:app", "--certs", f"{certificate}:{key}")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{certificate}:{key}" in done.stdout


def test_check_shows_port_0_and_names_that_are_misspelt():
    done = once(APPS, "check", "shop:app", *ANYWHERE, env={"GREENWIRE_WORKER": "2"})
    assert done.returncode == 0
    assert "on 127.0.0.1:0, 1 worker" in done.stdout
    assert "did you mean GREENWIRE_WORKERS?" in done.stderr


def test_check_of_what_cannot_be_imported(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    done = once(tmp_path, "check", "broken:app")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_version():
    done = once(APPS, "version")
    assert done.returncode == 0
    assert re.match(r"greenwire \d+\.\d+\.\d+\S* on Python 3\.\d+\.\d+, flask \S+", done.stdout)


def test_help_names_every_limit():
    done = once(APPS, "run", "--help")
    assert done.returncode == 0
    for row in limit_rows():
        assert re.search(rf"--{row.key}[ ,\n]", done.stdout), row.key
    assert "--graceful-timeout" in done.stdout


def test_the_console_script_is_there():
    done = subprocess.run(
        [sys.executable, "-c", "from importlib.metadata import entry_points as e; print(e(name='greenwire'))"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "greenwire.command.cli:main" in done.stdout


def test_the_page_of_the_command_is_current():
    root = APPS.parent.parent.parent
    page = runpy.run_path(str(root / "docs" / "build_command.py"))["page"]()
    assert (root / "docs" / "reference" / "command.md").read_text() == page, "run python docs/build_command.py"


# --- the pieces


def test_parse():
    assert parse("a.b") == ("a.b", None)
    module, call = parse("a.b:c.d('x', n=[1])")
    assert (module, call.path, call.args, call.kwargs, call.called) == ("a.b", ["c", "d"], ["x"], {"n": [1]}, True)


def test_debug_left_on_in_the_code_is_off(tmp_path, monkeypatch):
    """It would show everybody a console."""
    (tmp_path / "left_on.py").write_text("from flask import Flask\napp = Flask(__name__)\napp.debug = True\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    application = load("left_on:app")
    with pytest.raises(ConfigurationError):
        application.serve(CommandOptions(bind=["127.0.0.1:no"]), None)  # it does not come to serve
    assert application.wsgi.debug is False


def test_errors_are_configuration_errors():
    with pytest.raises(TargetError, match="no module 'nowhere_at_all'"):
        load("nowhere_at_all:app")
