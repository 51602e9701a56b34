"""Which origins may connect, and what a browser is told about it (Fetch standard, "HTTP-CORS protocol"). Pure.

A WebSocket handshake knows no CORS: a foreign page could open one with the user's cookies. So the origin is
judged on the server, for both transports. A request without ``Origin`` does not come from a foreign page.

No forwarded header is looked at: a client can forge them.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import ConfigurationError

Headers = list[tuple[str, str]]
Allowed = str | Iterable[str] | Callable[..., bool] | None
_METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE"


class CorsPolicy:
    """*allowed*: ``None`` same origin, ``"*"`` any, one origin, several, a callable, ``[]`` no checks at all.

    A callable gets the origin, or the origin and the WSGI environ.
    """

    def __init__(self, allowed: Allowed = None, credentials: bool = True) -> None:
        self.credentials = credentials
        self._ask: Callable[[str, Callable[[], dict[str, Any]]], bool] | None = None
        self._origins: frozenset[str] | None = None
        self.enabled = True
        if callable(allowed):
            self._ask = _asker(allowed)
        elif isinstance(allowed, str):
            self._origins = frozenset({allowed})
        elif allowed is not None:
            self._origins = frozenset(allowed)
            self.enabled = bool(self._origins)
        for origin in self._origins or ():
            if origin != "*" and (not isinstance(origin, str) or "://" not in origin or origin.endswith("/")):
                raise ConfigurationError(
                    f"cors_allowed_origins: {origin!r} is no origin; write it as 'https://example.com'"
                )

    def accepts(self, origin: str | None, scheme: str, host: str, environ: Callable[[], dict[str, Any]]) -> bool:
        """Whether a page of *origin* may talk to us, who are reached as *scheme* and *host*."""
        if origin is None or not self.enabled:
            return True
        if self._ask is not None:
            return self._ask(origin, environ)
        if self._origins is not None:
            return "*" in self._origins or origin in self._origins
        # A proxy in front may have taken TLS off: https outside is the same site as http here. Not so the
        # other way round.
        return origin in (f"{scheme}://{host}", f"https://{host}")

    def headers(self, origin: str | None) -> Headers:
        """For an answer to an accepted *origin*."""
        if origin is None or not self.enabled:
            return []
        headers = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        if self.credentials:
            headers.append(("Access-Control-Allow-Credentials", "true"))
        return headers

    def preflight(self, origin: str | None, asked_headers: str | None) -> Headers:
        """For the answer to ``OPTIONS``."""
        headers = [*self.headers(origin), ("Access-Control-Allow-Methods", _METHODS)]
        if asked_headers:
            headers.append(("Access-Control-Allow-Headers", asked_headers))
            headers.append(("Vary", "Access-Control-Request-Headers"))
        return headers


def _asker(allowed: Callable[..., bool]) -> Callable[[str, Callable[[], dict[str, Any]]], bool]:
    """Decide once whether the user's function wants the environ too."""
    try:
        inspect.signature(allowed).bind("origin", {})
    except (TypeError, ValueError):  # ValueError: written in C, without a signature
        return lambda origin, environ: bool(allowed(origin))
    return lambda origin, environ: bool(allowed(origin, environ()))
