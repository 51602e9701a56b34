"""The connections between the workers of one machine: Unix sockets in a directory that is private to them.

Each worker listens on ``<directory>/<number>.bus``. Messages go one way on a connection: each worker *dials* every
other, and what it sends goes there; what it hears comes on the connections that it has *taken*. So there is nothing to
agree on. A new worker dials whoever is there, the first thing it says is its number, and they dial back.

A worker is *there* while both connections stand. When its process ends the kernel closes them, and that is the news;
the one that dialled tries again as long as it hears from the other.

What is written in one turn of the loop leaves in one system call, as to clients. What a worker does not take in waits
here, up to ``limits.worker_queued_bytes``; then it is cut off, and dialled anew after a moment.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

from ..errors import RemoteProtocolError
from ..limits import Limits
from ..loop import Loop
from ..quiet import QuietLog
from .listener import Listener
from .messages import Goodbye, Hello, Message, Reader, encode

log = logging.getLogger("greenwire")

_BACKLOG = 256
_AGAIN_S = 0.5  # before a worker that has been cut off, or is too busy to be dialled, is dialled again
SUFFIX = ".bus"


class Links:
    """One worker's connections to the others. Loop thread only.

    *on_message* is given the number of a worker, that of a server, and the message; *on_gone* the number of a worker
    that is not there any more, or has been replaced.
    """

    def __init__(
        self,
        number: int,
        directory: str,
        loop: Loop,
        limits: Limits,
        quiet: QuietLog,
        on_message: Callable[[int, int, Message], None],
        on_gone: Callable[[int], None],
    ) -> None:
        self.number = number
        self.loop = loop
        self.limits = limits
        self.quiet = quiet
        self.on_message = on_message
        self._on_gone = on_gone
        self._directory = Path(directory)
        self._listener: Listener | None = None
        self._out: dict[int, Dialled] = {}
        self._in: dict[int, Taken] = {}
        self._ending = False

    def start(self) -> None:
        """Listen, and dial whoever is there."""
        self._listener = Listener(
            self._directory / f"{self.number}{SUFFIX}",
            _BACKLOG,
            self.loop,
            self.quiet,
            "take the connection of another worker",
            self.limits.accept_pause_s,
            lambda sock: self._attach(Taken(self), sock),
        )
        for found in self._directory.glob(f"*{SUFFIX}"):
            if found.stem.isdigit() and int(found.stem) != self.number:
                self._dial(int(found.stem))

    def stop(self) -> None:
        """Say goodbye and close. What was written before still leaves."""
        self._ending = True
        if self._listener is not None:
            self._listener.close()
        for link in list(self._out.values()):
            link.write(encode(Goodbye()))
            link.close()
        for taken in list(self._in.values()):
            taken.close()

    # --- out

    @property
    def there(self) -> Iterable[int]:
        """The numbers of the other workers."""
        return self._out.keys()

    def send(self, number: int, message: bytes) -> None:
        """To one worker, if it is there."""
        link = self._out.get(number)
        if link is not None:
            link.write(message)

    def send_all(self, message: bytes) -> None:
        """To all others."""
        for link in list(self._out.values()):
            link.write(message)

    def _dial(self, number: int) -> None:
        if self._ending or number in self._out:
            return
        try:
            sock = socket.socket(socket.AF_UNIX)
        except OSError as error:
            self.quiet.warning("worker dial", "cannot connect to worker %d: %s; trying again", number, error)
            self.loop.call_later(_AGAIN_S, self._dial, number)
            return
        sock.setblocking(False)
        try:
            sock.connect(str(self._directory / f"{number}{SUFFIX}"))
        except BlockingIOError:  # too many dial it at this moment
            sock.close()
            self.loop.call_later(_AGAIN_S, self._dial, number)
            return
        except OSError:  # it is dead, and has left its file behind
            sock.close()
            return
        link = self._out[number] = Dialled(self, number)
        link.write(encode(Hello(self.number)))
        self._attach(link, sock)

    def _attach(self, protocol: asyncio.Protocol, sock: socket.socket) -> None:
        async def attach() -> None:
            await self.loop.aio.connect_accepted_socket(lambda: protocol, sock)

        task = self.loop.aio.create_task(attach())
        task.add_done_callback(lambda done: sock.close() if done.cancelled() or done.exception() else None)

    # --- in

    def introduced(self, taken: "Taken", number: int) -> None:
        """A connection has said whose it is."""
        old = self._in.get(number)
        self._in[number] = taken
        if old is not None:  # its process is dead, and this is its successor; or it had cut us off
            old.close()
            self.lost(number)
        self._dial(number)

    # --- the end of a worker

    def dialled_lost(self, link: "Dialled") -> None:
        """A connection that we have dialled is closed."""
        if self._out.get(link.number) is link:
            del self._out[link.number]
            self.lost(link.number)
            if link.number in self._in:
                self.loop.call_later(_AGAIN_S, self._dial, link.number)

    def taken_lost(self, taken: "Taken") -> None:
        """A connection that we have taken is closed."""
        number = taken.number
        if number is None or self._in.get(number) is not taken:
            return
        del self._in[number]
        if not self._ending:
            if not taken.said_goodbye:
                log.warning("worker %d is gone", number)
            link = self._out.get(number)
            if link is not None:
                link.close()
        self.lost(number)

    def lost(self, number: int) -> None:
        """Nothing that was wanted of this worker will come."""
        self._on_gone(number)


class Dialled(asyncio.Protocol):
    """A connection for what is sent to one worker."""

    def __init__(self, links: Links, number: int) -> None:
        self.number = number
        self._links = links
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._closing = False

    def write(self, message: bytes) -> None:
        """Send with the end of this turn."""
        if self._closing:
            return
        transport = self._transport
        if not self._waiting and transport is not None:
            self._links.loop.mark_dirty(self)
        self._waiting.append(message)
        self._waiting_bytes += len(message)
        behind = self._waiting_bytes + (transport.get_write_buffer_size() if transport is not None else 0)
        if behind > self._links.limits.worker_queued_bytes:
            log.error(
                "worker %d takes nothing in and is cut off: %d bytes wait for it (limit 'worker_queued_bytes')",
                self.number,
                behind,
            )
            self._waiting.clear()
            self._closing = True
            if transport is not None:
                transport.abort()

    def flush(self) -> None:
        """End of turn."""
        if self._transport is not None and self._waiting:
            self._transport.write(b"".join(self._waiting))
            self._waiting.clear()
            self._waiting_bytes = 0

    def close(self) -> None:
        """Close, after what was written."""
        self.flush()
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.flush()
        if self._closing:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._links.dialled_lost(self)


class Taken(asyncio.Protocol):
    """A connection on which one worker is heard."""

    def __init__(self, links: Links) -> None:
        self.number: int | None = None  # once it has said so
        self.said_goodbye = False
        self._links = links
        self._reader = Reader(2 * links.limits.worker_message_bytes)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for server, message in self._reader.feed(data):
                self._take(server, message)
        except RemoteProtocolError as error:
            log.error("another worker makes no sense and is cut off: %s", error)
            self.close()

    def _take(self, server: int, message: Message) -> None:
        if self.number is None:
            if not isinstance(message, Hello):
                raise RemoteProtocolError("it has not said its number")
            self.number = message.number
            self._links.introduced(self, message.number)
        elif isinstance(message, Goodbye):
            self.said_goodbye = True
        else:
            self._links.on_message(self.number, server, message)

    def close(self) -> None:
        """Hear nothing any more."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._links.taken_lost(self)


def is_private(directory: str) -> bool:
    """Whether only we can use what is in *directory*: who can connect to a worker can say whatever a worker can."""
    found = os.stat(directory)
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077
