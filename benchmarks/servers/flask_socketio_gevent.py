"""Flask-SocketIO on gevent: the server that its ``run`` starts, with the port known."""

from gevent import monkey

monkey.patch_all()

import flask_socketio  # noqa: E402
from flask_events import build  # noqa: E402
from gevent import pywsgi  # noqa: E402
from listening import arguments, listening_socket  # noqa: E402

given = arguments()
app, _ = build(flask_socketio, given.namespaces, async_mode="gevent")
tls = {"certfile": given.certificate} if given.certificate else {}
pywsgi.WSGIServer(listening_socket(given.port), app, log=None, **tls).serve_forever()
