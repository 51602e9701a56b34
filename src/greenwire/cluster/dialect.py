"""What the processes that share a message queue say to each other: python-socketio's JSON, to the letter. Pure.

::

    {"method":"emit","event":"e","data":[1],"binary":false,"namespace":"/","room":null,"skip_sid":null,
     "callback":null,"host_id":"H"}
    {"method":"callback","host_id":"<of the one who emitted>","sid":…,"namespace":"/","id":1,"args":[…]}
    {"method":"disconnect","sid":"S","namespace":"/","host_id":"H"}
    {"method":"enter_room","sid":"S","room":"r","namespace":"/","host_id":"H"}      and leave_room
    {"method":"close_room","room":"r","namespace":"/","host_id":"H"}

``data`` is the list of the event's arguments; with ``binary`` it is a list of that list, with placeholders, and the
attachments in base64. That is how python-socketio writes since 5.15.1. Before, ``data`` was what the application gave:
what is no list is one argument then, and a list is several, because nothing tells the two apart. What 5.13 and older
wrote was pickled, and is not read: to unpickle is to run what somebody sent.

Two keys are ours: ``except`` (rooms) and ``volatile``. Others ignore them.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from ..engineio.packet import Outgoing, OutgoingBinary
from ..errors import EncodeError, RemoteProtocolError
from ..socketio.packet import Json, Packet, attach, event_encoder
from ..socketio.rooms import Room
from .messages import CloseRoom, Disconnect, Join, Leave, check_room

# The packet of an event up to its first argument: type, attachments, namespace, ack id, name.
_EVENT = re.compile(rb'4[25](?:[0-9]+-)?(?:/[^,]*,)?[0-9]*\[\s*("(?:[^"\\]|\\.)*")\s*,?')
_JSON = Json()
PICKLED = b"\x80"


@dataclass(frozen=True, slots=True)
class Emit:
    """Send an event to everybody in *rooms*. *callback* is what goes back with each answer, as it came."""

    event: str
    args: list[Any]
    namespace: str
    rooms: tuple[Room, ...] | None
    skip: frozenset[str]
    callback: tuple[Any, Any, Any] | None
    except_rooms: tuple[Room, ...] = ()
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class CallbackArrived:
    """A client has answered the event of this *id*."""

    id: Any
    sid: Any
    namespace: str
    args: list[Any]


Method = Emit | CallbackArrived | Disconnect | Join | Leave | CloseRoom


# --- writing


def emit(
    packet: Outgoing,
    read: Callable[[list[str | bytes]], Packet],
    host_id: str,
    namespace: str,
    rooms: tuple[Room, ...] | None,
    skip: frozenset[str],
    ack_id: int | None,
    except_rooms: tuple[Room, ...] = (),
    volatile: bool = False,
) -> bytes:
    """The message for *packet*, of which nothing is encoded again. *read* is for packets of another wire form."""
    name, args, attachments = _event_of(packet, read)
    if attachments:
        args = b"[%b,%b]" % (args, b",".join(b'"%b"' % b64encode(data) for data in attachments))
    check_rooms(rooms or ())
    check_rooms(except_rooms)
    room = None if rooms is None else rooms[0] if len(rooms) == 1 else rooms
    skipped = sorted(skip)
    ours = {"except": except_rooms, "volatile": volatile} if except_rooms or volatile else {}
    rest = {
        "namespace": namespace,
        "room": room,
        "skip_sid": (skipped[0] if len(skipped) == 1 else skipped) if skipped else None,
        "callback": None if ack_id is None else (room, namespace, ack_id),
        "host_id": host_id,
        **ours,
    }
    binary = b"true" if attachments else b"false"
    head = b'{"method":"emit","event":%b,"data":%b,"binary":%b,' % (name, args, binary)
    return head + _dumps(rest)[1:]


def _event_of(packet: Outgoing, read: Callable[[list[str | bytes]], Packet]) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    """The name of an event, its arguments as JSON, and its attachments."""
    if isinstance(packet, OutgoingBinary):
        packet = event_encoder(_JSON)("/", read([b64decode(packet.parts[0][1:])]).data)
    text, *attachments = packet.parts
    match = _EVENT.match(text)
    if match is None:
        raise EncodeError("this packet is no event")
    return match[1], b"[" + text[match.end() :], tuple(attachments)


def answer(host_id: str, callback: tuple[Any, Any, Any], args: tuple[Any, ...]) -> bytes:
    """A client's answer to an event that another process emitted. Raises :class:`EncodeError`."""
    room, namespace, number = callback
    message = {
        "method": "callback",
        "host_id": host_id,
        "sid": room,
        "namespace": namespace,
        "id": number,
        "args": args,
    }
    return _dumps(message)


def order(message: Disconnect | Join | Leave | CloseRoom, host_id: str) -> bytes:
    """The message that has others do this. Raises :class:`EncodeError`."""
    namespace = message.namespace
    if isinstance(message, Disconnect):
        return _dumps({"method": "disconnect", "sid": message.sid, "namespace": namespace, "host_id": host_id})
    check_rooms((message.room,))
    rest = {"room": message.room, "namespace": namespace, "host_id": host_id}
    if isinstance(message, CloseRoom):
        return _dumps({"method": "close_room", **rest})
    method = "enter_room" if isinstance(message, Join) else "leave_room"
    return _dumps({"method": method, "sid": message.sid, **rest})


def check_rooms(rooms: tuple[Room, ...]) -> None:
    """Raises :class:`EncodeError` for a room whose name would be another one elsewhere."""
    for room in rooms:
        check_room(room)
        if isinstance(room, tuple):  # a list, for everybody else: of rooms
            raise EncodeError(f"room {room!r}: in a message queue a room's name is a text or a number")


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise EncodeError(f"a message queue cannot carry this: {error}") from None


# --- reading


def read(message: bytes | str, own_host_id: str) -> tuple[Method | None, str | None]:
    """What *message* has us do, and the host that sent it.

    ``None`` for what is ours, for others, or unknown. Raises :class:`RemoteProtocolError`.
    """
    try:
        fields = orjson.loads(message)
    except ValueError:
        if isinstance(message, bytes) and message.startswith(PICKLED):
            raise RemoteProtocolError("it is pickled: its sender needs python-socketio 5.14 or newer") from None
        raise RemoteProtocolError("it is not JSON") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("method"), str):
        raise RemoteProtocolError("it has no method")
    host_id = fields.get("host_id")
    if (fields["method"] == "callback") is not (host_id == own_host_id):
        return None, host_id
    reader = _READERS.get(fields["method"])
    try:
        return (reader(fields) if reader is not None else None), host_id
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RemoteProtocolError(f"a field is missing or malformed: {error!r}") from error


def _emit(fields: dict[str, Any]) -> Emit | None:
    event, namespace = fields["event"], fields.get("namespace")
    if not isinstance(event, str) or not isinstance(namespace, str):
        return None
    callback = fields.get("callback")
    return Emit(
        event,
        _args_of(fields["data"], bool(fields.get("binary"))),
        namespace,
        _rooms_of(fields.get("room")),
        frozenset(_several(fields.get("skip_sid"))),
        (callback[0], callback[1], callback[2]) if isinstance(callback, list) and len(callback) == 3 else None,
        _several(fields.get("except")),
        bool(fields.get("volatile")),
    )


def _args_of(data: Any, binary: bool) -> list[Any]:
    if binary:
        data = attach(data[0], [b64decode(part) for part in data[1:]])
    args = data if isinstance(data, list) else [data]
    return [] if args == [None] else args


def _rooms_of(room: Any) -> tuple[Room, ...] | None:
    """A falsy room is everybody, as for its sender."""
    return _several(room) if room else None


def _several(value: Any) -> tuple[Any, ...]:
    """None, one, or a list of them."""
    found = tuple(value) if isinstance(value, list) else () if value is None else (value,)
    hash(found)
    return found


def _callback(fields: dict[str, Any]) -> CallbackArrived:
    args = fields["args"]
    return CallbackArrived(
        fields["id"], fields.get("sid"), _namespace(fields), args if isinstance(args, list) else [args]
    )


def _namespace(fields: dict[str, Any]) -> str:
    return str(fields.get("namespace") or "/")


def _room(fields: dict[str, Any]) -> Room:
    room: Room = fields["room"]
    hash(room)
    return room


_READERS: dict[str, Callable[[dict[str, Any]], Method | None]] = {
    "emit": _emit,
    "callback": _callback,
    "disconnect": lambda fields: Disconnect(str(fields["sid"]), _namespace(fields)),
    "enter_room": lambda fields: Join(str(fields["sid"]), _room(fields), _namespace(fields)),
    "leave_room": lambda fields: Leave(str(fields["sid"]), _room(fields), _namespace(fields)),
    "close_room": lambda fields: CloseRoom(_room(fields), _namespace(fields)),
}
