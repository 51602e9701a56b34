"""A server that closes soon: a client that the machine has kept from speaking before that is no client."""

import socket
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from select import select
from typing import Any

from .waiting import TIMEOUT_S


def asked_in_time(connect: Callable[[], Any], data: bytes, arrived: Collection[Any] = ()) -> Any:
    """A client of ``connect()`` whose *data* was heard: it has an answer to read, or something has *arrived*."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        client = connect()
        with suppress(ConnectionError):
            client.send(data)
            while not arrived and not select([client.sock], [], [], 0.01)[0]:
                assert time.monotonic() < deadline, "neither heard nor closed"
            if arrived or client.sock.recv(1, socket.MSG_PEEK):
                return client
    raise AssertionError("no client was in time")
