"""The end of a worker that has successors: nobody is refused, nothing fails, and clients do not all come at once.

It accepts nothing more; what waits in the queue of the shared sockets is the successors'. An HTTP connection gets one
more answer, which says that it is the last: one that is closed while it is idle may lose the request that is on its
way. Engine.IO sessions are dismissed one after the other, the oldest first, spread over most of ``limits.drain_s``:
each of these clients connects again, and thousands in one moment would be a stampede.

A client is dismissed at its own moment: an acknowledgement cannot follow a close frame. That is right after the last
of its events has been acknowledged, before it has thought of the next; or, where it says nothing at all, after
``_QUIET_S``. Who has something running all the time is closed at the end. What a client sends while the close is on
its way is too late: see docs/deploy.md.
"""

import asyncio
import math
from collections.abc import Callable, Collection

from .engineio.peer import Peer
from .engineio.serve import Engine
from .engineio.session import State
from .loop import Loop
from .net.server import Server
from .socketio.dispatch import Dispatcher

_STEP_S = 0.05
_SPREAD = 0.75  # of the time to drain; the rest is for those that have something running
_QUIET_S = 0.25  # more than a round trip to most clients


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
        self._spread_until = loop.now() + over_s * _SPREAD
        self._quiet_s = min(_QUIET_S, over_s * (1 - _SPREAD) / 2)
        self._farewells: dict[str, _Farewell] = {}
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
        waiting = [peer for peer in peers if peer.sid not in self._farewells]
        spread_s = self._spread_until - self._loop.now()
        for peer in waiting[: math.ceil(len(waiting) * (min(1.0, _STEP_S / spread_s) if spread_s > 0 else 1.0))]:
            self._farewells[peer.sid] = _Farewell(self._loop, peer, self._quiet_s)
        self._timer = self._loop.call_later(min(_STEP_S, left_s), self._step)

    def cancel(self) -> None:
        """The end has come by another way."""
        if self._timer is not None:
            self._timer.cancel()
        for farewell in self._farewells.values():
            farewell.cancel()


class _Farewell:
    """Dismisses one client as soon as it has the answers to all that it has asked."""

    def __init__(self, loop: Loop, peer: Peer, quiet_s: float) -> None:
        self._loop = loop
        self._peer = peer
        self._quiet_s = quiet_s
        self._client = Dispatcher.client_of(peer)
        peer.on_poll = self._look
        if self._client is not None:
            self._client.on_finished = self._look
        self._timer = loop.call_later(quiet_s, self._quiet)

    def _quiet(self) -> None:
        self._timer = self._loop.call_later(self._quiet_s, self._quiet)
        self._look()

    def _look(self) -> None:
        if self._peer.at_rest and (self._client is None or self._client.at_rest):
            self.cancel()
            # An acknowledgement is posted before its event counts as finished: behind it we are the last to speak.
            # That of an event which came from now on would be behind us.
            if self._client is not None:
                self._client.dismissed = True
            self._loop.post_behind(self._peer.dismiss)

    def cancel(self) -> None:
        self._timer.cancel()
        self._peer.on_poll = None
        if self._client is not None:
            self._client.on_finished = None
