"""Flask-SocketIO on eventlet: the server that its ``run`` starts, with the port known."""

import eventlet

eventlet.monkey_patch()

import eventlet.wsgi  # noqa: E402
import flask_socketio  # noqa: E402
from flask_events import build  # noqa: E402
from listening import BACKLOG, announce, arguments  # noqa: E402

MOST_CONNECTIONS = 20_000  # with its default, client 1,025 waits for ever

given = arguments()
app, _ = build(flask_socketio, given.namespaces, async_mode="eventlet")
sock = eventlet.listen(("127.0.0.1", given.port), backlog=BACKLOG)
announce(sock.getsockname()[1])
if given.certificate:
    sock = eventlet.wrap_ssl(sock, certfile=given.certificate, server_side=True)
eventlet.wsgi.server(sock, app, log_output=False, max_size=MOST_CONNECTIONS)
