"""What test_shutdown.py and test_debug.py run in a process of its own: ``served_app.py [NAME=VALUE …]``."""

import os
import socket
import sys
import threading
from typing import Any

from flask import Flask, request

from greenwire.flask import SocketIO
from greenwire.limits import Limits

app = Flask(__name__)
app.secret_key = "not a secret"
socketio = SocketIO(app, limits=Limits(graceful_s=60))


@app.get("/")
def index() -> str:
    return "hello"


@app.get("/wait")
def wait() -> str:
    pass_gate(int(request.args["gate"]))
    return "finished"


@app.get("/stop")
def stop() -> str:
    socketio.stop()
    return "stopping"


@app.get("/bug")
def bug() -> str:
    raise RuntimeError("a secret of the application")


@socketio.on("stop")
def stop_event() -> str:
    socketio.stop()
    return "stopping"


@socketio.on("echo")
def echo(data: Any) -> Any:
    return data


@socketio.on("pid")
def pid() -> int:
    return os.getpid()


@socketio.on("disconnect")
def gone(reason: str) -> None:
    if port := app.config.get("GATE"):
        pass_gate(port)
    print(f"gone: {reason}\n", end="", flush=True)  # in one piece: another may print as well


def pass_gate(port: int) -> None:
    """Wait until the test opens it."""
    with socket.create_connection(("127.0.0.1", port)) as gate:
        gate.recv(1)


def main(**options: Any) -> None:
    """Serve with *options*, each a Python value."""
    app.config["GATE"] = options.pop("gate", None)
    in_thread = options.pop("in_thread", False)
    options.setdefault("port", 0)
    if in_thread:
        thread = threading.Thread(target=socketio.run, args=(app,), kwargs=options)
        thread.start()
        thread.join()
    else:
        socketio.run(app, **options)
    print("run has returned", flush=True)


if __name__ == "__main__":
    main(**{name: int(value) for name, value in (arg.split("=") for arg in sys.argv[1:])})
