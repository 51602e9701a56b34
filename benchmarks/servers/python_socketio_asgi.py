"""python-socketio's asyncio server in uvicorn, on uvloop and httptools."""

from typing import Any

import socketio
import uvicorn
from listening import arguments, listening_socket

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def echo(sid: str, data: Any) -> None:
    """Back to the sender."""
    await sio.emit("echo", data, to=sid)


@sio.event
async def ack(sid: str, data: Any) -> Any:
    """Back as the acknowledgement."""
    return data


@sio.event
async def broadcast(sid: str, data: Any) -> None:
    """To everybody."""
    await sio.emit("broadcast", data)


@sio.event
async def join(sid: str, room: str) -> bool:
    """Into a room."""
    await sio.enter_room(sid, room)
    return True


@sio.event
async def room(sid: str, name: str, data: Any) -> None:
    """To everybody in a room."""
    await sio.emit("room", data, to=name)


app = socketio.ASGIApp(sio)
config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning", access_log=False)
uvicorn.Server(config).run(sockets=[listening_socket(arguments().port)])
