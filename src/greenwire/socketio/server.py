"""The Socket.IO server as its users see it: emit, call, rooms, disconnect. From any thread.

What is sent is encoded here, in the caller's thread, once: an error shows at the caller's own line, and a later
change of the object is not seen by clients. Then one post to the loop, which keeps the order of calls: a room
joined before an emit counts.

A server exists before it runs, so that handlers can be registered and ``emit`` called at import time. Until
:meth:`Server.bind` nobody is connected, and what is emitted reaches nobody.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from ..engineio.packet import Outgoing
from ..errors import (
    BadNamespaceError,
    ConfigurationError,
    DisconnectedError,
    NotRunningError,
    RemoteProtocolError,
    TimeoutError,
)
from ..limits import DEFAULT, Limits
from ..runners import Runner
from .client import Member, MemberState
from .dispatch import Complaints, Dispatcher, Face, LoopLike, Tasks, Timed, Waiter
from .handlers import Handler, Handlers, normal_namespace
from .ordered import OrderedDispatcher
from .packet import Codec, Json
from .rooms import Room, Rooms
from .wire import JsonWire, Wire

H = TypeVar("H", bound=Callable[..., Any])
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Audience:
    """Who gets an event: everybody in any of *rooms* (``None``: in the namespace), without the sids in *skip*."""

    namespace: str
    rooms: tuple[Room, ...] | None
    skip: frozenset[str]


@dataclass(frozen=True, slots=True)
class Special:
    """What few emits want.

    Nobody in any of *except_rooms* gets it; *volatile*: nor does who cannot take it at once. A callback is
    waited for *timeout_s* seconds; then *on_timeout* is called with the sid of each client that has not answered.
    """

    except_rooms: tuple[Room, ...] = ()
    volatile: bool = False
    timeout_s: float | None = None
    on_timeout: Callable[..., object] | None = None


class Server:
    """A Socket.IO server without a web framework. Handlers get the client's sid first."""

    def __init__(
        self,
        *,
        namespaces: Collection[str] | str = (),
        limits: Limits = DEFAULT,
        codec: Codec | None = None,
        face: Face | None = None,
    ) -> None:
        self.handlers = Handlers(namespaces, arguments_before=1 if face is None else 0)
        self.limits = limits
        self.wire: Wire = JsonWire(codec or Json())
        self.always_connect = False  # CONNECT is sent before the connect handler runs
        self.async_handlers = True  # events of one client may be handled at the same time
        self.face: Face = face or PlainFace()
        self._ack_ids = count(1)  # one for all clients, so that a broadcast with callback is one packet
        self._loop: LoopLike | None = None
        self._dispatcher: Dispatcher | None = None

    # --- registration

    def on(self, event: str, namespace: str | None = None) -> Callable[[H], H]:
        """Decorator: *event* is handled by this function."""

        def register(fn: H) -> H:
            self.handlers.add(event, fn, namespace)
            return fn

        return register

    # --- life

    def bind(
        self,
        loop: LoopLike,
        runner: Runner,
        tasks: Tasks,
        quiet: Complaints,
        on_bad_client: Callable[[Any, RemoteProtocolError], None],
    ) -> Dispatcher:
        """The server runs from now on, with these."""
        kind = Dispatcher if self.async_handlers else OrderedDispatcher
        self._loop = loop
        self._dispatcher = kind(
            self.handlers,
            self.limits,
            self.wire,
            self.face,
            loop=loop,
            runner=runner,
            tasks=tasks,
            quiet=quiet,
            on_bad_client=on_bad_client,
            always_connect=self.always_connect,
        )
        return self._dispatcher

    def unbind(self) -> None:
        """The server has stopped."""
        self._loop = self._dispatcher = None

    @property
    def running(self) -> bool:
        """Whether clients can be connected."""
        return self._loop is not None

    # --- sending

    def emit(
        self,
        event: str,
        *args: Any,
        to: Room | Collection[Room] | None = None,
        skip: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callable[..., object] | None = None,
    ) -> None:
        """Send *event* to everybody in *to*: a room, a sid, or several; the whole namespace for ``None``.

        *callback* is called with each client's acknowledgement. Never waits. Raises :class:`EncodeError`.
        """
        audience = Audience(normal_namespace(namespace), as_rooms(to), as_sids(skip))
        ack_id = next(self._ack_ids) if callback is not None else None
        packet = self.wire.event(audience.namespace, [_event_name(event), *args], ack_id)
        loop = self._loop
        if loop is not None:
            loop.post(self._broadcast, packet, audience, ack_id, callback)

    def emit_special(
        self,
        event: str,
        *args: Any,
        to: Room | Collection[Room] | None = None,
        skip: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callable[..., object] | None = None,
        special: "Special",
    ) -> None:
        """:meth:`emit`, for what few emits want."""
        audience = Audience(normal_namespace(namespace), as_rooms(to), as_sids(skip))
        ack_id = next(self._ack_ids) if callback is not None else None
        packet = self.wire.event(audience.namespace, [_event_name(event), *args], ack_id)
        loop = self._loop
        if loop is not None:
            loop.post(self._broadcast_special, packet, audience, ack_id, callback, special)

    def _broadcast_special(
        self,
        packet: Outgoing,
        audience: Audience,
        ack_id: int | None,
        callback: Callable[..., object] | None,
        special: "Special",
    ) -> None:
        dispatcher = self._dispatcher
        space = dispatcher.spaces.get(audience.namespace) if dispatcher is not None else None
        if space is None or self._loop is None:
            return
        members = space.select(audience.rooms, audience.skip)
        if special.except_rooms:
            excluded = frozenset(space.select(special.except_rooms))
            members = [member for member in members if member not in excluded]
        if special.volatile:
            members = [m for m in members if m.state is MemberState.CONNECTED and m.client.peer.writable]
        if ack_id is not None and callback is not None:
            timed = Timed(callback, set(members))
            for member in members:
                member.expect_ack(ack_id, timed)
            if special.timeout_s is not None:
                self._loop.call_later(special.timeout_s, self._expire, timed, ack_id, special.on_timeout)
        for member in members:
            member.send(packet)

    def _expire(self, timed: Timed, ack_id: int, on_timeout: Callable[..., object] | None) -> None:
        """Who has not answered by now is not waited for any more."""
        for member in timed.unanswered:
            member.forget_ack(ack_id)
            if on_timeout is not None and self._dispatcher is not None:
                self._dispatcher.start_callback(member, on_timeout, [member.sid])

    def send_to(self, member: Member, event: str, args: list[Any]) -> None:
        """Send to one client, who is known: what a handler's answer to its own client takes."""
        packet = self.wire.event(member.namespace, [_event_name(event), *args])
        loop = self._loop
        if loop is not None:
            loop.post(_send, member, packet)

    def _broadcast(
        self, packet: Outgoing, audience: Audience, ack_id: int | None, callback: Callable[..., object] | None
    ) -> int:
        """Loop thread. Returns how many it went to."""
        dispatcher = self._dispatcher
        space = dispatcher.spaces.get(audience.namespace) if dispatcher is not None else None
        if space is None:
            return 0
        members = space.select(audience.rooms, audience.skip)
        if ack_id is not None and callback is not None:
            for member in members:
                member.expect_ack(ack_id, callback)
        for member in members:
            member.send(packet)
        return len(members)

    def call(
        self,
        event: str,
        *args: Any,
        to: Room,
        namespace: str | None = None,
        timeout: float = 60,
    ) -> Any:
        """Send *event* to one client and wait for its acknowledgement, up to *timeout* seconds. May switch.

        Returns nothing, the value, or a tuple for none, one, or several arguments. Raises
        :class:`TimeoutError`, and :class:`DisconnectedError` where the client is not there or leaves.
        """
        loop = self._loop
        if loop is None:
            raise NotRunningError("call() needs a running server: there is nobody to answer")
        if loop.here:
            raise ConfigurationError("call() would keep the event loop waiting: use it in a plain handler")
        audience = Audience(normal_namespace(namespace), as_rooms(to), frozenset())
        ack_id = next(self._ack_ids)
        packet = self.wire.event(audience.namespace, [_event_name(event), *args], ack_id)
        waiter = Waiter()
        if not loop.ask(self._broadcast, packet, audience, ack_id, waiter):
            raise DisconnectedError(f"call({event!r}): nobody is connected as {to!r} to {audience.namespace!r}")
        if not waiter.wait(timeout):
            loop.post(self._forget_ack, audience, ack_id)
            raise TimeoutError(f"call({event!r}): no acknowledgement in {timeout} s")
        if waiter.args is None:
            raise DisconnectedError(f"call({event!r}): the client has left without acknowledging")
        return waiter.args if len(waiter.args) > 1 else waiter.args[0] if waiter.args else None

    def _forget_ack(self, audience: Audience, ack_id: int) -> None:
        space = self._dispatcher.spaces.get(audience.namespace) if self._dispatcher else None
        for member in space.select(audience.rooms) if space else ():
            member.forget_ack(ack_id)

    # --- rooms and clients

    def enter_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Put a client into *room*. Raises where there is no such client."""
        self._require().ask(self._enter, sid, as_room(room), normal_namespace(namespace))

    def enter(self, member: Member, room: Room) -> None:
        """Put a client that is known into *room*. Does not wait; what is emitted afterwards reaches it."""
        room = as_room(room)
        self._check_entry(member, room)
        self._require().post(self._enter_member, member, room)

    def leave_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Take a client out of *room*. It need not be there."""
        self._require().post(self._leave, sid, as_room(room), normal_namespace(namespace))

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take everybody out of *room*. Not out of a client's own, where nobody else is."""
        namespace = normal_namespace(namespace)
        if isinstance(room, str) and self._find(room, namespace) is not None:
            raise ConfigurationError("cannot close a sid room: to put a client out, disconnect() it")
        if self._loop is not None:
            self._loop.post(self._close_room, as_room(room), namespace)

    def rooms(self, sid: str, namespace: str | None = None) -> list[Room]:
        """The rooms of a client, its own first."""
        return self._require().ask(self._rooms_of, sid, normal_namespace(namespace))

    def disconnect(self, sid: str, namespace: str | None = None) -> None:
        """Put a client out of *namespace*. Its disconnect handler runs. Unknown sids are ignored."""
        if self._loop is not None:
            self._loop.post(self._disconnect, sid, normal_namespace(namespace))

    def member(self, sid: str, namespace: str | None = None) -> Member:
        """The client of this sid. Raises :class:`BadNamespaceError` where there is none."""
        return self._require().ask(self._member, sid, normal_namespace(namespace))

    def look(self, look: Callable[[Mapping[str, Rooms[Member]]], T], otherwise: T) -> T:
        """What *look* finds in the namespaces, called in the loop thread; *otherwise* where nothing runs."""
        loop, dispatcher = self._loop, self._dispatcher
        if loop is None or dispatcher is None:
            return otherwise
        return loop.ask(look, dispatcher.spaces)

    def _require(self) -> LoopLike:
        if self._loop is None:
            raise NotRunningError("the server is not running: there are no clients yet")
        return self._loop

    def _find(self, sid: str, namespace: str) -> Member | None:
        space = self._dispatcher.spaces.get(namespace) if self._dispatcher else None
        return space.members.get(sid) if space is not None else None

    def _member(self, sid: str, namespace: str) -> Member:
        member = self._find(sid, namespace)
        if member is None:
            raise BadNamespaceError(f"no client {sid!r} is connected to {namespace!r}")
        return member

    def _enter(self, sid: str, room: Room, namespace: str) -> None:
        member = self._member(sid, namespace)
        self._check_entry(member, room)
        self._enter_member(member, room)

    def _check_entry(self, member: Member, room: Room) -> None:
        """Raises where *room* is one too many, or another client's own: what goes there is for that client alone."""
        if member.rooms is not None and len(member.rooms) >= self.limits.rooms:
            raise ConfigurationError(f"the client is in {self.limits.rooms} rooms: the limit 'rooms'")
        if isinstance(room, str) and self._find(room, member.namespace) not in (None, member):
            raise ConfigurationError("cannot enter a sid room: it belongs to another client")

    def _enter_member(self, member: Member, room: Room) -> None:
        if member.state is not MemberState.GONE and self._dispatcher is not None:
            self._dispatcher.join(member, room)

    def _leave(self, sid: str, room: Room, namespace: str) -> None:
        member = self._find(sid, namespace)
        if member is not None and self._dispatcher is not None:
            self._dispatcher.spaces[namespace].leave(member, room)

    def _close_room(self, room: Room, namespace: str) -> None:
        space = self._dispatcher.spaces.get(namespace) if self._dispatcher else None
        if space is not None:
            space.close(room)

    def _rooms_of(self, sid: str, namespace: str) -> list[Room]:
        member = self._member(sid, namespace)
        assert self._dispatcher is not None
        return self._dispatcher.spaces[namespace].of(member)

    def _disconnect(self, sid: str, namespace: str) -> None:
        member = self._find(sid, namespace)
        if member is not None and self._dispatcher is not None:
            self._dispatcher.disconnect(member)


class PlainFace:
    """Handlers that get the sid first: ``connect(sid, auth)``, ``event(sid, *args)``, ``disconnect(sid, reason)``."""

    def run(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Any:
        return handler.fn(member.sid, *offered(handler, name, args))

    async def run_async(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Any:
        return await handler.fn(member.sid, *offered(handler, name, args))

    def run_callback(self, callback: Callable[..., object], member: Member, args: list[Any]) -> None:
        callback(*args)


def offered(handler: Handler, name: str, args: list[Any]) -> list[Any]:
    """The arguments that a handler is called with."""
    if handler.event == "*":
        return [name, *args]
    return args if handler.takes_extra else []


def _send(member: Member, packet: Outgoing) -> None:
    member.send(packet)


def _event_name(event: str) -> str:
    if not isinstance(event, str) or not event:
        raise ConfigurationError(f"emit({event!r}): the name of an event is a string")
    return event


def as_room(room: Any) -> Room:
    """*room*, if it can be one. Raises :class:`ConfigurationError` at the caller's line."""
    if not isinstance(room, Hashable) or isinstance(room, list | dict | set):
        raise ConfigurationError(f"room={room!r}: a room's name must be hashable, such as a string or a number")
    try:
        hash(room)
    except TypeError as error:
        raise ConfigurationError(f"room={room!r}: {error}") from None
    return room


def as_rooms(to: Room | Collection[Room] | None) -> tuple[Room, ...] | None:
    """``to=`` as rooms; ``None`` is everybody."""
    if to is None:
        return None
    if isinstance(to, list | tuple | set | frozenset):
        return tuple(map(as_room, to))
    return (as_room(to),)


def as_sids(skip: str | Iterable[str] | None) -> frozenset[str]:
    """``skip_sid=`` as a set."""
    if not skip:
        return frozenset()
    return frozenset((skip,)) if isinstance(skip, str) else frozenset(skip)
