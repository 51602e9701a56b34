"""A plain script that serves by ``greenwire.wsgi.server``: ``python wsgi_script.py HOW``."""

import os
import signal
import socket
import sys

from greenwire import green, wsgi
from greenwire.limits import Limits


def app_on(socket):
    """An application with the functions of the module *socket*."""

    def app(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/wait":
            port = int(environ["QUERY_STRING"].removeprefix("gate="))
            with socket.create_connection(("127.0.0.1", port)) as gate:
                gate.recv(1)
        elif path == "/signal":
            os.kill(os.getpid(), int(environ["QUERY_STRING"]))
            for _ in range(100):  # Python calls handlers between two of its instructions
                pass
        elif path == "/stop":
            raise wsgi.StopServe
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    return app


app = app_on(green.socket)


def plain():
    wsgi.server(socket.create_server(("127.0.0.1", 0)), app)


def of_green():
    wsgi.server(green.listen(("127.0.0.1", 0)), app)


def in_green_thread():
    thread = green.spawn(of_green)
    thread.wait()


def short():
    wsgi.server(green.listen(("127.0.0.1", 0)), app, limits=Limits(graceful_s=0.2))


def pool():
    wsgi.server(green.listen(("127.0.0.1", 0)), app, custom_pool=green.GreenPool(2))


def patched():
    """With ``green.patch()``, and nothing green in the application's own code."""
    green.patch()
    wsgi.server(socket.create_server(("127.0.0.1", 0)), app_on(socket))


def twice():
    plain()
    plain()


def exits():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    plain()


def interrupts():
    def interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    plain()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("returned", flush=True)
