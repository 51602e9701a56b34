"""A background task, and a view that stops the server."""

import sys
from pathlib import Path

from flask import Flask
from flask_socketio import SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app)


def task():
    try:
        while True:
            socketio.sleep(0.01)
    finally:
        Path(sys.argv[2]).write_text("ended")


@app.route("/start")
def start():
    socketio.start_background_task(task)
    return "started"


@app.route("/stop")
def stop():
    try:
        socketio.stop()
    except RuntimeError as error:
        return str(error)
    return "stopping"


@socketio.on("disconnect")
def gone(reason):
    with Path(sys.argv[2] + ".gone").open("w") as file:
        file.write(reason)


@socketio.on("connect")
def connect():
    emit("hello")


if __name__ == "__main__":
    socketio.run(app, port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
