"""A Unix socket on which one worker hears the others: where it lies, how it accepts, and its end."""

import socket
from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigurationError
from ..loop import Loop
from ..quiet import QuietLog


class Listener:
    """At *path*; what stands there is of a worker that had our number, and is dead. Loop thread only.

    Each connection goes to *on_socket*. Where it cannot accept it says that it cannot do *what*, and rests *pause_s*.
    """

    def __init__(
        self,
        path: Path,
        backlog: int,
        loop: Loop,
        quiet: QuietLog,
        what: str,
        pause_s: float,
        on_socket: Callable[[socket.socket], object],
    ) -> None:
        self._path = path
        self._loop = loop
        self._quiet = quiet
        self._what = what
        self._pause_s = pause_s
        self._on_socket = on_socket
        self._sock: socket.socket | None = _bound(path, backlog)
        self._resume()

    def _resume(self) -> None:
        if self._sock is not None:
            self._loop.aio.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        while self._sock is not None:
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._quiet.warning(self._what, "cannot %s: %s", self._what, error)
                self._loop.aio.remove_reader(self._sock.fileno())  # else it would be told again, every turn
                self._loop.call_later(self._pause_s, self._resume)
                return
            sock.setblocking(False)
            self._on_socket(sock)

    def hide(self) -> None:
        """Nobody finds it any more; who has found it already is accepted now."""
        if self._sock is not None:
            self._path.unlink(missing_ok=True)
            self._accept()

    def close(self) -> None:
        """Accept nothing more."""
        if self._sock is not None:
            self._path.unlink(missing_ok=True)
            self._loop.aio.remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None


def _bound(path: Path, backlog: int) -> socket.socket:
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(str(path))
    except OSError as error:
        sock.close()
        raise ConfigurationError(f"workers cannot meet at {path}: {error}; does a shorter TMPDIR help?") from None
    sock.listen(backlog)
    sock.setblocking(False)
    return sock
