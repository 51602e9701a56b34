"""Building frames for clients (RFC 6455 5.2). Pure.

A frame from the server is not masked (5.1), so it is a 2-, 4- or 10-byte header and the payload: the same bytes
for every client. It is built once for a broadcast.
"""

from struct import Struct

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA

_FIN = 0x80
_HEADER_16 = Struct("!BBH").pack
_HEADER_64 = Struct("!BBQ").pack
# Nearly every message is short: their headers are made once.
_SHORT_TEXT = tuple(bytes((_FIN | TEXT, n)) for n in range(126))
_SHORT_BINARY = tuple(bytes((_FIN | BINARY, n)) for n in range(126))


def text_frame(payload: bytes) -> bytes:
    """One whole text message. *payload* is UTF-8."""
    size = len(payload)
    if size < 126:
        return _SHORT_TEXT[size] + payload
    return _long_header(TEXT, size) + payload


def binary_frame(payload: bytes) -> bytes:
    """One whole binary message."""
    size = len(payload)
    if size < 126:
        return _SHORT_BINARY[size] + payload
    return _long_header(BINARY, size) + payload


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping of the same *payload*, at most 125 bytes."""
    return bytes((_FIN | PONG, len(payload))) + payload


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A close frame; ``None`` sends no code, which the peer reports as 1005. *reason* is cut at 123 bytes."""
    if code is None:
        return bytes((_FIN | CLOSE, 0))
    payload = code.to_bytes(2, "big") + reason.encode()[:123].decode(errors="ignore").encode()
    return bytes((_FIN | CLOSE, len(payload))) + payload


def _long_header(opcode: int, size: int) -> bytes:
    if size < 0x10000:
        return _HEADER_16(_FIN | opcode, 126, size)
    return _HEADER_64(_FIN | opcode, 127, size)
