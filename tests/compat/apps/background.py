"""A background task that starts with the first client, in an application made for eventlet."""
# ruff: noqa: E402

import eventlet

eventlet.monkey_patch()

import sys
import threading

from flask import Flask
from flask_socketio import SocketIO, emit

app = Flask(__name__)
app.config["SECRET_KEY"] = "not a secret"
socketio = SocketIO(app, async_mode=None)
thread = None
lock = threading.Lock()
stopped = threading.Event()


def tick():
    number = 0
    while not stopped.is_set():
        number += 1
        socketio.emit("tick", number)
        socketio.sleep(0.01)


@socketio.event
def connect():
    global thread
    with lock:
        if thread is None:
            thread = socketio.start_background_task(tick)


@socketio.on("compute")
def compute(number):
    job = eventlet.spawn(pow, number, 2)
    eventlet.sleep(0)
    return job.wait()


@socketio.on("later")
def later():
    eventlet.spawn_after(0.01, socketio.emit, "it is later", "now")
    emit("soon")


@socketio.on("stop")
def stop():
    stopped.set()
    thread.join()
    return "stopped"


if __name__ == "__main__":
    socketio.run(app, "127.0.0.1", int(sys.argv[1]))
