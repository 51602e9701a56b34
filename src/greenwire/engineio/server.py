"""Engine.IO alone: sessions that exchange texts and bytes, without Socket.IO on top.

::

    from greenwire import engineio, serve

    def shout(sid, data):
        server.send(sid, data.upper())

    server = engineio.Server(on_message=shout)
    serve(mounts=[server], port=8080)             # or serve(flask_app, mounts=[server])

The callbacks run where handlers run, in a runner. Those of one session run in order and one at a time; those of
different sessions beside each other.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from ..http.wsgi import environ_of
from ..limits import DEFAULT, Limits
from ..loop import Loop
from ..quiet import QuietLog
from ..runners import Runner
from .options import Options
from .packet import Outgoing, message
from .peer import Peer
from .session import Reason, State

OnConnect = Callable[[str, dict[str, Any]], object]
OnMessage = Callable[[str, str | bytes], object]
OnClose = Callable[[str, str], object]


class Host(Protocol):
    """The service that this server is mounted in."""

    loop: Loop
    quiet: QuietLog

    @property
    def runner(self) -> Runner: ...


class Server:
    """An Engine.IO server on the path *path*.

    *on_connect(sid, environ)* refuses the session by returning ``False``, or by failing. *on_message(sid, data)*
    is given a ``str`` or ``bytes``. *on_close(sid, reason)* is called once for each session that was not refused.
    Options are those of :class:`greenwire.engineio.options.Options`. Mount it with :func:`greenwire.serve`.
    """

    def __init__(
        self,
        on_connect: OnConnect | None = None,
        on_message: OnMessage | None = None,
        on_close: OnClose | None = None,
        *,
        path: str = "/engine.io/",
        limits: Limits = DEFAULT,
        **options: Any,
    ) -> None:
        self.path = f"/{path.strip('/')}/"
        self.options = Options(**options)
        self.limits = limits
        self._on_connect = on_connect or _accept
        self._on_message = on_message or _ignore
        self._on_close = on_close or _ignore
        self._sessions: dict[str, _Lane] = {}
        self._host: Host | None = None

    # --- from any thread

    def send(self, sid: str, data: str | bytes) -> None:
        """Send a text or bytes to a session. Unknown sids are ignored: the client may just have left."""
        packet = message(data)
        if self._host is not None:
            self._host.loop.post(self._send, sid, packet)

    def close(self, sid: str) -> None:
        """Close a session; ``on_close`` is called with "server disconnect"."""
        if self._host is not None:
            self._host.loop.post(self._close, sid)

    def _send(self, sid: str, packet: Outgoing) -> None:
        lane = self._sessions.get(sid)
        if lane is not None:
            lane.peer.send(packet)

    def _close(self, sid: str) -> None:
        lane = self._sessions.get(sid)
        if lane is not None:
            lane.peer.close(Reason.SERVER)

    # --- a mount

    def bind(self, host: Host) -> Callable[[Peer], None]:
        """The service runs from now on; it calls what this returns for each new session."""
        self._host = host
        return self._opened

    def ending(self) -> None:
        """The service begins to end. It closes the sessions."""

    def unbind(self) -> None:
        """The service has ended."""
        self._host = None

    @property
    def busy(self) -> bool:
        """Whether sessions are there, or their last callbacks still run."""
        return bool(self._sessions)

    def _opened(self, peer: Peer) -> None:
        assert self._host is not None
        lane = _Lane(self._host, peer, self.limits.events_in_flight)
        self._sessions[peer.sid] = lane
        lane.put(self._connect, lane, environ_of(peer.request))
        peer.owner, peer.on_message, peer.on_close = lane, self._heard, self._closed

    def _connect(self, lane: "_Lane", environ: dict[str, Any]) -> None:
        lane.refused = True  # also where the callback fails
        try:
            lane.refused = self._on_connect(lane.peer.sid, environ) is False
        finally:
            if lane.refused:
                self.close(lane.peer.sid)

    def _message(self, lane: "_Lane", data: str | bytes) -> None:
        if not lane.refused:
            self._on_message(lane.peer.sid, data)

    def _heard(self, lane: "_Lane", data: str | bytes) -> None:
        lane.put(self._message, lane, data)

    def _closed(self, lane: "_Lane", reason: Reason) -> None:
        lane.put(self._end, lane, reason)

    def _end(self, lane: "_Lane", reason: Reason) -> None:
        try:
            if not lane.refused:
                self._on_close(lane.peer.sid, reason.value)
        finally:
            if self._host is not None:
                self._host.loop.post(self._sessions.pop, lane.peer.sid, None)


class _Lane:
    """The calls of one session: in order, one at a time. More than *limit* waiting: reading pauses."""

    def __init__(self, host: Host, peer: Peer, limit: int) -> None:
        self.peer = peer
        self.refused = False  # set by the connect callback, which comes before all others
        self._host = host
        self._limit = limit
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._running = False

    def put(self, fn: Callable[..., object], *args: Any) -> None:
        """Loop thread."""
        self._calls.append((fn, args))
        if len(self._calls) >= self._limit and self.peer.session.state is not State.CLOSED:
            self.peer.pause()
        if not self._running:
            self._running = True
            self._host.runner.start(self._run)

    def _run(self) -> None:
        calls = self._calls
        while calls:
            fn, args = calls.popleft()
            try:
                fn(*args)
            except BaseException as error:  # also SystemExit: a callback ends nothing
                self._host.loop.post(self._host.quiet.error, "engineio", error, "an Engine.IO callback failed")
        self._host.loop.post(self._rest)

    def _rest(self) -> None:
        self._running = False
        if self._calls:
            self._running = True
            self._host.runner.start(self._run)
        else:
            self.peer.resume()


def _accept(sid: str, environ: dict[str, Any]) -> bool:
    return True


def _ignore(*_: Any) -> None:
    pass
