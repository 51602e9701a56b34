"""WebSocket frames as bytes (RFC 6455 5.2), with every field free to be wrong."""

from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x37\xfa\x21\x3d"  # RFC 6455 5.7


def frame(
    opcode: int, payload: bytes | str = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = MASK
) -> bytes:
    """One frame, of a client unless *mask* is ``None``."""
    data = payload.encode() if isinstance(payload, str) else payload
    size = len(data)
    masked = 0x80 if mask is not None else 0
    head = bytes((fin << 7 | rsv << 4 | opcode,))
    if size < 126:
        head += bytes((masked | size,))
    elif size < 0x10000:
        head += bytes((masked | 126,)) + size.to_bytes(2, "big")
    else:
        head += bytes((masked | 127,)) + size.to_bytes(8, "big")
    return head + data if mask is None else head + mask + _masked(data, mask)


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def _masked(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


class Frame(NamedTuple):
    """What was in one frame."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    masked: bool = False

    @property
    def close_code(self) -> int | None:
        """The code of a close frame."""
        assert self.opcode == CLOSE
        return int.from_bytes(self.payload[:2], "big") if self.payload else None


class Parser:
    """Bytes, in any pieces, to frames."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        self.rest += data
        found = []
        while (one := self._next()) is not None:
            found.append(one)
        return found

    def _next(self) -> Frame | None:
        data = self.rest
        if len(data) < 2:
            return None
        size, at = data[1] & 0x7F, 2
        if size > 125:
            width = 2 if size == 126 else 8
            if len(data) < at + width:
                return None
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        mask = None
        if data[1] & 0x80:
            mask, at = data[at : at + 4], at + 4
        if len(data) < at + size:
            return None
        payload, self.rest = data[at : at + size], data[at + size :]
        if mask is not None:
            payload = _masked(payload, mask)
        return Frame(data[0] & 0xF, payload, bool(data[0] & 0x80), data[0] >> 4 & 7, mask is not None)


def parse(data: bytes) -> list[Frame]:
    """All frames of *data*, which ends with one."""
    parser = Parser()
    frames = parser.feed(data)
    assert not parser.rest, "half a frame is left"
    return frames
