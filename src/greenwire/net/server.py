"""The connections of one process: accept, limit, drain, stop. Knows no protocol but how to say 503.

A connection counts from ``accept`` on. Over ``limits.connections`` a client is told 503 and let go; over
``limits.connections_per_address`` of one address, 429. A trusted proxy has no such limit: for its clients their
WebSockets are counted (:meth:`Server.claim`). Of the connections that are arriving, ``limits.tls_handshakes`` may
be on their way to TLS; one more, and the oldest of them is dropped: who is honest needs milliseconds. A handshake
belongs to its own connection: it has a deadline, and its failure is one quiet line.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from ..errors import RemoteProtocolError
from ..limits import Limits
from ..loop import Loop
from ..quiet import QuietLog
from .accept import Listener
from .addresses import Addresses, Key
from .arrive import NotAdmittedError, PlainHTTPError, read_proxy_header, start_tls, warn
from .proxy_protocol import Header
from .share import Share
from .trust import Trusted

log = logging.getLogger("greenwire")

_LINGER_S = 1.0  # how long a refused client may take to read its 503
_LINGERERS = 64  # so many at a time; they hold descriptors


def _refusal(status: str, text: str) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\n"
        f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}"
    ).encode()


_UNAVAILABLE = _refusal("503 Service Unavailable", "The server has as many connections as it may hold.\n")
_TOO_MANY = _refusal("429 Too Many Requests", "There are too many connections from your address.\n")
_PLAIN_HTTP = _refusal("400 Bad Request", "This port speaks https: ask for https:// instead of http://.\n").replace(
    b"Retry-After: 5\r\n", b""
)


class Connection(Protocol):
    """What the server holds of a connection."""

    def drain(self) -> None:
        """Let the client have one more answer, the last one."""

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
        make_protocol: Callable[[], Any],
        limits: Limits,
        quiet: QuietLog,
        ssl_context: ssl.SSLContext | None = None,
        *,
        shares_sockets: bool = False,
        share: Share | None = None,
        proxy_protocol: Trusted | None = None,
        forwarders: Trusted | None = None,
    ) -> None:
        """*make_protocol* makes an ``asyncio.Protocol``, whose attribute ``announced`` is set to a PROXY header.

        *shares_sockets*: other processes accept from them, too, and the files of Unix sockets stay. *share*: how
        many connections these have.

        *proxy_protocol*: who must begin with a PROXY header; nobody else is let in then. *forwarders*: the proxies
        that speak for many clients in HTTP, whose address has no limit.
        """
        self.connections: set[Connection] = set()
        self.ssl_context = ssl_context  # for new connections; may be replaced at any time
        self.on_idle: Callable[[], object] | None = None  # called once, after shutdown() or abort()
        self._loop = loop
        self._limits = limits
        self._quiet = quiet
        self._proxies = proxy_protocol
        self._forwarders = forwarders
        # As many from one address as there may be at all: nothing to count.
        counts = limits.connections_per_address < limits.connections
        self._addresses = Addresses(limits.connections_per_address) if counts else None
        self._keys: dict[object, Key] = {}  # of connections and arriving protocols that are counted
        self._make_protocol = make_protocol
        self._listeners = [
            Listener(sock, self.take, self.gives_way, loop, limits, quiet, shared=shares_sockets) for sock in sockets
        ]
        self._arriving: dict[object, asyncio.Task[None]] = {}  # protocols that are not connected yet
        self._shaking: dict[object, asyncio.Task[None]] = {}  # those among them that make TLS, the oldest first
        self._share = share
        self._draining = False  # it has meaning until _ending
        self._ending = False
        self._refused: set[socket.socket] = set()

    # --- accepting

    def start(self) -> None:
        """Begin to accept."""
        self._tell_share()
        for listener in self._listeners:
            listener.resume()

    def stop_accepting(self) -> None:
        """Close the listening sockets and remove the files of Unix sockets. What is open stays open."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        if self._share is not None:
            self._share.leave()
            self._share = None

    def gives_way(self) -> bool:
        """Whether another process should have what waits: it has fewer connections."""
        return self._share is not None and self._share.gives_way(self._total)

    @property
    def _total(self) -> int:
        return len(self.connections) + len(self._arriving)

    def _tell_share(self) -> None:
        if self._share is not None:
            self._share.tell(self._total)

    def take(self, sock: socket.socket, peer: Any) -> None:
        """Make a connection of an accepted socket, or refuse it."""
        if self._total >= self._limits.connections:
            self._quiet.warning(
                "connections",
                "refused a connection from %s: there are %d already (limit 'connections')",
                shown(peer),
                self._limits.connections,
            )
            self._refuse(sock, _UNAVAILABLE)
            return
        sock.setblocking(False)
        protocol = self._make_protocol()
        self._arrives(protocol, sock, self._connect(protocol, sock, peer))

    def adopt(self, sock: socket.socket, data: bytes, header: Header, scheme: str) -> None:
        """Make a connection of one that another process has accepted, and has read *data* from.

        It is the client's at *header.source* and speaks *scheme*; TLS, if there was any, is behind it.
        """
        if self._total >= self._limits.connections or self._ending:
            self._refuse(sock, _UNAVAILABLE, secure=False)
            return
        protocol = self._make_protocol()
        if not self._enter(protocol, header.source):  # whoever accepted it counts it no more
            self._too_many_from(header.source)
            self._refuse(sock, _TOO_MANY, secure=False)
            return
        protocol.announced, protocol.scheme = header, scheme
        protocol.begin_with(data)
        self._arrives(protocol, sock, self._connect_adopted(protocol, sock))

    async def _connect_adopted(self, protocol: Any, sock: socket.socket) -> None:
        try:
            await self._loop.aio.connect_accepted_socket(lambda: protocol, sock)
        except OSError as error:
            warn(self._quiet, "connection", "another worker's client", error)
            sock.close()

    def _arrives(self, protocol: Any, sock: socket.socket, connecting: Coroutine[Any, Any, None]) -> None:
        task = self._loop.aio.create_task(connecting)
        self._arriving[protocol] = task
        self._tell_share()
        task.add_done_callback(lambda _: self._arrived(protocol, sock, task))

    def _arrived(self, protocol: Any, sock: socket.socket, task: asyncio.Task[None]) -> None:
        """Its transport is made, or will not be. Not a ``finally``: a task may be cancelled before it has begun."""
        if task.cancelled():
            sock.close()
            self.closed(protocol)  # uvloop may have told it that it is connected, and then never tells of the end
        self._shaking.pop(protocol, None)
        if self._arriving.pop(protocol, None) is not None:  # it has not come to be
            self._leave(protocol)
        self._check_idle()

    async def _connect(self, protocol: Any, sock: socket.socket, peer: Any) -> None:
        context = self.ssl_context
        try:
            if self._proxies:
                header = await read_proxy_header(self._loop, sock, peer, self._proxies, self._limits)
                if header.source is not None:
                    protocol.announced = header
                    peer = header.source
            if not self._enter(protocol, peer):
                self._too_many_from(peer)
                self._refuse(sock, _TOO_MANY)
            elif context is None:
                await self._loop.aio.connect_accepted_socket(lambda: protocol, sock)
            else:
                self._begin_handshake(protocol)
                await start_tls(self._loop, sock, protocol, context, self._limits)
        except PlainHTTPError as error:
            warn(self._quiet, "TLS handshake", shown(peer), error)
            self._refuse(sock, _PLAIN_HTTP, secure=False)
        except (OSError, NotAdmittedError) as error:  # ssl.SSLError is an OSError, and so are resets and timeouts
            warn(self._quiet, "TLS handshake" if context else "connection", shown(peer), error)
            sock.close()
        except Exception:
            sock.close()
            log.exception("internal error with a new connection")

    def _begin_handshake(self, protocol: object) -> None:
        """Make room for one more; cancelling ends the task of the oldest, and closes its socket."""
        if len(self._shaking) >= self._limits.tls_handshakes:
            oldest = next(iter(self._shaking))
            self._shaking.pop(oldest).cancel()
            self._quiet.warning(
                "handshakes", "dropped the oldest of %d TLS handshakes (limit 'tls_handshakes')", len(self._shaking) + 1
            )
        self._shaking[protocol] = self._arriving[protocol]

    def _refuse(self, sock: socket.socket, answer: bytes, secure: bool | None = None) -> None:
        """Say why and leave the client a moment to read it: closing on unread input would reset it away."""
        if secure is None:
            secure = self.ssl_context is not None
        if secure or len(self._refused) >= _LINGERERS:
            sock.close()
            return
        try:
            sock.setblocking(False)
            sock.send(answer)
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
        self._shaking.pop(connection, None)
        self.connections.add(connection)
        if self._ending:
            connection.shutdown()
        elif self._draining:
            connection.drain()

    def closed(self, connection: Connection) -> None:
        """A protocol tells that its connection is gone."""
        self.connections.discard(connection)
        self._tell_share()
        self._leave(connection)
        self._check_idle()

    def replace(self, old: Connection, new: Connection) -> None:
        """*new* has taken over the transport of *old*."""
        self.connections.discard(old)
        self.connections.add(new)
        if old in self._keys:
            self._keys[new] = self._keys.pop(old)
        if self._ending:
            new.shutdown()

    # --- how many of one address

    def claim(self, connection: Connection, peer: Any) -> None:
        """*connection* of a proxy belongs to its client *peer* from now on, as a WebSocket.

        Raises :class:`RemoteProtocolError` with status 429 where that client has too many.
        """
        named = self._forwarders is not None and isinstance(peer, tuple) and self._forwarders.names(str(peer[0]))
        if connection not in self._keys and not named and not self._count(connection, peer):
            self._too_many_from(peer)
            raise RemoteProtocolError("there are too many connections from your address", status=429)

    def _enter(self, connection: object, peer: Any) -> bool:
        """Count *connection* for the address of *peer*, unless that is a proxy of many."""
        if self._forwarders is not None and self._forwarders.believes(peer):
            return True
        return self._count(connection, peer)

    def _count(self, connection: object, peer: Any) -> bool:
        if self._addresses is None or not isinstance(peer, tuple):
            return True
        key = self._addresses.enter(str(peer[0]))
        if key is None:
            return False
        self._keys[connection] = key
        return True

    def _leave(self, connection: object) -> None:
        if self._addresses is not None and (key := self._keys.pop(connection, None)) is not None:
            self._addresses.leave(key)

    def _too_many_from(self, peer: Any) -> None:
        self._quiet.warning(
            "address",
            "refused a connection from %s: there are %d already (limit 'connections_per_address')",
            shown(peer),
            self._limits.connections_per_address,
        )

    # --- the end

    @property
    def idle(self) -> bool:
        """Whether no connection is there, not even one in its handshake."""
        return not self.connections and not self._arriving

    def drain(self) -> None:
        """Accept nothing more, and let every connection have one more answer."""
        self._draining = True
        self.stop_accepting()
        for connection in list(self.connections):
            connection.drain()

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


def shown(peer: Any) -> str:
    """The address of a client for the log."""
    if isinstance(peer, tuple) and len(peer) >= 2:
        return f"[{peer[0]}]:{peer[1]}" if ":" in str(peer[0]) else f"{peer[0]}:{peer[1]}"
    return "a Unix client"
