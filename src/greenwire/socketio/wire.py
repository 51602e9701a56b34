"""The wire form of packets: what turns them into what Engine.IO carries, and back.

There are two: text with attachments (packet.py, the default), and msgpack (msgpack.py). Which one is decided when
a server is made. The members that encode are plain callables: they are on the path of every emit.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from ..engineio.packet import Outgoing
from ..errors import RemoteProtocolError
from ..limits import Limits
from .client import Client
from .packet import (
    CONNECT,
    CONNECT_ERROR,
    Codec,
    Encode,
    Packet,
    ack_encoder,
    attach,
    decode,
    encode_connect,
    encode_connect_error,
    encode_disconnect,
    event_encoder,
)

_NO_LIMIT = 1_000  # of attachments and digits, in what our own server has sent


class Wire(Protocol):
    """One wire form. The encoders raise :class:`greenwire.errors.EncodeError`."""

    event: Encode  # (namespace, args, ack_id=None); args[0] is the name
    ack: Encode
    connect: Callable[[str, str], Outgoing]  # (namespace, sid): the answer of a server
    refusal: Callable[[str, Any], Outgoing]  # (namespace, payload): CONNECT_ERROR
    disconnect: Callable[[str], Outgoing]

    def client(self, peer: Any, limits: Limits) -> Client:
        """What reads the packets of a client."""

    def bound_by(self, limits: Limits) -> None:
        """From now on nothing is encoded that *limits* forbid."""

    # --- the other side: for test clients

    def request(self, namespace: str, auth: Any) -> Outgoing:
        """The CONNECT packet of a client."""

    def read(self, parts: Sequence[str | bytes]) -> Packet:
        """A server's packet, from the payloads of the Engine.IO messages that it came in."""


class JsonWire:
    """Text, with binary data in attachments."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.event: Encode = event_encoder(codec)
        self.ack: Encode = ack_encoder(codec)
        self.connect: Callable[[str, str], Outgoing] = partial(encode_connect, codec)
        self.refusal: Callable[[str, Any], Outgoing] = partial(encode_connect_error, codec)
        self.disconnect: Callable[[str], Outgoing] = encode_disconnect

    def client(self, peer: Any, limits: Limits) -> Client:
        return Client(peer, self._codec, limits)

    def bound_by(self, limits: Limits) -> None:
        most = limits.attachments_sent
        self.event = event_encoder(self._codec, most)
        self.ack = ack_encoder(self._codec, most)

    def request(self, namespace: str, auth: Any) -> Outgoing:
        body = b"" if auth is None else self._codec.dumps(auth, _no_form)
        return Outgoing(("40" if namespace == "/" else f"40{namespace},").encode() + body)

    def read(self, parts: Sequence[str | bytes]) -> Packet:
        text, *attachments = parts
        if not isinstance(text, str):
            raise RemoteProtocolError("an attachment came without a packet")
        if text[:1] == CONNECT_ERROR:  # what decodes the packets of clients does not know it; it looks like CONNECT
            return decode(self._codec, CONNECT + text[1:], 0, 0)._replace(type=CONNECT_ERROR)
        packet = decode(self._codec, text, _NO_LIMIT, _NO_LIMIT)
        return packet._replace(data=attach(packet.data, [part for part in attachments if isinstance(part, bytes)]))


def _no_form(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} has no JSON form")
