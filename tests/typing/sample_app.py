"""An application that uses all of the API. Not run: ``mypy --strict`` passes on it, and the types are what they say."""

from collections.abc import Callable, Hashable
from typing import Any, assert_type

import flask

from greenwire.errors import EncodeError, TimeoutError
from greenwire.flask import (
    ConnectionRefusedError,
    Namespace,
    SocketIO,
    SocketIOTestClient,
    call,
    close_room,
    disconnect,
    emit,
    join_room,
    leave_room,
    rooms,
    send,
)
from greenwire.limits import Limits

app = flask.Flask(__name__)
socketio = SocketIO(
    app,
    cors_allowed_origins=["https://shop.example"],
    async_mode=None,
    ping_interval=(25, 5),
    limits=Limits(threads=64),
    manage_session=False,
)
later = SocketIO()
later.init_app(app, path="/live")


@socketio.on("connect")
def connect(auth: dict[str, str] | None) -> bool | None:
    if auth is None:
        raise ConnectionRefusedError("log in first", {"code": 401})
    return auth.get("token") == "good"


@socketio.on("disconnect")
def gone(reason: str) -> None:
    if reason == socketio.reason.CLIENT_DISCONNECT:
        emit("left", reason, broadcast=True, include_self=False)


@socketio.on("bid", namespace="/auction")
def bid(lot: int, price: float = 0.0) -> str:
    join_room(f"lot {lot}")
    emit("price", {"lot": lot, "price": price}, to=[f"lot {lot}", "watchers"], skip_sid=["x"], callback=answered)
    send("text", to="watchers")
    send({"json": True}, json=True, broadcast=True)
    leave_room(f"lot {lot}", sid="other", namespace="/auction")
    close_room("watchers")
    return "accepted"


@socketio.event
def plain(data: bytes) -> tuple[int, bytes]:
    return len(data), data


@socketio.event(namespace="/auction")
async def slow(data: str) -> None:
    emit("fast", data)


def answered(*answer: object) -> None:
    print(answer)


# Decorators keep the type of what they decorate.
assert_type(bid(1), str)
assert_type(plain(b""), tuple[int, bytes])
checked: Callable[[dict[str, str] | None], bool | None] = connect


class Room(Namespace):
    """Handlers as methods."""

    def on_connect(self) -> None:
        self.emit("members", len(self.rooms(flask.session["sid"])))

    def on_tell(self, name: str, text: str) -> None:
        self.send(text, room=name)
        self.enter_room("sid", name)
        self.disconnect("sid")

    def error(self, error: Exception) -> str:
        return str(error)


socketio.on_namespace(Room("/room"))
socketio.on_event("bid", bid, namespace="/other")


@socketio.on_error("/auction")
def failed(error: Exception) -> dict[str, str]:
    return {"error": str(error)}


@socketio.on_error_default
def failed_elsewhere(error: Exception) -> None:
    disconnect(namespace="/")


assert_type(failed(ValueError()), dict[str, str])


@app.get("/sell/<int:lot>")
def sell(lot: int) -> str:
    socketio.emit("sold", lot, to=f"lot {lot}", namespace="/auction", broadcast=True, include_self=True)
    try:
        price: Any = socketio.call("last word", lot, to="sid", timeout=5)
    except (TimeoutError, EncodeError) as error:
        return str(error)
    return str(price)


def clock(step: float) -> None:
    while True:
        socketio.emit("tick", step)
        socketio.sleep(step)


def ask(sid: str) -> Any:
    return call("question", "why?", to=sid, timeout=1)


def test_bid() -> None:
    client = socketio.test_client(app, namespace="/auction", auth={"token": "good"})
    assert_type(client, SocketIOTestClient)
    assert client.is_connected("/auction")
    assert client.emit("bid", 1, callback=True, namespace="/auction") == "accepted"
    received = client.get_received("/auction")
    assert [each["name"] for each in received] == ["price"]
    client.disconnect("/auction")


if __name__ == "__main__":
    task = socketio.start_background_task(clock, 1.0)
    assert_type(rooms(), list[Hashable])
    socketio.run(app, host="0.0.0.0", port=5000, debug=False)
    task.join()
