"""Socket.IO v5 packets: ``<type>[<attachments>-][<namespace>,][<ack id>][JSON]``. Pure.

Types 0 CONNECT, 1 DISCONNECT, 2 EVENT, 3 ACK, 4 CONNECT_ERROR, 5 BINARY_EVENT, 6 BINARY_ACK. A binary packet
has ``{"_placeholder":true,"num":n}`` where its attachments belong, and is followed by them, in order.

Nothing is scanned for binary data. JSON is tried first; only what it refuses is looked at, and bytes are what
it refuses first.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from ..engineio.packet import Outgoing
from ..errors import EncodeError, RemoteProtocolError
from .json import dumps as dumps_json
from .json import loads as loads_json
from .json import plain as plain_json

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = "0123456"
_SHORT_HEADERS = {kind: f"4{kind}".encode() for kind in "0123456"}  # of the namespace `/`, without ack id

# The comma after the namespace is optional where nothing follows (`40/foo`). A query is not part of its name.
_HEADER = re.compile(r"([0-6])(?:([0-9]+)-)?(?:(/[^,?]*)(?:\?[^,]*)?(?:,|$))?([0-9]*)", re.ASCII)


class Codec(Protocol):
    """JSON in and out."""

    def plain(self, value: Any, /) -> bytes:
        """The fast way, for what is JSON already. Raises for all else."""

    def dumps(self, value: Any, default: Callable[[Any], Any]) -> bytes:
        """Calls *default* for what it cannot encode. Raises ``TypeError`` or ``ValueError``."""

    def loads(self, text: str) -> Any:
        """Raises ``ValueError``."""


class Json:
    """The built-in codec."""

    plain = staticmethod(plain_json)
    dumps = staticmethod(dumps_json)
    loads = staticmethod(loads_json)


class Packet(NamedTuple):
    """One decoded packet; *data* is what stands behind the header."""

    type: str
    namespace: str
    ack_id: int | None
    attachments: int
    data: Any


# --- encoding

UNBOUNDED = 1_000_000  # attachments: no packet has so many

Encode = Callable[..., Outgoing]  # (namespace, args, ack_id=None): raises EncodeError


def event_encoder(codec: Codec, most: int = UNBOUNDED) -> Encode:
    """Makes EVENT or BINARY_EVENT, with *most* attachments; ``args[0]`` is the name."""
    return partial(_encode, codec, EVENT, BINARY_EVENT, most)


def ack_encoder(codec: Codec, most: int = UNBOUNDED) -> Encode:
    """Makes ACK or BINARY_ACK, likewise."""
    return partial(_encode, codec, ACK, BINARY_ACK, most)


def encode_connect(codec: Codec, namespace: str, sid: str) -> Outgoing:
    """The server's answer to CONNECT."""
    return _encode(codec, CONNECT, CONNECT, 0, namespace, {"sid": sid})


def encode_connect_error(codec: Codec, namespace: str, payload: Any) -> Outgoing:
    """The refusal of a CONNECT. Raises :class:`EncodeError`."""
    return _encode(codec, CONNECT_ERROR, CONNECT_ERROR, 0, namespace, payload)


def encode_disconnect(namespace: str) -> Outgoing:
    """The server disconnects the client from *namespace*."""
    return Outgoing(b"41" if namespace == "/" else f"41{namespace},".encode())


_UNENCODABLE = (TypeError, ValueError, RecursionError)


def _encode(
    codec: Codec, plain: str, binary: str, most: int, namespace: str, data: Any, ack_id: int | None = None
) -> Outgoing:
    attachments: tuple[bytes, ...] = ()
    try:
        body = codec.plain(data)
    except _UNENCODABLE:
        body, attachments = _take_attachments(codec, data)
        if attachments and plain == binary:
            raise EncodeError("cannot send bytes here: only events and acknowledgements may hold binary data") from None
        if len(attachments) > most:
            raise EncodeError(
                f"cannot send {len(attachments)} binary values in one packet: clients take {most} "
                "(limit 'attachments_sent'); send several events, or join them"
            ) from None
    if namespace == "/" and ack_id is None and not attachments:  # nearly always
        return Outgoing(_SHORT_HEADERS[plain] + body)
    header = f"4{binary}{len(attachments)}-" if attachments else "4" + plain
    if namespace != "/":
        header += namespace + ","
    if ack_id is not None:
        header += str(ack_id)
    return Outgoing(header.encode() + body, attachments)


def _take_attachments(codec: Codec, data: Any) -> tuple[bytes, tuple[bytes, ...]]:
    """*data* as JSON, with placeholders for binary data, which is given beside it."""
    attachments: list[bytes] = []
    # By identity: the codec may ask twice for one object, and one may stand twice. The object is kept with its
    # number, else another could come to live at its address.
    numbers: dict[int, tuple[int, Any]] = {}

    def default(value: Any) -> Any:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(f"{type(value).__name__} has no JSON form")
        number, _ = numbers.setdefault(id(value), (len(attachments), value))
        if number == len(attachments):
            attachments.append(bytes(value))
        return {"_placeholder": True, "num": number}

    try:
        return codec.dumps(data, default), tuple(attachments)
    except _UNENCODABLE as error:
        raise EncodeError(f"cannot send this: {error}") from error


# --- decoding


def decode(codec: Codec, text: str, max_attachments: int, max_ack_digits: int) -> Packet:
    """One text packet. Raises :class:`RemoteProtocolError`."""
    match = _HEADER.match(text)
    if match is None:
        raise RemoteProtocolError("unknown Socket.IO packet type")
    kind, count, namespace, ack_digits = match.groups()
    binary = kind in (BINARY_EVENT, BINARY_ACK)
    if (count is not None) != binary:
        raise RemoteProtocolError("attachments are counted in binary packets, and only there")
    # Digits are measured before they are converted: int() of a long string takes quadratic time.
    if binary and (len(count) > 4 or not 0 < int(count) <= max_attachments):
        raise RemoteProtocolError(f"a packet may have 1 to {max_attachments} attachments")
    if len(ack_digits) > max_ack_digits:
        raise RemoteProtocolError("the acknowledgement id is too long")
    rest = text[match.end() :]
    try:
        data = codec.loads(rest) if rest else None
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("a packet's JSON is malformed") from error
    packet = Packet(kind, namespace or "/", int(ack_digits) if ack_digits else None, int(count) if binary else 0, data)
    _check(packet, bool(rest))
    return packet


def _check(packet: Packet, has_data: bool) -> None:
    kind, data = packet.type, packet.data
    if kind == CONNECT:
        good = not has_data or isinstance(data, dict)
    elif kind == DISCONNECT:
        good = not has_data
    elif kind in (EVENT, BINARY_EVENT):
        good = isinstance(data, list) and bool(data) and isinstance(data[0], (str, int))
    elif kind in (ACK, BINARY_ACK):
        good = isinstance(data, list) and packet.ack_id is not None
    else:
        good = False  # CONNECT_ERROR comes from servers only
    if not good:
        raise RemoteProtocolError("a packet's payload does not fit its type")


def attach(data: Any, attachments: list[bytes]) -> Any:
    """*data*, fresh from the decoder, with its placeholders replaced in place.

    Raises :class:`RemoteProtocolError` for one without attachment. Not recursive: JSON may be deeper than
    Python's stack.
    """
    top = [data]
    containers: list[Any] = [top]
    while containers:
        container = containers.pop()
        for key, value in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(value, dict) and value.get("_placeholder") is True:
                container[key] = _attachment(value.get("num"), attachments)
            elif isinstance(value, dict | list):
                containers.append(value)
    return top[0]


def _attachment(number: Any, attachments: list[bytes]) -> bytes:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(attachments):
        raise RemoteProtocolError("a placeholder names an attachment that does not exist")
    return attachments[number]
