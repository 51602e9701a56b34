"""Short ways to servers and connections, as eventlet has them."""

import errno
import logging
import os
import sys
from collections.abc import Callable
from socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET
from typing import Any

from . import socket as green_socket
from .hub import current_hub, identity, sleep, throw
from .pool import GreenPool

log = logging.getLogger("greenwire")

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_S = 0.1  # when the process has no descriptor left for a connection


class StopServe(Exception):
    """Raise it in a handler to end :func:`serve`."""


def listen(
    addr: Any,
    family: int = AF_INET,
    backlog: int = 50,
    reuse_addr: bool = True,
    reuse_port: bool = False,
) -> green_socket.socket:
    """A socket that listens on *addr*. A port that somebody listens on already is an error, but with *reuse_port*."""
    sock = green_socket.socket(family, SOCK_STREAM)
    try:
        if reuse_addr and sys.platform != "win32":
            sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(SOL_SOCKET, green_socket.SO_REUSEPORT, 1)
        sock.bind(addr)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def connect(addr: Any, family: int = AF_INET, bind: Any = None) -> green_socket.socket:
    """A socket that is connected to *addr*, from the address *bind* where that is given. May switch."""
    sock = green_socket.socket(family, SOCK_STREAM)
    try:
        if bind is not None:
            sock.bind(bind)
        sock.connect(addr)
    except BaseException:
        sock.close()
        raise
    return sock


def serve(
    sock: green_socket.socket, handle: Callable[[green_socket.socket, Any], object], concurrency: int = 1000
) -> None:
    """Call ``handle(connection, address)`` in a green thread for each connection, until one raises ``StopServe``.

    What a handler raises otherwise is logged, and ends its connection only. May switch.
    """
    _Serving(sock, handle, concurrency).run()


class _Serving:
    """One run of :func:`serve`."""

    def __init__(
        self, sock: green_socket.socket, handle: Callable[[green_socket.socket, Any], object], concurrency: int
    ) -> None:
        self._sock = sock
        self._handle = handle
        self._pool = GreenPool(concurrency)
        self._hub = current_hub()
        self._me = identity()

    def run(self) -> None:
        try:
            while True:
                self._accept()
        except StopServe:
            return

    def _accept(self) -> None:
        try:
            connection, address = self._sock.accept()
        except ConnectionAbortedError:
            return
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            log.error("cannot accept a connection: %s", os.strerror(error.errno or 0))
            sleep(_PAUSE_S)
        else:
            self._pool.spawn_n(self._serve, connection, address)

    def _serve(self, connection: green_socket.socket, address: Any) -> None:
        try:
            self._handle(connection, address)
        except StopServe as stop:
            self._hub.call(throw, self._me, stop, self._hub)
        except BaseException:
            connection.close()
            raise
