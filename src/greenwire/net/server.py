"""The connections of one process: accept, limit, drain, stop. Knows no protocol but how to say 503.

The accept loop is our own, because those of the event loops are not fit for the day when descriptors run out:
asyncio calls its exception handler hundreds of times a second, uvloop accepts and drops clients without a word.
Its rules:

* It never ends because of what ``accept`` says. A client that is gone again is passed over; when the process or
  the kernel lacks something, accepting rests (``limits.accept_pause_s``, doubling to eight times that) and one
  line says so; whatever else comes is logged and survived.
* It takes at most ``_BATCH`` connections a turn, so that a flood of new ones does not starve the old ones.
* A TLS handshake belongs to its own connection: it has a deadline, and its failure is one quiet line.

A connection counts from ``accept`` on. Over ``limits.connections`` a client is told 503 and let go.
"""

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ..limits import Limits
from ..loop import Loop
from ..quiet import QuietLog

log = logging.getLogger("greenwire")

_BATCH = 64
_MAX_PAUSE_FACTOR = 8
_LINGER_S = 1.0  # how long a refused client may take to read its 503
_LINGERERS = 64  # so many at a time; they hold descriptors
_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nServer: greenwire\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Retry-After: 5\r\nContent-Length: 51\r\nConnection: close\r\n\r\n"
    b"The server has as many connections as it may hold.\n"
)

_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
# accept(2): errors of the new connection, not of the listening socket; "treat them like EAGAIN by retrying".
_OF_THE_CLIENT = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "ECONNRESET", "EPERM", "EPROTO", "EINTR", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN"),
        *("ENONET", "EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH", "ETIMEDOUT", "EPIPE", "ENOTCONN", "ESHUTDOWN"),
    )
    if hasattr(errno, name)
)


class Connection(Protocol):
    """What the server holds of a connection."""

    def shutdown(self) -> None:
        """End gracefully: at once when idle, else after what runs."""

    def abort(self) -> None:
        """End now."""


class Server:
    """Accepts on listening *sockets* and keeps the set of connections. Loop thread only."""

    def __init__(
        self,
        loop: Loop,
        sockets: Iterable[socket.socket],
        make_protocol: Callable[[], asyncio.BaseProtocol],
        limits: Limits,
        quiet: QuietLog,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.connections: set[Connection] = set()
        self.on_idle: Callable[[], object] | None = None  # called once, after shutdown() or abort()
        self._loop = loop
        self._limits = limits
        self._quiet = quiet
        self._ssl = ssl_context
        self._make_protocol = make_protocol
        self._listeners = [_Listener(self, sock, loop, limits, quiet) for sock in sockets]
        self._arriving: dict[object, asyncio.Task[None]] = {}  # protocols that are not connected yet
        self._ending = False
        self._refused: set[socket.socket] = set()

    # --- accepting

    def start(self) -> None:
        """Begin to accept."""
        for listener in self._listeners:
            listener.resume()

    def stop_accepting(self) -> None:
        """Close the listening sockets and remove the files of Unix sockets. What is open stays open."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    def take(self, sock: socket.socket, peer: Any) -> None:
        """Make a connection of an accepted socket, or refuse it."""
        if len(self.connections) + len(self._arriving) >= self._limits.connections:
            self._quiet.warning(
                "connections",
                "refused a connection from %s: there are %d already (limit 'connections')",
                shown(peer),
                self._limits.connections,
            )
            self._refuse(sock)
            return
        sock.setblocking(False)
        protocol = self._make_protocol()
        task = self._loop.aio.create_task(self._connect(protocol, sock, peer))
        self._arriving[protocol] = task
        task.add_done_callback(lambda _: self._arrived(protocol, sock, task))

    def _arrived(self, protocol: asyncio.BaseProtocol, sock: socket.socket, task: asyncio.Task[None]) -> None:
        """Its transport is made, or will not be. Not a ``finally``: a task may be cancelled before it has begun."""
        if task.cancelled():
            sock.close()
        self._arriving.pop(protocol, None)
        self._check_idle()

    async def _connect(self, protocol: asyncio.BaseProtocol, sock: socket.socket, peer: Any) -> None:
        connect, timeout_s = self._loop.aio.connect_accepted_socket, self._limits.tls_handshake_s
        try:
            if self._ssl is None:
                await connect(lambda: protocol, sock)
            else:
                await connect(lambda: protocol, sock, ssl=self._ssl, ssl_handshake_timeout=timeout_s)
        except OSError as error:  # ssl.SSLError is one, and so are resets and timeouts
            sock.close()
            what = "TLS handshake" if self._ssl else "connection"
            self._quiet.warning("handshake", "%s with %s failed: %s", what, shown(peer), _why(error))
        except Exception:
            sock.close()
            log.exception("internal error with a new connection")

    def _refuse(self, sock: socket.socket) -> None:
        """Say 503 and leave the client a moment to read it: closing on unread input would reset it away."""
        if self._ssl is not None or len(self._refused) >= _LINGERERS:
            sock.close()
            return
        try:
            sock.setblocking(False)
            sock.send(_UNAVAILABLE)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            sock.close()
            return
        self._refused.add(sock)
        self._loop.call_later(_LINGER_S, self._forget, sock)

    def _forget(self, sock: socket.socket) -> None:
        self._refused.discard(sock)
        sock.close()

    # --- the set of connections

    def opened(self, connection: Connection) -> None:
        """A protocol tells that it is connected."""
        self._arriving.pop(connection, None)
        self.connections.add(connection)
        if self._ending:
            connection.shutdown()

    def closed(self, connection: Connection) -> None:
        """A protocol tells that its connection is gone."""
        self.connections.discard(connection)
        self._check_idle()

    def replace(self, old: Connection, new: Connection) -> None:
        """*new* has taken over the transport of *old*."""
        self.connections.discard(old)
        self.connections.add(new)
        if self._ending:
            new.shutdown()

    # --- the end

    @property
    def idle(self) -> bool:
        """Whether no connection is there, not even one in its handshake."""
        return not self.connections and not self._arriving

    def shutdown(self) -> None:
        """Ask every connection to end when it can; :attr:`on_idle` tells when the last one has."""
        self._ending = True
        for task in list(self._arriving.values()):
            task.cancel()
        for connection in list(self.connections):
            connection.shutdown()
        self._loop.call_soon(self._check_idle)

    def abort(self) -> None:
        """End every connection now."""
        self._ending = True
        for task in list(self._arriving.values()):
            task.cancel()
        for connection in list(self.connections):
            connection.abort()
        for sock in list(self._refused):
            self._forget(sock)
        self._loop.call_soon(self._check_idle)

    def _check_idle(self) -> None:
        if self._ending and self.idle and (tell := self.on_idle) is not None:
            self.on_idle = None
            tell()


class _Listener:
    """One listening socket and its pause."""

    def __init__(
        self, server: Server, sock: socket.socket, loop: Loop, limits: Limits, quiet: QuietLog
    ) -> None:
        self._server = server
        self._sock = sock
        self._loop = loop
        self._limits = limits
        self._quiet = quiet
        self._pause_s = limits.accept_pause_s
        self._timer: asyncio.TimerHandle | None = None
        self._file = _unix_file(sock)
        self._fd = sock.fileno()

    def resume(self) -> None:
        self._timer = None
        self._loop.aio.add_reader(self._fd, self._accept)

    def _accept(self) -> None:
        for _ in range(_BATCH):
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if self._rests(error):
                    return
                continue
            self._pause_s = self._limits.accept_pause_s
            self._server.take(sock, peer)

    def _rests(self, error: OSError) -> bool:
        """Whether accepting has to pause after *error*."""
        if error.errno in _OF_THE_CLIENT:
            return False
        if error.errno in _EXHAUSTED:
            self._quiet.warning(
                "accept",
                "cannot accept connections: %s; trying again in %g s (raise the limit of open files, ulimit -n)",
                error.strerror,
                self._pause_s,
            )
        else:
            self._quiet.warning("accept", "cannot accept connections: %s; trying again", error)
        self._pause()
        return True

    def _pause(self) -> None:
        self._loop.aio.remove_reader(self._fd)
        self._timer = self._loop.call_later(self._pause_s, self.resume)
        self._pause_s = min(self._pause_s * 2, self._limits.accept_pause_s * _MAX_PAUSE_FACTOR)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop.aio.remove_reader(self._fd)
        self._sock.close()
        if self._file is not None:
            _unlink_if_ours(*self._file)


def shown(peer: Any) -> str:
    """The address of a client for the log."""
    if isinstance(peer, tuple) and len(peer) >= 2:
        return f"[{peer[0]}]:{peer[1]}" if ":" in str(peer[0]) else f"{peer[0]}:{peer[1]}"
    return "a Unix client"


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason == "HTTP_REQUEST":
            return "it speaks plain HTTP; this is an https port"
        return (error.reason or str(error)).replace("_", " ").lower()
    return error.strerror or str(error) or type(error).__name__


def _unix_file(sock: socket.socket) -> tuple[str, tuple[int, int]] | None:
    """Path and identity of a Unix socket's file, as long as it is there."""
    if sock.family != getattr(socket, "AF_UNIX", None):
        return None
    path = os.fsdecode(sock.getsockname())
    try:
        found = os.lstat(path)
    except (OSError, ValueError):  # an abstract one, or removed by somebody
        return None
    return path, (found.st_dev, found.st_ino)


def _unlink_if_ours(path: str, identity: tuple[int, int]) -> None:
    """A successor may have put its own socket there meanwhile."""
    try:
        found = os.lstat(path)
        if (found.st_dev, found.st_ino) == identity:
            os.unlink(path)
    except OSError:
        pass
