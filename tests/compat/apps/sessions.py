"""Sessions: what a view has put there, and the copy that each connection has."""

import sys

from flask import Flask, g, jsonify, request, session
from flask_socketio import SocketIO, emit

app = Flask(__name__)
app.config["SECRET_KEY"] = "not a secret"
socketio = SocketIO(app, manage_session=True, cookie="io")
torn_down = []


@app.route("/login", methods=["POST"])
def login():
    session["user"] = request.form["user"]
    return jsonify(dict(session))


@app.route("/session")
def show():
    return jsonify(dict(session))


@app.teardown_request
def teardown(error):
    if hasattr(request, "sid"):
        torn_down.append(request.event["message"])


@socketio.event
def connect():
    if "user" not in session:
        return False


@socketio.event
def remember(key, value):
    g.key = key
    session[key] = value
    return sorted(session)


@socketio.event
def recall():
    emit("session", dict(session))
    return [request.args.get("shop"), request.headers.get("X-Shop"), hasattr(g, "key")]


@socketio.event
def seen():
    return torn_down


if __name__ == "__main__":
    socketio.run(app, port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
