"""What docs/migrate.md says is different, to be run on both."""

import decimal
import sys
import uuid

from flask import Flask, request
from flask_socketio import ConnectionRefusedError, Namespace, SocketIO, emit, join_room, leave_room
from socketio import exceptions

app = Flask(__name__)
app.config["SECRET_KEY"] = "not a secret"
socketio = SocketIO(app, ping_interval=0.5, ping_timeout=30, namespaces="*", max_http_buffer_size=50_000)
notes = []


@socketio.on("connect", namespace="/fails")
def fails():
    raise RuntimeError("on purpose")


@socketio.on("connect", namespace="/handled")
def handled():
    raise RuntimeError("on purpose")


@socketio.on_error(namespace="/handled")
def handle(error):
    notes.append(str(error))


class Swallowing(Namespace):
    def on_connect(self):
        raise ConnectionRefusedError("no entry")

    def error(self, error):
        notes.append(str(error))


socketio.on_namespace(Swallowing("/swallowing"))


@socketio.on("connect", namespace="/early")
def early():
    emit("early", namespace="/early")
    raise ConnectionRefusedError("too early")


@socketio.on("disconnect", namespace="/leaves")
def leaves():
    notes.append("it has left")


@socketio.on_error(namespace="/leaves")
def leaves_failed(error):
    notes.append(type(error).__name__)


@socketio.on("leave", namespace="/leaves")
def leave():
    socketio.server.disconnect(request.sid, "/leaves")


@socketio.on("*", namespace="*")
def anything(event, *args):
    return [event, *args]


@socketio.on("number")
def number():
    emit("number", float("nan"))


@socketio.on("objects")
def objects():
    emit("objects", [decimal.Decimal("1.50"), uuid.UUID(int=1)])


@socketio.on("bytes")
def view():
    emit("bytes", [memoryview(b"x"), {"in a tuple": (b"y",)}])


@socketio.on("notes")
def noted():
    return notes


@socketio.on("skip")
def skip():
    socketio.emit("skipped?", skip_sid=(request.sid,))


@socketio.on("try")
def attempt(how):
    try:
        if how == "broadcast":
            socketio.emit("tried", how, broadcast=True)
        elif how == "two":
            socketio.emit("tried", how, 2)
    except TypeError as error:
        return type(error).__name__


@socketio.on("connect", namespace="/auth")
def auth(auth):
    notes.append({"auth": auth})


@socketio.on("wait")
async def wait(value):
    return value


@socketio.on("leave myself")
def leave_myself():
    leave_room(request.sid)
    socketio.emit("still there", to=request.sid)


@socketio.on("call nobody")
def call_nobody():
    try:
        socketio.call("hello", to="nobody", timeout=0.2)
    except exceptions.SocketIOError as error:
        return type(error).__name__


@socketio.on("skip others")
def skip_others():
    socketio.emit("emitted", include_self=False, skip_sid=["somebody"])


@socketio.on("forbidden room")
def forbidden_room(sid):
    try:
        join_room(sid)
    except ValueError as error:
        return str(error).partition(":")[0]


@socketio.on("count")
def count(_):
    global counted
    counted += 1


@socketio.on("counted")
def how_many():
    return counted


counted = 0

if __name__ == "__main__":
    socketio.run(app, port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
