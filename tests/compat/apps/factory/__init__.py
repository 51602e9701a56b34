"""An application factory: SocketIO without an application, blueprints, events in a module of their own."""

from flask import Flask
from flask_socketio import SocketIO

socketio = SocketIO()


def create_app(debug=False):
    app = Flask(__name__)
    app.debug = debug
    app.config["SECRET_KEY"] = "not a secret"

    from .main import main

    app.register_blueprint(main, url_prefix="/shop")
    socketio.init_app(app, path="/live", ping_interval=5, async_mode="threading")
    return app
