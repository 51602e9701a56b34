"""One client of the Socket.IO level: its namespaces, unfinished binary packets, acknowledgements. Pure.

A namespace of a client is a small machine, a :class:`Member`::

    CONNECTING ──accepted──► CONNECTED ──41, disconnect(), transport lost──► LEAVING ──handler done──► GONE
        └──refused, or lost while its connect handler runs──────────────────────────────────────────────┘

==========  ===================================  ==============================  =================
state       what it is sent                      events from it                  in rooms
==========  ===================================  ==============================  =================
CONNECTING  waits in the outbox for CONNECT      wait for the connect handler    yes
CONNECTED   leaves at once                       are dispatched                  yes
LEAVING     is dropped                           are dropped                     yes
GONE        is dropped                           are dropped                     no
==========  ===================================  ==============================  =================

``Member.send`` is the way out and is exchanged at each transition, so that a broadcast looks at no state.

A client that has left may come back before its disconnect handler, or its connect handler, is done. Its CONNECT
then waits in ``Member.again`` until the old member is GONE.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple

from ..engineio.packet import Outgoing
from ..engineio.session import Reason
from ..errors import RemoteProtocolError
from ..limits import Limits
from .packet import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    DISCONNECT,
    EVENT,
    Codec,
    Packet,
    attach,
    decode,
)
from .rooms import Room

Send = Callable[[Outgoing], None]

# An event that a client may not send: the names are the protocol's own.
RESERVED = frozenset({"connect", "connect_error", "disconnect", "disconnecting"})


class Connect(NamedTuple):
    """The client asks for a namespace."""

    namespace: str
    auth: Any


class Event(NamedTuple):
    """An event: its *args* and, where the client wants an answer, the *ack_id*."""

    member: "Member"
    name: str
    args: list[Any]
    ack_id: int | None


class Ack(NamedTuple):
    """The client's answer to an event of ours."""

    member: "Member"
    callback: Callable[..., object]
    args: list[Any]


class Disconnect(NamedTuple):
    """The client leaves a namespace."""

    member: "Member"


_new = tuple.__new__
Incoming = Connect | Event | Ack | Disconnect


class MemberState(Enum):
    """See the table at the head of this file."""

    CONNECTING = auto()
    CONNECTED = auto()
    LEAVING = auto()
    GONE = auto()


class Member:
    """A client in one namespace: what a Socket.IO sid names."""

    __slots__ = (
        "_acks",
        "_outbox",
        "_outbox_bytes",
        "_send",
        "again",
        "client",
        "early",
        "lost",
        "namespace",
        "rooms",
        "send",
        "sid",
        "state",
        "user_session",
    )

    def __init__(self, sid: str, namespace: str, client: "Client", send: Send) -> None:
        self.sid = sid
        self.namespace = namespace
        self.client = client
        self.state = MemberState.CONNECTING
        self.rooms: set[Room] | None = None
        self.early: list[Event] | None = None  # came in CONNECTING
        self.lost: Reason | None = None  # why it was lost in CONNECTING
        self.again: Connect | None = None  # asked for while this member leaves
        self.user_session: dict[str, Any] | None = None
        self._acks: dict[int, Callable[..., object]] | None = None
        self._outbox: list[Outgoing] = []
        self._outbox_bytes = 0
        self._send = send
        self.send: Send = self._wait_for_connect

    def _wait_for_connect(self, packet: Outgoing) -> None:
        limits = self.client.limits
        self._outbox_bytes += len(packet.frame)
        if len(self._outbox) < limits.queued_packets and self._outbox_bytes <= limits.queued_bytes:
            self._outbox.append(packet)
        else:
            self.client.peer.close(Reason.TRANSPORT_ERROR)

    def accepted(self, connect_packet: Outgoing) -> None:
        """CONNECTING → CONNECTED: the CONNECT packet, then what the connect handler sent."""
        self.state = MemberState.CONNECTED
        if self.has_left:  # it would take the packet for the answer to its next CONNECT
            self.send = _drop
            self._outbox = []
            return
        self.send = self._send
        self.send(connect_packet)
        for packet in self._outbox:
            self.send(packet)
        self._outbox = []

    @property
    def has_left(self) -> bool:
        """Whether the client knows that it is not in the namespace any more."""
        return self.state is MemberState.LEAVING or self.lost is Reason.CLIENT

    def leaves(self) -> list[Callable[..., object]]:
        """→ LEAVING: nothing is sent any more. Returns the callbacks whose acknowledgements will not come."""
        self.state = MemberState.LEAVING
        self.send = _drop
        return self._give_up_acks()

    def gone(self) -> list[Callable[..., object]]:
        """→ GONE. Returns likewise."""
        self.state = MemberState.GONE
        self.send = _drop
        self._outbox = []
        self.client.forget(self)
        return self._give_up_acks()

    def _give_up_acks(self) -> list[Callable[..., object]]:
        acks, self._acks = self._acks or {}, None
        self.client.owed -= len(acks)
        return list(acks.values())

    def expect_ack(self, ack_id: int, callback: Callable[..., object]) -> Callable[..., object] | None:
        """Call *callback* with the client's answer to the event of this id. Past the limit it gives the oldest back."""
        if self._acks is None:
            self._acks = {}
        oldest = None
        if len(self._acks) >= self.client.limits.pending_acks:
            oldest = self.take_ack(next(iter(self._acks)))
        self._acks[ack_id] = callback
        self.client.owed += 1
        return oldest

    def take_ack(self, ack_id: int) -> Callable[..., object] | None:
        """The callback that waits for this id, once; or nobody waits for it any more."""
        callback = self._acks.pop(ack_id, None) if self._acks else None
        if callback is not None:
            self.client.owed -= 1
        return callback

    def __repr__(self) -> str:
        return f"<Member {self.sid} of {self.namespace} {self.state.name.lower()}>"


def _drop(packet: Outgoing) -> None:
    pass


class Client:
    """What one Engine.IO session is for Socket.IO: it turns payloads into :data:`Incoming`.

    After a :class:`RemoteProtocolError` the client is to be disconnected; it is not asked again.
    """

    __slots__ = (
        "_attachments",
        "_codec",
        "_left",
        "_partial",
        "context",
        "dismissed",
        "full_at",
        "limits",
        "lost",
        "members",
        "on_finished",
        "owed",
        "paused",
        "peer",
        "running",
        "timer",
    )

    def __init__(self, peer: Any, codec: Codec, limits: Limits) -> None:
        self.peer = peer
        self.members: dict[str, Member] = {}
        self.running: list[None] = []  # as long as events have not finished: handlers' threads take from it, too
        self.owed = 0  # acknowledgements: they come in behind its events
        self.lost = False  # its connection is over; its disconnect handlers may still run
        self.paused = False  # there are enough of them: nothing is read from this client
        self.on_finished: Callable[[], object] | None = None  # called after each event; see drain.py
        self.dismissed = False  # its end is decided, and it does not know it yet: nothing new can be answered
        self.full_at = 0.0  # see rate.py
        self.context: Any = None  # the face's: what surrounds its handlers
        self.timer: Any = None  # closes a client that joins no namespace
        self._codec = codec
        self.limits = limits
        # Namespaces that it has left, or was put out of: what it sent before it knew may still come.
        self._left: set[str] | None = None
        self._partial: Packet | None = None  # a binary packet whose attachments are still to come
        self._attachments: list[bytes] = []

    @property
    def at_rest(self) -> bool:
        """Whether all that it has asked for is done, as far as it has come."""
        return not self.running and self._partial is None

    def receive(self, payload: str | bytes) -> Incoming | None:
        """One message payload. ``None`` where nothing has happened (yet).

        Raises :class:`RemoteProtocolError`.
        """
        if payload.__class__ is not str:
            return self._attachment(bytes(payload))  # type: ignore[arg-type]
        if self._partial is not None:
            raise RemoteProtocolError("a text packet came where an attachment was expected")
        if payload[:2] == "2[":  # the hot path: an event of `/` without acknowledgement
            try:
                args = self._codec.loads(payload[1:])
            except (ValueError, RecursionError) as error:
                raise RemoteProtocolError("a packet's JSON is malformed") from error
            return self._event("/", args, None)
        limits = self.limits
        packet = decode(self._codec, payload, limits.attachments, limits.ack_id_digits)
        if packet.attachments:
            # Attachments are kept for members only: else they could be piled up before any connect handler
            # has looked at the client (CVE-2026-48804 in python-socketio).
            self._member(packet.namespace)
            self._partial = packet
            return None
        return self._packet(packet)

    def _attachment(self, data: bytes) -> Incoming | None:
        packet = self._partial
        if packet is None:
            raise RemoteProtocolError("an attachment came that no packet has announced")
        self._attachments.append(data)
        if len(self._attachments) < packet.attachments:
            return None
        attachments, self._attachments, self._partial = self._attachments, [], None
        return self._packet(packet._replace(data=attach(packet.data, attachments)))

    def _packet(self, packet: Packet) -> Incoming | None:
        kind, namespace = packet.type, packet.namespace
        if kind in (EVENT, BINARY_EVENT):
            return self._event(namespace, packet.data, packet.ack_id)
        if kind == CONNECT:
            old = self.members.get(namespace)
            if old is not None and not old.has_left:
                raise RemoteProtocolError("the namespace is connected already")
            return Connect(namespace, packet.data)
        member = self._member(namespace)
        if member is None:
            return None
        if kind == DISCONNECT:
            return Disconnect(member)
        if kind in (ACK, BINARY_ACK):
            callback = member.take_ack(packet.ack_id or 0)
            return Ack(member, callback, packet.data) if callback is not None else None
        raise RemoteProtocolError("unexpected packet type")

    def _event(self, namespace: str, args: Any, ack_id: int | None) -> Event | None:
        member = self.members.get(namespace)
        if member is None:
            return self._member(namespace)  # type: ignore[return-value]  # None, or it raises
        if args.__class__ is not list or not args:
            raise RemoteProtocolError("an event is a list that begins with its name")
        name = args[0]
        if name.__class__ is not str:
            if name.__class__ is not int:
                raise RemoteProtocolError("an event's name is a text or a number")
            name = str(name)
        if name in RESERVED:
            raise RemoteProtocolError(f"{name!r} is not a name for an event")
        if ack_id is not None and self.dismissed:
            return None  # who hears that it has failed sends it again: it is not to happen twice
        del args[0]
        return _new(Event, (member, name, args, ack_id))  # Event(…) takes twice as long

    def _member(self, namespace: str) -> Member | None:
        """The member, or ``None`` where there was one. Raises where there never was."""
        member = self.members.get(namespace)
        if member is None and (self._left is None or namespace not in self._left):
            raise RemoteProtocolError("a packet for a namespace that is not connected")
        return member

    def forget(self, member: Member) -> None:
        """The member is gone."""
        if self.members.get(member.namespace) is member:
            del self.members[member.namespace]
            if self._left is None or len(self._left) >= self.limits.namespaces:
                self._left = set()
            self._left.add(member.namespace)
