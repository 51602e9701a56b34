"""python-socketio's clients, whose last words are heard.

One that leaves while something of its own is still on its way, be it only the answer to a POST, never sends what it
has said since, its goodbye included; over polling it waits then for the next ping of the server's. So these wait first
until nothing is on its way: until their loop that writes waits for something to write.
"""

import asyncio
from typing import Any

import engineio
import socketio

from .inorder import InOrder, SocketIOInOrder
from .waiting import wait_until


class _Heard(InOrder):
    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        if self.state == "connected":
            wait_until(lambda: not self.write_loop_task or self.queue.not_empty._waiters, "all is said")
        super().disconnect(*args, **kwargs)


class HeardClient(SocketIOInOrder):
    """The one that uses threads."""

    def _engineio_client_class(self) -> type[engineio.Client]:
        return _Heard


class _AsyncHeard(engineio.AsyncClient):
    async def disconnect(self, *args: Any, **kwargs: Any) -> None:
        while self.state == "connected" and self.write_loop_task and not self.queue._getters:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.001)
        await super().disconnect(*args, **kwargs)


class AsyncHeardClient(socketio.AsyncClient):
    """The one of coroutines."""

    def _engineio_client_class(self) -> type[engineio.AsyncClient]:
        return _AsyncHeard
