"""What the tests of the command serve. It says which process and which version of itself answers."""

import os
import socket
import threading
import time
from typing import Any

from flask import Flask, request

from greenwire.flask import SocketIO

VERSION = "1"
app = Flask(__name__)
app.secret_key = "not a secret"
socketio = SocketIO(app)


@app.get("/")
def index() -> str:
    return "hello"


@app.get("/pid")
def pid() -> str:
    return str(os.getpid())


@app.get("/version")
def version() -> str:
    return VERSION


@app.get("/wait")
def wait() -> str:
    """Answers when the test opens its gate."""
    with socket.create_connection(("127.0.0.1", int(request.args["gate"]))) as gate:
        gate.recv(1)
    return "finished"


@app.get("/hang")
def hang() -> str:
    """Keep the loop of this process from turning, as a handler on the loop would that computes for ever."""
    socketio.wsgi_server.loop.post(_stand_still)
    return "nobody hears of it"


def _stand_still() -> None:
    print("standing still", flush=True)
    threading.Event().wait()


@app.get("/limits")
def limits() -> dict[str, Any]:
    service = socketio.wsgi_server
    return {"threads": service.limits.threads, "graceful_s": service.limits.graceful_s}


@app.get("/who")
def who() -> list[int]:
    return [os.getuid(), os.getgid(), *os.getgroups()]


@socketio.on("pid")
def pid_event() -> int:
    return os.getpid()


released = threading.Event()


@socketio.on("hold")
def hold() -> str:
    print("in flight", flush=True)
    released.wait()
    return "finished"


@socketio.on("release")
def release() -> None:
    released.set()


@socketio.on("note")
def note(text: str) -> None:
    os.write(1, f"noted: {text}\n".encode())  # in one piece, beside other threads and workers


@socketio.on("disconnect")
def gone(reason: str) -> None:
    print(f"gone: {reason} at {time.monotonic()}\n", end="", flush=True)  # in one piece: another may print as well


def create_app(name: str = "made", *, answer: str = "made") -> Flask:
    """A factory."""
    made = Flask(name)
    made.get("/")(lambda: answer)
    return made


def create_socketio() -> SocketIO:
    """A factory of the other kind."""
    made = create_app()
    return SocketIO(made)


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"plain WSGI"]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Not for us."""


NUMBER = 7
