"""Class-based namespaces: the handlers of a namespace as the methods of an object."""

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..socketio.handlers import Handler, normal_namespace
from ..socketio.rooms import Room

if TYPE_CHECKING:
    from .extension import SocketIO
    from .server import ServerFace

_PREFIX = "on_"


class Namespace:
    """The method ``on_bid`` handles the event ``bid``; ``on_connect`` and ``on_disconnect`` as their names say.

    One object serves all clients. Register it with :meth:`SocketIO.on_namespace`. A method ``error(self, exc)`` is
    given the exceptions for which there is no ``on_error`` handler; what it returns is the answer. The name ``*``
    serves all namespaces that have no handlers of their own.
    """

    def __init__(self, namespace: str | None = None) -> None:
        self.namespace = normal_namespace(namespace)
        self._socketio: SocketIO | None = None
        self._plain: dict[str, bool] = {}  # whether a method takes what its event brings

    @property
    def socketio(self) -> "SocketIO":
        """The object that this namespace is registered with."""
        if self._socketio is None:
            raise ConfigurationError(f"{type(self).__name__} is not registered: socketio.on_namespace(it)")
        return self._socketio

    @property
    def server(self) -> "ServerFace":
        """``socketio.server``."""
        return self.socketio.server

    def _set_socketio(self, socketio: "SocketIO") -> None:
        """Registered: the methods are looked at, once."""
        self._socketio = socketio
        methods = {
            name[len(_PREFIX) :]: getattr(self, name)
            for name in dir(self)
            if name.startswith(_PREFIX) and callable(getattr(self, name))
        }
        other: Callable[..., Any] | None = None
        if type(self).trigger_event is not Namespace.trigger_event:
            self._plain = {event: Handler(event, self.namespace, fn, 0).takes_extra for event, fn in methods.items()}
            methods = {event: partial(self.trigger_event, event) for event in methods}
            other = self.trigger_event
        socketio._core.handlers.add_class(self.namespace, methods, self, other)

    def is_asyncio_based(self) -> bool:
        """``False``. Methods may be ``async def`` all the same."""
        return False

    def trigger_event(self, event: str, *args: Any) -> Any:
        """Call the method for *event*. Override it to see every event; it runs in the event's context."""
        method = getattr(self, _PREFIX + event, None)
        if method is None:
            return None
        return method(*args) if self._plain.get(event, True) else method()

    # --- sending; without a room it goes to the whole namespace

    def emit(
        self,
        event: str,
        data: Any = None,
        room: Room | Collection[Room] | None = None,
        include_self: bool = True,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        to: Room | Collection[Room] | None = None,
        skip_sid: str | Iterable[str] | None = None,
    ) -> None:
        """Send an event to everybody in the namespace, or in *room*."""
        self.socketio.emit(
            event,
            data,
            namespace=namespace or self.namespace,
            to=to or room,
            include_self=include_self,
            skip_sid=skip_sid,
            callback=callback,
        )

    def send(
        self,
        data: Any,
        room: Room | Collection[Room] | None = None,
        include_self: bool = True,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        to: Room | Collection[Room] | None = None,
        skip_sid: str | Iterable[str] | None = None,
    ) -> None:
        """Send *data* as the event ``message``. Otherwise like :meth:`emit`."""
        self.emit("message", data, room, include_self, namespace, callback, to, skip_sid)

    def call(
        self,
        event: str,
        data: Any = None,
        to: Room | None = None,
        sid: str | None = None,
        namespace: str | None = None,
        timeout: float | None = None,
        ignore_queue: bool = False,
    ) -> Any:
        """Send an event to one client and wait for its answer, 60 seconds unless *timeout* is given."""
        recipient = to or sid
        return self.socketio.call(
            event,
            data,
            to=recipient,
            namespace=namespace or self.namespace,
            timeout=60 if timeout is None else timeout,
        )

    # --- rooms and clients

    def enter_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Put a client into *room*."""
        self.server.enter_room(sid, room, namespace or self.namespace)

    def leave_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Take a client out of *room*."""
        self.server.leave_room(sid, room, namespace or self.namespace)

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take everybody out of *room*."""
        self.server.close_room(room, namespace or self.namespace)

    def rooms(self, sid: str, namespace: str | None = None) -> list[Room]:
        """The rooms of a client, its own first."""
        return self.server.rooms(sid, namespace or self.namespace)

    def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """A dict that lasts as long as the client is in the namespace."""
        return self.server.get_session(sid, namespace or self.namespace)

    def save_session(self, sid: str, session: dict[str, Any], namespace: str | None = None) -> None:
        """Replace that dict."""
        self.server.save_session(sid, session, namespace or self.namespace)

    def session(self, sid: str, namespace: str | None = None) -> AbstractContextManager[dict[str, Any]]:
        """``with self.session(sid) as session:`` reads it and saves it."""
        return self.server.session(sid, namespace or self.namespace)

    def disconnect(self, sid: str, namespace: str | None = None) -> None:
        """Put a client out of the namespace."""
        self.server.disconnect(sid, namespace or self.namespace)
