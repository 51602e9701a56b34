"""Between ``accept`` and the first byte for a protocol: the PROXY header, then TLS.

Each connection arrives in a task of its own, so a client that is slow or hostile here holds up nobody else. All of
it has deadlines: ``limits.proxy_header_s`` for the header, ``limits.tls_handshake_s`` for the handshake.

Who speaks plain HTTP to a TLS port is told so in plain HTTP. That needs a look at the first byte without taking it
away: a TLS record of a handshake begins with 22, an HTTP request with a letter.
"""

import asyncio
import logging
import socket
import ssl
from typing import Any

from ..errors import RemoteProtocolError
from ..limits import Limits
from ..loop import Loop
from ..quiet import QuietLog
from .proxy_protocol import MAX_BYTES, Header, parse
from .trust import Trusted

log = logging.getLogger("greenwire")

_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


class NotAdmittedError(Exception):
    """This connection is not to be. The message says why, for the log."""


class PlainHTTPError(NotAdmittedError):
    """A plain HTTP request on a TLS port: it can be answered."""


async def read_proxy_header(loop: Loop, sock: socket.socket, peer: Any, proxies: Trusted, limits: Limits) -> Header:
    """The PROXY header of a connection, taken from the socket to its last byte and no further.

    Raises :class:`NotAdmittedError`.
    """
    if not proxies.believes(peer):
        raise NotAdmittedError("it is not named in proxy_protocol, so it may not speak for others")
    try:
        async with asyncio.timeout(limits.proxy_header_s):
            return await _header(loop, sock)
    except TimeoutError:
        raise NotAdmittedError("its PROXY header took too long (limit 'proxy_header_s')") from None
    except RemoteProtocolError as error:
        raise NotAdmittedError(str(error)) from None


async def _header(loop: Loop, sock: socket.socket) -> Header:
    taken = b""
    while True:
        await _readable(loop, sock)
        seen = sock.recv(MAX_BYTES, socket.MSG_PEEK)
        if not seen:
            raise NotAdmittedError("it has ended before its PROXY header did")
        header = parse(taken + seen)
        if header is not None:
            sock.recv(header.size - len(taken))
            return header
        taken += sock.recv(len(seen))  # all of it belongs to the header


async def start_tls(
    loop: Loop, sock: socket.socket, protocol: asyncio.BaseProtocol, context: ssl.SSLContext, limits: Limits
) -> None:
    """Make a TLS connection of *sock*. Raises :class:`PlainHTTPError`, or ``OSError`` for a handshake that fails."""
    until = loop.now() + limits.tls_handshake_s
    try:
        async with asyncio.timeout(limits.tls_handshake_s):
            await _readable(loop, sock)
    except TimeoutError:
        raise NotAdmittedError("it said nothing for its TLS handshake (limit 'tls_handshake_s')") from None
    first = sock.recv(1, socket.MSG_PEEK)
    if first and first[0] in _LETTERS:
        raise PlainHTTPError("it speaks plain HTTP; this is an https port")
    try:
        await loop.aio.connect_accepted_socket(
            lambda: protocol,
            sock,
            ssl=context,
            ssl_handshake_timeout=max(0.01, until - loop.now()),
            ssl_shutdown_timeout=limits.close_timeout_s,
        )
    except ConnectionAbortedError:  # so the event loops say that its time is over
        raise NotAdmittedError("it took too long (limit 'tls_handshake_s')") from None


async def _readable(loop: Loop, sock: socket.socket) -> None:
    """Wait until there is something to read, or the end."""
    come: asyncio.Future[None] = loop.aio.create_future()
    descriptor = sock.fileno()
    loop.aio.add_reader(descriptor, _tell, come)
    try:
        await come
    finally:
        loop.aio.remove_reader(descriptor)


def _tell(come: asyncio.Future[None]) -> None:
    if not come.done():
        come.set_result(None)


def why(error: Exception) -> str:
    """What went wrong, in one line of the log."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__


def warn(quiet: QuietLog, what: str, peer: str, error: Exception) -> None:
    """One line, at most once a second."""
    quiet.warning("handshake", "%s with %s failed: %s", what, peer, why(error))
