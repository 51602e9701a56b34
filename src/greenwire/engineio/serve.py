"""Engine.IO over HTTP and WebSocket: the sid table, polling, the upgrade, CORS, the cookie, the heartbeat.

Everything here runs in the loop thread and waits for nothing. Order of the checks, status and JSON body of the
refusals are Node's (engine.io 6.6), with two differences: a foreign origin is refused for both transports, and
a client of another protocol version is refused before the 101.
"""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any
from urllib.parse import parse_qs

from ..errors import RemoteProtocolError
from ..http.exchange import Exchange
from ..http.request import Request
from ..http.wsgi import environ_of
from ..ids import new_id
from ..limits import Limits
from ..loop import Loop
from ..quiet import QuietLog
from ..websocket.accept import accept
from ..websocket.connection import WebSocketConnection
from ..websocket.deflate import Deflater
from ..websocket.handshake import wants_websocket
from .cors import CorsPolicy, Headers
from .heartbeat import Heartbeats
from .options import Options, set_cookie
from .packet import CLOSE_PACKET, PING_PACKET, decode_payload, open_packet
from .peer import Peer
from .session import Conflict, Reason, Session, State

# Node's codes. 4 is Node's "Forbidden".
TRANSPORT_UNKNOWN = (0, "Transport unknown")
SESSION_UNKNOWN = (1, "Session ID unknown")
BAD_METHOD = (2, "Bad handshake method")
BAD_REQUEST = (3, "Bad request")
BAD_ORIGIN = (3, "Not an accepted origin; see the option cors_allowed_origins")
UNSUPPORTED_VERSION = (5, "Unsupported protocol version")

# The WebSocket close code for a session that we close.
_CLOSE_CODES = {Reason.PARSE_ERROR: 1002, Reason.TRANSPORT_ERROR: 1008}


class Engine:
    """All sessions of one process. *on_open* is given each new :class:`Peer` and takes it over."""

    def __init__(
        self,
        loop: Loop,
        limits: Limits,
        options: Options,
        quiet: QuietLog,
        on_open: Callable[[Peer], None],
    ) -> None:
        self.options = options
        self.peers: dict[str, Peer] = {}
        # Has a request of a session that is not one of ours answered by the process whose session it is, or by us.
        self.elsewhere: Callable[[Exchange, str, Callable[[], None]], None] = lambda exchange, sid, unknown: unknown()
        self._loop = loop
        self._limits = replace(limits, message_bytes=options.max_http_buffer_size)
        self._quiet = quiet
        self._on_open = on_open
        self._cors = CorsPolicy(options.cors_allowed_origins, options.cors_credentials)
        self._heartbeats: Heartbeats[Session] = Heartbeats(options.ping_interval, options.ping_timeout)
        self._deflater = Deflater(options.compression_threshold) if options.ws_compression else None
        self._timer: asyncio.TimerHandle | None = None
        self.going_away = False  # what sessions that we close are told; new ones are still taken
        self._stopping = False

    # --- a request

    def handle(self, exchange: Exchange) -> None:
        """Answer one request on the Engine.IO path."""
        request = exchange.request
        query = parse_qs(request.query, keep_blank_values=True)
        if query.get("transport", [""])[0] not in self.options.transports:
            self._refuse(exchange, TRANSPORT_UNKNOWN, headers=[])  # the origin is not judged yet
        elif not self._origin_accepted(request):
            self._quiet.warning(
                "origin", "%r is not an accepted origin; see cors_allowed_origins", request.get("origin")
            )
            self._refuse(exchange, BAD_ORIGIN, headers=[])
        elif request.method == "OPTIONS" and self._cors.enabled:
            origin, asked = request.get("origin"), request.get("access-control-request-headers")
            exchange.respond(204, self._cors.preflight(origin, asked))
        elif "sid" in query:
            self._known(exchange, query)
        else:
            self._handshake(exchange, query)

    def _known(self, exchange: Exchange, query: dict[str, list[str]]) -> None:
        """A request of a session that exists, or should."""
        peer = self.peers.get(query["sid"][0])
        upgrade = query["transport"][0] == "websocket"
        if peer is None:
            self.elsewhere(exchange, query["sid"][0], lambda: self._refuse(exchange, SESSION_UNKNOWN))
        elif upgrade != wants_websocket(exchange.request.get):
            self._refuse(exchange, BAD_REQUEST)
        elif query.get("EIO", [""])[0] != "4":
            self._refuse(exchange, UNSUPPORTED_VERSION)
        elif upgrade:
            self._probe(exchange, peer)
        elif exchange.request.method == "GET":
            self._poll(exchange, peer)
        elif exchange.request.method == "POST":
            self._post(exchange, peer)
        else:
            self._refuse(exchange, BAD_METHOD)

    def _handshake(self, exchange: Exchange, query: dict[str, list[str]]) -> None:
        """A request without a sid: a new session."""
        upgrade = query["transport"][0] == "websocket"
        if exchange.request.method != "GET":
            self._refuse(exchange, BAD_METHOD)
        elif upgrade != wants_websocket(exchange.request.get):
            self._refuse(exchange, BAD_REQUEST)
        elif query.get("EIO", [""])[0] != "4":
            self._refuse(exchange, UNSUPPORTED_VERSION)
        elif self._stopping:
            exchange.respond(503, [])
        elif upgrade:
            self._open_on_websocket(exchange)
        else:
            self._open_on_polling(exchange)

    def _origin_accepted(self, request: Request) -> bool:
        return self._cors.accepts(
            request.get("origin"), request.scheme, request.get("host") or "", lambda: environ_of(request)
        )

    def _refuse(
        self, exchange: Exchange, error: tuple[int, str], status: int = 400, headers: Headers | None = None
    ) -> None:
        code, message = error
        if headers is None:
            headers = self._cors_headers(exchange.request)
        headers = [("Content-Type", "application/json"), *headers]
        exchange.respond(status, headers, json.dumps({"code": code, "message": message}).encode())

    def _cors_headers(self, request: Request) -> Headers:
        return self._cors.headers(request.get("origin"))

    # --- opening

    def _open_on_polling(self, exchange: Exchange) -> None:
        peer = self._new_peer(exchange.request)
        peer.session = self._new_session(peer)
        headers = self._cors_headers(exchange.request)
        cookie = set_cookie(self.options.cookie, peer.sid)
        if cookie is not None:
            headers.append(("Set-Cookie", cookie))
        self._reply(exchange, self._open_packet(peer, self.options.upgrades).payload, headers)
        self._opened(peer)

    def _open_on_websocket(self, exchange: Exchange) -> None:
        peer = self._new_peer(exchange.request)
        socket = self._accept(exchange, peer.socket_receives, peer.socket_closed)
        if socket is None:
            return
        peer.socket = socket
        peer.session = self._new_session(peer, socket.write)
        peer.send(self._open_packet(peer, []))
        self._opened(peer)
        socket.start()

    def _new_peer(self, request: Request) -> Peer:
        return Peer(new_id(), request, self._loop.now(), self)

    def _new_session(self, peer: Peer, write: Callable[[bytes], None] | None = None) -> Session:
        return Session(
            peer.sid,
            self._limits,
            wake=peer.wake,
            on_pong=peer.answered,
            on_closed=peer.closed,
            write=write,
            payload_packets=_payload_packets(peer.request.get("user-agent") or ""),
            unread=self._loop.unread,
        )

    def _open_packet(self, peer: Peer, upgrades: list[str]) -> Any:
        return open_packet(
            peer.sid,
            upgrades=upgrades,
            ping_interval_s=self.options.ping_interval,
            ping_timeout_s=self.options.ping_timeout,
            max_payload_bytes=self.options.max_http_buffer_size,
        )

    def _opened(self, peer: Peer) -> None:
        self.peers[peer.sid] = peer
        self._heartbeats.start(peer.session, self._loop.now())
        self._arm()
        self._on_open(peer)

    def _accept(
        self,
        exchange: Exchange,
        on_message: Callable[[str | bytes], None],
        on_closed: Callable[[WebSocketConnection, int], None],
    ) -> WebSocketConnection | None:
        headers = self._cors_headers(exchange.request)
        try:
            return accept(exchange, self._loop, self._limits, headers, on_message, on_closed, self._deflater)
        except RemoteProtocolError as error:
            if error.status == 426:  # RFC 6455 4.4: say which version would do
                headers += [("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
            self._refuse(exchange, (BAD_REQUEST[0], str(error)), error.status, headers)
            return None

    # --- polling

    def _poll(self, exchange: Exchange, peer: Peer) -> None:
        session = peer.session
        if session.state is State.CLOSED:
            words = session.last_words()
            if words == CLOSE_PACKET.payload:
                self._forget(peer)
            self._reply(exchange, words, self._cors_headers(exchange.request))
            return
        exchange.on_abandoned = session.poll_abandoned
        try:
            session.poll_arrives(lambda payload: self._reply(exchange, payload, self._cors_headers(exchange.request)))
        except Conflict:
            self._refuse(exchange, BAD_REQUEST)
        if peer.on_poll is not None:
            peer.on_poll()

    def _post(self, exchange: Exchange, peer: Peer) -> None:
        if peer.posting:  # Engine.IO 4: at most one POST in flight; two could overtake each other
            peer.close(Reason.TRANSPORT_ERROR)
            self._refuse(exchange, BAD_REQUEST)
            return
        peer.posting = True
        exchange.collect(
            self.options.max_http_buffer_size, lambda body, error: self._posted(exchange, peer, body, error)
        )

    def _posted(self, exchange: Exchange, peer: Peer, body: bytes | None, error: RemoteProtocolError | None) -> None:
        peer.posting = False
        if body is None:  # too large: this POST is refused, the session lives on. Or the client went away.
            exchange.respond(error.status if error else 400, self._cors_headers(exchange.request))
            return
        try:
            payloads = peer.session.post_arrives(decode_payload(body))
        except Conflict:
            self._refuse(exchange, BAD_REQUEST)
        except RemoteProtocolError as bad:
            self.fail(peer, bad)
            self._refuse(exchange, (BAD_REQUEST[0], str(bad)))
        else:
            peer.posting = True
            peer.deliver(payloads, lambda: self._taken(exchange, peer))

    def _taken(self, exchange: Exchange, peer: Peer) -> None:
        peer.posting = False
        headers = [("Content-Type", "text/html"), ("Cache-Control", "no-store")]
        exchange.respond(200, [*headers, *self._cors_headers(exchange.request)], b"ok")

    def _reply(self, exchange: Exchange, payload: bytes, headers: Headers) -> None:
        exchange.on_abandoned = None
        headers = [("Content-Type", "text/plain; charset=UTF-8"), ("Cache-Control", "no-store"), *headers]
        if self.options.http_compression and len(payload) >= self.options.compression_threshold:
            payload = _compress(payload, exchange.request.get("accept-encoding"), headers)
        exchange.respond(200, headers, payload)

    # --- the upgrade

    def _probe(self, exchange: Exchange, peer: Peer) -> None:
        if peer.session.state is not State.POLLING:
            self._refuse(exchange, BAD_REQUEST)
            return
        probe = _Probe(self, peer)
        socket = self._accept(exchange, probe.receives, probe.closed)
        if socket is not None:
            probe.socket = peer.probe = socket
            peer.session.socket_opens(socket.write)
            probe.timer = self._loop.call_later(self.options.upgrade_timeout, probe.expires)
            socket.start()

    # --- the heartbeat

    def _arm(self) -> None:
        if self._timer is None:
            deadline = self._heartbeats.next_deadline()
            if deadline is not None:
                # A pong arms no timer: the ping that follows it is due an interval from now, at the earliest.
                wait_s = min(max(0.0, deadline - self._loop.now()), self.options.ping_interval)
                self._timer = self._loop.call_later(wait_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.now()
        pinged, lost = self._heartbeats.tick(now)
        for session in lost:
            if self.peers[session.sid].paused:  # it is we who do not read: its pong may lie in the socket
                self._heartbeats.start(session, now)
            else:
                session.close(Reason.PING_TIMEOUT)
        for session in pinged:
            session.send(PING_PACKET)
        self._arm()

    # --- the end

    def wake(self, peer: Peer) -> None:
        """Its poll is to be answered at the end of this turn."""
        self._loop.mark_dirty(peer)

    def answered(self, peer: Peer) -> None:
        """Its pong has come."""
        self._heartbeats.start(peer.session, self._loop.now())

    def fail(self, peer: Peer, error: RemoteProtocolError) -> None:
        """This client, or the layer above on its behalf, has made no sense: it is told so and disconnected."""
        self._quiet.warning("protocol", "a client broke the protocol and was disconnected: %s", error)
        peer.close(Reason.PARSE_ERROR)

    def closed(self, peer: Peer, reason: Reason) -> None:
        """Its session is over: what belongs to it ends, and the layer above is told."""
        self._heartbeats.stop(peer.session)
        if reason is Reason.TRANSPORT_ERROR:
            self._quiet.warning(
                "cut", "a client was cut off: it takes in less than it is sent, or sends overlapping requests"
            )
        if peer.socket is not None:
            self._forget(peer)
            peer.socket.close(1001 if self.going_away else _CLOSE_CODES.get(reason, 1000))
        elif reason is not Reason.SERVER or peer.session.holds_poll:
            self._forget(peer)  # it knows, or is gone, or has broken the protocol: from now on, "Session ID unknown"
        else:  # a poll may still come for the close packet
            self._loop.call_later(self._limits.polling_close_s, self._expired, peer)
        if peer.probe is not None:
            peer.probe.close(1000)
        # In a turn of its own: the caller may be in the middle of a loop over a room.
        self._loop.call_soon(peer.on_close, peer.owner, reason)

    def _forget(self, peer: Peer) -> None:
        self.peers.pop(peer.sid, None)

    def _expired(self, peer: Peer) -> None:
        """No poll has come for its last words."""
        self._forget(peer)
        peer.session.forget()

    def stop(self) -> None:
        """Close all sessions, and refuse new ones."""
        self._stopping = self.going_away = True
        for peer in list(self.peers.values()):
            peer.close(Reason.SERVER)


class _Probe:
    """A WebSocket that wants to take a polling session over. When it has failed it has no say any more: another
    one may have taken its place."""

    __slots__ = ("engine", "peer", "socket", "timer")

    def __init__(self, engine: Engine, peer: Peer) -> None:
        self.engine = engine
        self.peer = peer
        self.socket: WebSocketConnection
        self.timer: asyncio.TimerHandle | None = None  # runs as long as this one probes

    def receives(self, message: str | bytes) -> None:
        session = self.peer.session
        if not session.probe_receives(message):
            self._stop_timer()
            self.socket.close(1002, "not a probe")
        elif session.state is State.WEBSOCKET:
            self._stop_timer()
            self.peer.probe = None
            self.peer.upgraded(self.socket)

    def closed(self, socket: WebSocketConnection, code: int) -> None:
        if self.peer.probe is socket:
            self.peer.probe = None
        if self.peer.socket is socket:
            self.peer.socket_closed(socket, code)
        elif self.timer is not None:
            self._stop_timer()
            self.peer.session.socket_closes()

    def expires(self) -> None:
        self.timer = None
        self.peer.session.socket_closes()
        self.socket.close(1008, "upgrade timeout")

    def _stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def _payload_packets(user_agent: str) -> float:
    """How many packets this client takes in one polling payload.

    python-engineio's clients refuse more than 16, and end the connection. They are known by the HTTP libraries
    that they use; a browser should not have to poll more often because of them.
    """
    return 16 if user_agent.startswith("python-requests") or "aiohttp" in user_agent else inf


def _compress(payload: bytes, accepted: str | None, headers: Headers) -> bytes:
    """gzip or deflate, whichever the client takes (RFC 9110 12.5.3), else as it is. Adds the header."""
    offers = [offer.strip().replace(" ", "").lower() for offer in (accepted or "").split(",")]
    wanted = {name for name, _, q in (offer.partition(";q=") for offer in offers) if q.strip("0.") or not q}
    if "gzip" in wanted:
        headers.append(("Content-Encoding", "gzip"))
        return gzip.compress(payload, 5)
    if "deflate" in wanted:
        headers.append(("Content-Encoding", "deflate"))
        return zlib.compress(payload, 5)
    return payload
