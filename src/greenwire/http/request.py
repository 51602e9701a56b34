"""One HTTP request's head, as data."""

from typing import Any
from urllib.parse import unquote_to_bytes

from ..errors import RemoteProtocolError


class Request:
    """What came before the body. Text is latin-1: one character for each byte, as WSGI wants it.

    ``target`` is what stood in the request line; ``path`` is percent-decoded, ``query`` is not. ``headers`` keep
    their order, with lower-case names; later requests of the connection may share the list, so who wants other ones
    sets another list. ``peer`` and ``local`` are socket addresses: tuples, or a string for Unix
    sockets.
    """

    __slots__ = ("extra", "headers", "local", "method", "path", "peer", "query", "scheme", "target", "version")

    def __init__(
        self,
        method: str,
        target: str,
        path: str,
        query: str,
        version: str,
        headers: list[tuple[str, str]],
        peer: tuple[object, ...] | str,
        local: tuple[object, ...] | str,
        scheme: str,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.version = version
        self.headers = headers
        self.peer = peer
        self.local = local
        self.scheme = scheme
        self.extra: dict[str, Any] | None = None  # more for the environ, of the connection: a client certificate

    def get(self, name: str) -> str | None:
        """The value of header *name* (lower case); several fields of one name are joined."""
        values = [value for key, value in self.headers if key == name]
        if len(values) > 1:
            return ("; " if name == "cookie" else ", ").join(values)  # RFC 9113 8.2.3 and RFC 9110 5.2
        return values[0] if values else None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


def split_target(method: str, target: str) -> tuple[str, str, str | None]:
    """Path (decoded), query (as it is) and authority of a request target (RFC 9112 3.2).

    The authority is None unless the target is in absolute form. Raises :class:`RemoteProtocolError`.
    """
    authority = None
    rest = target
    if target[0] != "/":
        if target == "*" and method == "OPTIONS":
            return "*", "", None
        scheme, separator, rest = target.partition("://")
        if not separator or scheme.lower() not in ("http", "https"):
            raise RemoteProtocolError("the request target is neither a path nor an http URL")
        authority, rest = _split_authority(rest)
    if "#" in rest:  # a fragment is the client's own business; a proxy might see another path than we do
        raise RemoteProtocolError("the request target has a fragment")
    path, _, query = rest.partition("?")
    if "%" in path:
        path = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    return path, query, authority


def _split_authority(rest: str) -> tuple[str, str]:
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    authority, rest = rest[:end], rest[end:]
    if not authority or "@" in authority:  # RFC 9110 4.2.4: user information is likely an attempt to deceive
        raise RemoteProtocolError("the request target has no usable host")
    return authority, rest if rest.startswith("/") else "/" + rest
