"""Flask-SocketIO on threads: the server that its ``run`` starts, with the port known."""

import logging

import flask_socketio
from flask_events import build
from listening import announce, arguments
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)
given = arguments()
app, _ = build(flask_socketio, given.namespaces, async_mode="threading")
server = make_server("127.0.0.1", given.port, app, threaded=True)
announce(server.port)
server.serve_forever()
