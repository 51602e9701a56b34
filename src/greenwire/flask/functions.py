"""The functions that know the client whose event is being handled: ``emit``, ``send``, ``join_room`` …

They read it from Flask's ``request``. Outside of a handler they need ``namespace=`` and a recipient.
"""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, NoReturn

import flask

from ..errors import ContextError
from ..socketio.rooms import Room
from .light import current, current_member

if TYPE_CHECKING:
    from .extension import SocketIO

_GIVEN_NOTHING: Any = object()


def emit(
    event: str,
    *args: Any,
    namespace: str | None = _GIVEN_NOTHING,
    to: Room | Collection[Room] | None = None,
    room: Room | Collection[Room] | None = None,
    broadcast: bool = False,
    include_self: bool = True,
    skip_sid: str | Iterable[str] | None = None,
    callback: Callable[..., Any] | None = None,
    ignore_queue: bool = False,
    except_: Room | Collection[Room] | None = None,
    volatile: bool = False,
    timeout: float | None = None,
    on_timeout: Callable[[str], Any] | None = None,
    **_: Any,
) -> None:
    """Send an event to the client whose event is handled, to *to* (a room, a sid, or several), or to everybody
    in the namespace with ``broadcast=True``.

    Without *include_self* the client whose event is handled is left out. *callback* gets the acknowledgement.
    *except_*, *volatile*, *timeout* and *on_timeout* are those of :meth:`SocketIO.emit`. Unknown keywords are
    ignored, as Flask-SocketIO does. Raises :class:`greenwire.errors.EncodeError`.
    """
    app, member = current()
    socketio = _socketio_of(app)
    to = to or room
    if namespace is _GIVEN_NOTHING:
        namespace = (member or _outside("emit")).namespace
    if not to and not broadcast:
        member = member or _outside("emit", "to= or broadcast=True")
        plain = include_self and callback is None and not skip_sid and not except_ and not volatile
        if plain and timeout is None and on_timeout is None and namespace == member.namespace:
            socketio.reply(member, event, args)
            return
        to = member.sid
    socketio.emit(
        event,
        *args,
        namespace=namespace or "/",
        to=to,
        include_self=include_self,
        skip_sid=skip_sid,
        callback=callback,
        ignore_queue=ignore_queue,
        except_=except_,
        volatile=volatile,
        timeout=timeout,
        on_timeout=on_timeout,
    )


def send(
    message: Any,
    json: bool = False,
    namespace: str | None = _GIVEN_NOTHING,
    to: Room | Collection[Room] | None = None,
    room: Room | Collection[Room] | None = None,
    broadcast: bool = False,
    include_self: bool = True,
    skip_sid: str | Iterable[str] | None = None,
    callback: Callable[..., Any] | None = None,
    ignore_queue: bool = False,
    except_: Room | Collection[Room] | None = None,
    volatile: bool = False,
    timeout: float | None = None,
    on_timeout: Callable[[str], Any] | None = None,
    **_: Any,
) -> None:
    """Send *message* as the event ``message``, or ``json``. Otherwise like :func:`emit`."""
    emit(
        "json" if json else "message",
        message,
        namespace=namespace,
        to=to,
        room=room,
        broadcast=broadcast,
        include_self=include_self,
        skip_sid=skip_sid,
        callback=callback,
        ignore_queue=ignore_queue,
        except_=except_,
        volatile=volatile,
        timeout=timeout,
        on_timeout=on_timeout,
    )


def call(
    event: str,
    *args: Any,
    namespace: str | None = _GIVEN_NOTHING,
    to: Room | None = None,
    room: Room | None = None,
    timeout: float = 60,
    ignore_queue: bool = False,
) -> Any:
    """Send an event to one client, by default the one whose event is handled, and wait for its answer."""
    socketio = _current_socketio()
    if namespace is _GIVEN_NOTHING:
        namespace = (current_member() or _outside("call")).namespace
    to = to or room or (current_member() or _outside("call", "to=")).sid
    return socketio.request(event, args, namespace, to, timeout)


def join_room(room: Room, sid: str | None = None, namespace: str | None = None) -> None:
    """Put the client whose event is handled, or *sid*, into *room*."""
    server = _current_socketio()._core
    if sid is None and namespace is None:
        server.enter(current_member() or _outside("join_room", "sid= and namespace="), room)
        return
    sid, namespace = _whom(sid, namespace, "join_room")
    server.enter_room(sid, room, namespace)


def leave_room(room: Room, sid: str | None = None, namespace: str | None = None) -> None:
    """Take the client whose event is handled, or *sid*, out of *room*."""
    sid, namespace = _whom(sid, namespace, "leave_room")
    _current_socketio()._core.leave_room(sid, room, namespace)


def close_room(room: Room, namespace: str | None = None) -> None:
    """Take everybody out of *room*."""
    namespace = namespace or (current_member() or _outside("close_room", "namespace=")).namespace
    _current_socketio()._core.close_room(room, namespace)


def rooms(sid: str | None = None, namespace: str | None = None) -> list[Room]:
    """The rooms of the client whose event is handled, or of *sid*: its own first."""
    sid, namespace = _whom(sid, namespace, "rooms")
    return _current_socketio()._core.rooms(sid, namespace)


def disconnect(sid: str | None = None, namespace: str | None = None, silent: bool = False) -> None:
    """Put the client whose event is handled, or *sid*, out of the namespace. *silent* has no effect."""
    sid, namespace = _whom(sid, namespace, "disconnect")
    _current_socketio()._core.disconnect(sid, namespace)


def _whom(sid: str | None, namespace: str | None, what: str) -> tuple[str, str]:
    if sid is not None and namespace is not None:
        return sid, namespace
    member = current_member() or _outside(what, "sid= and namespace=")
    return sid or member.sid, namespace or member.namespace


def _outside(what: str, instead: str = "namespace=") -> NoReturn:
    raise ContextError(f"{what}() outside of a Socket.IO handler does not know whom you mean: give {instead}")


def _current_socketio() -> "SocketIO":
    return _socketio_of(current()[0])


def _socketio_of(app: flask.Flask | None) -> "SocketIO":
    if app is None:
        raise ContextError(
            "this function needs an application context, such as a handler or a view has one;"
            " elsewhere use the methods of your SocketIO object, socketio.emit(...)"
        )
    found: SocketIO | None = app.extensions.get("socketio")
    if found is None:
        raise ContextError("this application has no SocketIO: create one with SocketIO(app)")
    return found
