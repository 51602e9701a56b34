"""``serializer="msgpack"``: packets as socket.io-msgpack-parser writes them. The one file that imports ``msgpack``.

Each packet is one binary Engine.IO message: a map of ``type``, ``nsp``, ``data`` and ``id``, binary data inline, so
there are no types 5 and 6. A key without a value is left out: an ``id`` of nil makes the JavaScript side close. It
writes ``undefined`` as extension type 0 with one byte, and a ``Date`` as type 0 with eight, milliseconds as an
integer (notepack 2).
"""

import dataclasses
import datetime
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import msgpack  # type: ignore[import-untyped]

from ..engineio.packet import Outgoing, OutgoingBinary
from ..errors import EncodeError, RemoteProtocolError
from ..limits import Limits
from .client import Client, Incoming
from .packet import ACK, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT, Encode, Json, Packet

_TYPES = frozenset((CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR))
_DEPTH_ERRORS = (ValueError, TypeError, RecursionError, OverflowError)


def encode(kind: str, namespace: str, data: Any = None, ack_id: int | None = None) -> Outgoing:
    """One packet. Raises :class:`EncodeError`."""
    packet: dict[str, Any] = {"type": int(kind), "nsp": namespace}
    if data is not None:
        packet["data"] = data
    if ack_id is not None:
        packet["id"] = ack_id
    try:
        return OutgoingBinary(msgpack.packb(packet, default=_plain))
    except _DEPTH_ERRORS as error:
        raise EncodeError(f"cannot send this: {error}") from error


def decode(data: bytes) -> Packet:
    """One packet. Raises :class:`RemoteProtocolError`."""
    try:
        packet = msgpack.unpackb(data, raw=False, strict_map_key=False, ext_hook=_extension)
    except Exception as error:  # msgpack has a dozen kinds of its own
        raise RemoteProtocolError("a packet is not msgpack") from error
    if not isinstance(packet, dict):
        raise RemoteProtocolError("a packet is a map")
    kind, namespace, ack_id = str(packet.get("type")), packet.get("nsp"), packet.get("id")
    if kind not in _TYPES or not isinstance(namespace, str) or namespace[:1] != "/":
        raise RemoteProtocolError("a packet has a type from 0 to 4 and a namespace")
    if ack_id is not None and (type(ack_id) is not int or ack_id < 0):
        raise RemoteProtocolError("an acknowledgement id is a number")
    return Packet(kind, namespace.partition("?")[0], ack_id, 0, packet.get("data"))


def _accept(namespace: str, sid: str) -> Outgoing:
    return encode(CONNECT, namespace, {"sid": sid})


class MsgpackWire:
    """The wire form."""

    def __init__(self) -> None:
        self.event: Encode = partial(encode, EVENT)
        self.ack: Encode = partial(encode, ACK)
        self.refusal: Callable[[str, Any], Outgoing] = partial(encode, CONNECT_ERROR)
        self.disconnect: Callable[[str], Outgoing] = partial(encode, DISCONNECT)
        self.connect: Callable[[str, str], Outgoing] = _accept

    def client(self, peer: Any, limits: Limits) -> Client:
        return MsgpackClient(peer, Json, limits)

    def bound_by(self, limits: Limits) -> None:
        """Binary data are values like any others here, in as many places as one likes."""

    def request(self, namespace: str, auth: Any) -> Outgoing:
        return encode(CONNECT, namespace, auth)

    def read(self, parts: Sequence[str | bytes]) -> Packet:
        (data,) = parts
        if isinstance(data, str):
            raise RemoteProtocolError("a text packet came where msgpack was expected")
        return decode(data)


class MsgpackClient(Client):
    """Reads packets that are msgpack."""

    __slots__ = ()

    def receive(self, payload: str | bytes) -> Incoming | None:
        if isinstance(payload, str):
            raise RemoteProtocolError("a text packet came where msgpack was expected")
        packet = decode(bytes(payload))
        data = packet.data
        good = {
            CONNECT: data is None or isinstance(data, dict),
            DISCONNECT: data is None,
            EVENT: isinstance(data, list) and bool(data) and type(data[0]) in (str, int),
            ACK: isinstance(data, list) and packet.ack_id is not None,
        }
        if not good.get(packet.type, False):
            raise RemoteProtocolError("a packet's payload does not fit its type")
        return self._packet(packet)


def _extension(code: int, data: bytes) -> Any:
    if code == 0 and len(data) == 8:
        milliseconds: int = struct.unpack(">q", data)[0]
        return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return None if code == 0 else msgpack.ExtType(code, data)


def _plain(value: Any) -> Any:
    """A form for what msgpack has none for: that which JSON packets have."""
    match value:
        case tuple() | set() | frozenset():
            return list(value)
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "tolist"):  # a number or an array of numpy's
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no msgpack form")
