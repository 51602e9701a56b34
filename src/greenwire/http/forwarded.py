"""For whom a proxy speaks: ``X-Forwarded-*``, and ``Forwarded`` (RFC 7239). Pure.

Every proxy appends the address that it was called from, so the list reads from the client to us and only its end
is the word of somebody we know. It is walked from the right, over those that are named as proxies::

    X-Forwarded-For: 203.0.113.9, 198.51.100.4, 10.0.0.2        peer 10.0.0.1
                     written by    the client     named ◄── named
                     the client    ◄── believed

The walk ends at the first address that is not named, at what is no address (``unknown``, ``_hidden``: the last
proxy is then all that is known), or at the leftmost. Under ``*`` it takes one step: the peer's own word.

What the client used, scheme and host, is the word of the same hop: the value at the client's place where a list
has as many values as ``X-Forwarded-For``, else the last one. What makes no sense is not believed.

A proxy passes through what it does not know, as the client has written it. So only those headers are believed that
the proxies set or delete: by default ``X-Forwarded-For`` and ``-Proto``, which practically all of them set. The usual
few lines for nginx leave ``X-Forwarded-Host`` to the client, and a forged host is in every link that the application
sends. Where more than one kind is believed, ``X-Forwarded-*`` wins over ``Forwarded``.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..errors import ConfigurationError
from ..net.trust import Trusted, plain_ip
from .exchange import Exchange
from .request import Request

FOR, PROTO, HOST, PORT = "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"
FORWARDED = "forwarded"
ALL = (FOR, PROTO, HOST, PORT, FORWARDED)
DEFAULT = (FOR, PROTO)

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?").fullmatch
# RFC 7239 4: token "=" (token | quoted-string), pairs parted by ";", elements by ","
_PAIR = re.compile(
    r"""[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([!#$%&'*+.^_`|~0-9A-Za-z:\[\]-]+)|"((?:[^"\\]|\\.)*)")[ \t]*"""
)
_PIECE = re.compile(r"""[^",]+|,|"(?:[^"\\]|\\.)*(?:"|$)""")
_MOST_HOPS = 100


class Hop(NamedTuple):
    """What one proxy says of who has called it."""

    node: str = ""
    scheme: str = ""
    host: str = ""
    port: str = ""


class Forwarding:
    """Stands before *handle* and sets each request of a proxy right."""

    def __init__(
        self, trusted: Trusted, handle: Callable[[Exchange], None], headers: Iterable[str] | None = None
    ) -> None:
        self._trusted = trusted
        self._handle = handle
        self._headers = believed_headers(headers)

    def handle(self, exchange: Exchange) -> None:
        """Have *exchange* handled as one of the client for whom the peer speaks."""
        request = exchange.request
        if self._trusted.believes(request.peer):
            believe(request, self._trusted, self._headers)
        self._handle(exchange)


def believed_headers(names: Iterable[str] | None) -> frozenset[str]:
    """The option ``forwarded_headers``: which of them the proxies set. Raises :class:`ConfigurationError`."""
    if names is None:
        return frozenset(DEFAULT)
    listed = names.split(",") if isinstance(names, str) else names
    chosen = frozenset(name.strip().lower() for name in listed)
    for name in chosen:
        if name not in ALL:
            raise ConfigurationError(f"forwarded_headers: {name!r} is not one of {', '.join(ALL)}")
    return chosen


def believe(request: Request, trusted: Trusted, headers: frozenset[str]) -> None:
    """Change *request*, which came from a believed peer, to what the client has asked for."""
    hops = _hops(request, headers)
    client, hop = _walk(hops, trusted)
    if client is not None:
        request.peer = client
    if hop is None:
        return
    scheme = _SCHEMES.get(hop.scheme.lower())
    if scheme is not None:
        request.scheme = scheme
    host = hop.host if _HOST(hop.host) else ""
    port = hop.port if re.fullmatch("[0-9]{1,5}", hop.port) and 0 < int(hop.port) <= 65_535 else ""
    if host or port or scheme:
        _set_host(request, host, port)


def _set_host(request: Request, host: str, port: str) -> None:
    host = host or request.get("host") or "localhost"
    if port:
        host = _without_port(host)
        if port != ("443" if request.scheme == "https" else "80"):
            host = f"{host}:{port}"
    request.headers = [field for field in request.headers if field[0] != "host"]
    request.headers.insert(0, ("host", host))
    request.local = ""  # SERVER_NAME and SERVER_PORT are the proxy's, too: those of its Host


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and not name.endswith(":") else host


# --- the walk


def _walk(hops: Iterator[Hop], trusted: Trusted) -> tuple[tuple[str, int] | None, Hop | None]:
    """The client, and what was said by the proxy that it has called. *hops* come from our end."""
    client: tuple[str, int] | None = None
    said: Hop | None = None
    for hop in hops:
        said = hop
        address = _node(hop.node)
        if address is None:
            break
        client = address
        if trusted.anybody or not trusted.names(address[0]):
            break
    return client, said


def _node(text: str) -> tuple[str, int] | None:
    """``192.0.2.1``, ``192.0.2.1:4711``, ``2001:db8::1`` or ``[2001:db8::1]:4711`` as address and port, 0 for none."""
    port = ""
    if text.startswith("["):
        text, bracket, rest = text[1:].partition("]")
        if not bracket or rest[:1] not in ("", ":"):
            return None
        port = rest[1:]
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
    address = plain_ip(text)
    if address is None or "%" in text:
        return None
    return str(address), int(port) if port.isdecimal() and len(port) <= 5 else 0


# --- the headers


def _hops(request: Request, headers: frozenset[str]) -> Iterator[Hop]:
    """From our end to the client's; no further than anybody looks."""
    lists = [_listed(request, name) if name in headers else [] for name in (FOR, PROTO, HOST, PORT)]
    if any(lists):
        count = max(len(lists[0]), 1)
        return (Hop(*(_at(values, place, count) for values in lists)) for place in reversed(range(count)))
    value = request.get(FORWARDED) if FORWARDED in headers else None
    return _elements(value) if value else iter(())


def _listed(request: Request, name: str) -> list[str]:
    value = request.get(name)
    return [item.strip() for item in value.rsplit(",", _MOST_HOPS)] if value else []


def _at(values: list[str], place: int, count: int) -> str:
    """The value of one hop: a list of another length is not parallel to the addresses, and its last value is all
    that the nearest proxy vouches for."""
    if not values:
        return ""
    return values[place] if len(values) == count else values[-1]


def _elements(value: str) -> Iterator[Hop]:
    """The elements of a ``Forwarded`` field. What stands left of a malformed one is nobody's word."""
    for element in reversed(_split(value)):
        pairs = _pairs(element)
        if pairs is None:
            return
        yield Hop(pairs.get("for", ""), pairs.get("proto", ""), pairs.get("host", ""))


def _split(value: str) -> list[str]:
    """At the commas that stand outside quotes."""
    elements, start = [], 0
    for piece in _PIECE.finditer(value):
        if piece[0] == ",":
            elements.append(value[start : piece.start()])
            start = piece.end()
    return [*elements, value[start:]]


def _pairs(element: str) -> dict[str, str] | None:
    pairs: dict[str, str] = {}
    at = 0
    while at < len(element):
        match = _PAIR.match(element, at)
        name = match[1].lower() if match else ""
        if match is None or name in pairs:  # RFC 7239 4: "each parameter MUST NOT occur more than once"
            return None
        pairs[name] = match[2] if match[2] is not None else re.sub(r"\\(.)", r"\1", match[3])
        at = match.end()
        if at < len(element):
            if element[at] != ";":
                return None
            at += 1
    return pairs
