"""The clients of python-engineio and python-socketio, with messages that are taken in the order in which they come.

The libraries start a thread for each message. So two of them may overtake each other on their way to the test, and
an attachment its packet. A handler may not wait here for a message that comes later.
"""

import threading
from typing import Any

import engineio
import socketio


class InOrder(engineio.Client):
    """Each message's thread waits for the one before it."""

    _last: threading.Thread | None = None

    def start_background_task(self, target: Any, *args: Any, **kwargs: Any) -> Any:
        if target is not self.handlers.get("message"):
            return super().start_background_task(target, *args, **kwargs)
        before = self._last

        def take() -> None:
            if before is not None:
                before.join()
            target(*args, **kwargs)

        self._last = super().start_background_task(take)
        return self._last


class SocketIOInOrder(socketio.Client):
    """Likewise, for Socket.IO."""

    def _engineio_client_class(self) -> type[engineio.Client]:
        return InOrder
