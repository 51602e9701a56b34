"""The opening handshake (RFC 6455 4.2). Pure.

Judged here and not by the frame parser's own check, which refuses ``Connection: keep-alive, Upgrade``, what
Firefox sends.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from hashlib import sha1

from ..errors import RemoteProtocolError

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
_STATUS_AND_UPGRADE = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")


def accept_key(method: str, version: str, header: Callable[[str], str | None]) -> str:
    """The ``Sec-WebSocket-Accept`` for a good request. *header* looks a field up by its lower-case name.

    Raises :class:`RemoteProtocolError` with status 400, or 426 for another version of the protocol.
    """
    if method != "GET" or version != "1.1":
        raise RemoteProtocolError("a WebSocket handshake is a GET of HTTP/1.1")
    if "websocket" not in _tokens(header("upgrade")) or "upgrade" not in _tokens(header("connection")):
        raise RemoteProtocolError("not a WebSocket handshake: Upgrade and Connection say otherwise")
    if header("sec-websocket-version") != "13":
        raise RemoteProtocolError("unsupported WebSocket version", status=426)
    key = (header("sec-websocket-key") or "").strip()
    try:
        nonce = b64decode(key, validate=True)
    except (Base64Error, ValueError) as error:
        raise RemoteProtocolError("Sec-WebSocket-Key is not base64") from error
    if len(nonce) != 16:
        raise RemoteProtocolError("Sec-WebSocket-Key is not 16 bytes")
    return b64encode(sha1(key.encode() + _GUID).digest()).decode()


def wants_websocket(header: Callable[[str], str | None]) -> bool:
    """Whether a request asks for an upgrade to WebSocket, well or badly."""
    return "websocket" in _tokens(header("upgrade"))


def response_head(accept: str, headers: list[tuple[str, str]]) -> bytes:
    """The 101 answer with *headers* added."""
    lines = [*_STATUS_AND_UPGRADE, f"Sec-WebSocket-Accept: {accept}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _tokens(value: str | None) -> list[str]:
    return [token.strip().lower() for token in (value or "").split(",")]
