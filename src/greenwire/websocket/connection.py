"""A WebSocket on a connection that HTTP has handed over (RFC 6455), frames parsed by picows.

What picows checks: masks, lengths, opcodes, control frames, close codes. What is checked here on top: reserved
bits, the order of fragments, UTF-8, the size of a whole message and the number of its fragments.

The take-over. picows' protocol object is built for a server, is given a constant upgrade request through a
*wire* that swallows the answer it writes (ours has gone out already), then the bytes that came behind the real
request, and then becomes the transport's protocol. From there on the only thing that it writes by itself is
the close frame of a failed connection: so a write on the wire means "fail".

==========  =========================================  ==================================
state       meaning                                    leaves by
==========  =========================================  ==================================
OPEN        messages flow                              ``close`` → CLOSING, ``part`` →
                                                       PARTING, peer → LINGERING
CLOSING     our close frame is out, theirs is awaited  theirs or the timeout → LINGERING
PARTING     likewise; what the peer has sent before    likewise
            it has seen ours still counts
LINGERING   nothing is sent any more; what still       peer's FIN or the timeout → CLOSED
            comes is thrown away, so that the peer
            reads our close frame and not a reset
CLOSED      TCP is gone
==========  =========================================  ==================================
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from enum import Enum, auto

from picows import WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from ..limits import Limits
from ..loop import Loop
from .frame import close_frame, pong_frame
from .line import JOINED_BYTES, PART_BYTES, Line
from .wire import REQUEST, Wire, new_protocol

log = logging.getLogger("greenwire")

_TEXT, _BINARY, _CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
_PING, _PONG = WSMsgType.PING, WSMsgType.PONG
CUT_OFF = -1  # the close code of a peer that was cut off because it did not read
_SMALL = 2_048  # frames of that size on average are joined, however many
_BIG = 65_536  # a message beyond this makes picows keep a buffer that is worth giving back


def _ignore(*_: object) -> None:
    pass


class State(Enum):
    """See the table at the head of this file."""

    OPEN = auto()
    CLOSING = auto()
    PARTING = auto()
    LINGERING = auto()
    CLOSED = auto()


_OPEN = State.OPEN  # a look-up in an Enum class takes ten times as long as one of a global
HEARS = frozenset((State.OPEN, State.PARTING))  # messages are of interest
_CLOSES = frozenset((State.OPEN, State.CLOSING, State.PARTING))  # their close frame is


class WebSocketConnection(WSListener):
    """One open WebSocket: messages in by *on_message*, frames out by :meth:`write`.

    Made with the 101 *head*, which it sends, and *early*, the bytes that came behind the request.

    *on_message* may raise nothing. *on_closed* is called once, when nothing more comes or goes, with the close code
    that the peer sent: 1005 for none, 1006 where TCP ended without a close frame, ``CUT_OFF`` where we ended it
    because the peer did not read. *on_gone* is called when TCP is gone, too.
    """

    __slots__ = (
        "_early",
        "_grown",
        "_held",
        "_held_bytes",
        "_limit",
        "_limits",
        "_line",
        "_loop",
        "_message",
        "_message_bytes",
        "_message_type",
        "_on_closed",
        "_on_gone",
        "_on_message",
        "_out",
        "_out_bytes",
        "_timer",
        "_transport",
        "close_code",
        "state",
    )

    def __init__(
        self,
        loop: Loop,
        transport: asyncio.Transport,
        limits: Limits,
        head: bytes,
        early: bytes,
        on_message: Callable[[str | bytes], None],
        on_closed: Callable[["WebSocketConnection", int], None],
        on_gone: Callable[["WebSocketConnection"], None] = _ignore,
    ) -> None:
        self.state = State.OPEN
        self.close_code = 1006
        self._loop = loop
        self._transport = transport
        self._limits = limits
        self._limit = limits.queued_bytes
        self._on_message = on_message
        self._on_closed = on_closed
        self._on_gone = on_gone
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._line: Line | None = None  # while the peer does not keep up
        self._message: list[bytes] | None = None  # the fragments so far
        self._message_bytes = 0
        self._message_type = _TEXT
        self._grown = False  # picows' buffer is larger than most connections ever need
        self._held: list[str | bytes] | None = None  # while paused: what picows had parsed already
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

        sock = transport.get_extra_info("socket")
        if sock is not None:  # bounds what one read can bring, and so what picows' buffer can grow to
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limits.receive_buffer_bytes)
        transport.set_protocol(_NOBODY)  # uvloop keeps the methods of the last one that was not buffered: HTTP's
        self._early: tuple[WSProtocol, bytes] | None = (self._take_over(), early)
        transport.set_write_buffer_limits(high=1, low=0)  # tell us of all that the kernel does not take
        transport.write(head)
        if transport.get_write_buffer_size() > 1:  # of HTTP's, which has been told
            self.pause_writing()

    def start(self) -> None:
        """The owner is ready: deliver what came right behind the request."""
        if self._early is not None:
            (protocol, early), self._early = self._early, None
            self._feed(protocol, early)

    def _take_over(self) -> WSProtocol:
        protocol = new_protocol(self, self._limits.message_bytes)
        wire = Wire(self)
        protocol.connection_made(wire)
        self._feed(protocol, REQUEST)
        wire.armed = True
        self._transport.set_protocol(protocol)
        return protocol

    @staticmethod
    def _feed(protocol: WSProtocol, data: bytes) -> None:
        while data:
            room = protocol.get_buffer(-1)
            part, data = data[: len(room)], data[len(room) :]
            room[: len(part)] = part
            protocol.buffer_updated(len(part))

    def listen(self, on_message: Callable[[str | bytes], None]) -> None:
        """From now on messages go to *on_message*."""
        self._on_message = on_message

    # --- out

    @property
    def buffered_bytes(self) -> int:
        """What the kernel has not taken yet."""
        behind = self._line.waiting if self._line is not None else 0
        return self._out_bytes + behind + self._transport.get_write_buffer_size()

    @property
    def congested(self) -> bool:
        """Whether the kernel has not taken all that earlier turns have written."""
        return self._line is not None

    def write(self, frame: bytes) -> None:
        """Send *frame* at the end of this turn, in one system call with all others of the turn; sooner, if it is much.

        A peer for which more than ``limits.queued_bytes`` wait is cut off, and so may be one of those for which the
        most wait when it is more than ``limits.output_bytes`` for all. Only in OPEN (5.5.1: nothing follows a close
        frame); else *frame* is dropped.
        """
        if self.state is not _OPEN:
            return
        out = self._out
        if not out:
            self._loop.mark_dirty(self)
        out.append(frame)
        self._out_bytes += len(frame)
        if self._out_bytes > PART_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand this turn's frames to the kernel."""
        out = self._out
        if not out:
            return
        if self._line is not None or (self._out_bytes > JOINED_BYTES and self._too_much_to_join()):
            self._line_up()
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._out_bytes = 0
        self._transport.write(data)
        if self._line is not None:  # since now: the kernel has not taken it all
            self._line.hold(data)

    def _too_much_to_join(self) -> bool:
        """Whether a private copy would be much, and what it saves little."""
        count = len(self._out)
        if count == 1:
            return self._out_bytes > PART_BYTES
        return self._out_bytes > 2 * PART_BYTES or self._out_bytes > count * _SMALL

    def _line_up(self) -> None:
        """This turn's frames go behind those that wait, unless these are too many."""
        out, self._out, self._out_bytes = self._out, [], 0
        if self.buffered_bytes > self._limit:
            self._cut_off()
            return
        line = self._line
        if line is None:
            line = self._line = self._new_line()
        line.extend(out)
        self._advance(line)

    def _advance(self, line: Line) -> None:
        line.advance()
        if line.empty and self._line is line:
            self._line = None
            if line.then is not None:
                line.then()

    def _new_line(self) -> Line:
        return Line(self._transport, self._loop.unread, self._cut_off)

    def pause_writing(self) -> None:
        """The kernel has not taken everything that the transport was given."""
        if self._line is None:
            self._line = self._new_line()
        self._line.blocked = True

    def resume_writing(self) -> None:
        """It has."""
        line = self._line
        if line is not None:
            line.unblock()
            self._advance(line)

    def _drop_line(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.clear()

    def _cut_off(self) -> None:
        self.close_code = CUT_OFF
        self.abort()

    # --- in

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One frame, unmasked and checked by picows. The hot path is one whole text message."""
        try:
            kind = frame.msg_type
            if self.state is not _OPEN or frame.rsv1 or frame.rsv2 or frame.rsv3:
                self._unusual(frame)
            elif kind is _TEXT and frame.fin and self._message is None:
                text = frame.get_payload_as_utf8_text()
                if self._held is None:
                    self._on_message(text)
                else:
                    self._hold(text)
            elif kind is _BINARY and frame.fin and self._message is None:
                self._deliver(frame.get_payload_as_bytes())
            else:
                self._unusual(frame)
            if frame.payload_size > _BIG:
                self._grown = True
            elif self._grown and frame.last_in_buffer and not frame.tail_size:  # a pong at the latest
                self._give_buffer_back()
        except UnicodeDecodeError:
            self.fail(1007, "invalid UTF-8")
        except Exception:
            log.exception("internal error while reading a WebSocket")
            self.fail(1011, "")

    def _unusual(self, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            self._close_arrives(frame)
        elif self.state not in HEARS:
            return  # 5.5.1: after our close frame nothing that comes is of interest but theirs
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.fail(1002, "reserved bits are set")  # 5.2: no extension was negotiated
        elif kind == _PING:
            self.write(pong_frame(frame.get_payload_as_bytes()))
        elif kind != _PONG:  # 5.5.3: an unsolicited pong means nothing
            self._fragment_arrives(frame)

    def _fragment_arrives(self, frame: WSFrame) -> None:
        # 5.4: the first has the type, the others are continuations; messages do not interleave.
        if (frame.msg_type == _CONTINUATION) != (self._message is not None):
            self.fail(1002, "fragments out of order")
            return
        if self._message is None:
            self._message, self._message_bytes, self._message_type = [], 0, frame.msg_type
        self._message.append(frame.get_payload_as_bytes())
        self._message_bytes += frame.payload_size
        if self._message_bytes > self._limits.message_bytes or len(self._message) > self._limits.fragments:
            self._message = None
            self.fail(1009, "message too big")
        elif frame.fin:
            data, self._message = b"".join(self._message), None
            self._complete(data)

    def _complete(self, data: bytes) -> None:
        """All fragments of a message have come."""
        self._deliver(data.decode() if self._message_type == _TEXT else data)

    def _deliver(self, message: str | bytes) -> None:
        if self._held is None:
            self._on_message(message)
        else:
            self._hold(message)

    def _give_buffer_back(self) -> None:
        # picows' buffer never shrinks. Between two frames a fresh parser can take its place; after a small one, because
        # a fresh one for each big message would cost half as much again as the message.
        self._grown = False
        if self.state is State.OPEN and not self._transport.is_closing():
            self._take_over()

    # --- a pause, while the owner has too much to do for this peer

    def pause(self) -> None:
        """Stop reading. What picows has read already is held here."""
        if self._held is None and self.state in HEARS:
            self._held = []
            self._transport.pause_reading()

    def resume(self) -> None:
        """Deliver what was held and read on."""
        held, self._held, self._held_bytes = self._held, None, 0
        if held is None:
            return
        for n, message in enumerate(held):
            if self.state not in HEARS:
                break
            if self._held is not None:  # paused again
                self._held.extend(held[n:])
                self._held_bytes = sum(map(_size, self._held))
                return
            self._on_message(message)
        if self._held is None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _deliver_held(self) -> None:
        """The peer closes: what it has sent before counts, however busy the owner is."""
        held, self._held = self._held, None
        for message in held or ():
            if self.state in HEARS:  # the owner may close at any of them
                self._on_message(message)

    def _hold(self, message: str | bytes) -> None:
        if self._held is None:
            return
        self._held.append(message)
        self._held_bytes += _size(message)
        if self._held_bytes > self._limits.held_bytes:
            self._cut_off()

    # --- the end

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the closing handshake; TCP is closed when the peer has answered, or at the timeout."""
        self._begin_closing(State.CLOSING, close_frame(code, reason))
        if self.state is State.CLOSING and self._held is not None:  # read on, for the peer's close frame
            self._held = None
            self._transport.resume_reading()

    def _begin_closing(self, state: State, frame: bytes) -> None:
        if self.state is State.OPEN:
            self.write(frame)
        if self.state is State.OPEN:  # still: not cut off by that
            self.state = state
            self._timer = self._loop.call_later(self._limits.close_timeout_s, self._linger)

    def part(self, code: int) -> None:
        """:meth:`close`, and end our direction of TCP right behind it.

        What the peer sends after it has seen our close frame is lost: most libraries drop it silently until TCP ends.
        So it ends now and not after their answer, for which we read on; where the owner has paused, when it resumes.
        """
        if self.state is State.OPEN:
            self._begin_closing(State.PARTING, close_frame(code))
            self.flush()
            if self._transport.can_write_eof():  # TLS has no half-closing
                self._end_direction()

    def drain(self) -> None:
        """Nothing: whoever has the session on it says when it ends."""

    def shutdown(self) -> None:
        """The server stops: 1001, going away."""
        self.close(1001, "server shutting down")

    def abort(self) -> None:
        """End TCP at once: a peer that does not read would never see a close frame."""
        if self.state is not State.CLOSED:
            self.state = State.LINGERING
            self._out.clear()
            self._out_bytes = 0
            self._drop_line()
            self._transport.abort()

    def fail(self, code: int, reason: str) -> None:
        """7.1.7: tell the peer why, and end without waiting for its answer."""
        self.failed(close_frame(code, reason))

    def failed(self, frame: bytes) -> None:
        """The connection fails with this close frame, ours or picows'."""
        if self.state in _CLOSES:
            if self.state is State.OPEN:
                self.write(frame)
            self._linger()

    def _close_arrives(self, frame: WSFrame) -> None:
        if self.state not in _CLOSES:
            return
        code: int = frame.get_close_code() if frame.payload_size else 1005  # type: ignore[assignment]  # an IntEnum
        if frame.payload_size and (code in (0, 1006) or code > 4999):  # 7.4: what picows lets through
            self.fail(1002, "invalid close code")
            return
        self.close_code = int(code)
        self._deliver_held()
        if self.state is State.OPEN:  # 5.5.1: answer with the code that was received
            self.write(close_frame(None if self.close_code == 1005 else self.close_code))
        self._linger()

    def _linger(self) -> None:
        """7.1.1: the server closes TCP, first its own direction; what still comes is thrown away."""
        if self._timer is not None:
            self._timer.cancel()
        self.state = State.LINGERING
        self._held = None
        self.flush()
        self._tell_owner()
        transport = self._transport
        if transport.is_closing():
            return
        transport.set_protocol(_Drain(self))
        transport.resume_reading()
        self._timer = self._loop.call_later(self._limits.close_timeout_s, self.abort)
        self._end_direction()

    def _end_direction(self) -> None:
        """End our direction of TCP, behind all that still waits."""
        transport = self._transport
        if self._line is not None:
            self._line.then = self._end_direction
        elif transport.is_closing():
            return
        elif transport.can_write_eof():
            transport.write_eof()
        else:  # TLS has no half-closing
            transport.close()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """TCP is gone while picows was in charge."""
        self.gone()

    def gone(self) -> None:
        """TCP is gone."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        if self._timer is not None:
            self._timer.cancel()
        self._out.clear()
        self._drop_line()
        self._tell_owner()
        self._on_gone(self)

    def _tell_owner(self) -> None:
        """Once, and then the owner is referred to no longer."""
        on_closed, self._on_closed, self._on_message = self._on_closed, _ignore, _ignore
        on_closed(self, self.close_code)


def _size(message: str | bytes) -> int:
    return len(message) if isinstance(message, bytes) else len(message.encode())


_NOBODY = asyncio.Protocol()


class _Drain(asyncio.BufferedProtocol):
    """Throws away what comes until the peer ends."""

    _SINK = bytearray(65_536)

    def __init__(self, owner: WebSocketConnection) -> None:
        self._owner = owner

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._SINK

    def buffer_updated(self, nbytes: int) -> None:
        pass

    def eof_received(self) -> bool:
        return False  # close

    def pause_writing(self) -> None:
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        self._owner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.gone()
