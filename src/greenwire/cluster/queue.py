"""A message queue as carrier, in python-socketio's dialect: servers of either kind on one channel are one server.

What such a queue can say is less than what workers of one machine can: nobody answers questions, and nobody says
whether a client is there. So ``rooms(sid)`` and ``connections()`` know of this machine's clients only, and a ``call()``
for a client that is not there ends by its timeout.

Messages bear the id of their *host*, and a host passes its own messages over. Workers of one machine have one id: what
one of them publishes the others know from the bus already. An answer to a host's event goes to all of its workers, of
which one has asked: the ids of acknowledgements differ between workers.
"""

from itertools import islice
from typing import Any
from uuid import uuid4

from ..engineio.packet import Outgoing
from ..errors import EncodeError, RemoteProtocolError
from ..loop import Loop
from ..quiet import QuietLog
from ..socketio.acks import AckSink
from ..socketio.adapter import Audience, Callback, Special
from ..socketio.server import Server
from . import dialect
from .adapter import ClusterAdapter, Gathered, Order, join
from .broker import Broker
from .messages import CloseRoom


class Queue:
    """A server's side of a message queue. :meth:`begin` when the server runs, :meth:`end` when it has ended."""

    def __init__(self, server: Server, broker: Broker, host_id: str | None = None) -> None:
        self.broker = broker
        self.host_id = host_id or uuid4().hex
        self._server = server
        self._quiet: QuietLog
        self._adapter: ClusterAdapter
        self._callbacks: dict[Any, Callback] = {}  # by ack id

    def begin(self, loop: Loop, quiet: QuietLog) -> None:
        """Take part from now on. Loop thread."""
        self._quiet = quiet
        join(self._server, self._server.limits, quiet, self._attach)
        self.broker.start(loop, self._server.limits, quiet, self._arrived)

    def _attach(self, adapter: ClusterAdapter) -> "Queue":
        self._adapter = adapter
        return self

    def end(self) -> None:
        """The loop has stopped."""
        self.broker.stop()
        self._callbacks.clear()

    # --- out

    def broadcast(
        self,
        packet: Outgoing,
        audience: Audience,
        ack_id: int | None,
        callback: Callback | None,
        special: Special,
        found: int,
    ) -> int:
        if special.ignore_queue:
            return 0
        self._publish(
            dialect.emit(
                packet,
                self._server.wire.read,
                self.host_id,
                audience.namespace,
                audience.rooms,
                audience.skip,
                ack_id,
                special.except_rooms,
                special.volatile,
            )
        )
        if ack_id is not None and callback is not None:
            self._expect(ack_id, callback, special)
        return 1

    def _expect(self, ack_id: int, callback: Callback, special: Special) -> None:
        """How many will answer nobody knows: it is kept until it times out, or is the oldest of too many."""
        while len(self._callbacks) >= self._server.limits.pending_acks:
            del self._callbacks[next(islice(self._callbacks, 1))]
        self._callbacks[ack_id] = callback
        if special.timeout_s is not None:
            self._adapter.local.loop.call_later(special.timeout_s, self._callbacks.pop, ack_id, None)

    def forget_ack(self, audience: Audience, ack_id: int) -> None:
        self._callbacks.pop(ack_id, None)

    def tell(self, order: Order) -> bool:
        self._publish(dialect.order(order, self.host_id))
        return True  # for all that one can know

    def close_room(self, order: CloseRoom) -> None:
        self._publish(dialect.order(order, self.host_id))

    def rooms(self, sid: str, namespace: str, answer: AckSink) -> bool:
        return False

    def connections(self, namespace: str | None, answer: Gathered) -> None:
        """Nobody is asked."""

    def _publish(self, message: bytes) -> None:
        limit = self._server.limits.worker_message_bytes
        if len(message) > limit:
            raise EncodeError(f"{len(message)} bytes are too many (limit 'worker_message_bytes', {limit})")
        self.broker.publish(message)

    # --- in

    def _arrived(self, message: bytes) -> None:
        """From the broker. Whatever others have written, it does no harm."""
        try:
            method, host_id = dialect.read(message, self.host_id)
            if method is not None:
                self._do(method, host_id)
        except (RemoteProtocolError, EncodeError) as error:
            self._quiet.warning("queue message", "a message from %s is ignored: %s", self.broker.name, error)

    def _do(self, method: dialect.Method, host_id: str | None) -> None:
        if isinstance(method, dialect.Emit):
            self._emit(method, host_id)
        elif isinstance(method, dialect.CallbackArrived):
            self._acknowledged(method)
        elif isinstance(method, CloseRoom):
            self._adapter.local.close_room(method.room, method.namespace)
        else:
            self._adapter.carry_out(method)

    def _emit(self, event: dialect.Emit, host_id: str | None) -> None:
        local, server = self._adapter.local, self._server
        if event.namespace not in local.spaces:  # nobody is there: nothing is encoded
            return
        wanted = event.callback is not None and host_id is not None
        ack_id = server.next_ack_id() if wanted else None
        callback = _Return(self, str(host_id), event.callback) if event.callback is not None and wanted else None
        packet = server.wire.event(event.namespace, [event.event, *event.args], ack_id)
        audience = Audience(event.namespace, event.rooms, event.skip)
        if event.except_rooms or event.volatile:
            special = Special(event.except_rooms, event.volatile)
            local.broadcast_special(packet, audience, ack_id, callback, special)
        else:
            local.broadcast(packet, audience, ack_id, callback)

    def _acknowledged(self, answer: dialect.CallbackArrived) -> None:
        callback = self._callbacks.get(answer.id) if isinstance(answer.id, int) else None
        if callback is None:
            return
        if isinstance(callback, AckSink):  # one answer is all it takes
            del self._callbacks[answer.id]
        sid = answer.sid if isinstance(answer.sid, str) else ""
        self._adapter.answered(callback, sid, answer.namespace, answer.args)


class _Return(AckSink):
    """Sends a client's answer back to the host that emitted the event."""

    __slots__ = ("_callback", "_host_id", "_queue")

    def __init__(self, queue: Queue, host_id: str, callback: tuple[Any, Any, Any]) -> None:
        self._queue = queue
        self._host_id = host_id
        self._callback = callback

    def __call__(self, *args: Any) -> None:
        queue = self._queue
        try:
            queue._publish(dialect.answer(self._host_id, self._callback, args))
        except EncodeError as error:
            queue._quiet.warning("queue answer", "an acknowledgement is not sent to %s: %s", queue.broker.name, error)
