"""From an HTTP exchange to an open WebSocket."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..http.connection import AccessLog
from ..http.exchange import Exchange
from ..http.request import Request
from ..limits import Limits
from ..loop import Loop
from .compressed import CompressedWebSocket
from .connection import WebSocketConnection
from .deflate import Deflater, agree
from .handshake import accept_key, response_head
from .logged import LoggedCompressedWebSocket, LoggedWebSocket


class _Kinds(NamedTuple):
    plain: type[WebSocketConnection]
    compressed: type[CompressedWebSocket]


_KINDS = {
    False: _Kinds(WebSocketConnection, CompressedWebSocket),
    True: _Kinds(LoggedWebSocket, LoggedCompressedWebSocket),
}


def accept(
    exchange: Exchange,
    loop: Loop,
    limits: Limits,
    headers: list[tuple[str, str]],
    on_message: Callable[[str | bytes], None],
    on_closed: Callable[[WebSocketConnection, int], None],
    deflater: Deflater | None = None,
) -> WebSocketConnection:
    """Judge the handshake and take the transport over; the caller calls ``start`` when it is ready to receive.

    With *deflater* messages are compressed where the client offers to.

    Raises :class:`RemoteProtocolError` while the exchange can still be answered.
    """
    request = exchange.request
    key = accept_key(request.method, request.version, request.get)
    http = exchange.connection
    server = http.server
    server.claim(http, request.peer)
    agreed = agree(request.get("sec-websocket-extensions")) if deflater is not None else None
    if agreed is not None:
        headers = [*headers, ("Sec-WebSocket-Extensions", agreed.answer)]
    transport, early = exchange.upgrade()
    head = response_head(key, headers)
    gone = server.closed if http.access_log is None else _teller(http.access_log, request, loop, server.closed)
    kinds = _KINDS[http.access_log is not None]
    given = (loop, transport, limits, head, early, on_message, on_closed, gone)
    if agreed is None or deflater is None:
        socket = kinds.plain(*given)
    else:
        socket = kinds.compressed(*given, deflater=deflater, window_bits=agreed.window_bits)
    server.replace(http, socket)
    return socket


def _teller(
    access_log: AccessLog, request: Request, loop: Loop, gone: Callable[[WebSocketConnection], None]
) -> Callable[[Any], None]:
    began = loop.now()

    def tell(socket: LoggedWebSocket | LoggedCompressedWebSocket) -> None:
        access_log(request, 101, socket.sent_bytes, loop.now() - began, socket.logged_code)
        gone(socket)

    return tell
