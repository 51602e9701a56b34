"""Where an application in another process waits until the test lets it go on."""

import socket

from .waiting import TIMEOUT_S


class Gate:
    """``with Gate() as gate:``. Who connects to ``gate.port``, and reads, stands before it until ``open``."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT_S)
        self._standing: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.path = f"/wait?gate={self.port}"  # what the applications of the tests serve

    def arrived(self, count: int = 1) -> None:
        """Wait until *count* more stand before it."""
        for _ in range(count):
            self._standing.append(self._listener.accept()[0])

    def open(self) -> None:
        """Let go on who stands there."""
        while self._standing:
            self._standing.pop().close()

    def __enter__(self) -> "Gate":
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
        self._listener.close()
