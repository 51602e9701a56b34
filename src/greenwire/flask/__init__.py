"""Flask-SocketIO's API on Greenwire: change ``from flask_socketio import …`` to ``from greenwire.flask import …``."""

from ..errors import ConnectionRefusedError
from .extension import Connection, SocketIO
from .functions import call, close_room, disconnect, emit, join_room, leave_room, rooms, send
from .namespace import Namespace
from .testing import SocketIOTestClient

__all__ = [
    "Connection",
    "ConnectionRefusedError",
    "Namespace",
    "SocketIO",
    "SocketIOTestClient",
    "call",
    "close_room",
    "disconnect",
    "emit",
    "join_room",
    "leave_room",
    "rooms",
    "send",
]
