"""Engine.IO v4: sessions over polling and WebSocket. ``Server`` serves it alone, without Socket.IO."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import Server

__all__ = ["Server"]


def __getattr__(name: str) -> Any:
    # On demand: the pure files of this folder are imported by others, who need no server.
    if name == "Server":
        from .server import Server

        return Server
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
