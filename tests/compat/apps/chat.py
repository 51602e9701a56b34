"""Chat with rooms: one file, handlers under decorators, a view that emits."""

import sys

from flask import Flask, jsonify, request
from flask_socketio import (
    ConnectionRefusedError,
    SocketIO,
    close_room,
    disconnect,
    emit,
    join_room,
    leave_room,
    rooms,
    send,
)

app = Flask(__name__)
app.config["SECRET_KEY"] = "not a secret"
socketio = SocketIO(app, cors_allowed_origins="*", logger=True, engineio_logger=False)
names = {}


@app.route("/announce/<room>", methods=["POST"])
def announce(room):
    socketio.emit("announcement", request.get_json(), to=room)
    return jsonify(told=room)


@socketio.on("connect")
def connect(auth):
    if not auth or "name" not in auth:
        raise ConnectionRefusedError("who are you?", {"field": "name"})
    names[request.sid] = auth["name"]
    emit("welcome", {"name": auth["name"], "online": len(names)})


@socketio.on("disconnect")
def gone(reason):
    name = names.pop(request.sid, None)
    socketio.emit("left", {"name": name, "reason": reason, "rooms": len(rooms())})


@socketio.event
def join(message):
    join_room(message["room"])
    emit("joined", names[request.sid], to=message["room"], include_self=False)
    return sorted(rooms(), key=lambda room: room == request.sid)


@socketio.event
def leave(message):
    leave_room(message["room"])
    return len(rooms())


@socketio.on("say")
def say(room, text):
    emit("said", {"from": names[request.sid], "text": text}, room=room)


@socketio.on("shout")
def shout(text):
    emit("shouted", text, broadcast=True, include_self=False)


@socketio.on("close")
def close(room):
    emit("closing", room, to=room)
    close_room(room)


@socketio.on("message")
def message(text):
    send(text.upper())


@socketio.on("json")
def json_message(value):
    send({"seen": value}, json=True)


@socketio.event
def leave_me():
    disconnect()


@socketio.on("question")
def question(text):
    emit("asked", text, callback=answered)


def answered(answer):
    emit("answer was", {"answer": answer, "name": names[request.sid]})


@socketio.on("fail")
def fail():
    raise RuntimeError("on purpose")


@socketio.on_error_default
def failed(error):
    return {"error": str(error), "event": request.event["message"]}


if __name__ == "__main__":
    socketio.run(app, port=int(sys.argv[1]), debug=False, allow_unsafe_werkzeug=True)
