"""waitress, with its default of four threads."""

import logging

import waitress
from listening import arguments, listening_socket
from wsgi_app import app

logging.getLogger("waitress").setLevel(logging.ERROR)  # it tells of every request that waits for a thread
waitress.serve(app, sockets=[listening_socket(arguments().port)], _quiet=True)
