"""The line between a worker and its supervisor: a pair of connected sockets, one byte a word.

======== =============== ==============================================================
word     said by         meaning
======== =============== ==============================================================
``R``    the worker      it serves: its application is imported, its loop runs
``.``    the worker      its loop still turns; three times in ``limits.worker_silence_s``
``M``    the worker      it has served its requests, and wants to be replaced
``D``    the supervisor  drain: others serve now; leave when your clients have left
``S``    the supervisor  stop, gracefully
``N``    the supervisor  stop now
the end  the supervisor  it is dead: nobody replaces or stops this worker any more; stop
======== =============== ==============================================================

A line ends with the process that holds its other end, however that ends; that is why it is no file. And it keeps what
was said until it is heard, which a signal does not: one that comes between the setting of its handler and the first
turn of the loop is lost.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from ..limits import Limits
from ..loop import Loop
from ..net.share import Share

_BEATS = 3  # in the time of silence that is allowed: one may be late, one may be lost


class Word(Enum):
    """See the table at the head of this file."""

    READY = b"R"
    BEAT = b"."
    REPLACE_ME = b"M"
    DRAIN = b"D"
    STOP = b"S"
    NOW = b"N"


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker process is told about itself.

    *number* is one that no other living worker of this supervisor has: 1 to *count*, and above while old and new
    workers serve side by side. *directory* is private to them all: mode 0700, for Unix sockets between them.
    """

    number: int
    count: int
    directory: str
    serial: int = 0  # of all that this supervisor has ever started: never given twice
    sockets: Sequence[socket.socket] = ()  # listening, shared with the other workers
    extra: Sequence[socket.socket] = ()  # listening for metrics
    share: Share | None = field(default=None, compare=False)
    line: socket.socket | None = field(default=None, compare=False)

    def attach(self, loop: Loop, limits: Limits, orders: "Orders") -> "Lifeline":
        """Say that this worker serves, and keep saying so. The *orders* are carried out in the loop thread."""
        assert self.line is not None
        return Lifeline(self.line, loop, limits.worker_silence_s / _BEATS, orders)


class Orders(Protocol):
    """What a supervisor can tell a worker."""

    def drain(self) -> None:
        """Leave to your successors."""

    def stop(self) -> None:
        """Stop gracefully; a second time it means nothing."""

    def stop_now(self) -> None:
        """Stop at once."""


class Lifeline:
    """The worker's end. Loop thread only."""

    def __init__(
        self,
        line: socket.socket,
        loop: Loop,
        beat_s: float,
        orders: Orders,
    ) -> None:
        self._line = line
        self._loop = loop
        self._beat_s = beat_s
        self._orders = orders
        line.setblocking(False)
        self._say(Word.READY)
        loop.aio.add_reader(line.fileno(), self._hear)
        self._timer = loop.call_later(beat_s, self._beat)

    def replace_me(self) -> None:
        """Ask for a successor."""
        self._say(Word.REPLACE_ME)

    def _beat(self) -> None:
        self._say(Word.BEAT)
        self._timer = self._loop.call_later(self._beat_s, self._beat)

    def _say(self, word: Word) -> None:
        try:
            self._line.send(word.value)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass  # it does not listen now, or is dead: the end of the line says so

    def _hear(self) -> None:
        try:
            words = self._line.recv(64)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            words = b""
        if not words:
            self._loop.aio.remove_reader(self._line.fileno())
            self._orders.stop()
        elif Word.NOW.value in words:
            self._orders.stop_now()
        elif Word.STOP.value in words:
            self._orders.stop()
        elif Word.DRAIN.value in words:
            self._orders.drain()

    def close(self) -> None:
        """Say no more. The socket stays open until the process ends: its end is the news of that."""
        self._timer.cancel()
        self._loop.aio.remove_reader(self._line.fileno())
