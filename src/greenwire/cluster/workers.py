"""One worker process among the workers of a machine: what makes them one server.

The supervisor gives each a number that no other living one has, and a directory that only they can use. A service is
given its :class:`Cluster` when it is made: ``bind(service)`` once its servers run, ``start()`` before it accepts
connections, ``stop()`` when its loop has ended.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from random import randrange
from typing import Any, Protocol, cast
from uuid import uuid4

from ..engineio.serve import Engine
from ..errors import ConfigurationError
from ..ids import MAX_WORKERS, set_worker
from ..limits import Limits
from ..loop import Loop
from ..net.server import Server as Connections
from ..quiet import QuietLog
from ..socketio.server import Server
from .adapter import join
from .handover import Handover
from .link import Links, is_private
from .local import Bus
from .messages import Message
from .queue import Queue

_TURNS = 3  # of the loop at the end, for what was written last


class Served(Protocol):
    """What a cluster needs of a :class:`greenwire.stack.Service`."""

    loop: Loop
    limits: Limits
    quiet: QuietLog
    server: Connections

    @property
    def engines(self) -> Mapping[str, Engine]: ...
    @property
    def mounts(self) -> Iterable[Any]: ...


class Cluster:
    """The worker *number* of about *count*. Make it before the service: ids bear the number."""

    def __init__(self, number: int, count: int, directory: str) -> None:
        if not 0 <= number < MAX_WORKERS:
            raise ConfigurationError(f"worker number {number}: there can be {MAX_WORKERS} of them")
        if not is_private(directory):
            raise ConfigurationError(f"{directory}: the workers' directory has to be ours alone (mode 0700)")
        self.number = number
        self.count = count
        self.directory = directory
        self._links: Links
        self._handover: Handover
        self._service: Served
        self._buses: dict[int, Bus] = {}
        set_worker(number)

    def bind(self, service: Served) -> None:
        """The servers of *service* have begun to run: their clients are everybody's from now on."""
        self._service = service
        self._links = Links(
            self.number, self.directory, service.loop, service.limits, service.quiet, self._hear, self._lost
        )
        self._handover = Handover(
            self._links, self.directory, service.server, service.loop, service.limits, service.quiet
        )
        for engine in service.engines.values():
            size = engine.options.max_http_buffer_size
            engine.elsewhere = partial(self._handover.take, body_bytes=size)
        for index, mount in enumerate(service.mounts):
            server = getattr(mount, "server", None)
            if isinstance(server, Server):
                self._join(index, server, service, getattr(mount, "queue", None))

    def _join(self, index: int, server: Server, service: Served, queue: Queue | None) -> None:
        # What an older process of this number has asked for must not be taken for something that we have.
        server.number_acks(count(self.number + MAX_WORKERS * randrange(1 << 16), MAX_WORKERS))
        if queue is not None:
            queue.host_id = shared_id(self.directory)
        bus = join(server, service.limits, service.quiet, lambda adapter: Bus(self._links, index, adapter))
        self._buses[index] = cast(Bus, bus)

    def start(self) -> None:
        """Meet the others. The service does not accept connections yet."""
        self._handover.start()
        self._links.start()

    def ending(self) -> None:
        """Our sessions end now: no request of theirs is to be passed on to us."""
        self._handover.leave()

    def stop(self) -> None:
        """Leave. The loop does not run any more, and is run for a moment."""
        self._handover.stop()
        self._links.stop()
        self._service.loop.aio.run_until_complete(_turns())

    @property
    def links(self) -> Links:
        """The connections to the other workers."""
        return self._links

    @property
    def others(self) -> list[int]:
        """The numbers of the other workers that are there."""
        return sorted(self._links.there)

    def _hear(self, number: int, server: int, message: Message) -> None:
        bus = self._buses.get(server)
        if bus is not None:
            bus.hear(number, message)

    def _lost(self, number: int) -> None:
        for bus in self._buses.values():
            bus.lost(number)


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def shared_id(directory: str) -> str:
    """What names these workers in a message queue: the first of them to ask has made it up."""
    path = Path(directory, "host_id")
    if not path.exists():
        descriptor, name = tempfile.mkstemp(dir=directory)
        with os.fdopen(descriptor, "w") as file:
            file.write(uuid4().hex)
        try:
            os.link(name, path)  # fails where another one was faster: then its name counts
        except FileExistsError:
            pass
        os.unlink(name)
    return path.read_text()
