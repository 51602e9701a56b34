"""What a server does with the clients that are there: send, join, leave, disconnect, look. Loop thread.

:class:`Adapter` is what the server calls; :class:`LocalAdapter` does it to the clients of this process. Where several
processes are one server another adapter takes its place, which does it here and has it done elsewhere
(cluster/adapter.py). Which one it is, is decided when the server begins to run: an emit asks nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ..engineio.packet import Outgoing
from ..errors import BadNamespaceError, ConfigurationError
from ..limits import Limits
from .acks import AckSink, Timed
from .client import Member, MemberState
from .dispatch import Dispatcher
from .neighbours import LoopLike
from .rooms import Room, Rooms

Callback = Callable[..., object]


class Audience(NamedTuple):
    """Who gets an event: everybody in any of *rooms* (``None``: in the namespace), without the sids in *skip*."""

    namespace: str
    rooms: tuple[Room, ...] | None
    skip: frozenset[str]


@dataclass(frozen=True, slots=True)
class Special:
    """What few emits want.

    Nobody in any of *except_rooms* gets it; *volatile*: nor does who cannot take it at once. A callback is
    waited for *timeout_s* seconds; then *on_timeout* is called with the sid of each client that has not answered.
    *ignore_queue*: only this server's own clients, not those that a message queue reaches.
    """

    except_rooms: tuple[Room, ...] = ()
    volatile: bool = False
    timeout_s: float | None = None
    on_timeout: Callback | None = None
    ignore_queue: bool = False


class Seen(NamedTuple):
    """A client in a namespace, as somebody looked; *since_s* is seconds since 1970."""

    sid: str
    namespace: str
    rooms: tuple[Room, ...]
    transport: str
    address: str
    since_s: float


class Adapter(Protocol):
    """What reaches clients. Nothing here waits."""

    def broadcast(self, packet: Outgoing, audience: Audience, ack_id: int | None, callback: Callback | None) -> int:
        """Send *packet*. Returns 0 where it is certain that nobody gets it."""

    def broadcast_special(
        self, packet: Outgoing, audience: Audience, ack_id: int | None, callback: Callback | None, special: Special
    ) -> None:
        """Likewise, for what few emits want."""

    def forget_ack(self, audience: Audience, ack_id: int) -> None:
        """Nobody waits for it any more."""

    def join(self, sid: str, room: Room, namespace: str) -> None:
        """Put a client into *room*. Raises where it is certain that there is no such client."""

    def leave(self, sid: str, room: Room, namespace: str) -> None:
        """Take a client out of *room*, if it is there."""

    def close_room(self, room: Room, namespace: str) -> None:
        """Take everybody out of *room*."""

    def disconnect(self, sid: str, namespace: str) -> None:
        """Put a client out of *namespace*, if it is there."""

    def rooms(self, sid: str, namespace: str, answer: AckSink) -> None:
        """Call *answer* with the list of a client's rooms, its own first; have it fail where there is none."""

    def connections(self, namespace: str | None, answer: AckSink) -> None:
        """Call *answer* with a list of :class:`Seen`, of one or all namespaces."""


class LocalAdapter:
    """The clients of this process."""

    def __init__(self, dispatcher: Dispatcher, loop: LoopLike, limits: Limits) -> None:
        self.dispatcher = dispatcher
        self.spaces = dispatcher.spaces
        self.loop = loop
        self.limits = limits

    # --- sending

    def broadcast(self, packet: Outgoing, audience: Audience, ack_id: int | None, callback: Callback | None) -> int:
        """Returns how many it went to."""
        space = self.spaces.get(audience.namespace)
        if space is None:
            return 0
        members = space.select(audience.rooms, audience.skip)
        if ack_id is not None and callback is not None:
            for member in members:
                self.dispatcher.expect_ack(member, ack_id, callback)
        for member in members:
            member.send(packet)
        return len(members)

    def broadcast_special(
        self, packet: Outgoing, audience: Audience, ack_id: int | None, callback: Callback | None, special: Special
    ) -> None:
        members = self.chosen(audience, special)
        if ack_id is not None and callback is not None:
            timed = Timed(callback, set(members))
            for member in members:
                self.dispatcher.expect_ack(member, ack_id, timed)
            if special.timeout_s is not None:
                self.loop.call_later(special.timeout_s, self._expire, timed, ack_id, special.on_timeout)
        for member in members:
            member.send(packet)

    def chosen(self, audience: Audience, special: Special) -> list[Member]:
        """Who gets a special event."""
        space = self.spaces.get(audience.namespace)
        if space is None:
            return []
        members = space.select(audience.rooms, audience.skip)
        if special.except_rooms:
            excluded = frozenset(space.select(special.except_rooms))
            members = [member for member in members if member not in excluded]
        if special.volatile:
            members = [m for m in members if m.state is MemberState.CONNECTED and m.client.peer.writable]
        return members

    def _expire(self, timed: Timed, ack_id: int, on_timeout: Callback | None) -> None:
        """Who has not answered by now is not waited for any more."""
        for member in timed.unanswered:
            member.take_ack(ack_id)
            if on_timeout is not None:
                self.dispatcher.start_callback(member, on_timeout, [member.sid])

    def forget_ack(self, audience: Audience, ack_id: int) -> None:
        space = self.spaces.get(audience.namespace)
        for member in space.select(audience.rooms) if space else ():
            member.take_ack(ack_id)

    # --- rooms

    def join(self, sid: str, room: Room, namespace: str) -> None:
        member = self.member(sid, namespace)
        self.check_entry(member, room)
        self.join_member(member, room)

    def check_entry(self, member: Member, room: Room) -> None:
        """Raises where *room* is one too many, or another client's own: what goes there is for that client alone."""
        if member.rooms is not None and len(member.rooms) >= self.limits.rooms:
            raise ConfigurationError(f"the client is in {self.limits.rooms} rooms: the limit 'rooms'")
        if isinstance(room, str) and self.find(room, member.namespace) not in (None, member):
            raise ConfigurationError("cannot enter a sid room: it belongs to another client")

    def join_member(self, member: Member, room: Room) -> None:
        """Put a client that is known into *room*, unless it is gone."""
        if member.state is not MemberState.GONE:
            self.dispatcher.join(member, room)

    def leave(self, sid: str, room: Room, namespace: str) -> None:
        member = self.find(sid, namespace)
        if member is not None:
            self.spaces[namespace].leave(member, room)

    def close_room(self, room: Room, namespace: str) -> None:
        space = self.spaces.get(namespace)
        if space is not None:
            space.close(room)

    # --- clients

    def find(self, sid: str, namespace: str) -> Member | None:
        """The client of this sid, if it is one of this process."""
        space = self.spaces.get(namespace)
        return space.members.get(sid) if space is not None else None

    def member(self, sid: str, namespace: str) -> Member:
        """Likewise. Raises :class:`BadNamespaceError` where there is none."""
        member = self.find(sid, namespace)
        if member is None:
            raise BadNamespaceError(f"no client {sid!r} is connected to {namespace!r}")
        return member

    def disconnect(self, sid: str, namespace: str) -> None:
        member = self.find(sid, namespace)
        if member is not None:
            self.dispatcher.disconnect(member)

    def rooms(self, sid: str, namespace: str, answer: AckSink) -> None:
        answer(self.spaces[namespace].of(self.member(sid, namespace)))

    def connections(self, namespace: str | None, answer: AckSink) -> None:
        answer(self.seen(namespace))

    def seen(self, namespace: str | None) -> list[Seen]:
        """Who is there now."""
        offset_s = time.time() - self.loop.now()
        return [
            _seen(member, space, offset_s)
            for name, space in self.spaces.items()
            if namespace in (None, name)
            for member in space.members.values()
        ]


def _seen(member: Member, space: Rooms[Member], offset_s: float) -> Seen:
    peer: Any = member.client.peer
    address = str(peer.request.peer[0]) if isinstance(peer.request.peer, tuple) else ""
    rooms = tuple(space.of(member))
    return Seen(member.sid, member.namespace, rooms, peer.transport, address, peer.opened_at + offset_s)
