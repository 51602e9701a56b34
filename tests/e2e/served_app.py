"""What test_shutdown.py and test_debug.py run in a process of its own: ``served_app.py [NAME=VALUE …]``."""

import sys
import threading
import time
from typing import Any

from flask import Flask

from greenwire.flask import SocketIO
from greenwire.limits import Limits

app = Flask(__name__)
app.secret_key = "not a secret"
socketio = SocketIO(app, limits=Limits(graceful_s=5))


@app.get("/")
def index() -> str:
    return "hello"


@app.get("/slow")
def slow() -> str:
    print("in flight", flush=True)
    time.sleep(0.3)
    return "finished"


@app.get("/stuck")
def stuck() -> str:
    print("in flight", flush=True)
    threading.Event().wait()
    return "never"


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


@socketio.on("disconnect")
def gone(reason: str) -> None:
    time.sleep(0.05)
    print("gone:", reason, flush=True)


def main(**options: Any) -> None:
    """Serve with *options*, each a Python value."""
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
