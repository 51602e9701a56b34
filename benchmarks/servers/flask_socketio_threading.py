"""Flask-SocketIO on threads: the server that its ``run`` starts, with the port known."""

import logging

import flask_socketio
from flask_events import build
from listening import announce, port_argument
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)
app, _ = build(flask_socketio, async_mode="threading")
server = make_server("127.0.0.1", port_argument(), app, threaded=True)
announce(server.port)
server.serve_forever()
