"""The bus: the workers of one machine as carrier, with all that a server can do for a client.

A sid says whose client it is (ids.py), so what concerns one client goes to its worker alone. A broadcast goes to all,
encoded once. Acknowledgements, and answers to questions, are wanted from exactly those workers that were there when the
question was put; when one of them ends, what it owes is not waited for any more.
"""

from collections.abc import Callable
from itertools import count, islice
from typing import Any

from ..engineio.packet import Outgoing, outgoing
from ..errors import EncodeError, RemoteProtocolError
from ..ids import owner
from ..socketio.acks import AckSink
from ..socketio.adapter import Audience, Callback, Seen, Special
from ..socketio.client import Member
from .adapter import ClusterAdapter, Gathered, Order
from .link import Links
from .messages import (
    Answered,
    Ask,
    Broadcast,
    CloseRoom,
    Disconnect,
    Expecting,
    Forget,
    Join,
    Leave,
    Message,
    Parts,
    Reply,
    Unanswered,
    encode,
    pack,
    tuples,
    unpack,
)


class Awaited:
    """The acknowledgements of one packet that clients of other workers owe."""

    __slots__ = ("audience", "callback", "found", "on_timeout", "owed", "silent")

    def __init__(
        self, callback: Callback, audience: Audience, workers: set[int], found: int, on_timeout: Callback | None
    ) -> None:
        self.callback = callback
        self.audience = audience
        self.silent = workers  # have not said yet to whom it went
        self.owed: dict[int, set[str]] = {}  # by worker, the sids
        self.found = found  # clients of ours, and of others than workers, that may answer as well
        self.on_timeout = on_timeout

    @property
    def settled(self) -> bool:
        """Whether nobody will answer any more."""
        return not self.silent and not any(self.owed.values())

    def forget_worker(self, number: int) -> None:
        """A worker is gone."""
        self.silent.discard(number)
        self.owed.pop(number, None)


class Bus:
    """One server's part in it: the server's *index* is the same in all workers."""

    def __init__(self, links: Links, index: int, adapter: ClusterAdapter) -> None:
        self._links = links
        self._index = index
        self._adapter = adapter
        self._awaited: dict[int, Awaited] = {}  # by ack id
        self._questions: dict[int, tuple[int, AckSink]] = {}  # whom, and who is told the answer
        self._numbers = count(1)
        self._hear: dict[type[Any], Callable[[int, Any], None]] = {
            Broadcast: self._broadcast,
            Expecting: self._expecting,
            Answered: self._answered,
            Unanswered: self._unanswered,
            Forget: self._forget,
            Join: self._order,
            Leave: self._order,
            Disconnect: self._order,
            CloseRoom: self._close_room,
            Ask: self._ask,
            Reply: self._reply,
        }

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
        workers = set(self._links.there)
        if not workers:
            return 0
        wanted = ack_id if callback is not None else None
        message = Broadcast(
            packet.parts,
            audience.namespace,
            audience.rooms,
            tuple(audience.skip),
            wanted,
            special.except_rooms,
            special.volatile,
        )
        self._send_all(message)
        if wanted is not None and callback is not None:
            self._await(wanted, Awaited(callback, audience, workers, found, special.on_timeout), special.timeout_s)
        return len(workers)

    def _send_all(self, message: Message) -> None:
        self._links.send_all(self._encoded(message))

    def _send(self, number: int, message: Message) -> None:
        self._links.send(number, self._encoded(message))

    def _encoded(self, message: Message) -> bytes:
        data = encode(message, self._index)
        limit = self._links.limits.worker_message_bytes
        if len(data) > limit:
            raise EncodeError(f"{len(data)} bytes are too many (limit 'worker_message_bytes', {limit})")
        return data

    def _await(self, ack_id: int, awaited: Awaited, timeout_s: float | None) -> None:
        while len(self._awaited) >= self._links.limits.pending_acks:
            self._give_up(next(islice(self._awaited, 1)))
        self._awaited[ack_id] = awaited
        if timeout_s is not None:
            self._links.loop.call_later(timeout_s, self._expire, ack_id)

    def _give_up(self, ack_id: int) -> Awaited | None:
        awaited = self._awaited.pop(ack_id, None)
        if awaited is not None:
            self._send_all(Forget(ack_id, awaited.audience.namespace, awaited.audience.rooms))
        return awaited

    def _expire(self, ack_id: int) -> None:
        awaited = self._give_up(ack_id)
        if awaited is not None and awaited.on_timeout is not None:
            for sids in awaited.owed.values():
                for sid in sids:
                    self._adapter.answered(awaited.on_timeout, sid, awaited.audience.namespace, [sid])

    def forget_ack(self, audience: Audience, ack_id: int) -> None:
        self._give_up(ack_id)

    def tell(self, order: Order) -> bool:
        number = owner(order.sid)
        if number not in self._links.there:
            return False
        self._send(number, order)
        return True

    def close_room(self, order: CloseRoom) -> None:
        self._send_all(order)

    def rooms(self, sid: str, namespace: str, answer: AckSink) -> bool:
        number = owner(sid)
        if number not in self._links.there:
            return False
        self._put(number, namespace, sid, _Rooms(answer))
        return True

    def connections(self, namespace: str | None, answer: Gathered) -> None:
        for number in list(self._links.there):
            answer.expect()
            self._put(number, namespace, None, _Clients(answer))

    def _put(self, number: int, namespace: str | None, sid: str | None, answer: AckSink) -> None:
        question = next(self._numbers)
        self._questions[question] = number, answer
        self._send(number, Ask(question, namespace, sid))
        self._links.loop.call_later(self._links.limits.worker_answer_s, self._questions.pop, question, None)

    # --- in

    def hear(self, number: int, message: Message) -> None:
        """Another worker has something to say."""
        try:
            self._hear[message.__class__](number, message)
        except (EncodeError, RemoteProtocolError) as error:
            self._adapter.complain(error)

    def _broadcast(self, number: int, message: Broadcast) -> None:
        local = self._adapter.local
        if message.namespace not in local.spaces and message.ack_id is None:
            return
        audience = Audience(message.namespace, message.rooms, frozenset(message.skip))
        members = local.chosen(audience, Special(message.except_rooms, message.volatile))
        if message.ack_id is not None:
            self._send(number, Expecting(message.ack_id, tuple(member.sid for member in members)))
            for member in members:
                local.dispatcher.expect_ack(member, message.ack_id, _Owed(self, number, message.ack_id, member))
        packet = outgoing(message.parts)
        for member in members:
            member.send(packet)

    def _expecting(self, number: int, message: Expecting) -> None:
        awaited = self._awaited.get(message.ack_id)
        if awaited is not None:
            awaited.silent.discard(number)
            awaited.owed[number] = set(message.sids)
            self._settle(message.ack_id, awaited)

    def _answered(self, number: int, message: Answered) -> None:
        awaited = self._awaited.get(message.ack_id)
        if awaited is None or message.sid not in awaited.owed.get(number, ()):
            return
        awaited.owed[number].discard(message.sid)
        args = unpack(message.parts)
        if isinstance(awaited.callback, AckSink):  # one answer is all it takes
            del self._awaited[message.ack_id]
            awaited.callback(*args)
            return
        self._adapter.answered(awaited.callback, message.sid, awaited.audience.namespace, args)
        self._settle(message.ack_id, awaited)

    def _unanswered(self, number: int, message: Unanswered) -> None:
        awaited = self._awaited.get(message.ack_id)
        if awaited is not None:
            awaited.owed.get(number, set()).discard(message.sid)
            self._settle(message.ack_id, awaited)

    def _settle(self, ack_id: int, awaited: Awaited) -> None:
        if awaited.settled:
            self._awaited.pop(ack_id, None)
            if isinstance(awaited.callback, AckSink) and not awaited.found:
                awaited.callback.fail()

    def _forget(self, number: int, message: Forget) -> None:
        self._adapter.local.forget_ack(Audience(message.namespace, message.rooms, frozenset()), message.ack_id)

    def _order(self, number: int, message: Order) -> None:
        self._adapter.carry_out(message)

    def _close_room(self, number: int, message: CloseRoom) -> None:
        self._adapter.local.close_room(message.room, message.namespace)

    def _ask(self, number: int, message: Ask) -> None:
        self._send(number, Reply(self._look(message), message.question))

    def _look(self, message: Ask) -> Parts:
        local = self._adapter.local
        if message.sid is None:
            return pack([list(seen) for seen in local.seen(message.namespace)])
        member = local.find(message.sid, message.namespace or "/")
        return pack(local.spaces[member.namespace].of(member)) if member is not None else ()

    def _reply(self, number: int, message: Reply) -> None:
        _, answer = self._questions.pop(message.question, (0, None))
        if answer is None:
            return
        if message.parts:
            answer(unpack(message.parts))
        else:
            answer.fail()

    def lost(self, number: int) -> None:
        """A worker is gone, and its clients with it."""
        for ack_id, awaited in list(self._awaited.items()):
            awaited.forget_worker(number)
            self._settle(ack_id, awaited)
        for question, (asked, answer) in list(self._questions.items()):
            if asked == number:
                del self._questions[question]
                answer.fail()

    def owes(self, number: int, message: Answered | Unanswered) -> None:
        """A client of ours has answered what worker *number* had us ask, or will not."""
        try:
            self._send(number, message)
        except EncodeError as error:
            self._adapter.complain(error)


class _Owed(AckSink):
    """Sends a client's answer to the worker that wants it."""

    __slots__ = ("_ack_id", "_bus", "_member", "_number")

    def __init__(self, bus: Bus, number: int, ack_id: int, member: Member) -> None:
        self._bus = bus
        self._number = number
        self._ack_id = ack_id
        self._member = member

    def __call__(self, *args: Any) -> None:
        try:
            parts = pack(list(args))
        except EncodeError:
            self.fail()
            raise
        self._bus.owes(self._number, Answered(parts, self._ack_id, self._member.sid))

    def fail(self) -> None:
        self._bus.owes(self._number, Unanswered(self._ack_id, self._member.sid))


class _Converted(AckSink):
    """Passes an answer on in the form that is wanted."""

    __slots__ = ("_answer",)

    def __init__(self, answer: AckSink) -> None:
        self._answer = answer

    def fail(self) -> None:
        self._answer.fail()


class _Rooms(_Converted):
    """A room's name that is a list was a tuple."""

    __slots__ = ()

    def __call__(self, *args: Any) -> None:
        self._answer([tuples(room) for room in args[0]])


class _Clients(_Converted):
    """Rows, as :class:`Seen`."""

    __slots__ = ()

    def __call__(self, *args: Any) -> None:
        self._answer([Seen(sid, space, tuples(rooms), *rest) for sid, space, rooms, *rest in args[0]])
