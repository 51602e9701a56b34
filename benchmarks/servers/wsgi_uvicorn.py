"""uvicorn, on uvloop and httptools, with a2wsgi as the bridge."""

import uvicorn
from a2wsgi import WSGIMiddleware
from listening import arguments, listening_socket
from wsgi_app import app

config = uvicorn.Config(WSGIMiddleware(app), loop="uvloop", http="httptools", log_level="warning", access_log=False)
uvicorn.Server(config).run(sockets=[listening_socket(arguments().port)])
