"""What test_green_waiting.py runs in a process of its own: each `ask` is answered when its client has answered."""

import flask

from greenwire.flask import SocketIO, call

app = flask.Flask(__name__)
app.secret_key = "not a secret"
socketio = SocketIO(app, async_mode="green", ping_timeout=120)


@socketio.on("ask")
def ask(number: int) -> int:
    answer: int = call("question", number, timeout=120)
    return answer


@socketio.on("echo")
def echo(data: object) -> object:
    return data


if __name__ == "__main__":
    socketio.run(app, port=0)
