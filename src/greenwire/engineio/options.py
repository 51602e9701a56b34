"""The options of an Engine.IO server, with the names and defaults of Flask-SocketIO. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError
from .cors import Allowed

TRANSPORTS = ("polling", "websocket")
CookieOption = str | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Options:
    """Times in seconds, sizes in bytes."""

    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    max_http_buffer_size: int = 1_000_000  # advertised as maxPayload; one message, one POST
    upgrade_timeout: float = 10.0
    allow_upgrades: bool = True
    transports: Sequence[str] = TRANSPORTS
    http_compression: bool = True
    compression_threshold: int = 1_024  # bytes of one payload, or of one WebSocket message
    ws_compression: bool = False  # permessage-deflate (RFC 7692): less traffic for more CPU, on both sides
    cookie: CookieOption = None
    cors_allowed_origins: Allowed = None
    cors_credentials: bool = True

    def __post_init__(self) -> None:
        for name in ("ping_interval", "ping_timeout", "max_http_buffer_size", "upgrade_timeout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ConfigurationError(f"{name}={value!r}: it takes a positive number")
        if self.max_http_buffer_size < 1:
            raise ConfigurationError(f"max_http_buffer_size={self.max_http_buffer_size!r}: it counts bytes")
        object.__setattr__(self, "max_http_buffer_size", int(self.max_http_buffer_size))  # 1e8 is often written
        if self.cookie and not isinstance(self.cookie, str | Mapping):
            raise ConfigurationError(f"cookie={self.cookie!r}: give a name, or a dict with a name and attributes")
        chosen = (self.transports,) if isinstance(self.transports, str) else tuple(self.transports)
        known = tuple(name for name in chosen if name in TRANSPORTS)
        if not known:
            raise ConfigurationError(f"transports={self.transports!r}: choose from {TRANSPORTS}")
        object.__setattr__(self, "transports", known)

    @property
    def upgrades(self) -> list[str]:
        """What a polling client is told that it may upgrade to."""
        return ["websocket"] if self.allow_upgrades and "websocket" in self.transports else []


def set_cookie(option: CookieOption, sid: str) -> str | None:
    """The ``Set-Cookie`` value for a new session, or ``None``.

    A string is the cookie's name; a mapping has ``name`` and attributes, each a text, a callable that gives
    one, or ``True`` for a flag.
    """
    if not option:
        return None
    if isinstance(option, str):
        option = {"name": option, "path": "/", "SameSite": "Lax"}
    parts = [f"{option.get('name', 'io')}={sid}"]
    for name, value in option.items():
        if name == "name":
            continue
        if callable(value):
            value = value()
        if value is True:
            parts.append(name)
        elif value is not False and value is not None:
            parts.append(f"{name}={value}")
    return "; ".join(parts)
