"""What the workers of one machine say to each other, and the bytes that it is. Pure.

A message is a frame::

    length of all that follows   4 bytes   |  server   1 byte  |  kind   1 byte  |  parts   2 bytes
    length of each part          4 bytes each
    the parts: the fields as a JSON list, then binary data as it is

The kinds are those of every Socket.IO cluster (an initial and a last word; broadcast, with acknowledgement or not, who
will answer and each answer; join, leave, close a room, disconnect; question and reply). There is no heartbeat: when a
process of the same machine ends, the kernel says so by closing its socket.

What a user's value is carried in is JSON with attachments, as on the way to a client. Rooms are compared by value on
the other side: they have to be texts, numbers, or tuples of these.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import orjson

from ..errors import EncodeError, RemoteProtocolError
from ..socketio.json import dumps
from ..socketio.packet import attach
from ..socketio.rooms import Room

Parts = tuple[bytes, ...]

_HEAD = struct.Struct(">IBBH")
_AFTER_LENGTH = _HEAD.size - 4


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a connection: who speaks. *number* is that of the worker."""

    number: int


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The last one: this worker ends."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send *parts*, a packet and its attachments. With an *ack_id* the answers are wanted."""

    parts: Parts
    namespace: str
    rooms: tuple[Room, ...] | None
    skip: tuple[str, ...] = ()
    ack_id: int | None = None
    except_rooms: tuple[Room, ...] = ()
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class Expecting:
    """The broadcast went to these clients of mine; each will have answered, or left."""

    ack_id: int
    sids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A client's acknowledgement; *parts* is the packed list of its arguments."""

    parts: Parts
    ack_id: int
    sid: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The client has left without one."""

    ack_id: int
    sid: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Nobody waits for these answers any more."""

    ack_id: int
    namespace: str
    rooms: tuple[Room, ...] | None


@dataclass(frozen=True, slots=True)
class Join:
    """Put a client of yours into *room*."""

    sid: str
    room: Room
    namespace: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Take a client of yours out of *room*."""

    sid: str
    room: Room
    namespace: str


@dataclass(frozen=True, slots=True)
class CloseRoom:
    """Take everybody out of *room*."""

    room: Room
    namespace: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Put a client of yours out of *namespace*."""

    sid: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Ask:
    """The rooms of the client *sid*; without one all clients, of *namespace* or of all."""

    question: int
    namespace: str | None
    sid: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer, packed; no parts: there is no such client."""

    parts: Parts
    question: int


Message = (
    Hello
    | Goodbye
    | Broadcast
    | Expecting
    | Answered
    | Unanswered
    | Forget
    | Join
    | Leave
    | CloseRoom
    | Disconnect
    | Ask
    | Reply
)
KINDS: tuple[type[Any], ...] = (
    Hello,
    Goodbye,
    Broadcast,
    Expecting,
    Answered,
    Unanswered,
    Forget,
    Join,
    Leave,
    CloseRoom,
    Disconnect,
    Ask,
    Reply,
)
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_FIELDS = {kind: tuple(field.name for field in fields(kind) if field.name != "parts") for kind in KINDS}
_HAS_PARTS = frozenset(kind for kind in KINDS if "parts" in {field.name for field in fields(kind)})


def encode(message: Message, server: int = 0) -> bytes:
    """The bytes of *message* for the *server* of this number. Raises :class:`EncodeError` for a room that has none."""
    kind = message.__class__
    values = [getattr(message, name) for name in _FIELDS[kind]]
    for name, value in zip(_FIELDS[kind], values, strict=True):
        if name in ("room", "rooms", "except_rooms"):
            check_room(value)
    try:
        head = orjson.dumps(values)
    except TypeError as error:
        raise EncodeError(f"other workers cannot be told of this: {error}") from None
    parts = (head, *message.parts) if kind in _HAS_PARTS else (head,)  # type: ignore[union-attr]
    lengths = [len(part) for part in parts]
    length = _AFTER_LENGTH + 4 * len(parts) + sum(lengths)
    return b"".join(
        (_HEAD.pack(length, server, _NUMBERS[kind], len(parts)), struct.pack(f">{len(parts)}I", *lengths), *parts)
    )


def check_room(room: Any) -> None:
    """Raises :class:`EncodeError` for a room's name that would be another one elsewhere."""
    if isinstance(room, tuple):
        for each in room:
            check_room(each)
    elif room is not None and not isinstance(room, str | int | float):
        raise EncodeError(f"room {room!r}: other processes know rooms whose names are texts, numbers or tuples of them")


def decode(body: bytes) -> tuple[int, Message]:
    """Server and message of a frame without its length. Raises :class:`RemoteProtocolError`."""
    try:
        server, number, count = struct.unpack_from(">BBH", body)
        kind = KINDS[number]
        lengths = struct.unpack_from(f">{count}I", body, 4)
        at = 4 + 4 * count
        if not count or at + sum(lengths) != len(body):
            raise RemoteProtocolError("the parts of a message do not make up its length")
        parts = []
        for length in lengths:
            parts.append(body[at : at + length])
            at += length
        values = dict(zip(_FIELDS[kind], map(tuples, orjson.loads(parts[0])), strict=True))
        if kind in _HAS_PARTS:
            values["parts"] = tuple(parts[1:])
        return server, kind(**values)
    except (struct.error, ValueError, IndexError, TypeError) as error:
        raise RemoteProtocolError(f"what another worker says makes no sense: {error}") from error


def tuples(value: Any) -> Any:
    """A list was a tuple: what can be a field, or the name of a room, is hashable."""
    return tuple(map(tuples, value)) if isinstance(value, list) else value


class Reader:
    """Bytes to messages. One larger than *max_bytes* is a :class:`RemoteProtocolError`."""

    def __init__(self, max_bytes: int) -> None:
        self._buffer = bytearray()
        self._max_bytes = max_bytes

    def feed(self, data: bytes) -> Iterator[tuple[int, Message]]:
        """The messages that have become complete, each with the number of its server."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 4:
            end = 4 + int.from_bytes(buffer[:4], "big")
            if end > self._max_bytes:
                raise RemoteProtocolError(f"a message of {end} bytes (limit 'worker_message_bytes')")
            if len(buffer) < end:
                return
            body = bytes(buffer[4:end])
            del buffer[:end]
            yield decode(body)


def pack(value: Any) -> Parts:
    """A user's value as JSON and attachments. Raises :class:`EncodeError`."""
    attachments: list[bytes] = []

    def default(item: Any) -> Any:
        if not isinstance(item, bytes | bytearray | memoryview):
            raise TypeError(f"{type(item).__name__} has no JSON form")
        attachments.append(bytes(item))
        return {"_placeholder": True, "num": len(attachments) - 1}

    try:
        text = dumps(value, default)
    except (TypeError, ValueError, RecursionError) as error:
        raise EncodeError(f"other processes cannot be told of this: {error}") from error
    return (text, *attachments)


def unpack(parts: Parts) -> Any:
    """The value that was packed. Raises :class:`RemoteProtocolError`."""
    try:
        return attach(orjson.loads(parts[0]), list(parts[1:]))
    except (ValueError, IndexError) as error:
        raise RemoteProtocolError("a value from another process is malformed") from error
