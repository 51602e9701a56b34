"""What the clients of node_cases.mjs talk to."""

import threading
from typing import Any

from flask import request

from greenwire.errors import TimeoutError
from greenwire.flask import ConnectionRefusedError, SocketIO, call, disconnect, emit, join_room, leave_room, send
from greenwire.limits import Limits
from support.site import new_socketio

MAX_PAYLOAD = 100_000


def make() -> SocketIO:
    """An application with handlers for all cases."""
    socketio = new_socketio(
        max_http_buffer_size=MAX_PAYLOAD, namespaces=["/plain"], limits=Limits(graceful_s=5.0), cors_allowed_origins="*"
    )
    _echoes(socketio)
    _acknowledgements(socketio)
    _connecting(socketio)
    _leaving(socketio)
    _rooms(socketio)
    _counting(socketio)
    return socketio


def _echoes(socketio: SocketIO) -> None:
    @socketio.on("echo")
    def echo(*args: Any) -> Any:
        emit("echo", args)
        return args

    @socketio.on("message")
    def message(data: Any) -> None:
        send(data)

    @socketio.on("reversed")
    def reverse(data: bytes) -> bytes:
        return data[::-1]

    @socketio.on("blobs")
    def blobs(size: int) -> None:
        emit("blobs", {"first": bytes(size), "list": [b"\x01", {"deep": b"\x02\x03"}], "text": "é"})


def _acknowledgements(socketio: SocketIO) -> None:
    @socketio.on("nothing")
    def nothing() -> None:
        return None

    @socketio.on("two")
    def two() -> tuple[int, dict[str, None]]:
        return 1, {"k": None}

    @socketio.on("fails")
    def fails() -> None:
        raise ValueError("as it should")

    @socketio.on("ask back")
    def ask_back(question: Any) -> Any:
        return call("question", question, timeout=15)

    @socketio.on("ask in vain")
    def ask_in_vain() -> str:
        try:
            call("unanswered", timeout=0.05)
        except TimeoutError:
            return "timeout"
        return "answered"

    @socketio.on("ask later")
    def ask_later() -> None:
        def answered(*args: Any) -> None:
            emit("answered", (request.sid, *args))  # type: ignore[attr-defined]

        emit("question", "later", callback=answered)


def _connecting(socketio: SocketIO) -> None:
    @socketio.on("connect", namespace="/door")
    def knock(auth: Any) -> Any:
        emit("before", "the answer")
        match auth and auth.get("key"):
            case "gold":
                emit("welcome", auth)
                return None
            case "false":
                return False
            case "crash":
                raise RuntimeError("a bug of the application")
            case "bare":
                raise ConnectionRefusedError
            case key:
                raise ConnectionRefusedError("wrong key", {"key": key})

    @socketio.on("headers")
    def headers() -> tuple[Any, ...]:
        return request.args.get("token"), request.headers.get("X-Probe"), request.path


def _leaving(socketio: SocketIO) -> None:
    left: list[Any] = []

    @socketio.on("kick me")
    @socketio.on("kick me", namespace="/other")
    def kick() -> None:
        disconnect()

    @socketio.on("who left")
    def who_left() -> list[Any]:
        return left

    @socketio.on("disconnect")
    def gone(reason: str) -> None:
        left.append([request.sid, reason])  # type: ignore[attr-defined]

    slow = threading.Event()

    @socketio.on("disconnect", namespace="/slow")
    def slowly_gone() -> None:
        slow.wait(0.15)

    @socketio.on("kick me", namespace="/slow")
    def slow_kick() -> None:
        disconnect()

    @socketio.on("drop me")
    def drop() -> None:
        member = request.greenwire_member  # type: ignore[attr-defined]
        service = socketio._service
        assert service is not None
        service.loop.post(member.client.peer.socket.abort)

    @socketio.on("echo", namespace="/other")
    def echo(data: Any) -> Any:
        return ["other", data]


def _rooms(socketio: SocketIO) -> None:
    @socketio.on("join")
    def join(room: str) -> None:
        join_room(room)
        emit("joined", request.sid, to=room)  # type: ignore[attr-defined]

    @socketio.on("leave")
    def leave(room: str) -> None:
        leave_room(room)

    @socketio.on("tell")
    def tell(room: str | None, text: str, include_self: bool) -> None:
        emit("told", text, to=room, broadcast=room is None, include_self=include_self)


def _counting(socketio: SocketIO) -> None:
    seen: dict[str, list[int]] = {}

    @socketio.on("count to")
    def count_to(number: int) -> None:
        for n in range(number):
            emit("number", n)

    @socketio.on("number")
    async def number(n: int) -> None:  # a coroutine: in the order of arrival
        seen.setdefault(request.sid, []).append(n)  # type: ignore[attr-defined]

    @socketio.on("numbers")
    async def numbers() -> list[int]:
        return seen.pop(request.sid, [])  # type: ignore[attr-defined]
