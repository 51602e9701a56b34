"""WSGI (PEP 3333) over exchanges: the environ, and the call of the application in a runner."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import NotRunningError, TruncatedBodyError
from ..limits import Limits
from ..loop import Loop
from ..runners import Runner
from .exchange import Exchange
from .request import Request
from .waiting import ThreadWaiter, Waiter
from .wsgi_answer import ClientGone, WSGIAnswer
from .wsgi_file import FileWrapper
from .wsgi_input import NO_INPUT, BodyInput, WholeInput

log = logging.getLogger("greenwire")

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_KEYS: dict[str, str | None] = {  # of header names; None: the header is not passed on
    "content-type": "CONTENT_TYPE",
    "content-length": "CONTENT_LENGTH",
    "proxy": None,  # HTTP_PROXY is a setting of many HTTP clients ("httpoxy", CVE-2016-5385)
}
_KEYS_KEPT = 1_024
_KEY_BYTES = 128  # clients choose these names


_GROUND: Environ = {  # every key that there is room for, so that no copy has to grow for them
    "REQUEST_METHOD": "",
    "SCRIPT_NAME": "",
    "PATH_INFO": "",
    "QUERY_STRING": "",
    "RAW_URI": "",
    "REQUEST_URI": "",
    "SERVER_PROTOCOL": "",
    "SERVER_NAME": "",
    "SERVER_PORT": "",
    "REMOTE_ADDR": "",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "",
    "wsgi.errors": None,
    "wsgi.input": NO_INPUT,
    # The input ends with the body; Werkzeug reads chunked bodies only where it is told so.
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": FileWrapper,
}


def environ_of(request: Request, *, multithread: bool = True) -> Environ:
    """The environ of *request*, with an empty ``wsgi.input``."""
    return _filled(_ground_of(request, multithread), request)


def _ground_of(request: Request, multithread: bool) -> Environ:
    """What a client says of itself, and what we say: all but method and target."""
    peer, local = request.peer, request.local
    environ = _GROUND.copy()
    environ["SERVER_PROTOCOL"] = "HTTP/1.1" if request.version == "1.1" else "HTTP/1.0"
    environ["wsgi.multithread"] = multithread
    # A Unix socket has neither name nor port, and PEP 3333 wants both.
    server = local if local.__class__ is tuple else _of_host(request)
    environ["SERVER_NAME"], environ["SERVER_PORT"] = server[0], str(server[1])
    environ["wsgi.url_scheme"] = request.scheme
    if peer.__class__ is tuple:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = peer[0], str(peer[1])
    for name, value in request.headers:
        key = _KEYS[name] if name in _KEYS else _key(name)
        if key is None:
            continue
        if key in environ:
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"  # RFC 9113 8.2.3
        environ[key] = value
    return environ


def _filled(environ: Environ, request: Request) -> Environ:
    """With what the request line says, and the process as it is now."""
    path = request.path
    environ["REQUEST_METHOD"] = request.method
    environ["PATH_INFO"] = path if path[:1] == "/" else ""  # OPTIONS *
    environ["QUERY_STRING"] = request.query
    environ["RAW_URI"] = environ["REQUEST_URI"] = request.target
    environ["wsgi.errors"] = sys.stderr
    if request.extra:
        environ.update(request.extra)
    return environ


def _key(name: str) -> str | None:
    """``HTTP_X_NAME``. A name with ``_`` would pass for one with ``-``, which a proxy may have vouched for."""
    key = None if "_" in name else "HTTP_" + name.upper().replace("-", "_")
    if len(_KEYS) < _KEYS_KEPT and len(name) <= _KEY_BYTES:
        _KEYS[name] = key
    return key


def _of_host(request: Request) -> tuple[str, str]:
    host = request.get("host") or "localhost"
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit():
        return name, port
    return host, "443" if request.scheme == "https" else "80"


class _Ground:
    """What the environs of one connection have in common, once a client says the same of itself again."""

    __slots__ = ("environ", "headers", "local", "peer", "scheme")

    def __init__(self, request: Request, environ: Environ) -> None:
        self.headers = request.headers
        self.peer = request.peer
        self.local = request.local
        self.scheme = request.scheme
        self.environ = environ


class Gateway:
    """Runs a WSGI application for each exchange. :meth:`handle` belongs to the loop thread."""

    def __init__(
        self,
        app: Application,
        runner: Runner,
        loop: Loop,
        limits: Limits,
        *,
        debug: bool = False,
        multithread: bool = True,
        new_waiter: Callable[[], Waiter] = ThreadWaiter,
    ) -> None:
        self._app = app
        self._start = runner.start
        self._loop = loop
        self._limits = limits
        self._debug = debug
        self._multithread = multithread
        self._new_waiter = new_waiter

    def handle(self, exchange: Exchange) -> None:
        """Have the application answer *exchange*."""
        self._start(self._run, exchange, exchange.connection.whole_body())

    def _run(self, exchange: Exchange, body: bytes | None) -> None:
        """In the application's thread. Nothing gets out of here: this is where user code fails."""
        answer = WSGIAnswer(exchange, self._loop, self._limits, self._new_waiter)
        self._call(exchange, self._environ(exchange, body), answer)

    def _environ(self, exchange: Exchange, body: bytes | None) -> Environ:
        """*body*: all of it, where it has come already."""
        request = exchange.request
        connection = exchange.connection
        kept = connection.kept
        if (
            isinstance(kept, _Ground)
            and kept.headers is request.headers  # by identity: who speaks for a client in front of us gives other ones
            and kept.peer is request.peer
            and kept.local is request.local
            and kept.scheme is request.scheme
        ):
            ground = kept.environ.copy()
        else:
            ground = _ground_of(request, self._multithread)
            if request.headers is connection.repeatable:  # no others: an idle connection would hold them
                connection.kept = _Ground(request, ground.copy()) if kept is request.headers else request.headers
        environ = _filled(ground, request)
        if body is None:
            environ["wsgi.input"] = BodyInput(exchange, self._loop, self._new_waiter)
        elif body:
            environ["wsgi.input"] = WholeInput(body)
        return environ

    def _call(self, exchange: Exchange, environ: Environ, answer: WSGIAnswer) -> None:
        result: Iterable[bytes] = ()
        try:
            result = self._app(environ, answer.start_response)
            answer.deliver(result)
        except (ClientGone, NotRunningError):
            log.debug("nobody is left to answer %r", exchange)
        except TruncatedBodyError as error:  # the client's fault: no traceback
            answer.fail(exchange.body_status, f"{error}\n")
        except BaseException as error:  # also SystemExit: an application does not end the server from here
            self._failed(exchange, answer, error)
        finally:
            if result.__class__ is not list:
                self._close(result, exchange)

    def _failed(self, exchange: Exchange, answer: WSGIAnswer, error: BaseException) -> None:
        log.error("the application failed at %s %s", exchange.request.method, exchange.request.target, exc_info=error)
        text = "".join(traceback.format_exception(error)) if self._debug else "Internal Server Error\n"
        answer.fail(500, text)

    @staticmethod
    def _close(result: Iterable[bytes], exchange: Exchange) -> None:
        close = getattr(result, "close", None)
        if close is None:
            return
        try:
            close()
        except BaseException:
            request = exchange.request
            log.exception("close() of the answer to %s %s failed", request.method, request.target)
