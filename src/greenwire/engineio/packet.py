"""Engine.IO v4 packets. Pure.

A packet is one character of type and its data; a binary message has no type digit. On a WebSocket each packet
is one message. In a polling payload packets are joined by the record separator U+001E, and a binary message is
``b`` and standard base64 (Engine.IO protocol 4, "HTTP long-polling").
"""

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error

from ..errors import RemoteProtocolError
from ..websocket.frame import binary_frame, text_frame

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0123456"
SEPARATOR = b"\x1e"
PROBE = "2probe"


class Outgoing:
    """A packet on its way out, encoded once for each wire form and shared by all who receive it.

    ``frame`` is made at once, in the thread that emits. It holds one WebSocket frame, and one more for each
    attachment, in one ``bytes``: nothing can come between a packet and its attachments. ``payload``, the
    polling form, is made when the first polling client asks for it.
    """

    __slots__ = ("_attachments", "_packet", "_payload", "frame")

    def __init__(self, packet: bytes, attachments: tuple[bytes, ...] = ()) -> None:
        self._packet = packet
        self._attachments = attachments
        self._payload: bytes | None = None
        frame = text_frame(packet)
        if attachments:
            frame = b"".join((frame, *map(binary_frame, attachments)))
        self.frame = frame

    @property
    def count(self) -> int:
        """How many Engine.IO packets it is."""
        return 1 + len(self._attachments)

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The packet and its attachments, for another process: :func:`outgoing` makes an equal one of them."""
        return (self._packet, *self._attachments)

    @property
    def payload(self) -> bytes:
        """The packet and its attachments for a polling payload."""
        if self._payload is None:
            parts = (self._packet, *(b"b" + b64encode(data) for data in self._attachments))
            self._payload = SEPARATOR.join(parts)
        return self._payload

    def __repr__(self) -> str:
        return f"<Outgoing {self._packet[:60]!r} +{len(self._attachments)}>"


class OutgoingBinary(Outgoing):
    """A single binary message: no packet before it."""

    __slots__ = ()

    def __init__(self, data: bytes) -> None:
        self._packet = b"b" + b64encode(data)
        self._attachments = ()
        self._payload = None
        self.frame = binary_frame(data)


def outgoing(parts: tuple[bytes, ...]) -> Outgoing:
    """What had these :attr:`~Outgoing.parts`."""
    packet = parts[0]
    return OutgoingBinary(b64decode(packet[1:])) if packet[:1] == b"b" else Outgoing(packet, parts[1:])


def message(data: str | bytes) -> Outgoing:
    """A message packet for text or binary *data*."""
    if isinstance(data, str):
        return Outgoing(b"4" + data.encode())
    return OutgoingBinary(bytes(data))


PING_PACKET = Outgoing(b"2")
CLOSE_PACKET = Outgoing(b"1")
NOOP_PACKET = Outgoing(b"6")
PROBE_REPLY = Outgoing(b"3probe")


def open_packet(
    sid: str, *, upgrades: list[str], ping_interval_s: float, ping_timeout_s: float, max_payload_bytes: int
) -> Outgoing:
    """The handshake. Intervals are advertised in whole milliseconds, also those below a second."""
    handshake = {
        "sid": sid,
        "upgrades": upgrades,
        "pingInterval": round(ping_interval_s * 1000),
        "pingTimeout": round(ping_timeout_s * 1000),
        "maxPayload": max_payload_bytes,
    }
    return Outgoing(b"0" + json.dumps(handshake, separators=(",", ":")).encode())


def decode_payload(body: bytes) -> list[str | bytes]:
    """The packets of a POST body: ``str`` with its type digit, or ``bytes`` for a binary message.

    Raises :class:`RemoteProtocolError` where any of them is not a packet.
    """
    return [_decode(part) for part in body.split(SEPARATOR)]


def _decode(part: bytes) -> str | bytes:
    try:
        if part[:1] == b"b":
            return b64decode(part[1:], validate=True)
        packet = part.decode()
    except (UnicodeDecodeError, Base64Error) as error:
        raise RemoteProtocolError("a packet is neither UTF-8 text nor base64") from error
    if packet[:1] not in "0123456" or not packet:
        raise RemoteProtocolError("unknown packet type")
    return packet
