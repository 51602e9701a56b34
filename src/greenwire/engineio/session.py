"""The Engine.IO session: one client, whichever transport it uses at the moment. Pure.

============================  ==================  =======================  ==============  ========
input                         POLLING             PROBING                  WEBSOCKET       CLOSED
============================  ==================  =======================  ==============  ========
``poll_arrives``              reply or hold       reply: queue, or NOOP    400             400
a second one while held       close, 400          close, 400               400             400
``post_arrives``              deliver             deliver                  400             400
``socket_opens``              → PROBING           refuse                   refuse          refuse
``probe_receives`` 2probe     –                   3probe; end a held poll  –               –
``probe_receives`` 5          –                   → WEBSOCKET; flush       –               –
``probe_receives`` other      –                   → POLLING, socket shut   –               –
``socket_closes``             –                   → POLLING                → CLOSED        –
``receive`` (a frame)         –                   –                        deliver         drop
``send``                      queue; wake a poll  queue; wake a poll       write a frame   drop
queue over its limit          → CLOSED            → CLOSED                 (connection)    –
``close``                     → CLOSED            → CLOSED                 → CLOSED        –
============================  ==================  =======================  ==============  ========

*held* is not a state of its own but the presence of ``_poll``, the function that answers the poll that waits.
It has meaning in POLLING and, between the probe's opening and ``2probe``, in PROBING.

A session direct on a WebSocket starts in WEBSOCKET. The upgrade deadline and the pong deadline are the
caller's timers: they call ``socket_closes`` and ``close``.

What a method may not do is I/O: everything that leaves goes through callables that it was given: ``write`` for
a frame, the poll's ``reply``, ``wake`` ("flush me at the end of this turn"), ``on_closed``, called exactly once.
"""

from collections.abc import Callable
from enum import Enum, StrEnum, auto
from math import inf

from ..errors import RemoteProtocolError
from ..limits import Limits
from ..unread import Unread, UnreadQueue
from .packet import CLOSE_PACKET, NOOP_PACKET, PROBE, PROBE_REPLY, SEPARATOR, Outgoing


class State(Enum):
    """Which transport is in charge."""

    POLLING = auto()
    PROBING = auto()
    WEBSOCKET = auto()
    CLOSED = auto()


_WEBSOCKET = State.WEBSOCKET  # a look-up in an Enum class takes ten times as long as one of a global


class Reason(StrEnum):
    """Why a session closed. The texts are those that applications see."""

    CLIENT = "client disconnect"
    SERVER = "server disconnect"
    PING_TIMEOUT = "ping timeout"
    TRANSPORT_CLOSE = "transport close"
    TRANSPORT_ERROR = "transport error"
    PARSE_ERROR = "parse error"


class Conflict(RemoteProtocolError):
    """A request that does not fit the transport that the session uses now: 400."""


Write = Callable[[bytes], None]
Reply = Callable[[bytes], None]

_FORMS = 2  # a packet that is queued is in memory with and without its frame's header


def _size(packet: Outgoing) -> int:
    return len(packet.frame)


class Session:
    """The state machine of the table above."""

    __slots__ = (
        "__weakref__",
        "_limits",
        "_on_closed",
        "_on_pong",
        "_payload_packets",
        "_poll",
        "_queue",
        "_unread",
        "_wake",
        "_write",
        "beat",
        "reason",
        "sid",
        "state",
    )

    def __init__(
        self,
        sid: str,
        limits: Limits,
        *,
        wake: Callable[[], None],
        on_pong: Callable[[], None],
        on_closed: Callable[[Reason], None],
        write: Write | None = None,
        payload_packets: float = inf,
        unread: Unread | None = None,
    ) -> None:
        self.sid = sid
        self.state = State.POLLING if write is None else State.WEBSOCKET
        self.reason: Reason | None = None  # set when CLOSED
        self.beat = 0  # of heartbeat.py
        self._limits = limits
        self._wake = wake
        self._on_pong = on_pong
        self._on_closed = on_closed
        self._write: Write | None = write  # in PROBING and WEBSOCKET
        self._poll: Reply | None = None
        self._queue: UnreadQueue[Outgoing] | None = None  # made for polling only: 700 bytes that most never need
        self._unread = unread or Unread()
        self._payload_packets = payload_packets  # some clients refuse more in one payload

    # --- the hot path

    def receive(self, message: str | bytes) -> str | bytes | None:
        """One WebSocket message: the payload of a message packet, or ``None``.

        Raises :class:`RemoteProtocolError` for what is no packet.
        """
        if self.state is not _WEBSOCKET:
            return None
        if message.__class__ is not str:
            return message  # a binary message has no type digit
        kind = message[:1]
        if kind == "4":
            return message[1:]
        if kind == "b" or not message:
            raise RemoteProtocolError("unknown packet type")
        self._control(message)
        return None

    def send(self, packet: Outgoing) -> None:
        """Send to the client by whatever transport is in charge. Dropped when CLOSED."""
        state = self.state
        if state is _WEBSOCKET:
            self._write(packet.frame)  # type: ignore[misc]
        elif state is not State.CLOSED:
            self._enqueue(packet)

    # --- polling

    def poll_arrives(self, reply: Reply) -> None:
        """A GET wants packets: answer it now or hold it. Raises :class:`Conflict` → 400."""
        if self.state not in (State.POLLING, State.PROBING):
            raise Conflict("the session does not poll")
        if self._poll is not None:
            # Engine.IO 4: at most one GET in flight. Node ends the first with a close packet.
            self.close(Reason.TRANSPORT_ERROR)
            raise Conflict("a poll is in flight already")
        self._poll = reply
        if self.state is State.PROBING and not self._queue:
            self._answer(NOOP_PACKET.payload)
        else:
            self.flush()

    def poll_abandoned(self) -> None:
        """The client has gone away from a held poll."""
        if self._poll is not None:
            self._poll = None
            self.close(Reason.TRANSPORT_CLOSE)

    def post_arrives(self, packets: list[str | bytes]) -> list[str | bytes]:
        """A POST brings packets: the payloads of the message packets among them.

        Raises :class:`Conflict` where the session does not poll. A close packet ends the list and the session.
        """
        if self.state not in (State.POLLING, State.PROBING):
            raise Conflict("the session does not poll")
        payloads: list[str | bytes] = []
        for packet in packets:
            if isinstance(packet, bytes):
                payloads.append(packet)
            elif packet[0] == "4":
                payloads.append(packet[1:])
            elif packet[0] == "1":
                break
            else:
                self._control(packet)
        else:
            return payloads
        self._release()
        self._closes(Reason.CLIENT)
        return payloads

    def flush(self) -> None:
        """Give what is queued to a poll that waits. At the end of each turn in which ``wake`` was called."""
        if self._poll is None or not self._queue:
            return
        self._answer(self._payload(self._queue))

    def _payload(self, queue: UnreadQueue[Outgoing]) -> bytes:
        return SEPARATOR.join([packet.payload for packet in self._take(queue)])

    def _take(self, queue: UnreadQueue[Outgoing]) -> list[Outgoing]:
        """What goes into one payload: everything, or as much as the client can take; at least one."""
        if self._payload_packets == inf:
            return self._take_all()
        taken = [queue.popleft()]
        count = taken[0].count
        while queue and count + queue.first.count <= self._payload_packets:
            taken.append(queue.popleft())
            count += taken[-1].count
        return taken

    def _take_all(self) -> list[Outgoing]:
        queue, self._queue = self._queue, None
        if queue is None:
            return []
        taken = list(queue)
        queue.clear()
        return taken

    def _enqueue(self, packet: Outgoing) -> None:
        queue = self._queue
        if queue is None:
            queue = self._queue = UnreadQueue(self._unread, _size, self._cut_off, _FORMS)
        queue.append(packet)
        limits = self._limits
        if queue.bytes > limits.queued_bytes or len(queue) > limits.queued_packets:
            self._cut_off()
        elif self._poll is not None and len(queue) == 1:  # for the others we are awake already
            self._wake()

    def _cut_off(self) -> None:
        """Too much waits for this client; also where it only might come for its last words."""
        self.forget()
        self._release()
        self._closes(Reason.TRANSPORT_ERROR)

    def forget(self) -> None:
        """What waits will not be asked for."""
        self._take_all()

    def _answer(self, payload: bytes) -> None:
        reply, self._poll = self._poll, None
        if reply is not None:
            reply(payload)

    def _release(self) -> None:
        self._answer(NOOP_PACKET.payload)

    # --- the upgrade

    def socket_opens(self, write: Write) -> bool:
        """A WebSocket with this sid wants to probe. ``False``: refuse it."""
        if self.state is not State.POLLING:
            return False
        self.state = State.PROBING
        self._write = write
        return True

    def probe_receives(self, message: str | bytes) -> bool:
        """A message on the probing WebSocket. ``False``: shut that socket; polling goes on."""
        if self.state is not State.PROBING or self._write is None:
            return False
        if message == PROBE:
            self._write(PROBE_REPLY.frame)
            # The client sends `5` only when its poll has ended.
            self.flush()
            self._release()
            return True
        if message == "5":
            self._upgrade(self._write)
            return True
        self.socket_closes()
        return False

    def _upgrade(self, write: Write) -> None:
        self.state = State.WEBSOCKET
        self._release()
        for packet in self._take_all():
            write(packet.frame)

    def socket_closes(self) -> None:
        """The WebSocket is gone, or the upgrade deadline has passed."""
        if self.state is State.PROBING:
            self.state = State.POLLING
            self._write = None
        elif self.state is State.WEBSOCKET:
            self._closes(Reason.TRANSPORT_CLOSE)

    # --- the end

    def close(self, reason: Reason) -> None:
        """Close from our side. A polling client is told by a close packet; a WebSocket's owner shuts it."""
        if self.state is State.CLOSED:
            return
        self.flush()  # Node's client hears of a close before it has looked at what stands before that in a payload
        self._closes(reason)
        self._answer(CLOSE_PACKET.payload)

    @property
    def holds_poll(self) -> bool:
        """Whether a poll waits."""
        return self._poll is not None

    @property
    def has_all(self) -> bool:
        """Whether a polling client has everything that it was sent, and hears at once what is sent now."""
        return self.state is State.POLLING and self._poll is not None and not self._queue

    def last_words(self) -> bytes:
        """The payload for a poll that comes after the close: what was still queued; at the last, the close packet."""
        return self._payload(self._queue) if self._queue else CLOSE_PACKET.payload

    def _closes(self, reason: Reason) -> None:
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self.reason = reason
        self._write = None
        self._on_closed(reason)
        if self._poll is None and reason is not Reason.SERVER:
            self.forget()

    def _control(self, packet: str) -> None:
        kind = packet[0]
        if kind == "3":
            self._on_pong()
        elif kind == "1":
            # Node ignores a close packet on a WebSocket and waits for the ping timeout; we close at once.
            self._closes(Reason.CLIENT)
        elif kind not in "56" or (kind == "5" and self.state is _WEBSOCKET):
            # `0` comes from servers only, `2` came from clients of protocol 3; `5` is said once, while probing.
            raise RemoteProtocolError("unexpected packet type")
