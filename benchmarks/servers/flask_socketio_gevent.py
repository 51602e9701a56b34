"""Flask-SocketIO on gevent: the server that its ``run`` starts, with the port known."""

from gevent import monkey

monkey.patch_all()

import flask_socketio  # noqa: E402
from flask_events import build  # noqa: E402
from gevent import pywsgi  # noqa: E402
from listening import listening_socket  # noqa: E402

app, _ = build(flask_socketio, async_mode="gevent")
pywsgi.WSGIServer(listening_socket(), app, log=None).serve_forever()
