"""The PROXY protocol, versions 1 and 2: who the client is, told by a proxy before the first byte of the client.

Pure: bytes in, a :class:`Header` out. Source: "The PROXY protocol", versions 1 and 2, of HAProxy (2.8 edition).

*Version 1* is one line, at most 107 bytes with its CRLF::

    PROXY TCP4 192.0.2.1 198.51.100.1 4711 443
    PROXY TCP6 2001:db8::1 2001:db8::2 4711 443
    PROXY UNKNOWN …                                 the proxy speaks for itself; the rest is not looked at

*Version 2* is binary::

     0 … 11   the signature, which is no beginning of any other protocol
    12        version (2) in the upper half, command in the lower: 0 LOCAL, 1 PROXY
    13        family (1 IPv4, 2 IPv6, 3 Unix) in the upper half, 1 for a stream in the lower
    14, 15    length of what follows
    16 …      two addresses and, for IP, two ports; then TLVs, which are skipped

A header comes first or not at all: what does not begin like one is refused, because "maybe" would let anybody
who reaches the port write a header of his own (section 5 of the specification).
"""

from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from ..errors import RemoteProtocolError

MAX_BYTES = 4_096  # of a version 2 header; TLVs of a few hundred bytes are usual, 64 KiB would be possible

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_LINE_BYTES = 107
_FIXED_BYTES = 16
_UNIX_BYTES = 108
_STREAM = 1
_IPV4, _IPV6, _UNIX = 1, 2, 3
_ADDRESS_BYTES = {_IPV4: 12, _IPV6: 36, _UNIX: 2 * _UNIX_BYTES}

Address = tuple[str, int] | str


class Header(NamedTuple):
    """One header: *size* bytes of it. *source* is None where the proxy speaks for itself (LOCAL, UNKNOWN)."""

    size: int
    source: Address | None
    destination: Address | None


def parse(data: bytes) -> Header | None:
    """The header that *data* begins with; None while it is not complete.

    While this says None every byte of *data* belongs to the header. Raises :class:`RemoteProtocolError`.
    """
    start = data[: len(_SIGNATURE)]
    if _SIGNATURE.startswith(start):
        return _binary(data) if start == _SIGNATURE else None
    if b"PROXY ".startswith(data[:6]):
        return _line(data)
    raise RemoteProtocolError("there is no PROXY header")


# --- version 1


def _line(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _LINE_BYTES)
    if end < 0:
        if len(data) >= _LINE_BYTES or b"\n" in data:
            raise RemoteProtocolError("the PROXY line has no end")
        return None
    try:
        words = data[:end].decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise RemoteProtocolError("the PROXY line is not ASCII") from None
    if words[1] == "UNKNOWN":
        return Header(end + 2, None, None)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise RemoteProtocolError("the PROXY line is malformed")
    source, destination, source_port, destination_port = words[2:]
    v6 = words[1] == "TCP6"
    return Header(end + 2, (_ip(source, v6), _port(source_port)), (_ip(destination, v6), _port(destination_port)))


def _ip(text: str, v6: bool) -> str:
    try:
        return str(IPv6Address(text) if v6 and "%" not in text else IPv4Address(text))
    except AddressValueError:
        raise RemoteProtocolError("an address of the PROXY line is malformed") from None


def _port(text: str) -> int:
    # "decimal …, no leading zeroes": one way to write each port
    if not (text.isdigit() and len(text) <= 5 and str(int(text)) == text and int(text) <= 65_535):
        raise RemoteProtocolError("a port of the PROXY line is malformed")
    return int(text)


# --- version 2


def _binary(data: bytes) -> Header | None:
    if len(data) < _FIXED_BYTES:
        return None
    version, command = data[12] >> 4, data[12] & 0xF
    family, kind = data[13] >> 4, data[13] & 0xF
    length = int.from_bytes(data[14:16], "big")
    if version != 2 or command > 1:
        raise RemoteProtocolError("the PROXY header has an unknown version or command")
    size = _FIXED_BYTES + length
    if size > MAX_BYTES:
        raise RemoteProtocolError("the PROXY header is too long")
    if command == 1 and family in _ADDRESS_BYTES and length < _ADDRESS_BYTES[family]:
        raise RemoteProtocolError("the PROXY header is too short for its addresses")
    if len(data) < size:
        return None
    if command == 0 or family not in _ADDRESS_BYTES or kind != _STREAM:  # "UNSPEC": use the real endpoints
        return Header(size, None, None)
    return Header(size, *_addresses(family, data[_FIXED_BYTES:size]))


def _addresses(family: int, data: bytes) -> tuple[Address, Address]:
    if family == _UNIX:
        return _path(data[:_UNIX_BYTES]), _path(data[_UNIX_BYTES : 2 * _UNIX_BYTES])
    width = 4 if family == _IPV4 else 16
    kind = IPv4Address if family == _IPV4 else IPv6Address
    ports = data[2 * width : 2 * width + 4]
    source, destination = str(kind(data[:width])), str(kind(data[width : 2 * width]))
    return (source, int.from_bytes(ports[:2], "big")), (destination, int.from_bytes(ports[2:], "big"))


def _path(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "surrogateescape")
