"""granian with one worker. It does not say which port it was given, so it gets one that was free."""

import contextlib
import socket
import threading
import time

from granian import Granian
from listening import announce, arguments


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def announce_when_open(port: int) -> None:
    """Knock until somebody opens."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            announce(port)
            return
        time.sleep(0.02)


if __name__ == "__main__":
    port = arguments().port or free_port()
    threading.Thread(target=announce_when_open, args=(port,), daemon=True).start()
    Granian("wsgi_app:app", address="127.0.0.1", port=port, interface="wsgi", workers=1, log_enabled=False).serve()
