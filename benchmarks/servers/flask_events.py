"""The events that every peer answers, for whatever has Flask-SocketIO's API."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from flask import Flask

Handler = Callable[..., Any]


def unchanged(handler: Handler) -> Handler:
    """The handler as it is."""
    return handler


def build(api: ModuleType, namespaces: int, wrap: Callable[[Handler], Handler] = unchanged, **options: Any) -> Any:
    """A Flask application and its SocketIO object; ``wrap`` may turn the handlers into coroutines."""
    app = Flask(__name__)
    socketio = api.SocketIO(app, **options)

    def echo(data: Any) -> None:
        api.emit("echo", data)

    def ack(data: Any) -> Any:
        return data

    def broadcast(data: Any) -> None:
        api.emit("broadcast", data, broadcast=True)

    def join(room: str) -> bool:
        api.join_room(room)
        return True

    def room(name: str, data: Any) -> None:
        api.emit("room", data, to=name)

    for handler in (echo, ack, broadcast, join, room):
        socketio.on_event(handler.__name__, wrap(handler))
    for number in range(namespaces):
        socketio.on_event("echo", wrap(echo), namespace=f"/n{number}")
    return app, socketio


def as_coroutine(handler: Handler) -> Handler:
    """The same handler, as ``async def``."""

    @functools.wraps(handler)
    async def coroutine(*args: Any) -> Any:
        return handler(*args)

    return coroutine
