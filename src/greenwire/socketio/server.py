"""The Socket.IO server as its users see it: emit, call, rooms, disconnect. From any thread.

What is sent is encoded here, in the caller's thread, once: an error shows at the caller's own line, and a later
change of the object is not seen by clients. Then one post to the loop, which keeps the order of calls: a room
joined before an emit counts.

A server exists before it runs, so that handlers can be registered and ``emit`` called at import time. Until
:meth:`Server.bind` nobody is connected, and what is emitted reaches nobody.
"""

from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, TypeVar

from ..errors import (
    BadNamespaceError,
    ConfigurationError,
    DisconnectedError,
    NotRunningError,
    RemoteProtocolError,
    TimeoutError,
)
from ..green.hub import can_wait
from ..limits import DEFAULT, Limits
from ..runners import Runner
from .acks import Waiter
from .adapter import Adapter, Audience, LocalAdapter, Seen, Special
from .client import Member
from .dispatch import Dispatcher, deliver
from .handlers import Handler, Handlers, normal_namespace
from .neighbours import Complaints, Face, LoopLike, Tasks
from .ordered import OrderedDispatcher
from .packet import Codec, Json
from .rooms import Room, Rooms
from .wire import JsonWire, Wire

H = TypeVar("H", bound=Callable[..., Any])
T = TypeVar("T")


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
        self._ack_ids: Iterator[int] = count(1)  # one for all clients, so that a broadcast with callback is one packet
        self._loop: LoopLike | None = None
        self._dispatcher: Dispatcher | None = None
        self._local: LocalAdapter | None = None  # the clients of this process
        self._adapter: Adapter  # what reaches clients, as long as there is a loop
        self._at_rest: tuple[LoopLike, Adapter] | None = None

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
        self.wire.bound_by(self.limits)
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
        self._local = self._adapter = LocalAdapter(self._dispatcher, loop, self.limits)
        return self._dispatcher

    def unbind(self) -> None:
        """The server has stopped."""
        self._loop = self._dispatcher = self._local = None
        if self._at_rest is not None:
            self._loop, self._adapter = self._at_rest

    @property
    def adapter(self) -> Adapter:
        """What reaches clients, while the server runs."""
        return self._adapter

    @property
    def local(self) -> LocalAdapter:
        """What reaches those of this process, while it runs in it."""
        return self._require_local()

    def extend(self, adapter: Adapter) -> None:
        """Until :meth:`unbind` clients of other processes are this server's, too: *adapter* reaches all."""
        self._adapter = adapter

    def number_acks(self, numbers: Iterator[int]) -> None:
        """Take the ids for acknowledgements from *numbers*: no other process may use them for the same clients."""
        self._ack_ids = numbers

    def rest_with(self, loop: LoopLike, adapter: Adapter) -> None:
        """While the server does not run in this process, these reach clients of others."""
        self._at_rest = loop, adapter
        if self._dispatcher is None:
            self._loop, self._adapter = loop, adapter

    def next_ack_id(self) -> int:
        """An id for the acknowledgements of one packet."""
        return next(self._ack_ids)

    @property
    def running(self) -> bool:
        """Whether clients can be connected."""
        return self._dispatcher is not None

    # --- sending

    def emit(
        self,
        event: str,
        *args: Any,
        to: Room | Collection[Room] | None = None,
        skip: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callable[..., object] | None = None,
        special: Special | None = None,
    ) -> None:
        """Send *event* to everybody in *to*: a room, a sid, or several; the whole namespace for ``None``.

        *callback* is called with each client's acknowledgement; *special* is what few emits want. No client is
        waited for. Raises :class:`EncodeError`.
        """
        audience = Audience(normal_namespace(namespace), as_rooms(to), as_sids(skip))
        ack_id = next(self._ack_ids) if callback is not None else None
        packet = self.wire.event(audience.namespace, [_event_name(event), *args], ack_id)
        loop = self._loop
        if loop is None:
            return
        if special is None:
            loop.post(self._adapter.broadcast, packet, audience, ack_id, callback)
        else:
            loop.post(self._adapter.broadcast_special, packet, audience, ack_id, callback, special)

    def send_to(self, member: Member, event: str, args: list[Any]) -> None:
        """Send to one client, who is known: what a handler's answer to its own client takes."""
        packet = self.wire.event(member.namespace, [_event_name(event), *args])
        loop = self._loop
        if loop is not None:
            loop.post(deliver, member, packet)

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
        return self.request(event, args, to, namespace, timeout)

    def request(self, event: str, args: Iterable[Any], to: Room, namespace: str | None, timeout: float) -> Any:
        """:meth:`call`, with *args* in one."""
        loop = self._loop
        if loop is None:
            raise NotRunningError("call() needs a running server: there is nobody to answer")
        if loop.here and not can_wait():
            raise ConfigurationError("call() would keep the event loop waiting: use it in a plain handler")
        audience = Audience(normal_namespace(namespace), as_rooms(to), frozenset())
        ack_id = next(self._ack_ids)
        waiter = Waiter()
        # The packet has no name here: while it waits, a handler holds no more than it must.
        sent_to = loop.ask(
            self._adapter.broadcast,
            self.wire.event(audience.namespace, [_event_name(event), *args], ack_id),
            audience,
            ack_id,
            waiter,
        )
        if not sent_to:
            raise DisconnectedError(f"call({event!r}): nobody is connected as {to!r} to {audience.namespace!r}")
        if not waiter.wait(timeout):
            loop.post(self._adapter.forget_ack, audience, ack_id)
            raise TimeoutError(f"call({event!r}): no acknowledgement in {timeout} s")
        if waiter.args is None:
            raise DisconnectedError(f"call({event!r}): the client is not there, or has left without acknowledging")
        return waiter.args if len(waiter.args) > 1 else waiter.args[0] if waiter.args else None

    # --- rooms and clients

    def enter_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Put a client into *room*. Raises where there is no such client."""
        self._require().ask(self._adapter.join, sid, as_room(room), normal_namespace(namespace))

    def enter(self, member: Member, room: Room) -> None:
        """Put a client that is known into *room*. Does not wait; what is emitted afterwards reaches it."""
        room = as_room(room)
        local = self._require_local()
        local.check_entry(member, room)
        local.loop.post(local.join_member, member, room)

    def leave_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Take a client out of *room*. It need not be there."""
        self._require().post(self._adapter.leave, sid, as_room(room), normal_namespace(namespace))

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take everybody out of *room*. Not out of a client's own, where nobody else is."""
        namespace = normal_namespace(namespace)
        if self._local is not None and isinstance(room, str) and self._local.find(room, namespace) is not None:
            raise ConfigurationError("cannot close a sid room: to put a client out, disconnect() it")
        if self._loop is not None:
            self._loop.post(self._adapter.close_room, as_room(room), namespace)

    def rooms(self, sid: str, namespace: str | None = None) -> list[Room]:
        """The rooms of a client, its own first. May switch, where it is a client of another process."""
        self._require()
        namespace = normal_namespace(namespace)
        found: list[Room] | None = self._answer(self._adapter.rooms, sid, namespace)
        if found is None:
            raise BadNamespaceError(f"no client {sid!r} is connected to {namespace!r}")
        return found

    def connections(self, namespace: str | None = None) -> list[Seen]:
        """Who is there, in one namespace or in all. May switch, where other processes are to be asked."""
        return self._answer(self._adapter.connections, namespace) or [] if self.running else []

    def _answer(self, ask: Callable[..., None], *args: Any) -> Any:
        """What *ask* answers; ``None`` where it fails to."""
        loop = self._require()
        waiter = Waiter()
        loop.ask(ask, *args, waiter)
        if not waiter.done:
            if loop.here and not can_wait():
                raise ConfigurationError("another process is to be asked, and the event loop would wait: use def")
            if not waiter.wait(self.limits.worker_answer_s):
                raise TimeoutError(f"another process has not answered in {self.limits.worker_answer_s} s")
        return waiter.args[0] if waiter.args else None

    def disconnect(self, sid: str, namespace: str | None = None) -> None:
        """Put a client out of *namespace*. Its disconnect handler runs. Unknown sids are ignored."""
        if self._loop is not None:
            self._loop.post(self._adapter.disconnect, sid, normal_namespace(namespace))

    def member(self, sid: str, namespace: str | None = None) -> Member:
        """The client of this sid, in this process. Raises :class:`BadNamespaceError` where there is none."""
        local = self._require_local()
        return local.loop.ask(local.member, sid, normal_namespace(namespace))

    def look(self, look: Callable[[Mapping[str, Rooms[Member]]], T], otherwise: T) -> T:
        """What *look* finds in the namespaces, called in the loop thread; *otherwise* where nothing runs."""
        loop, dispatcher = self._loop, self._dispatcher
        if loop is None or dispatcher is None:
            return otherwise
        return loop.ask(look, dispatcher.spaces)

    def _require_local(self) -> LocalAdapter:
        if self._local is None:
            raise NotRunningError("the server is not running: there are no clients yet")
        return self._local

    def _require(self) -> LoopLike:
        if self._loop is None:
            raise NotRunningError("the server is not running: there are no clients yet")
        return self._loop


class PlainFace:
    """Handlers that get the sid first: ``connect(sid, auth)``, ``event(sid, *args)``, ``disconnect(sid, reason)``."""

    def run(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Any:
        return handler.fn(member.sid, *offered(handler, name, args))

    def run_async(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Awaitable[Any]:
        result: Awaitable[Any] = handler.fn(member.sid, *offered(handler, name, args))
        return result

    def run_callback(self, callback: Callable[..., object], member: Member, args: list[Any]) -> None:
        callback(*args)


def offered(handler: Handler, name: str, args: list[Any]) -> list[Any]:
    """The arguments that a handler is called with, where they are not just those of the event."""
    if handler.event == "*":
        return [name, *args]
    return args if handler.takes_extra else []


def _event_name(event: str) -> str:
    if not isinstance(event, str) or not event:
        raise ConfigurationError(f"emit({event!r}): the name of an event is a string")
    return event


def as_room(room: Any) -> Room:
    """*room*, if it can be one. Raises :class:`ConfigurationError` at the caller's line."""
    if room.__class__ is str:  # nearly always
        return room
    if not isinstance(room, Hashable) or isinstance(room, list | dict | set):
        raise ConfigurationError(f"room={room!r}: a room's name must be hashable, such as a string or a number")
    try:
        hash(room)
    except TypeError as error:
        raise ConfigurationError(f"room={room!r}: {error}") from None
    return room


_SEVERAL = (list, tuple, set, frozenset)


def as_rooms(to: Room | Collection[Room] | None) -> tuple[Room, ...] | None:
    """``to=`` as rooms; ``None`` is everybody."""
    if to is None:
        return None
    if to.__class__ is not str and isinstance(to, _SEVERAL):
        return tuple(map(as_room, to))
    return (as_room(to),)


def as_sids(skip: str | Iterable[str] | None) -> frozenset[str]:
    """``skip_sid=`` as a set."""
    if not skip:
        return frozenset()
    return frozenset((skip,)) if isinstance(skip, str) else frozenset(skip)
