"""What goes out: emit, send, call, close_room, from any thread."""

import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any

from ..cluster.queue import Queue
from ..errors import ConfigurationError
from ..socketio.adapter import Special
from ..socketio.client import Member
from ..socketio.rooms import Room
from ..socketio.server import Server, as_rooms
from .context import ContextCallback
from .light import current_member


class Sending:
    """The half of ``SocketIO`` that speaks to clients."""

    _core: Server
    queue: Queue | None  # joins this server with others

    # --- sending, from any thread

    def emit(
        self,
        event: str,
        *args: Any,
        namespace: str | None = "/",
        to: Room | Collection[Room] | None = None,
        room: Room | Collection[Room] | None = None,
        include_self: bool = True,
        skip_sid: str | Iterable[str] | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
        broadcast: bool = True,
        except_: Room | Collection[Room] | None = None,
        volatile: bool = False,
        timeout: float | None = None,
        on_timeout: Callable[[str], Any] | None = None,
    ) -> None:
        """Send an event to everybody in the namespace, or in *to*: a room, a sid, or several of them.

        A tuple is several arguments; one more positional argument than that is one more argument. Left out are the
        sids in *skip_sid*, everybody in the rooms of *except_*, and without *include_self* the client whose event is
        handled. A *volatile* event is dropped for clients that cannot take it at once.

        *callback* gets each client's acknowledgement. With *timeout*, in seconds, it is called only for those that
        come in time, and *on_timeout* with the sid of each client whose did not. Raises
        :class:`greenwire.errors.EncodeError`.
        """
        skip = _sids(skip_sid) if skip_sid else []
        member = current_member()
        if not include_self:
            if member is not None:
                skip.append(member.sid)
            elif not skip:
                raise ConfigurationError("include_self=False needs a Socket.IO handler around it: who is it?")
        if callback is not None and member is not None:
            callback = ContextCallback(callback, member)
        to = (to or room) or None
        ignore_queue = ignore_queue and self.queue is not None
        special = None
        if except_ or volatile or timeout is not None or on_timeout is not None or ignore_queue:
            special = _special(except_, volatile, timeout, on_timeout, callback, member, ignore_queue)
        self._core.emit(event, *spread(args), to=to, skip=skip, namespace=namespace, callback=callback, special=special)

    def reply(self, member: Member, event: str, args: tuple[Any, ...]) -> None:
        """Send to the one client *member*."""
        self._core.send_to(member, event, spread(args))

    def send(
        self,
        data: Any,
        json: bool = False,
        namespace: str | None = None,
        to: Room | Collection[Room] | None = None,
        callback: Callable[..., Any] | None = None,
        include_self: bool = True,
        skip_sid: str | Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Send *data* as the event ``message``, or ``json``. Otherwise like :meth:`emit`."""
        self.emit(
            "json" if json else "message",
            data,
            namespace=namespace,
            to=to,
            callback=callback,
            include_self=include_self,
            skip_sid=skip_sid,
            **kwargs,
        )

    def call(
        self,
        event: str,
        *args: Any,
        namespace: str | None = "/",
        to: Room | None = None,
        room: Room | None = None,
        timeout: float = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Send an event to one client and wait for its acknowledgement, *timeout* seconds at most.

        Returns nothing, the value, or a tuple for none, one or several. Raises
        :class:`greenwire.errors.TimeoutError`, and :class:`greenwire.errors.DisconnectedError` for a client that is
        not there or leaves.
        """
        return self.request(event, args, namespace, to or room, timeout)

    def request(self, event: str, args: tuple[Any, ...], namespace: str | None, to: Room | None, timeout: float) -> Any:
        """:meth:`call`, with *args* in one: a star in a call costs each green thread that waits in it 0.4 KB."""
        if not to:
            raise ConfigurationError("Cannot use call() to broadcast: give to=, the sid of one client")
        if not isinstance(timeout, int | float) or not 0 <= timeout <= threading.TIMEOUT_MAX:
            raise ConfigurationError(f"call(timeout={timeout!r}): it takes seconds")
        return self._core.request(event, spread(args), to, namespace, timeout)

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take everybody out of *room*."""
        self._core.close_room(room, namespace)


def _sids(skip_sid: str | Iterable[str]) -> list[str]:
    if isinstance(skip_sid, str):
        return [skip_sid]
    try:
        return list(skip_sid)
    except TypeError:
        raise ConfigurationError(f"skip_sid={skip_sid!r}: give a sid, or several in a list") from None


def _special(
    except_: Room | Collection[Room] | None,
    volatile: bool,
    timeout: float | None,
    on_timeout: Callable[[str], Any] | None,
    callback: Callable[..., Any] | None,
    member: Member | None,
    ignore_queue: bool,
) -> Special:
    if (timeout is not None and callback is None) or (on_timeout is not None and timeout is None):
        raise ConfigurationError("timeout= says how long callback= waits: give both, and with on_timeout= all three")
    if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
        raise ConfigurationError(f"timeout={timeout!r}: it takes a positive number of seconds")
    if on_timeout is not None and member is not None:
        on_timeout = ContextCallback(on_timeout, member)
    return Special(as_rooms(except_ or None) or (), volatile, timeout, on_timeout, ignore_queue)


def spread(args: tuple[Any, ...]) -> list[Any]:
    """The data of an emit as event arguments: nothing for ``None``, several for a tuple."""
    if len(args) == 1:
        data = args[0]
        if data is None:
            return []
        return list(data) if isinstance(data, tuple) else [data]
    return list(args)
