"""What reaches clients where several processes are one server: those here, and by *carriers* those elsewhere.

A carrier is a way to other processes: the bus between the workers of one machine (local.py), a message queue
(queue.py), or both. It does not say whether anybody is there; what it can know at once it says by what it returns.

What is done here is done first, and told afterwards, as python-socketio does. A room or a client of this process is
not looked for elsewhere.
"""

from collections.abc import Callable
from typing import Any, Protocol

from ..engineio.packet import Outgoing
from ..errors import BadNamespaceError, EncodeError
from ..limits import Limits
from ..socketio.acks import AckSink
from ..socketio.adapter import Audience, Callback, LocalAdapter, Special
from ..socketio.client import Client, Member
from ..socketio.neighbours import Complaints
from ..socketio.packet import Json
from ..socketio.rooms import Room
from ..socketio.server import Server
from .messages import CloseRoom, Disconnect, Join, Leave

ORDINARY = Special()
Order = Join | Leave | Disconnect  # something to be done to one client


class Carrier(Protocol):
    """A way to other processes. Loop thread; nothing here waits, and what cannot be told raises EncodeError."""

    def broadcast(
        self,
        packet: Outgoing,
        audience: Audience,
        ack_id: int | None,
        callback: Callback | None,
        special: Special,
        found: int,
    ) -> int:
        """Have others send *packet*, which went to *found* clients already. Returns 0 where nobody else is there."""

    def forget_ack(self, audience: Audience, ack_id: int) -> None:
        """Nobody waits for it any more."""

    def tell(self, order: Order) -> bool:
        """Have it done to a client of another process. ``False`` where it is certain that there is no such client."""

    def close_room(self, order: CloseRoom) -> None:
        """Have others empty the room, too."""

    def rooms(self, sid: str, namespace: str, answer: AckSink) -> bool:
        """Ask for a client's rooms. ``False`` where there is nobody to ask."""

    def connections(self, namespace: str | None, answer: "Gathered") -> None:
        """Ask for the clients of others: one :meth:`Gathered.expect` for each who is asked."""


class Gathered(AckSink):
    """The lists that several have been asked for, as one list."""

    __slots__ = ("_answer", "_found", "_missing")

    def __init__(self, answer: AckSink) -> None:
        self._answer = answer
        self._found: list[Any] = []
        self._missing = 1  # until everybody has been asked

    def expect(self) -> None:
        """One more has been asked."""
        self._missing += 1

    def __call__(self, *args: Any) -> None:
        self._found += args[0]
        self.fail()

    def fail(self) -> None:
        """One who was asked is gone, and its clients with it."""
        self._missing -= 1
        if not self._missing:
            self._answer(self._found)


class ClusterAdapter:
    """The clients of this process and those that carriers reach."""

    def __init__(self, server: Server, local: LocalAdapter, limits: Limits, quiet: Complaints) -> None:
        self.server = server
        self.local = local
        self.limits = limits
        self.quiet = quiet
        self.carriers: list[Carrier] = []
        self._absent = Client(_Nowhere(), Json(), limits)

    # --- sending

    def broadcast(self, packet: Outgoing, audience: Audience, ack_id: int | None, callback: Callback | None) -> int:
        found = self.local.broadcast(packet, audience, ack_id, callback)
        if found == 1 and self._is_for_one_of_ours(audience):
            return found
        return found + self._elsewhere(packet, audience, ack_id, callback, ORDINARY, found)

    def broadcast_special(
        self, packet: Outgoing, audience: Audience, ack_id: int | None, callback: Callback | None, special: Special
    ) -> None:
        self.local.broadcast_special(packet, audience, ack_id, callback, special)
        if not self._is_for_one_of_ours(audience):
            # The count matters to a call() only, and that is nothing special.
            self._elsewhere(packet, audience, ack_id, callback, special, 1)

    def _is_for_one_of_ours(self, audience: Audience) -> bool:
        rooms = audience.rooms
        if rooms is None or len(rooms) != 1 or not isinstance(rooms[0], str):
            return False
        return self.local.find(rooms[0], audience.namespace) is not None

    def _elsewhere(
        self,
        packet: Outgoing,
        audience: Audience,
        ack_id: int | None,
        callback: Callback | None,
        special: Special,
        found: int,
    ) -> int:
        reached = 0
        for carrier in self.carriers:
            try:
                reached += carrier.broadcast(packet, audience, ack_id, callback, special, found + reached)
            except EncodeError as error:
                self.complain(error)
        return reached

    def forget_ack(self, audience: Audience, ack_id: int) -> None:
        self.local.forget_ack(audience, ack_id)
        for carrier in self.carriers:
            carrier.forget_ack(audience, ack_id)

    # --- rooms and clients

    def join(self, sid: str, room: Room, namespace: str) -> None:
        if self.local.find(sid, namespace) is not None:
            self.local.join(sid, room, namespace)
        elif not self._tell(Join(sid, room, namespace)):
            raise BadNamespaceError(f"no client {sid!r} is connected to {namespace!r}")

    def leave(self, sid: str, room: Room, namespace: str) -> None:
        if self.local.find(sid, namespace) is not None:
            self.local.leave(sid, room, namespace)
        else:
            self._tell(Leave(sid, room, namespace))

    def disconnect(self, sid: str, namespace: str) -> None:
        if self.local.find(sid, namespace) is not None:
            self.local.disconnect(sid, namespace)
        else:
            self._tell(Disconnect(sid, namespace))

    def _tell(self, order: Order) -> bool:
        """Raises :class:`EncodeError` where the room has no name elsewhere."""
        told = [carrier.tell(order) for carrier in self.carriers]  # all of them, not up to the first that knows
        return any(told)

    def close_room(self, room: Room, namespace: str) -> None:
        self.local.close_room(room, namespace)
        for carrier in self.carriers:
            try:
                carrier.close_room(CloseRoom(room, namespace))
            except EncodeError as error:
                self.complain(error)

    def rooms(self, sid: str, namespace: str, answer: AckSink) -> None:
        if self.local.find(sid, namespace) is not None:
            self.local.rooms(sid, namespace, answer)
        elif not any(carrier.rooms(sid, namespace, answer) for carrier in self.carriers):
            raise BadNamespaceError(f"no client {sid!r} is connected to {namespace!r}")

    def connections(self, namespace: str | None, answer: AckSink) -> None:
        gathered = Gathered(answer)
        for carrier in self.carriers:
            carrier.connections(namespace, gathered)
        gathered(self.local.seen(namespace))

    # --- for carriers

    def carry_out(self, order: Order) -> None:
        """Do to a client of this process, if it is one, what another process has asked for."""
        local, namespace = self.local, order.namespace
        member = local.find(order.sid, namespace)
        if member is None:
            return
        if isinstance(order, Join):
            local.join_member(member, order.room)
        elif isinstance(order, Leave):
            local.leave(order.sid, order.room, namespace)
        else:
            local.disconnect(order.sid, namespace)

    def answered(self, callback: Callback, sid: str, namespace: str, args: list[Any]) -> None:
        """A client of another process has acknowledged: call *callback*, in a runner unless it is for the loop."""
        if isinstance(callback, AckSink):
            callback(*args)
        else:
            absent = Member(sid, namespace, self._absent, _drop)
            self.local.dispatcher.start_callback(absent, callback, args)

    def complain(self, error: Exception) -> None:
        """Something cannot be told to other processes."""
        self.quiet.warning("cluster", "only this process's clients are reached: %s", error)


def join(server: Server, limits: Limits, quiet: Complaints, make: Callable[[ClusterAdapter], Carrier]) -> Carrier:
    """Add a carrier to a server that has begun to run. Loop thread."""
    adapter = server.adapter
    if not isinstance(adapter, ClusterAdapter):
        adapter = ClusterAdapter(server, server.local, limits, quiet)
        server.extend(adapter)
    carrier = make(adapter)
    adapter.carriers.append(carrier)
    return carrier


class _Nowhere:
    """Stands for the connection of a client of another process, where only callbacks run for it."""

    def pause(self) -> None:
        """It is not read here."""

    def resume(self) -> None:
        """Nor is it now."""

    def close(self, reason: Any = None) -> None:
        """Nor is it closed."""


def _drop(packet: Outgoing) -> None:
    pass
