"""A WSGI server in one call, with the parameters of eventlet's ``wsgi.server``: :func:`server`.

Requests run in greenlets on the event loop of the calling thread. The call itself waits like any other green call:
in a plain script it runs that loop, in a green thread it lets the others run.

===============================  ==============================================================
what ends it                     how it ends
===============================  ==============================================================
Ctrl-C, SIGTERM                  gracefully, and the call returns; a second time: at once
``Server.stop()``, any thread    likewise
``StopServe`` in an application  gracefully, and the call returns; that request gets a 503
the listening socket is closed   gracefully, and the call returns
its green thread is killed       gracefully, then it raises what was thrown; twice: at once
``SystemExit`` out of a signal   gracefully, then it raises it
===============================  ==============================================================

Gracefully: nothing new is accepted, idle connections are closed, requests that run or wait run to their end, for
``limits.graceful_s`` at most; the rest is cut. In any case the listening socket is closed then.

Signals are taken only where the call itself runs the loop, in the main thread: in a green thread they belong to whoever
runs the loop. A handler of the script's own is called in a green thread, with no frame, and what it raises is raised
here: in the midst of a request that would be taken for an error of the request.
"""

import logging
import os
import signal
import socket
import ssl
import threading
from asyncio import events
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import Any

from .errors import ConfigurationError
from .green.bounded import BoundedRunner, Pool, PoolRunner
from .green.convenience import StopServe
from .green.hub import current_hub, sleep
from .green.runner import GreenWaiter
from .green.sync import Event
from .green.thread import spawn
from .http.connection import AccessLog, HTTPConnection
from .http.response import ALIVE
from .http.wsgi import Application
from .http.wsgi_log import DEFAULT_FORMAT, LineLog, writer_to
from .http.wsgi_site import Manner, SiteGateway
from .limits import DEFAULT, Limits
from .loop import Loop
from .net.listen import url_of
from .net.server import Server as Connections
from .quiet import QuietLog

__all__ = ["DEFAULT_LOG_FORMAT", "DEFAULT_MAX_SIZE", "Server", "StopServe", "server"]

logger = logging.getLogger("greenwire")

DEFAULT_LOG_FORMAT = DEFAULT_FORMAT
DEFAULT_MAX_SIZE = 1024
_VERSIONS = ("HTTP/1.1", "HTTP/1.0")
_LOOK_S = 0.1  # how often: whether somebody has closed the listening socket
_LOOK_AGAIN_S = 0.02  # at the end: whether everything has ended
_LINE_END_BYTES = 3  # eventlet counts the line end with the request line, and "as long as the limit" as too long


def server(
    sock: Any,
    site: Application,
    log: Any = None,
    environ: Mapping[str, Any] | None = None,
    max_size: int | None = None,
    max_http_version: str = "HTTP/1.1",
    protocol: Any = None,
    server_event: Any = None,
    minimum_chunk_size: int | None = None,
    log_x_forwarded_for: bool = True,
    custom_pool: Pool | None = None,
    keepalive: bool | float = True,
    log_output: bool = True,
    log_format: str = DEFAULT_LOG_FORMAT,
    url_length_limit: int = 8192,
    debug: bool = False,
    socket_timeout: float | None = None,
    capitalize_response_headers: bool = True,
    *,
    limits: Limits = DEFAULT,
) -> None:
    """Serve the WSGI application *site* on the listening socket *sock*, until it is stopped. May switch.

    *sock*: a plain or a green socket, TCP or Unix; of one that is wrapped for TLS the context is used.

    - *log*: a logger, or anything with ``write``; standard error. *log_output*: whether anything is told there.
      *log_format*: of one request, with ``client_ip``, ``client_port``, ``date_time``, ``request_line``,
      ``status_code``, ``body_length`` and ``wall_seconds``. *log_x_forwarded_for*: what that header says stands
      before the address, and anybody may say anything there.
    - *environ*: goes into the environ of each request, and wins over what is there.
    - *max_size*: so many requests run at once, others wait in order of coming; 1024. Connections do not count.
      *custom_pool*: a ``GreenPool`` to run them in instead.
    - *max_http_version*: ``"HTTP/1.0"`` answers so, and without chunks.
    - *keepalive*: ``False``: one request for each connection. A number: the seconds that one may be idle; clients
      are told. ``True``: ``limits.keep_alive_s``.
    - *url_length_limit*: bytes of the request line with its line end; from there on the answer is 414.
    - *debug*: whether clients see tracebacks.
    - *socket_timeout*: seconds in which a client has to go on, with its handshake, its head, its body, its reading
      of the answer, its next request. ``None``: as *limits* say.
    - *capitalize_response_headers*: ``x-name`` is sent as ``X-Name``.
    - *server_event*: its ``send`` is called with the running :class:`Server`, or its ``set`` where it has no ``send``.
    - *minimum_chunk_size*, *protocol*: have no meaning here. What is yielded is sent at once (PEP 3333).

    Raises :class:`~greenwire.errors.ConfigurationError`.
    """
    if protocol is not None:
        logger.warning("wsgi.server(protocol=%r) has no effect: no such class reads the requests here", protocol)
    if max_http_version not in _VERSIONS:
        raise ConfigurationError(f"max_http_version={max_http_version!r}: it takes one of {_VERSIONS}")
    manner = Manner(
        environ=environ if environ is not None else {},
        http_1_0=max_http_version == "HTTP/1.0",
        keep_alive=bool(keepalive),
        capitalizes=capitalize_response_headers,
        debug=debug,
    )
    say = writer_to(log) if log_output else _say_nothing
    Server(
        sock,
        site,
        manner,
        _bounds(limits, keepalive, url_length_limit, socket_timeout),
        say,
        LineLog(say, log_format, forwarded_for=log_x_forwarded_for) if log_output else None,
        custom_pool if custom_pool is not None else max_size or DEFAULT_MAX_SIZE,
        ALIVE if isinstance(keepalive, bool) else dict.fromkeys(ALIVE, _announced(keepalive)),
    ).run(server_event)


def _bounds(limits: Limits, keepalive: bool | float, url_bytes: int, socket_timeout: float | None) -> Limits:
    chosen: dict[str, Any] = {"request_line_bytes": url_bytes - _LINE_END_BYTES}
    if socket_timeout is not None:
        names = ("tls_handshake_s", "header_timeout_s", "body_grace_s", "write_stall_s", "keep_alive_s")
        chosen |= dict.fromkeys(names, socket_timeout)
    if keepalive and not isinstance(keepalive, bool):
        chosen["keep_alive_s"] = keepalive
    return replace(limits, **chosen)


def _announced(keep_alive_s: float) -> bytes:
    return b"Connection: keep-alive\r\nKeep-Alive: timeout=%d\r\n" % keep_alive_s


def _say_nothing(_: str) -> None:
    pass


class Stop(Enum):
    """Whether the server has been asked to stop."""

    NOT_YET = auto()
    GRACEFULLY = auto()
    AT_ONCE = auto()


class Server:
    """A running server: what ``server_event`` is given. Everything but :meth:`stop` belongs to :func:`server`."""

    def __init__(
        self,
        sock: Any,
        site: Application,
        manner: Manner,
        limits: Limits,
        say: Callable[[str], object],
        access_log: AccessLog | None,
        room: int | Pool,
        alive: Mapping[str, bytes],
    ) -> None:
        self._sock = sock
        self._limits = limits
        self._say = say
        self._access_log = access_log
        self._alive = alive
        self._asked = Stop.NOT_YET
        self._asked_something = Event()
        self._failure: BaseException | None = None
        self._hub = current_hub()  # or an error, where nobody may wait
        self._listening, self._tls = _take(sock)
        self._loop = loop = Loop(self._hub.aio)
        self._quiet = QuietLog(logger, loop.now)
        loop.bound(limits, self._quiet)
        self._runner = BoundedRunner(loop, room) if isinstance(room, int) else PoolRunner(room, self._fail)
        self._on_request = SiteGateway(
            site, self._runner, loop, limits, new_waiter=GreenWaiter, manner=manner, on_stop=self._stop_gracefully
        ).handle
        self._connections = Connections(loop, [self._listening], self._connection, limits, self._quiet, self._tls)

    def _connection(self) -> HTTPConnection:
        return HTTPConnection(
            self._loop,
            self._limits,
            self._on_request,
            self._connections,
            self._quiet,
            self._access_log,
            self._alive,
        )

    # --- life

    def run(self, event: Any = None) -> None:
        """Serve until stopped. May switch."""
        signals = self._take_signals()
        self._connections.start()
        self._loop.call_later(_LOOK_S, self._look)
        try:
            self._announce(event)
            self._asked_something.wait()
        finally:
            try:
                self._end()
            finally:
                for number, handler in signals.items():
                    self._loop.aio.remove_signal_handler(number)
                    signal.signal(number, handler)
                self._quiet.flush()
                self._say(f"({os.getpid()}) wsgi server has ended")
        if self._failure is not None:
            raise self._failure

    def _announce(self, event: Any) -> None:
        self._say(f"({os.getpid()}) wsgi server listens on {url_of(self._listening, self._tls is not None)}")
        if hasattr(event, "send"):
            event.send(self)
        elif event is not None:
            event.set()

    def _take_signals(self) -> dict[signal.Signals, Any]:
        """Returns the handlers that are to come back."""
        if events._get_running_loop() is not None or threading.current_thread() is not threading.main_thread():
            return {}
        taken: dict[signal.Signals, Any] = {}
        for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            handler = signal.getsignal(number)
            if handler is default:
                self._loop.aio.add_signal_handler(number, self._stop)
            elif callable(handler):
                self._loop.aio.add_signal_handler(number, spawn, self._heed, handler, number)
            else:  # ignored, or not Python's
                continue
            taken[number] = handler
        return taken

    def _heed(self, handler: Callable[..., object], number: int) -> None:
        """Call the script's own handler: in a green thread, and not in a request, which would take what it raises."""
        try:
            handler(number, None)
        except KeyboardInterrupt:
            self._stop()
        except BaseException as error:
            self._failure = self._failure or error
            self._stop()

    def _look(self) -> None:
        """Whether the socket is still open: closing it makes no event for the one who waits on it."""
        if self._asked is Stop.NOT_YET:
            if self._sock.fileno() < 0 or not _listens(self._listening):
                self._stop_gracefully()
            else:
                self._loop.call_later(_LOOK_S, self._look)

    # --- the end

    def stop(self) -> None:
        """Stop gracefully. A second time: at once. From any thread."""
        self._loop.post(self._stop)

    def _stop(self) -> None:
        self._asked = Stop.GRACEFULLY if self._asked is Stop.NOT_YET else Stop.AT_ONCE
        self._asked_something.set()

    def _stop_gracefully(self) -> None:
        if self._asked is Stop.NOT_YET:
            self._stop()

    def _fail(self, error: BaseException) -> None:
        """No request can be run any more."""
        self._failure = error
        self._stop_gracefully()

    def _end(self) -> None:
        """May switch."""
        if self._asked is Stop.NOT_YET:
            self._asked = Stop.GRACEFULLY
        self._connections.stop_accepting()
        self._sock.close()
        self._connections.shutdown()
        try:
            self._drain()
        except KeyboardInterrupt:
            pass
        finally:
            self._connections.abort()
            self._runner.stop()
            if not self._hub.closed:  # two turns: transports tell of their end in the first
                sleep(0)
                sleep(0)

    def _drain(self) -> None:
        deadline = self._loop.now() + self._limits.graceful_s
        while self._asked is not Stop.AT_ONCE and (not self._connections.idle or self._runner.busy()):
            if self._loop.now() >= deadline:
                logger.warning("stopped after %g s with requests still running", self._limits.graceful_s)
                return
            sleep(_LOOK_AGAIN_S)


def _take(sock: Any) -> tuple[socket.socket, ssl.SSLContext | None]:
    """A descriptor of our own for a listening socket, and the context where it is wrapped for TLS.

    Our own, because the user may close theirs: its number would soon be that of a connection.
    """
    context = getattr(sock, "context", None)
    if context is not None and not sock.server_side:
        raise ConfigurationError(f"{sock!r} is wrapped for a client: wrap it with server_side=True")
    own = socket.fromfd(sock.fileno(), sock.family, socket.SOCK_STREAM)
    if not _listens(own):
        own.close()
        raise ConfigurationError(f"{sock!r} does not listen: call its listen(), or make it by green.listen()")
    own.setblocking(False)
    return own, context


def _listens(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
