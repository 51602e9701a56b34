"""From an incoming packet to the user's handler and back: connect, events, acknowledgements, disconnect.

The methods are in two groups. Those of the loop thread change members and rooms and never wait. Those named
``_run_*`` run in a runner, call the user's function through the face (the bare server, or Flask), and post what
came of it back. User code fails here and nowhere else: an exception is logged, at most once a second for each
handler, and ends nothing.
"""

import logging
from asyncio import CancelledError
from collections.abc import Callable, Coroutine
from typing import Any

from ..engineio.packet import Outgoing
from ..engineio.session import Reason
from ..errors import ConnectionRefusedError, EncodeError, RemoteProtocolError, refusal
from ..ids import new_id
from ..limits import Limits
from ..runners import Runner
from .acks import AckSink, Timed, fail_all
from .client import Ack, Client, Connect, Disconnect, Event, Incoming, Member, MemberState
from .handlers import Handler, Handlers, describe
from .neighbours import Complaints, Face, LoopLike, PeerLike, Tasks
from .rate import UNBOUNDED, EventRate
from .rooms import Room, Rooms
from .wire import Wire

log = logging.getLogger("greenwire")
_CONNECTED = MemberState.CONNECTED  # a look-up in an Enum class takes ten times as long as one of a global

REJECTED = refusal(())
FAILED: dict[str, object] = {"message": "Internal server error"}
INVALID_NAMESPACE: dict[str, object] = {"message": "Invalid namespace"}
TOO_MANY_NAMESPACES: dict[str, object] = {"message": "Too many namespaces"}


class Dispatcher:
    """All clients of one process and the handlers that serve them."""

    def __init__(
        self,
        handlers: Handlers,
        limits: Limits,
        wire: Wire,
        face: Face,
        *,
        loop: LoopLike,
        runner: Runner,
        tasks: Tasks,
        quiet: Complaints,
        on_bad_client: Callable[[Any, RemoteProtocolError], None],
        always_connect: bool = False,
    ) -> None:
        self.spaces: dict[str, Rooms[Member]] = {}
        self._handlers = handlers
        self._limits = limits
        self._wire = wire
        self._always_connect = always_connect
        self.face = face
        self._loop = loop
        self._runner = runner
        self._tasks = tasks
        self._quiet = quiet
        self._on_bad_client = on_bad_client
        self._listener = self._receive, self._lost  # bound once, and not for each client
        if limits.events_per_second < UNBOUNDED:  # who has no such limit pays nothing for it
            self._rate = EventRate(limits.events_per_second, loop.now)
            self._waiting: set[Client] = set()  # for each a timer runs, which ends its pause
            self._take_in, self._resume = self._take_in_paced, self._resume_paced  # type: ignore[method-assign]

    # --- clients come, speak and go (loop thread)

    def opened(self, peer: PeerLike) -> None:
        """A new Engine.IO session."""
        client = self._wire.client(peer, self._limits)
        peer.owner, peer.on_message, peer.on_close = client, *self._listener
        self._arm(client)

    @staticmethod
    def client_of(peer: PeerLike) -> Client | None:
        """Who owns a session, if it speaks Socket.IO."""
        return peer.owner if isinstance(peer.owner, Client) else None

    def forget(self, client: Client) -> None:
        """A client is gone without a word, and no handler is to know."""
        client.lost = True
        self._disarm(client)
        for member in tuple(client.members.values()):
            member.again = None
            self._gone(member)

    def _receive(self, client: Client, payload: str | bytes) -> None:
        try:
            incoming = client.receive(payload)
        except RemoteProtocolError as error:
            self._on_bad_client(client.peer, error)
            return
        if incoming.__class__ is Event:
            self._event(incoming)
        elif incoming is not None:
            self._rare(client, incoming)

    def _rare(self, client: Client, incoming: Incoming) -> None:
        match incoming:
            case Connect(namespace, auth):
                old = client.members.get(namespace)
                if old is not None:
                    old.again = incoming
                else:
                    self._connect(client, namespace, auth)
            case Ack(member, callback, args):
                self._acknowledged(member, callback, args)
            case Disconnect(member):
                member.again = None
                self._leave(member, Reason.CLIENT)

    def _lost(self, client: Client, reason: Reason) -> None:
        """The Engine.IO session is over."""
        client.lost = True
        self._disarm(client)
        for member in tuple(client.members.values()):
            member.again = None
            self._leave(member, reason)

    def _arm(self, client: Client) -> None:
        """A client that is in no namespace is not kept for ever."""
        self._disarm(client)
        client.timer = self._loop.call_later(self._limits.connect_timeout_s, client.peer.close)

    @staticmethod
    def _disarm(client: Client) -> None:
        if client.timer is not None:
            client.timer.cancel()
            client.timer = None

    # --- connect

    def _connect(self, client: Client, namespace: str, auth: Any) -> None:
        if not self._handlers.accepts(namespace):
            self._refuse(client, namespace, INVALID_NAMESPACE)
            return
        if len(client.members) >= self._limits.namespaces:
            self._refuse(client, namespace, TOO_MANY_NAMESPACES)
            return
        self._disarm(client)
        member = Member(new_id(), namespace, client, client.peer.send)
        client.members[namespace] = member
        self.spaces.setdefault(namespace, Rooms()).add(member)
        if self._always_connect:
            member.send = client.peer.send
            member.send(self._wire.connect(namespace, member.sid))
        handler = self._handlers.find(namespace, "connect")
        if handler is None:
            self._connected(member, None)
        else:
            # Clients that have nothing to say send `{}` or nothing, whichever their library likes: it is the same.
            self._start(self._run_connect, self._run_connect_async, handler, member, [auth or None])

    def _run_connect(self, handler: Handler, member: Member, args: list[Any]) -> None:
        try:
            result = self.face.run(handler, member, "connect", args)
            error = REJECTED if result is False else None
        except BaseException as exception:
            error = self._refusal_for(handler, exception)
        self._loop.post(self._connected, member, error)

    async def _run_connect_async(self, handler: Handler, member: Member, args: list[Any]) -> None:
        try:
            result = await self.face.run_async(handler, member, "connect", args)
            error = REJECTED if result is False else None
        except BaseException as exception:
            error = self._refusal_for(handler, exception)
        self._connected(member, error)

    def _refusal_for(self, handler: Handler, exception: BaseException) -> dict[str, object]:
        if isinstance(exception, ConnectionRefusedError):
            return exception.error_args
        if isinstance(exception, OSError) and type(exception).__name__ == "ConnectionRefusedError":
            return {"message": "Connection refused by server"}  # Python's own, raised by mistake or meant so
        self._failed(handler, exception)
        return FAILED

    def _connected(self, member: Member, error: dict[str, object] | None) -> None:
        """The connect handler is done: CONNECTING → CONNECTED, or gone."""
        client = member.client
        if member.lost is Reason.SERVER:
            error = error or REJECTED  # the handler itself has disconnected the client
        if error is not None:
            self._take_early(member)
            if member.has_left:
                pass
            elif self._always_connect:  # it believes to be connected; a reason has no place in this packet
                client.peer.send(self._wire.disconnect(member.namespace))
            else:
                self._refuse(client, member.namespace, error)
            self._gone(member)
            self._resume(client)
            return
        if not self._always_connect:
            member.accepted(self._wire.connect(member.namespace, member.sid))
        elif not member.has_left:
            member.state = MemberState.CONNECTED
        for event in self._take_early(member):
            self._event(event)
        self._resume(client)  # what was taken early may have paused it, and have no handler
        if member.lost is not None:
            self._leave(member, member.lost)

    def _refuse(self, client: Client, namespace: str, error: dict[str, object]) -> None:
        try:
            packet = self._wire.refusal(namespace, error)
        except EncodeError:
            log.exception("the data of a ConnectionRefusedError cannot be sent")
            packet = self._wire.refusal(namespace, {"message": error["message"]})
        client.peer.send(packet)

    @staticmethod
    def _take_early(member: Member) -> list[Event]:
        early, member.early = member.early or [], None
        del member.client.running[: len(early)]
        return early

    # --- events

    def _event(self, event: Event) -> None:
        member = event.member
        if member.state is not _CONNECTED:
            self._event_too_early(event)
            return
        handler = self._handlers.find(member.namespace, event.name)
        if handler is None:  # nobody listens: no acknowledgement either
            handler = self._handlers.observer
            if handler is None:
                return
            event = event._replace(ack_id=None)
        self._take_in(member.client)
        self._start_event(handler, event)

    def _start_event(self, handler: Handler, event: Event) -> None:
        if handler.is_async:
            self._tasks.start(self._run_event_async(handler, event))
        else:
            self._runner.start(self._run_event, handler, event)

    def _event_too_early(self, event: Event) -> None:
        member = event.member
        if member.state is MemberState.CONNECTING:  # it waits for the connect handler
            Dispatcher._take_in(self, member.client)  # its pace counts when it is dispatched
            member.early = [*(member.early or ()), event]

    def _take_in(self, client: Client) -> None:
        """Count an event in, and stop reading from a client that has enough of them in flight.

        As many more as it owes acknowledgements: they come behind its events, and handlers may wait for them.
        """
        running = client.running
        running.append(None)
        limits = self._limits
        if len(running) - client.owed >= limits.events_in_flight or self._runner.queued > limits.events_queued:
            client.paused = True
            client.peer.pause()

    def _resume(self, client: Client) -> None:
        if client.paused and len(client.running) - client.owed <= self._limits.events_in_flight // 2:
            client.paused = False
            client.peer.resume()

    def _take_in_paced(self, client: Client) -> None:
        self._rate.spend(client)
        Dispatcher._take_in(self, client)
        wait_s = self._rate.wait_s(client)
        if wait_s and client not in self._waiting:
            self._waiting.add(client)
            client.paused = True
            client.peer.pause()
            self._loop.call_later(wait_s, self._go_on, client)

    def _resume_paced(self, client: Client) -> None:
        if client not in self._waiting:
            Dispatcher._resume(self, client)

    def _go_on(self, client: Client) -> None:
        wait_s = self._rate.wait_s(client)
        if wait_s:  # a timer may fire a little early, and what was held has come meanwhile
            self._loop.call_later(wait_s, self._go_on, client)
        else:
            self._waiting.discard(client)
            Dispatcher._resume(self, client)

    def _run_event(self, handler: Handler, event: Event) -> None:
        member = event.member
        try:
            result = self.face.run(handler, member, event.name, event.args)
            answer = self._answer(event, result) if event.ack_id is not None else None
        except BaseException as exception:
            self._failed(handler, exception)
            answer = None
        self._finished(member, answer)

    def _finished(self, member: Member, answer: Outgoing | None) -> None:
        """An event's handler is done. In its thread: most have nothing more to say to the loop, which saves a post."""
        client = member.client
        if answer is not None:  # before it counts as finished: whoever waits for that closes the connection
            self._loop.post(deliver, member, answer)
        client.running.pop()  # first, and then a look at the pause: `_take_in` does it the other way round
        if client.paused:
            self._loop.post(self._resume, client)
        if (tell := client.on_finished) is not None:  # once: the loop may take it away between two looks
            self._loop.post(tell)

    async def _run_event_async(self, handler: Handler, event: Event) -> None:
        answer = None
        try:
            result = await self.face.run_async(handler, event.member, event.name, event.args)
            answer = self._answer(event, result) if event.ack_id is not None else None
        except BaseException as exception:
            self._failed(handler, exception)
        finally:  # also when the task is cancelled
            self._finished(event.member, answer)

    def _answer(self, event: Event, result: Any) -> Outgoing:
        """A return value as acknowledgement: nothing for ``None``, several arguments for a tuple."""
        assert event.ack_id is not None
        return self._wire.ack(event.member.namespace, as_args(result), event.ack_id)

    # --- acknowledgements of what we sent

    def expect_ack(self, member: Member, ack_id: int, callback: Callable[..., object]) -> None:
        """*callback* gets the client's answer to the event of this id. Who has waited for longest makes room."""
        if member.state is MemberState.LEAVING:  # it gets nothing, and its own disconnect handler may wait for this
            fail_all((callback,))
            return
        oldest = member.expect_ack(ack_id, callback)
        if isinstance(oldest, AckSink):
            oldest.fail()
        self._resume(member.client)

    def _acknowledged(self, member: Member, callback: Callable[..., object], args: list[Any]) -> None:
        if isinstance(callback, AckSink):
            callback(*args)
            return
        if isinstance(callback, Timed):
            callback.unanswered.discard(member)
            callback = callback.callback
        self.start_callback(member, callback, args)

    def start_callback(self, member: Member, callback: Callable[..., object], args: list[Any]) -> None:
        """Have what the user gave as callback run for *member*."""
        self._take_in(member.client)
        self._runner.start(self._run_callback, callback, member, args)

    def _run_callback(self, callback: Callable[..., object], member: Member, args: list[Any]) -> None:
        try:
            self.face.run_callback(callback, member, args)
        except BaseException as exception:
            self._failed(callback, exception)
        self._finished(member, None)

    # --- rooms

    def join(self, member: Member, room: Room) -> None:
        """Put a member into *room*. The limit counts here, too: joins can be asked for faster than they are done."""
        if member.rooms is None or len(member.rooms) < self._limits.rooms:
            self.spaces[member.namespace].join(member, room)
        else:
            count = len(member.rooms)
            self._quiet.warning("rooms", "a client is in %d rooms and enters no more (limit 'rooms')", count)

    # --- leaving

    def disconnect(self, member: Member) -> None:
        """The server puts a client out of a namespace. The client is told, its connection stays."""
        if member.state is MemberState.CONNECTING:
            member.lost = Reason.SERVER
        elif member.state is MemberState.CONNECTED:
            member.send(self._wire.disconnect(member.namespace))
            self._leave(member, Reason.SERVER)

    def _leave(self, member: Member, reason: Reason) -> None:
        if member.state is MemberState.CONNECTING:  # its connect handler still runs
            member.lost = member.lost or reason
        if member.state is not MemberState.CONNECTED:
            return
        fail_all(member.leaves())
        handler = self._handlers.find(member.namespace, "disconnect")
        if handler is None:
            self._gone(member)
        else:
            self._start(self._run_disconnect, self._run_disconnect_async, handler, member, [reason.value])

    def _run_disconnect(self, handler: Handler, member: Member, args: list[Any]) -> None:
        try:
            self.face.run(handler, member, "disconnect", args)
        except BaseException as exception:
            self._failed(handler, exception)
        self._loop.post(self._gone, member)

    async def _run_disconnect_async(self, handler: Handler, member: Member, args: list[Any]) -> None:
        try:
            await self.face.run_async(handler, member, "disconnect", args)
        except BaseException as exception:
            self._failed(handler, exception)
        finally:
            self._gone(member)

    def _gone(self, member: Member) -> None:
        space = self.spaces.get(member.namespace)
        if space is not None:
            space.remove(member)
            if not space.members:
                del self.spaces[member.namespace]
        fail_all(member.gone())
        if member.again is not None:
            self._connect(member.client, *member.again)
        elif not member.client.members and not member.client.lost:
            self._arm(member.client)

    @property
    def populated(self) -> bool:
        """Whether any client is still there, or its disconnect handler still runs."""
        return bool(self.spaces)

    # --- user code

    def _start(
        self,
        run: Callable[[Handler, Member, list[Any]], None],
        run_async: Callable[[Handler, Member, list[Any]], Coroutine[Any, Any, None]],
        handler: Handler,
        member: Member,
        args: list[Any],
    ) -> None:
        if handler.is_async:
            self._tasks.start(run_async(handler, member, args))
        else:
            self._runner.start(run, handler, member, args)

    def _failed(self, where: Handler | Callable[..., object], exception: BaseException) -> None:
        """Log it. Whatever it is: a handler that calls ``sys.exit`` has failed, too, and ends nothing."""
        if isinstance(exception, CancelledError) and self._loop.here:
            return  # an ``async def`` handler that the end of the server has cut off
        name = f"handler {where.event!r} of {where.namespace}" if isinstance(where, Handler) else "callback"
        fn = describe(where.fn if isinstance(where, Handler) else where)
        # The key is a place in the source, not a function object: each call of a handler may make a new lambda.
        self._loop.post(self._quiet.error, f"{name} {fn}", exception, "%s failed: %s", name, fn)


def deliver(member: Member, packet: Outgoing) -> None:
    """By the way out that the member has by then."""
    member.send(packet)


def as_args(value: Any) -> list[Any]:
    """One value given by the user as the arguments of a packet: none for ``None``, several for a tuple."""
    if value is None:
        return []
    return list(value) if isinstance(value, tuple) else [value]
