"""Greenwire's Socket.IO server without Flask; ``--runner`` says what the handlers run in: threads, green, coroutine."""

from __future__ import annotations

from typing import Any

from flask_events import as_coroutine, unchanged
from listening import arguments

import greenwire
from greenwire.engineio.options import Options
from greenwire.socketio.server import Server
from greenwire.stack import SocketIOMount

given = arguments("runner")
server = Server()
wrap = as_coroutine if given.runner == "coroutine" else unchanged


def echo(sid: str, data: Any) -> None:
    """Back to the sender."""
    server.emit("echo", data, to=sid)


def ack(sid: str, data: Any) -> Any:
    """Back as the acknowledgement."""
    return data


def broadcast(sid: str, data: Any) -> None:
    """To everybody."""
    server.emit("broadcast", data)


def join(sid: str, room: str) -> bool:
    """Into a room."""
    server.enter_room(sid, room)
    return True


def room(sid: str, name: str, data: Any) -> None:
    """To everybody in a room."""
    server.emit("room", data, to=name)


for handler in (echo, ack, broadcast, join, room):
    server.on(handler.__name__)(wrap(handler))
mount = SocketIOMount(server, "/socket.io/", Options())
greenwire.serve(mounts=[mount], host="127.0.0.1", port=given.port, green=given.runner == "green")
