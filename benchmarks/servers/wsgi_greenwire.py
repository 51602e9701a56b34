"""Greenwire serving WSGI; ``--runner`` says what the requests run in: threads or green."""

from listening import arguments
from wsgi_app import app

import greenwire

given = arguments("runner")
greenwire.serve(app, host="127.0.0.1", port=given.port, green=given.runner == "green")
