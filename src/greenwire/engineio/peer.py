"""One Engine.IO client: its session, its WebSocket if it has one, and who listens to it.

The session decides (session.py); a peer carries out. The layer above is two callables that all peers share,
``on_message(owner, payload)`` and ``on_close(owner, reason)``, and an *owner* of each peer's own. It sets them when
the peer is handed to it.

While the owner has too much to do for this client it calls ``pause``: a WebSocket is not read, and what a POST
still brings is held here, its answer with it, so that the client does not send the next.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import RemoteProtocolError
from ..websocket.connection import CUT_OFF, WebSocketConnection
from .packet import Outgoing
from .session import Reason, Session


class Keeper(Protocol):
    """What a peer needs of the engine that keeps it."""

    def fail(self, peer: "Peer", error: RemoteProtocolError) -> None: ...
    def wake(self, peer: "Peer") -> None: ...
    def answered(self, peer: "Peer") -> None: ...
    def closed(self, peer: "Peer", reason: Reason) -> None: ...


class Peer:
    """A session and its I/O. Loop thread only."""

    __slots__ = (
        "_dismissed",
        "_held",
        "_keeper",
        "_on_drained",
        "close_code",
        "on_close",
        "on_message",
        "on_poll",
        "opened_at",
        "owner",
        "posting",
        "probe",
        "request",
        "session",
        "sid",
        "socket",
    )

    def __init__(self, sid: str, request: Any, now: float, keeper: Keeper) -> None:
        self.sid = sid
        self.request = request  # the handshake's
        self.opened_at = now
        self.session: Session
        self.socket: WebSocketConnection | None = None
        self.probe: WebSocketConnection | None = None  # asks to take over, in PROBING
        self.owner: Any = None
        self.on_message: Callable[[Any, str | bytes], None] = _nobody
        self.on_close: Callable[[Any, Reason], None] = _nobody
        self.posting = False  # a POST is being read; it has meaning in POLLING and PROBING
        self.on_poll: Callable[[], object] | None = None  # called when a poll is held; see drain.py
        self._dismissed = False
        self._held: deque[str | bytes] | None = None  # not None: paused
        self._on_drained: Callable[[], None] | None = None
        self._keeper = keeper

    @property
    def transport(self) -> str:
        """``"polling"`` or ``"websocket"``."""
        return "polling" if self.socket is None else "websocket"

    @property
    def writable(self) -> bool:
        """Whether what is sent now leaves with this turn: nothing else waits for the client to take it."""
        return self.session.holds_poll if self.socket is None else not self.socket.congested

    @property
    def send(self) -> Callable[[Outgoing], None]:
        """Sends by whatever transport is in charge. The session's own: one call less for each delivery."""
        return self.session.send

    def flush(self) -> None:
        """End of turn: answer a poll that waits."""
        self.session.flush()

    def close(self, reason: Reason = Reason.SERVER) -> None:
        """Close the session from our side."""
        self.session.close(reason)

    @property
    def at_rest(self) -> bool:
        """Whether the transport has nothing to do for this client."""
        if self.posting or self.paused:
            return False
        return self.socket is not None or self.session.has_all

    def dismiss(self) -> None:
        """Close, too, but take in what a client on a WebSocket has sent before it hears of that."""
        if self.socket is None:
            self.close()
        else:
            self._dismissed = True
            self.socket.part(1001)

    # --- what the session decides

    def wake(self) -> None:
        """A poll that waits is to be answered at the end of this turn."""
        self._keeper.wake(self)

    def answered(self) -> None:
        """A pong has come."""
        self._keeper.answered(self)

    def closed(self, reason: Reason) -> None:
        """The session is over."""
        self._keeper.closed(self, reason)

    # --- in

    def socket_receives(self, message: str | bytes) -> None:
        """A message on the WebSocket that is in charge. The hot path."""
        try:
            payload = self.session.receive(message)
        except RemoteProtocolError as error:
            self._keeper.fail(self, error)
            return
        if payload is not None:
            self.on_message(self.owner, payload)

    def socket_closed(self, socket: WebSocketConnection, code: int) -> None:
        """The WebSocket that was in charge is gone."""
        if code == CUT_OFF:
            self.session.close(Reason.TRANSPORT_ERROR)
        if self._dismissed:
            self.session.close(Reason.SERVER)
        self.session.socket_closes()

    def deliver(self, payloads: list[str | bytes], on_drained: Callable[[], None]) -> None:
        """The messages of one POST, in order; *on_drained* is called when the owner has taken them all."""
        for n, payload in enumerate(payloads):
            if self._held is not None:
                self._held.extend(payloads[n:])
                self._on_drained = on_drained
                return
            self.on_message(self.owner, payload)
        on_drained()

    # --- a pause

    @property
    def paused(self) -> bool:
        """Whether nothing is taken in from this client for now."""
        return self._held is not None

    def pause(self) -> None:
        """Take nothing more in from this client for now."""
        if self._held is None:
            self._held = deque()
            if self.socket is not None:
                self.socket.pause()

    def resume(self) -> None:
        """Go on, first with what was held."""
        held, self._held = self._held, None
        while held:
            self.on_message(self.owner, held.popleft())
            if self._held is not None:  # paused again meanwhile
                self._held = held
                return
        drained, self._on_drained = self._on_drained, None
        if drained is not None:
            drained()
        if self.socket is not None:
            self.socket.resume()

    def upgraded(self, socket: WebSocketConnection) -> None:
        """The WebSocket is in charge from now on."""
        self.socket = socket
        socket.listen(self.socket_receives)
        if self._held is not None:
            socket.pause()


def _nobody(*_: object) -> None:
    pass
