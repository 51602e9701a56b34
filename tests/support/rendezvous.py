"""Servers that answer nobody before everybody has asked: who blocks in one call never gets its answer."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
_START_S = 30.0


class Rendezvous:
    """``with Rendezvous(500, http) as server:`` listens in a thread of its own, on ``server.port``."""

    def __init__(self, number: int, speak: "Callable[[Rendezvous, Reader, Writer], Awaitable[None]]") -> None:
        self.number = number
        self.in_flight = 0
        self.most = 0
        self._speak = speak
        self._ready = threading.Event()

    async def meet(self) -> None:
        """Wait for the others."""
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        if self.in_flight == self.number:
            self._all.set()
        try:
            await self._all.wait()
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._all.clear()

    def __enter__(self) -> "Rendezvous":
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(_START_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_START_S)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._all, self._end = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=4_096)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._speak(self, reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


async def http(server: Rendezvous, reader: Reader, writer: Writer) -> None:
    """Answers each request with its path."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        await server.meet()
        path = head.split()[1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))


async def smtp(server: Rendezvous, reader: Reader, writer: Writer) -> None:
    """Takes each letter, once all are there."""
    writer.write(b"220 here\r\n")
    while line := await reader.readline():
        verb = line.split()[0].upper()
        if verb == b"EHLO":
            writer.write(b"250-here\r\n250 SIZE 100000\r\n")
        elif verb == b"DATA":
            writer.write(b"354 go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            await server.meet()
            writer.write(b"250 taken\r\n")
        elif verb == b"QUIT":
            writer.write(b"221 bye\r\n")
            return
        else:
            writer.write(b"250 fine\r\n")


async def ftp(server: Rendezvous, reader: Reader, writer: Writer) -> None:
    """Sends each file, which holds its own name, over a passive connection."""
    wanted: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(_: Reader, data: Writer) -> None:
        data.write(await wanted.get())
        data.close()

    writer.write(b"220 here\r\n")
    passive = await asyncio.start_server(send, "127.0.0.1", 0)
    async with passive:
        while line := await reader.readline():
            verb, _, rest = line.strip().partition(b" ")
            if verb == b"USER":
                writer.write(b"230 fine\r\n")
            elif verb == b"EPSV":
                writer.write(b"229 there (|||%d|)\r\n" % passive.sockets[0].getsockname()[1])
            elif verb == b"PASV":
                port = passive.sockets[0].getsockname()[1]
                writer.write(b"227 there (127,0,0,1,%d,%d)\r\n" % divmod(port, 256))
            elif verb == b"RETR":
                writer.write(b"150 here it comes\r\n")
                await server.meet()
                wanted.put_nowait(rest)
                writer.write(b"226 done\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"200 fine\r\n")
