"""Flask-Login: who is connected, and handlers for those who are logged in only."""

import functools
import sys

from flask import Flask, request
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_socketio import SocketIO, disconnect, emit

app = Flask(__name__)
app.config["SECRET_KEY"] = "not a secret"
login_manager = LoginManager(app)
socketio = SocketIO(app)


class User(UserMixin):
    def __init__(self, id):
        self.id = id


@login_manager.user_loader
def load_user(id):
    return User(id)


def authenticated_only(f):
    @functools.wraps(f)
    def wrapped(*args, **kwargs):
        if not current_user.is_authenticated:
            disconnect()
            return None
        return f(*args, **kwargs)

    return wrapped


@app.route("/login", methods=["POST"])
def login():
    login_user(User(request.form["user"]))
    return current_user.id


@socketio.on("connect")
def connect():
    emit("you are", current_user.id if current_user.is_authenticated else "a stranger")


@socketio.on("secret")
@authenticated_only
def secret(question):
    return f"{question}, {current_user.id}"


@socketio.on("logout")
@authenticated_only
def logout():
    logout_user()
    return current_user.is_authenticated


if __name__ == "__main__":
    socketio.run(app, port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
