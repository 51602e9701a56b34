"""From an HTTP exchange to an open WebSocket."""

from collections.abc import Callable

from ..http.exchange import Exchange
from ..limits import Limits
from ..loop import Loop
from .connection import WebSocketConnection
from .handshake import accept_key, response_head


def accept(
    exchange: Exchange,
    loop: Loop,
    limits: Limits,
    headers: list[tuple[str, str]],
    on_message: Callable[[str | bytes], None],
    on_closed: Callable[[WebSocketConnection, int], None],
) -> WebSocketConnection:
    """Judge the handshake and take the transport over; the caller calls ``start`` when it is ready to receive.

    Raises :class:`RemoteProtocolError` while the exchange can still be answered.
    """
    request = exchange.request
    key = accept_key(request.method, request.version, request.get)
    http = exchange.connection
    server = http.server
    transport, early = exchange.upgrade()
    head = response_head(key, headers)
    socket = WebSocketConnection(loop, transport, limits, head, early, on_message, on_closed, server.closed)
    server.replace(http, socket)
    return socket
