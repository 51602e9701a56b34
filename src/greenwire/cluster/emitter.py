"""Emit to the clients of servers that run elsewhere, through their message queue, without being a server.

This is what ``SocketIO(message_queue=url)`` is in a script, and what ``socketio`` is in a Celery task that imports the
application: no loop runs, any thread may emit, and ``emit`` returns when the message is in the queue. Nobody can answer
here, so there are no callbacks.
"""

from typing import Any
from uuid import uuid4

from ..engineio.packet import Outgoing
from ..errors import ContextError, NotRunningError
from ..socketio.acks import AckSink
from ..socketio.adapter import Audience, Callback, Special
from ..socketio.rooms import Room
from ..socketio.server import Server
from . import dialect
from .adapter import ORDINARY
from .broker import Broker
from .messages import CloseRoom, Disconnect, Join, Leave


class Emitter:
    """An :class:`~greenwire.socketio.adapter.Adapter` that writes, and reads nothing. From any thread."""

    def __init__(self, server: Server, broker: Broker) -> None:
        self._server = server
        self._broker = broker
        self._host_id = uuid4().hex

    def broadcast(self, packet: Outgoing, audience: Audience, ack_id: int | None, callback: Callback | None) -> int:
        self.broadcast_special(packet, audience, ack_id, callback, ORDINARY)
        return 1

    def broadcast_special(
        self, packet: Outgoing, audience: Audience, ack_id: int | None, callback: Callback | None, special: Special
    ) -> None:
        if ack_id is not None:
            raise ContextError(
                "callback= and call() need a running server in this process: nobody can answer here."
                " Have the server ask its client, or be a client of it yourself"
            )
        if special.ignore_queue:
            return
        write = dialect.emit(
            packet,
            self._server.wire.read,
            self._host_id,
            audience.namespace,
            audience.rooms,
            audience.skip,
            None,
            special.except_rooms,
            special.volatile,
        )
        self._broker.write(write)

    def forget_ack(self, audience: Audience, ack_id: int) -> None:
        """Nobody waits here."""

    def join(self, sid: str, room: Room, namespace: str) -> None:
        self._order(Join(sid, room, namespace))

    def leave(self, sid: str, room: Room, namespace: str) -> None:
        self._order(Leave(sid, room, namespace))

    def close_room(self, room: Room, namespace: str) -> None:
        self._order(CloseRoom(room, namespace))

    def disconnect(self, sid: str, namespace: str) -> None:
        self._order(Disconnect(sid, namespace))

    def _order(self, order: Join | Leave | CloseRoom | Disconnect) -> None:
        self._broker.write(dialect.order(order, self._host_id))

    def rooms(self, sid: str, namespace: str, answer: AckSink) -> None:
        raise NotRunningError("rooms(): the server does not run in this process, and a message queue answers nothing")

    def connections(self, namespace: str | None, answer: AckSink) -> Any:
        answer([])


class CallerLoop:
    """Stands in for the loop where none runs: what is posted is done at once, by the caller."""

    here = False

    @staticmethod
    def now() -> float:
        """There is no time here."""
        return 0.0

    def post(self, fn: Any, *args: Any) -> None:
        """Do it."""
        fn(*args)

    def ask(self, fn: Any, *args: Any) -> Any:
        """Do it."""
        return fn(*args)

    def call_later(self, delay_s: float, fn: Any, *args: Any) -> None:
        """Nothing is done later."""
