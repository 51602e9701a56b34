"""Class-based namespaces beside functions, and handlers for everything else."""

import sys

from flask import Flask, request
from flask_socketio import SocketIO, emit
from flask_socketio.namespace import Namespace

app = Flask(__name__)
app.config["SECRET_KEY"] = "not a secret"
socketio = SocketIO()


class Room(Namespace):
    """A namespace with state of its own."""

    def __init__(self, namespace=None):
        super().__init__(namespace)
        self.members = []

    def on_connect(self):
        self.members.append(request.sid)
        self.emit("members", len(self.members))

    def on_disconnect(self):
        self.members.remove(request.sid)

    def on_enter(self, name):
        self.enter_room(request.sid, name)
        return self.rooms(request.sid) == [request.sid, name]

    def on_tell(self, name, text):
        self.emit("told", text, room=name)

    def on_whisper(self, text):
        emit("whispered", text)

    def on_message(self, text):
        self.send(text[::-1])

    def on_close(self, name):
        self.close_room(name)

    def on_fail(self):
        raise LookupError("nothing here")

    def error(self, error):
        return f"{type(error).__name__}: {error}"


@socketio.on("*")
def anything(event, *args):
    return {"event": event, "args": list(args)}


@socketio.on("whisper", namespace="/room")
def whisper(text):
    emit("whispered", f"function: {text}")


socketio.on_namespace(Room("/room"))
socketio.init_app(app)

if __name__ == "__main__":
    socketio.run(app, port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
