"""What carries messages between processes: bytes to everybody who listens on a channel.

A :class:`Broker` has two sides. On the loop of a server it listens, and publishes without waiting: messages wait in an
:class:`Outbox` of bounded size while the queue is slow or away. Without a loop, in a script or a task of some other
process, :meth:`Broker.write` publishes and waits until that is done.

Between the two stands what is the same for all queues: connect, and connect again with growing pauses. What others
publish while there is no connection is lost, as it is for python-socketio.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ..limits import Limits
from ..loop import Loop
from ..quiet import QuietLog

log = logging.getLogger("greenwire")

Receive = Callable[[bytes], None]
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
_FLUSH_S = 2.0  # at the end: for what is still in the outbox
_BATCH = 256


class Broker(Protocol):
    """One channel of a message queue."""

    name: str  # for people: where the queue is, without its password

    def start(self, loop: Loop, limits: Limits, quiet: QuietLog, receive: Receive) -> None:
        """Listen from now on, and give each message to *receive*. Loop thread, as all that follows but the last."""

    def publish(self, message: bytes) -> None:
        """Have *message* sent to everybody who listens. Never waits."""

    def stop(self) -> None:
        """The end. The loop does not run any more, and may be run for a moment."""

    def write(self, message: bytes) -> None:
        """Publish from any thread, without a loop; waits. A failure is logged: an emit raises none."""

    def close(self) -> None:
        """Close what :meth:`write` has opened; it opens it again."""


class Outbox:
    """Messages that wait to be published."""

    def __init__(self, limits: Limits, quiet: QuietLog, name: str) -> None:
        self._messages: deque[bytes] = deque()
        self._bytes = 0
        self._limit = limits.queue_waiting_bytes
        self._quiet = quiet
        self._name = name
        self._filled = asyncio.Event()
        self.empty = asyncio.Event()
        self.empty.set()

    def put(self, message: bytes) -> None:
        """Add one. The newest is dropped where there are too many."""
        if self._bytes + len(message) > self._limit:
            self._quiet.warning(
                "outbox",
                "an event for other processes is dropped: %s is slow or away, and %d bytes wait"
                " (limit 'queue_waiting_bytes')",
                self._name,
                self._bytes,
            )
            return
        self._bytes += len(message)
        self._messages.append(message)
        self._filled.set()
        self.empty.clear()

    async def take(self) -> list[bytes]:
        """Some of the oldest, at least one. They stay until they are :meth:`sent`."""
        while not self._messages:
            self._filled.clear()
            await self._filled.wait()
        return [self._messages[n] for n in range(min(_BATCH, len(self._messages)))]

    def sent(self, count: int) -> None:
        """So many of them are published, or given up."""
        for _ in range(count):
            self._bytes -= len(self._messages.popleft())
        if not self._messages:
            self.empty.set()

    def __len__(self) -> int:
        return len(self._messages)


class TaskBroker:
    """A broker whose client library is for asyncio: a task that listens and one that publishes.

    A subclass says how: :meth:`_listen` and :meth:`_send`. Whatever they raise of *failures* is a lost connection.
    """

    name: str
    failures: tuple[type[Exception], ...] = (OSError,)

    def __init__(self) -> None:
        self._loop: Loop
        self._quiet: QuietLog
        self._receive: Receive
        self._outbox: Outbox
        self._tasks: list[asyncio.Task[None]] = []
        self.listening = False  # what is published now arrives here

    def start(self, loop: Loop, limits: Limits, quiet: QuietLog, receive: Receive) -> None:
        self._loop = loop
        self._quiet = quiet
        self._receive = receive
        self._outbox = Outbox(limits, quiet, self.name)
        for forever in (self._keep_listening(), self._keep_publishing()):
            self._tasks.append(loop.aio.create_task(forever))

    def publish(self, message: bytes) -> None:
        self._outbox.put(message)

    def stop(self) -> None:
        self._loop.aio.run_until_complete(self._end())
        self.close()

    def close(self) -> None:
        """Close what is open beside the loop."""

    # --- for the subclass

    async def _listen(self) -> None:
        """Connect, say :meth:`_listens`, and give messages to ``_receive`` until the connection is lost."""
        raise NotImplementedError

    async def _send(self, messages: list[bytes]) -> None:
        """Publish *messages* in order."""
        raise NotImplementedError

    async def _close(self) -> None:
        """Close all connections."""

    def _listens(self) -> None:
        self.listening = True
        log.info("connected to the message queue at %s", self.name)

    # --- tasks

    async def _keep_listening(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._listen()
            except self.failures as error:
                if self.listening:
                    pause_s = FIRST_PAUSE_S
                self._lost("read from", error, pause_s)
            self.listening = False
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _keep_publishing(self) -> None:
        pause_s = 0.0
        while True:
            messages = await self._outbox.take()
            try:
                await self._send(messages)
            except self.failures as error:
                self._lost("write to", error, pause_s)
                # At once first: the connection may have been closed because nobody used it.
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s or FIRST_PAUSE_S, LONGEST_PAUSE_S)
            else:
                pause_s = 0.0
                self._outbox.sent(len(messages))

    def _lost(self, what: str, error: Exception, pause_s: float) -> None:
        message = "cannot %s the message queue at %s: %s; trying again in %g s"
        self._quiet.warning(f"queue {what}", message, what, self.name, error, pause_s)

    async def _end(self) -> None:
        try:
            await asyncio.wait_for(self._outbox.empty.wait(), _FLUSH_S)
        except TimeoutError:
            log.warning("%d events for other processes are lost: %s takes none", len(self._outbox), self.name)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        try:
            await self._close()
        except self.failures:
            pass  # it is closed already, by the other side


def without_password(url: str) -> str:
    """*url* for the log."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def missing(url: str, package: str) -> ConfigurationError:
    """What to do where the client library of a queue is not installed."""
    return ConfigurationError(
        f"message_queue={without_password(url)!r} needs the package {package}: pip install 'greenwire[{package}]'"
    )
