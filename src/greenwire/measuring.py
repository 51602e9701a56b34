"""Where figures come from: the parts of a service that count. Without ``--metrics`` none of this is imported.

They stand in the place of the parts that do not count, so that those pay nothing: an engine that makes peers which
count their packets, a face that looks at the clock before and after a handler, a log that counts what it says.
"""

import time
from collections.abc import Callable
from typing import Any

from . import metrics
from .cluster.messages import Message
from .cluster.workers import Cluster
from .engineio.packet import Outgoing
from .engineio.peer import Keeper, Peer
from .engineio.serve import Engine
from .engineio.session import Reason
from .http.connection import HTTPConnection
from .http.exchange import Exchange
from .http.request import Request
from .limits import Limits
from .loop import Loop
from .metrics import Figures, Shelf
from .net.server import Server
from .processes.lifeline import Worker
from .quiet import QuietLog
from .runners import Runner
from .socketio.client import Member
from .socketio.handlers import Handler
from .socketio.neighbours import Face

_EVERY_S = 1.0  # a worker's figures are as old as that for the others
_LAG_EVERY_S = 0.1

Health = Callable[[Exchange], None]


class Traffic:
    """Plain numbers: these are counted on the hot path, in the loop thread."""

    __slots__ = ("bytes_in", "bytes_out", "packets_in", "packets_out")

    def __init__(self) -> None:
        self.packets_in = self.packets_out = self.bytes_in = self.bytes_out = 0


class MeasuredPeer(Peer):
    """Counts what it carries."""

    __slots__ = ("_traffic",)

    def __init__(self, sid: str, request: Any, now: float, keeper: Keeper, traffic: Traffic) -> None:
        super().__init__(sid, request, now, keeper)
        self._traffic = traffic

    @property
    def send(self) -> Callable[[Outgoing], None]:
        return self._send

    def _send(self, packet: Outgoing) -> None:
        traffic = self._traffic
        traffic.packets_out += 1
        traffic.bytes_out += len(packet.frame)
        self.session.send(packet)

    def socket_receives(self, message: str | bytes) -> None:
        self._came(message)
        super().socket_receives(message)

    def deliver(self, payloads: list[str | bytes], on_drained: Callable[[], None]) -> None:
        for payload in payloads:
            self._came(payload)
        super().deliver(payloads, on_drained)

    def _came(self, message: str | bytes) -> None:
        self._traffic.packets_in += 1
        self._traffic.bytes_in += len(message)


class MeasuredEngine(Engine):
    """Counts sessions, and makes peers that count packets."""

    figures: Figures
    traffic: Traffic

    def _new_peer(self, request: Request) -> Peer:
        plain = super()._new_peer(request)
        return MeasuredPeer(plain.sid, request, plain.opened_at, self, self.traffic)

    def _opened(self, peer: Peer) -> None:
        self.figures.count(metrics.OPENED, peer.transport)
        super()._opened(peer)

    def closed(self, peer: Peer, reason: Reason) -> None:
        self.figures.count(metrics.CLOSED, reason.value)
        super().closed(peer, reason)


class MeasuredFace:
    """Looks at the clock around each handler."""

    def __init__(self, face: Face, figures: Figures) -> None:
        self._face = face
        self._figures = figures
        self.run_callback = face.run_callback

    def run(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Any:
        """See :class:`greenwire.socketio.dispatch.Face`."""
        began = time.perf_counter()
        try:
            return self._face.run(handler, member, name, args)
        except BaseException:
            self._figures.count(metrics.FAILED, handler.namespace, handler.event)
            raise
        finally:
            self._figures.observe(metrics.HANDLED, time.perf_counter() - began, handler.namespace, handler.event)

    async def run_async(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Any:
        """See :class:`greenwire.socketio.dispatch.Face`."""
        began = time.perf_counter()
        try:
            return await self._face.run_async(handler, member, name, args)
        except BaseException:
            self._figures.count(metrics.FAILED, handler.namespace, handler.event)
            raise
        finally:
            self._figures.observe(metrics.HANDLED, time.perf_counter() - began, handler.namespace, handler.event)


class MeasuredLog(QuietLog):
    """Counts what it is told by kind, also what it holds back."""

    figures: Figures

    def warning(self, key: str, message: str, *args: object) -> None:
        self.figures.count(metrics.WARNINGS, key)
        super().warning(key, message, *args)


class Meter:
    """The figures of one service, and the address where they are told. Loop thread only, but for :attr:`figures`."""

    def __init__(self, worker: Worker, limits: Limits, answer_health: Health) -> None:
        self.figures = Figures()
        self.traffic = Traffic()
        self._worker = worker
        self._limits = limits
        self._answer_health = answer_health
        self._shelf = Shelf(worker.directory) if worker.directory else None
        self._due = 0.0
        self._server: Server | None = None  # until it begins
        self._loop: Loop
        self._quiet: QuietLog
        self._gauges: Callable[[], None] = _nothing

    # --- the parts that count

    def quiet(self, log: Any, now: Callable[[], float]) -> QuietLog:
        """For the service."""
        quiet = MeasuredLog(log, now)
        quiet.figures = self.figures
        return quiet

    def engine(self, *args: Any) -> Engine:
        """In the place of :class:`greenwire.engineio.serve.Engine`."""
        engine = MeasuredEngine(*args)
        engine.figures, engine.traffic = self.figures, self.traffic
        return engine

    def face(self, face: Face) -> Face:
        """In the place of *face*."""
        return MeasuredFace(face, self.figures)

    def access_log(self, log: Callable[..., None] | None) -> Callable[..., None]:
        """In the place of *log*."""

        def answered(
            request: Request, status: int, sent_bytes: int, seconds: float, close_code: int | None = None
        ) -> None:
            if close_code is None:  # else a WebSocket has ended, and how long it was open is no answer's time
                self.figures.observe(metrics.REQUESTS, seconds, f"{status // 100}xx")
            self.figures.count(metrics.SENT, by=sent_bytes)
            if log is not None:
                log(request, status, sent_bytes, seconds, close_code)

        return answered

    def watch_cluster(self, cluster: Cluster) -> None:
        """Count what workers say to each other."""
        links, figures = cluster.links, self.figures
        hear, send, send_all = links.on_message, links.send, links.send_all

        def heard(number: int, server: int, message: Message) -> None:
            figures.count(metrics.POSTS, "in")
            hear(number, server, message)

        def sent(number: int, message: bytes) -> None:
            figures.count(metrics.POSTS, "out")
            send(number, message)

        def sent_to_all(message: bytes) -> None:
            figures.count(metrics.POSTS, "out", by=len(list(links.there)))
            send_all(message)

        links.on_message = heard
        links.send, links.send_all = sent, sent_to_all  # type: ignore[method-assign]  # for this one only

    # --- the address

    def begin(self, loop: Loop, quiet: QuietLog, server: Server, engines: Any, runner: Runner) -> None:
        """Listen, and look at the loop."""
        self._loop, self._quiet = loop, quiet
        self._gauges = lambda: self._look(server, engines, runner)
        own = self._server = Server(
            loop,
            self._worker.extra,
            lambda: HTTPConnection(loop, self._limits, self._route, own, quiet),
            self._limits,
            quiet,
            shares_sockets=True,
        )
        own.start()
        self._tick(loop.now())

    def drain(self) -> None:
        """Successors answer from now on."""
        if self._server is not None:
            self._server.drain()

    def close(self) -> None:
        """The service has ended: what was counted is told to those who serve on."""
        self._put()
        if self._server is not None:
            self._server.stop_accepting()
            self._server.abort()

    def _tick(self, due: float) -> None:
        now = self._loop.now()
        self.figures.observe(metrics.LAG, max(0.0, now - due))
        if self._shelf is not None and now >= self._due:
            self._due = now + _EVERY_S
            self._put()
        self._loop.call_later(_LAG_EVERY_S, self._tick, now + _LAG_EVERY_S)

    def _put(self) -> None:
        if self._shelf is not None:
            try:
                self._shelf.put(self._worker.serial, self._all())
            except OSError as error:  # a full disk costs figures, and nothing else
                self._quiet.warning("metrics", "figures are not written for the other workers: %s", error)

    def _look(self, server: Server, engines: dict[str, Engine], runner: Runner) -> None:
        set_ = self.figures.set
        transports = [peer.transport for engine in engines.values() for peer in engine.peers.values()]
        for transport in ("polling", "websocket"):
            set_(metrics.SESSIONS, transports.count(transport), transport)
        set_(metrics.CONNECTIONS, len(server.connections))
        set_(metrics.QUEUE, runner.queued)
        set_(metrics.RUNNING, runner.busy() - runner.queued)
        set_(metrics.WORKERS, 1)

    def _all(self) -> Figures:
        """Those that are kept elsewhere among them."""
        self._gauges()
        traffic, numbers = self.traffic, self.figures.set
        numbers(metrics.PACKETS, traffic.packets_in, "in")
        numbers(metrics.PACKETS, traffic.packets_out, "out")
        numbers(metrics.BYTES, traffic.bytes_in, "in")
        numbers(metrics.BYTES, traffic.bytes_out, "out")
        return self.figures

    def _route(self, exchange: Exchange) -> None:
        path = exchange.request.path
        if path == "/metrics":
            total = self._shelf.others(self._worker.serial) if self._shelf is not None else Figures()
            total.add(self._all())
            kind, text = metrics.exposition(total, alone=self._shelf is None)
            exchange.respond(200, [("Content-Type", kind), ("Cache-Control", "no-store")], text)
        elif path == "/health":
            self._answer_health(exchange)
        else:
            exchange.respond(404, [("Content-Type", "text/plain")], b"there are /metrics and /health\n")


def _nothing() -> None:
    pass
