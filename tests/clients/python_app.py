"""What the Python clients talk to, and what its handlers have noted."""

from typing import Any

from flask import request

from greenwire.flask import ConnectionRefusedError, SocketIO, call, disconnect, emit, join_room, leave_room, rooms
from support.site import new_socketio
from support.waiting import Log


def make() -> tuple[SocketIO, Log]:
    """The application and its notes."""
    socketio = new_socketio()
    notes = Log()

    @socketio.on("connect")
    def connected(auth: Any) -> None:
        if auth == {"token": "bad"}:
            raise ConnectionRefusedError("no entry", "bad token")
        notes.append(("connect", auth))

    @socketio.on("disconnect")
    def disconnected(reason: str) -> None:
        notes.append(("disconnect", reason, rooms()[0] == request.sid))  # type: ignore[attr-defined]

    @socketio.on("echo")
    def echo(*args: Any) -> Any:
        emit("echo", args)
        return args

    @socketio.on("ask")
    def ask(question: Any) -> Any:
        return ["the client said", call("question", question, timeout=15)]

    @socketio.on("leave me")
    def leave_me() -> None:
        disconnect()

    @socketio.on("join")
    def join(room: str) -> None:
        join_room(room)

    @socketio.on("leave")
    def leave(room: str) -> None:
        leave_room(room)

    @socketio.on("tell")
    def tell(room: str, text: str) -> None:
        emit("told", text, to=room, include_self=False)

    @socketio.on("echo", namespace="/other")
    def other(data: Any) -> Any:
        return {"other": data}

    return socketio, notes
