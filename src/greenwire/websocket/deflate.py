"""permessage-deflate (RFC 7692): what is agreed in the handshake, and messages in their compressed form. Pure.

Each message stands alone: *no context takeover* is agreed for both directions. So nothing is kept for a connection
between messages (with it zlib would keep 256 KiB to compress and 44 KiB to read), and one compressed broadcast is the
same bytes for every client of the same window.

A peer cannot make a message larger than may be taken in: reading stops one byte past the limit, however much more
the compressed bytes would become.
"""

import re
import zlib
from typing import NamedTuple

from ..errors import RemoteProtocolError

NAME = "permessage-deflate"
MAX_BITS, MIN_BITS = 15, 9  # of the window; RFC 7692 knows 8, which zlib cannot do for raw streams

_LEVEL = 6  # zlib's own default
_TAIL = b"\x00\x00\xff\xff"  # RFC 7692 7.2.1: of the empty block that ends a message; not sent
_FIN_TEXT, _FIN_BINARY = 0x81, 0x82
_RSV1 = 0x40
# RFC 6455 9.1: token [ "=" ( token | quoted-string ) ]
_PARAMETER = re.compile(
    r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:([0-9A-Za-z]+)|"([0-9A-Za-z]+)"))?\s*"""
).fullmatch


class Agreed(NamedTuple):
    """What both sides keep to. *answer* is the ``Sec-WebSocket-Extensions`` of the 101."""

    window_bits: int
    answer: str


def agree(offers: str | None) -> Agreed | None:
    """The first of the client's *offers* that can be kept; None where there is none (RFC 7692 5.1)."""
    for offer in (offers or "")[:4_096].split(","):
        name, *parameters = offer.split(";")
        if name.strip().lower() != NAME:
            continue
        bits = _window_of(parameters)
        if bits is not None:
            asked = f"; server_max_window_bits={bits}" if bits != MAX_BITS else ""
            return Agreed(bits, f"{NAME}; server_no_context_takeover; client_no_context_takeover{asked}")
    return None


def _window_of(parameters: list[str]) -> int | None:
    """The window for what we send; None for an offer that is to be declined (7.1: unknown, double or bad values)."""
    seen: dict[str, str | None] = {}
    for parameter in parameters:
        match = _PARAMETER(parameter)
        if match is None or match[1].lower() in seen:
            return None
        seen[match[1].lower()] = match[2] or match[3]
    for name in ("server_no_context_takeover", "client_no_context_takeover"):
        if seen.pop(name, None) is not None:
            return None
    client = seen.pop("client_max_window_bits", None)  # we read any window
    server = seen.pop("server_max_window_bits", str(MAX_BITS))
    if seen or server is None or (client is not None and not _is_window(client, 8)):
        return None
    return int(server) if _is_window(server, MIN_BITS) else None


def _is_window(text: str, least: int) -> bool:
    return text.isdecimal() and not text.startswith("0") and len(text) <= 2 and least <= int(text) <= MAX_BITS


# --- in


def inflate(data: bytes, most: int) -> bytes:
    """A message's payload. Raises :class:`RemoteProtocolError` with the close code: 1009 past *most* bytes."""
    rest = data + _TAIL
    message = b""
    try:
        for _ in range(2):  # a sender may end its stream (7.2.3.5), and then an empty block follows in a new one
            stream = zlib.decompressobj(-MAX_BITS)
            message += stream.decompress(rest, most + 1 - len(message))
            if len(message) > most or stream.unconsumed_tail:
                raise RemoteProtocolError("message too big", close_code=1009)
            rest = stream.unused_data
            if not stream.eof:
                return message
    except zlib.error:
        raise RemoteProtocolError("the compressed message is malformed", close_code=1007) from None
    if rest and rest != _TAIL:
        raise RemoteProtocolError("the compressed message is malformed", close_code=1007)
    return message


# --- out


class Deflater:
    """Whole unfragmented frames, as frame.py makes them, to compressed ones. One for all connections."""

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold  # bytes of payload: below it compressing costs more than it saves
        self._last: dict[int, tuple[bytes, bytes]] = {}  # by window: a broadcast comes once for each recipient

    def deflate(self, frames: bytes, window_bits: int) -> bytes:
        """*frames*, one or several in one ``bytes``, with those compressed that are worth it."""
        known = self._last.get(window_bits)
        if known is not None and known[0] is frames:
            return known[1]
        done = b"".join(self._each(frames, window_bits))
        self._last[window_bits] = frames, done
        return done

    def _each(self, frames: bytes, window_bits: int) -> list[bytes]:
        parts = []
        at = 0
        while at < len(frames):
            start, end = _extent(frames, at)
            compressed = None
            if end - start >= self.threshold and frames[at] in (_FIN_TEXT, _FIN_BINARY):
                compressed = _compress(frames[start:end], window_bits)
            parts.append(frames[at:end] if compressed is None else _header(frames[at] | _RSV1, compressed) + compressed)
            at = end
        return parts


def _extent(frames: bytes, at: int) -> tuple[int, int]:
    """Where the payload of the frame at *at* begins and ends."""
    size = frames[at + 1]
    if size < 126:
        return at + 2, at + 2 + size
    width = 2 if size == 126 else 8
    start = at + 2 + width
    return start, start + int.from_bytes(frames[at + 2 : start], "big")


def _compress(payload: bytes, window_bits: int) -> bytes | None:
    """None where it becomes no smaller."""
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -window_bits)
    data = stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)
    data = data.removesuffix(_TAIL)
    return data if len(data) < len(payload) else None


def _header(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size))
    if size < 0x10000:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")
