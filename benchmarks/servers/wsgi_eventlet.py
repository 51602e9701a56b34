"""eventlet's WSGI server."""

import eventlet

eventlet.monkey_patch()

import eventlet.wsgi  # noqa: E402
from listening import BACKLOG, announce, arguments  # noqa: E402
from wsgi_app import app  # noqa: E402

sock = eventlet.listen(("127.0.0.1", arguments().port), backlog=BACKLOG)
announce(sock.getsockname()[1])
eventlet.wsgi.server(sock, app, log_output=False)
