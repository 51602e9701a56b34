"""A WebSocket whose messages may be compressed. Made only where that was agreed; the others pay nothing for it."""

from typing import Any

from picows import WSFrame, WSMsgType

from ..errors import RemoteProtocolError
from .connection import HEARS, State, WebSocketConnection
from .deflate import Deflater, inflate

_MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY)


class CompressedWebSocket(WebSocketConnection):
    """RFC 7692 on top of the rest: RSV1 on the first frame of a message says that it is compressed (6.1)."""

    __slots__ = ("_deflater", "_inflates", "_window_bits")

    def __init__(self, *args: Any, deflater: Deflater, window_bits: int) -> None:
        self._deflater = deflater
        self._window_bits = window_bits
        self._inflates = False  # the message whose fragments are coming
        super().__init__(*args)

    def write(self, frame: bytes) -> None:
        """Send *frame* at the end of this turn, compressed where that is worth it."""
        if len(frame) > self._deflater.threshold and self.state is State.OPEN:
            frame = self._deflater.deflate(frame, self._window_bits)
        super().write(frame)

    def _unusual(self, frame: WSFrame) -> None:
        begins = frame.rsv1 and not (frame.rsv2 or frame.rsv3) and frame.msg_type in _MESSAGES
        if begins and self._message is None and self.state in HEARS:
            self._inflates = True
            self._fragment_arrives(frame)
        else:  # on any other frame RSV1 means nothing, and is refused
            super()._unusual(frame)

    def _complete(self, data: bytes) -> None:
        if self._inflates:
            self._inflates = False
            try:
                data = inflate(data, self._limits.message_bytes)
            except RemoteProtocolError as error:
                self.fail(error.close_code, str(error))
                return
        super()._complete(data)
