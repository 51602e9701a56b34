"""The end of a worker that has successors: nobody is refused, nothing fails, and clients do not all come at once.

It accepts nothing more; what waits in the queue of the shared sockets is the successors'. An HTTP connection gets one
more answer, which says that it is the last: one that is closed while it is idle may lose the request that is on its
way. Engine.IO sessions are closed one after the other, the oldest first, spread over ``limits.drain_s``: each of
these clients connects again, and thousands in one moment would be a stampede.
"""

import asyncio
import math
from collections.abc import Callable, Collection

from .engineio.serve import Engine
from .engineio.session import Reason, State
from .loop import Loop
from .net.server import Server

_STEP_S = 0.05


class Drain:
    """Begins at once; *done* is called when nobody is left, after *over_s* at the latest. Loop thread only."""

    def __init__(
        self, loop: Loop, server: Server, engines: Collection[Engine], over_s: float, done: Callable[[], object]
    ) -> None:
        self._loop = loop
        self._server = server
        self._engines = engines
        self._done = done
        self._deadline = loop.now() + over_s
        self._timer: asyncio.TimerHandle | None = None
        server.drain()
        for engine in engines:
            engine.going_away = True
        self._step()

    def _step(self) -> None:
        peers = [
            peer for engine in self._engines for peer in engine.peers.values() if peer.session.state is not State.CLOSED
        ]
        left_s = self._deadline - self._loop.now()
        if left_s <= 0 or (not peers and self._server.idle):
            self._done()
            return
        for peer in peers[: math.ceil(len(peers) * min(1.0, _STEP_S / left_s))]:
            peer.close(Reason.SERVER)
        self._timer = self._loop.call_later(min(_STEP_S, left_s), self._step)

    def cancel(self) -> None:
        """The end has come by another way."""
        if self._timer is not None:
            self._timer.cancel()
