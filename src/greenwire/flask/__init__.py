"""Flask-SocketIO's API on Greenwire: change ``from flask_socketio import …`` to ``from greenwire.flask import …``."""

from ..errors import ConnectionRefusedError
from .extension import SocketIO
from .functions import call, close_room, disconnect, emit, join_room, leave_room, rooms, send

__all__ = [
    "ConnectionRefusedError",
    "SocketIO",
    "call",
    "close_room",
    "disconnect",
    "emit",
    "join_room",
    "leave_room",
    "rooms",
    "send",
]
