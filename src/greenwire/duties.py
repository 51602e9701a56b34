"""What a serving process owes to whoever watches it: its supervisor, a health check, Prometheus.

Made by the composition root for each service; without a supervisor and without these options it does nothing, and
stands in nobody's way: requests are routed by the very function that would route them without it.
"""

import logging
import os
import random
import signal
import threading
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol

from .cluster.workers import Cluster
from .drain import Drain
from .engineio.serve import Engine
from .errors import ConfigurationError
from .http.exchange import Exchange
from .http.request import Request
from .limits import Limits
from .loop import Loop
from .net.listen import listen_on
from .net.server import Server
from .processes.lifeline import Lifeline, Worker
from .quiet import QuietLog
from .run_options import CommandOptions, RunOptions
from .runners import Runner
from .socketio.dispatch import Dispatcher

if TYPE_CHECKING:
    from .measuring import Meter

log = logging.getLogger("greenwire")

Route = Callable[[Exchange], None]
Answered = Callable[[Request, int, int, float], None]
_PLAIN = ("Content-Type", "text/plain; charset=utf-8")
_FRESH = ("Cache-Control", "no-store")


class Health(Enum):
    """What a health check hears."""

    SERVING = auto()
    DRAINING = auto()  # successors serve: the server as a whole is well
    ENDING = auto()


class Served(Protocol):
    """What is watched: a :class:`greenwire.stack.Service`."""

    loop: Loop
    server: Server
    quiet: QuietLog
    engines: dict[str, Engine]
    runner: Runner
    cluster: Cluster | None

    def stop(self) -> None: ...
    def reopen_logs(self) -> None: ...
    def reload_certificates(self) -> None: ...


class Duties:
    """Of one service. Loop thread only."""

    def __init__(self, options: RunOptions, limits: Limits, worker: Worker | None) -> None:
        self.health = Health.SERVING
        self._options = options
        self._limits = limits
        self._worker = worker
        self._lifeline: Lifeline | None = None
        self._drain: Drain | None = None
        self._told_to_stop = False
        self._meter = _meter(options, limits, worker, self.answer_health)
        self._requests_left = 0
        if options.max_requests:
            self._requests_left = options.max_requests + random.randint(0, options.max_requests_jitter)

    @property
    def supervised(self) -> bool:
        """Whether there is a supervisor: it announces, it owns the listening sockets, it replaces this process."""
        return self._worker is not None and self._worker.line is not None

    # --- parts of the service, in the form that counts where that is asked for

    def new_quiet(self, now: Callable[[], float]) -> QuietLog:
        """The log that clients cannot flood."""
        return QuietLog(log, now) if self._meter is None else self._meter.quiet(log, now)

    def new_engine(self, *args: Any) -> Engine:
        """An Engine.IO server, with the arguments of that."""
        return Engine(*args) if self._meter is None else self._meter.engine(*args)

    def watch_dispatcher(self, dispatcher: Dispatcher) -> None:
        """Handlers run from there."""
        if self._meter is not None:
            dispatcher.face = self._meter.face(dispatcher.face)

    def watch_answers(self, access_log: Answered | None) -> Answered | None:
        """What is told of each HTTP answer."""
        return access_log if self._meter is None else self._meter.access_log(access_log)

    def watch(self, route: Route) -> Route:
        """*route*, with what is asked for by the options around it."""
        if self._requests_left:
            route = self._counting(route)
        if self._options.health is not None:
            route = self._answering_health(route, self._options.health)
        return route

    def _counting(self, route: Route) -> Route:
        def counted(exchange: Exchange) -> None:
            self._requests_left -= 1
            if self._requests_left == 0 and self._lifeline is not None:
                self._lifeline.replace_me()
            route(exchange)

        return counted

    def _answering_health(self, route: Route, path: str) -> Route:
        def answered(exchange: Exchange) -> None:
            if exchange.request.path == path:
                self.answer_health(exchange)
            else:
                route(exchange)

        return answered

    def answer_health(self, exchange: Exchange) -> None:
        """200 while this server serves, 503 while it ends."""
        if self.health is Health.ENDING:
            exchange.respond(503, [_PLAIN, _FRESH, ("Retry-After", "1")], b"ending\n")
        else:
            exchange.respond(200, [_PLAIN, _FRESH], b"serving\n")

    # --- the life of the service

    def begin(self, service: Served) -> None:
        """It accepts, and its loop is about to run."""
        if self._meter is not None:
            self._meter.begin(service.loop, service.quiet, service.server, service.engines, service.runner)
            if service.cluster is not None:
                self._meter.watch_cluster(service.cluster)
        if self.supervised:
            assert self._worker is not None
            orders = _Orders(self, service)
            service.loop.aio.add_signal_handler(signal.SIGUSR1, service.reopen_logs)
            # systemd sends it to supervisor and workers alike, who are not to take that for a second one.
            service.loop.aio.add_signal_handler(signal.SIGTERM, orders.stop)
            # Last: who hears that this worker serves may send it a signal.
            self._lifeline = self._worker.attach(service.loop, self._limits, orders)
        elif isinstance(self._options, CommandOptions) and threading.current_thread() is threading.main_thread():
            self._take_signals_of_the_command(service)

    def _take_signals_of_the_command(self, service: Served) -> None:
        """What it says of one process without a supervisor. ``run`` in a program leaves them to the program."""
        at_terminal = os.isatty(0)

        def hang_up() -> None:
            if at_terminal and not os.isatty(0):  # it is gone, and what was started there ends
                self.stop(service)
            else:
                _reload_certificates(service)

        service.loop.aio.add_signal_handler(signal.SIGUSR1, service.reopen_logs)
        service.loop.aio.add_signal_handler(signal.SIGHUP, hang_up)

    def drain(self, service: Served) -> None:
        """Others serve now."""
        if self.health is Health.SERVING:
            self.health = Health.DRAINING
            if self._meter is not None:
                self._meter.drain()
            engines = service.engines.values()
            self._drain = Drain(service.loop, service.server, engines, self._limits.drain_s, lambda: self.stop(service))

    def stop(self, service: Served) -> None:
        """Stop it gracefully: a second time would not be graceful."""
        if not self._told_to_stop:
            service.stop()

    def ending(self) -> None:
        """The service has been told to stop, by whomever."""
        self._told_to_stop = True
        self.health = Health.ENDING
        if self._drain is not None:
            self._drain.cancel()

    def close(self) -> None:
        """The loop has ended."""
        if self._meter is not None:
            self._meter.close()
        if self._lifeline is not None:
            self._lifeline.close()


class _Orders:
    """See :class:`greenwire.processes.lifeline.Orders`."""

    def __init__(self, duties: Duties, service: Served) -> None:
        self._duties = duties
        self._service = service

    def drain(self) -> None:
        self._duties.drain(self._service)

    def stop(self) -> None:
        self._duties.stop(self._service)

    def stop_now(self) -> None:
        self.stop()
        self._service.stop()


def _meter(options: RunOptions, limits: Limits, worker: Worker | None, health: Route) -> "Meter | None":
    if options.metrics is None:
        return None
    from .measuring import Meter  # not above: who measures nothing, loads nothing of it

    if worker is None:
        worker = Worker(1, 1, "", extra=listen_on([options.metrics], backlog=limits.backlog))
    return Meter(worker, limits, health)


def _reload_certificates(service: Served) -> None:
    """What one process can do of a reload."""
    try:
        service.reload_certificates()
    except ConfigurationError as error:
        log.error("HUP: %s; the old certificates stay", error)
    else:
        log.info("HUP: certificates are read again; new code needs a supervisor (--supervisor)")
