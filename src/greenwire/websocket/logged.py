"""A WebSocket that leaves a line in the access log when it has ended. Made only where such a log is kept."""

from typing import Any

from .compressed import CompressedWebSocket
from .connection import CUT_OFF, WebSocketConnection

_ABNORMAL = 1006  # RFC 6455 7.1.5: there was no close frame


class _Counted(WebSocketConnection):
    """Counts what it sends; the others need not."""

    __slots__ = ()
    sent_bytes: int

    def __init__(self, *args: Any, **options: Any) -> None:
        self.sent_bytes = 0
        super().__init__(*args, **options)

    def flush(self) -> None:
        """Hand this turn's frames to the kernel."""
        waiting = self._out_bytes
        super().flush()
        self.sent_bytes += waiting - self._out_bytes

    @property
    def logged_code(self) -> int:
        """The close code as RFC 6455 numbers them."""
        return _ABNORMAL if self.close_code == CUT_OFF else self.close_code


class LoggedWebSocket(_Counted):
    """A plain one."""

    __slots__ = ("sent_bytes",)


class LoggedCompressedWebSocket(_Counted, CompressedWebSocket):
    """One that may compress."""

    __slots__ = ("sent_bytes",)
