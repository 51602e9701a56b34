"""Habits that Flask-SocketIO lets pass: a decorator without functools.wraps, a connect handler that fails once."""

import sys

import socketio as python_socketio
from engineio.payload import Payload
from flask import Flask, request
from flask_socketio import SocketIO, emit
from flask_socketio import disconnect as leave_now

Payload.max_decode_packets = 500

app = Flask(__name__)
app.config["SECRET_KEY"] = "not a secret"
socketio = SocketIO(app)
counts = {}


def counted(handler):
    def wrapped(*args):
        counts[handler.__name__] = counts.get(handler.__name__, 0) + 1
        return handler(*args)

    return wrapped


@socketio.on("connect")
@counted
def connect():
    emit("counts", counts)


@socketio.on("disconnect")
@counted
def disconnect():
    emit("goodbye", request.sid, broadcast=True)


@socketio.on("connect", namespace="/second-chance")
def second_chance():
    counts["second chance"] = counts.get("second chance", 0) + 1
    if counts["second chance"] % 2:
        return None + 1
    emit("accepted", counts["second chance"], namespace="/second-chance")


@socketio.event
def leave():
    leave_now()


@socketio.on("refuse", namespace="/")
def refuse():
    try:
        raise python_socketio.exceptions.ConnectionRefusedError("a", "b")
    except python_socketio.exceptions.SocketIOError as error:
        return error.error_args


if __name__ == "__main__":
    socketio.run(app, port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
