"""What applications reach for through ``socketio.server``: the public names of ``socketio.Server``.

A thin face over the real server, for code that was written for the other one. Nothing of Greenwire itself uses it.
What it gives of the state of clients are copies, made in the loop thread; without a running server there are none.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import flask

from ..engineio.options import Options
from ..engineio.session import Reason
from ..errors import BadNamespaceError, ConfigurationError
from ..runners import Background
from ..socketio.client import Member, MemberState
from ..socketio.dispatch import Dispatcher
from ..socketio.handlers import normal_namespace
from ..socketio.packet import Packet
from ..socketio.rooms import Room
from .guest import answer

if TYPE_CHECKING:
    from .extension import SocketIO
    from .namespace import Namespace


class DisconnectReason:
    """What a disconnect handler may be told."""

    CLIENT_DISCONNECT = Reason.CLIENT.value
    SERVER_DISCONNECT = Reason.SERVER.value
    PING_TIMEOUT = Reason.PING_TIMEOUT.value
    TRANSPORT_CLOSE = Reason.TRANSPORT_CLOSE.value
    TRANSPORT_ERROR = Reason.TRANSPORT_ERROR.value
    PARSE_ERROR = Reason.PARSE_ERROR.value


class ServerFace:
    """``socketio.server``."""

    reason = DisconnectReason
    packet_class = Packet
    logger = logging.getLogger("greenwire")

    def __init__(self, socketio: "SocketIO") -> None:
        self._socketio = socketio
        self._core = socketio._core
        self.manager = ManagerFace(socketio)
        self.eio = EngineFace(socketio)
        self.environ: Mapping[str, dict[str, Any]] = Environs(socketio)

    # --- options

    @property
    def async_mode(self) -> str:
        """What handlers run in."""
        return self._socketio.async_mode

    @property
    def async_handlers(self) -> bool:
        """Whether events of one client may be handled at the same time."""
        return self._core.async_handlers

    @property
    def always_connect(self) -> bool:
        """Whether a client is accepted before its connect handler runs."""
        return self._core.always_connect

    @property
    def namespaces(self) -> list[str]:
        """The namespaces that are open without handlers."""
        return sorted(self._core.handlers.opened)

    # --- handlers; they get the sid first, as those of a server without Flask

    @property
    def handlers(self) -> dict[str, dict[str, Callable[..., Any]]]:
        """The registered functions, by namespace and event."""
        functions = self._core.handlers.functions
        return {space: {name: found.fn for name, found in events.items()} for space, events in functions.items()}

    @property
    def namespace_handlers(self) -> dict[str, "Namespace"]:
        """The class-based namespaces."""
        return {each.namespace: each for each in self._socketio.namespace_handlers}

    def on(self, event: str, handler: Callable[..., Any] | None = None, namespace: str | None = None) -> Any:
        """Register a handler that is given ``sid``, for connect ``(sid, environ, auth)``."""

        def register(fn: Callable[..., Any]) -> Callable[..., Any]:
            self._core.handlers.add(event, _with_sid(event, fn), namespace)
            return fn

        return register if handler is None else register(handler)

    def event(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: register a handler under its own name."""
        registered: Callable[..., Any] = self.on(fn.__name__, fn)
        return registered

    def register_namespace(self, namespace_handler: "Namespace") -> None:
        """``socketio.on_namespace``."""
        self._socketio.on_namespace(namespace_handler)

    # --- sending

    def emit(
        self,
        event: str,
        data: Any = None,
        to: Room | Collection[Room] | None = None,
        room: Room | Collection[Room] | None = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Send an event to everybody in the namespace, or in *to*."""
        self._socketio.emit(
            event,
            data,
            to=to or room,
            skip_sid=skip_sid,
            namespace=namespace,
            callback=callback,
            ignore_queue=ignore_queue,
        )

    def send(
        self,
        data: Any,
        to: Room | Collection[Room] | None = None,
        room: Room | Collection[Room] | None = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Send *data* as the event ``message``."""
        self.emit("message", data, to, room, skip_sid, namespace, callback, ignore_queue)

    def call(
        self,
        event: str,
        data: Any = None,
        to: Room | None = None,
        sid: str | None = None,
        namespace: str | None = None,
        timeout: float = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Send an event to one client and wait for its answer."""
        return self._socketio.call(event, data, to=to or sid, namespace=namespace, timeout=timeout)

    # --- rooms and clients

    def enter_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Put a client into *room*."""
        self._core.enter_room(sid, room, namespace)

    def leave_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Take a client out of *room*."""
        self._core.leave_room(sid, room, namespace)

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take everybody out of *room*."""
        self._core.close_room(room, namespace)

    def rooms(self, sid: str, namespace: str | None = None) -> list[Room]:
        """The rooms of a client, its own first."""
        return self._core.rooms(sid, namespace)

    def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """Put a client out of the namespace."""
        self._core.disconnect(sid, namespace)

    def transport(self, sid: str, namespace: str | None = None) -> str:
        """``"polling"`` or ``"websocket"``."""
        kind: str = self._core.member(sid, namespace).client.peer.transport
        return kind

    def get_environ(self, sid: str, namespace: str | None = None) -> dict[str, Any] | None:
        """The environ of the client's handshake; ``None`` for a client that is not there."""
        try:
            return self._socketio._face.environ_of(self._core.member(sid, namespace))
        except BadNamespaceError:
            return None

    def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """A dict that lasts as long as the client is in the namespace."""
        member = self._core.member(sid, namespace)
        if member.user_session is None:
            member.user_session = {}
        return member.user_session

    def save_session(self, sid: str, session: dict[str, Any], namespace: str | None = None) -> None:
        """Replace that dict."""
        self._core.member(sid, namespace).user_session = session

    @contextmanager
    def session(self, sid: str, namespace: str | None = None) -> Iterator[dict[str, Any]]:
        """``with server.session(sid) as session:`` reads it and saves it."""
        session = self.get_session(sid, namespace)
        yield session
        self.save_session(sid, session, namespace)

    # --- the rest

    def handle_request(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request on the Socket.IO path, as a WSGI application."""
        return answer(self._socketio, environ, start_response)

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Background:
        """``socketio.start_background_task``."""
        return self._socketio.start_background_task(target, *args, **kwargs)

    def sleep(self, seconds: float = 0) -> None:
        """``socketio.sleep``."""
        self._socketio.sleep(seconds)

    def shutdown(self) -> None:
        """``socketio.stop``."""
        self._socketio.stop()

    def instrument(self, *args: Any, **kwargs: Any) -> None:
        """Not there yet."""
        raise ConfigurationError("server.instrument(): the admin page is not supported yet; leave this line out")


def _with_sid(event: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        request: Any = flask.request
        if event == "connect":
            return fn(request.sid, request.environ, *args)
        return fn(request.sid, *args)

    return call


class ManagerFace:
    """``socketio.server.manager``: who is where, in this process."""

    def __init__(self, socketio: "SocketIO") -> None:
        self._socketio = socketio
        self._core = socketio._core

    @property
    def write_only(self) -> bool:
        """Whether this is no server, and only emits to the clients of others."""
        return self._socketio.queue is not None and self._socketio._app is None

    def get_namespaces(self) -> list[str]:
        """Where anybody is."""
        return self._core.look(lambda spaces: list(spaces), [])

    def get_participants(self, namespace: str, room: Room) -> Iterator[tuple[str, str]]:
        """Who is in *room*: pairs of sid and Engine.IO sid. Everybody for ``None``."""

        def look(spaces: Any) -> list[tuple[str, str]]:
            space = spaces.get(namespace)
            members = space.select(None if room is None else (room,)) if space is not None else ()
            return [(member.sid, member.client.peer.sid) for member in members]

        nobody: list[tuple[str, str]] = []
        yield from self._core.look(look, nobody)

    @property
    def rooms(self) -> dict[str, dict[Room, dict[str, str]]]:
        """For each namespace and room the Engine.IO sids by sid; the room ``None`` is everybody."""

        def look(spaces: Any) -> dict[str, dict[Room, dict[str, str]]]:
            return {
                name: {
                    None: _sids(space.members.values()),
                    **{sid: _sids((member,)) for sid, member in space.members.items()},
                    **{room: _sids(space.tenants(room)) for room in space.names()},
                }
                for name, space in spaces.items()
            }

        return self._core.look(look, {})

    def get_rooms(self, sid: str, namespace: str) -> list[Room]:
        """The rooms of a client, its own first."""
        return self._core.rooms(sid, namespace)

    def is_connected(self, sid: str, namespace: str) -> bool:
        """Whether this client is there, and accepted."""
        try:
            return self._core.member(sid, namespace).state is MemberState.CONNECTED
        except BadNamespaceError:
            return False

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        """The Engine.IO sid of a client."""
        try:
            found: str = self._core.member(sid, namespace).client.peer.sid
        except BadNamespaceError:
            return None
        return found

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        """The sid that an Engine.IO session has in *namespace*."""

        def look(spaces: Any) -> str | None:
            space = spaces.get(normal_namespace(namespace))
            members: Iterable[Member] = space.members.values() if space is not None else ()
            return next((member.sid for member in members if member.client.peer.sid == eio_sid), None)

        return self._core.look(look, None)


def _sids(members: Iterable[Member]) -> dict[str, str]:
    return {member.sid: member.client.peer.sid for member in members}


class EngineFace:
    """``socketio.server.eio``: the Engine.IO options by name, and the sessions."""

    def __init__(self, socketio: "SocketIO") -> None:
        self._socketio = socketio

    @property
    def sockets(self) -> dict[str, Any]:
        """The sessions by Engine.IO sid."""
        return self._socketio._peers()

    @property
    def async_mode(self) -> str:
        """What handlers run in."""
        return self._socketio.async_mode

    def __getattr__(self, name: str) -> Any:
        """``allow_upgrades``, ``cookie``, ``cors_allowed_origins``, ``ping_interval`` and the other options."""
        if name in Options.__dataclass_fields__:
            return getattr(self._socketio._engine_options, name)
        raise AttributeError(f"socketio.server.eio has no attribute {name!r}")


class Environs(Mapping[str, dict[str, Any]]):
    """``socketio.server.environ``: the environ of each handshake, by Engine.IO sid."""

    def __init__(self, socketio: "SocketIO") -> None:
        self._socketio = socketio

    def __getitem__(self, eio_sid: str) -> dict[str, Any]:
        client = Dispatcher.client_of(self._socketio._peers()[eio_sid])
        member = next(iter(client.members.values()), None) if client is not None else None
        if member is None:
            raise KeyError(eio_sid)
        return self._socketio._face.environ_of(member)

    def __iter__(self) -> Iterator[str]:
        return iter(self._socketio._peers())

    def __len__(self) -> int:
        return len(self._socketio._peers())
