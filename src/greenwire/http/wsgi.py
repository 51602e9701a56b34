"""WSGI (PEP 3333) over exchanges: the environ, and the call of the application in a runner."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

from ..errors import NotRunningError, TruncatedBodyError
from ..limits import Limits
from ..loop import Loop
from ..runners import Runner
from .exchange import Exchange
from .request import Request
from .waiting import ThreadWaiter, Waiter
from .wsgi_answer import ClientGone, WSGIAnswer
from .wsgi_input import BodyInput

log = logging.getLogger("greenwire")

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_KEYS: dict[str, str | None] = {  # of header names; None: the header is not passed on
    "content-type": "CONTENT_TYPE",
    "content-length": "CONTENT_LENGTH",
    "proxy": None,  # HTTP_PROXY is a setting of many HTTP clients ("httpoxy", CVE-2016-5385)
}
_KEYS_KEPT = 1_024


class FileWrapper:
    """``wsgi.file_wrapper``: a file as an iterable of blocks."""

    def __init__(self, file: Any, block_bytes: int = 65_536) -> None:
        self._read = file.read
        self._block_bytes = block_bytes
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        while data := self._read(self._block_bytes):
            yield data



def environ_of(request: Request, *, multithread: bool = True) -> Environ:
    """The environ of *request*, with an empty ``wsgi.input``."""
    path, local, peer = request.path, request.local, request.peer
    # A Unix socket has neither name nor port, and PEP 3333 wants both.
    server = local if local.__class__ is tuple else _of_host(request)
    environ: Environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path if path[:1] == "/" else "",  # OPTIONS *
        "QUERY_STRING": request.query,
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "SERVER_PROTOCOL": "HTTP/1.1" if request.version == "1.1" else "HTTP/1.0",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": peer[0] if peer.__class__ is tuple else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": BytesIO(),
        # The input ends with the body; Werkzeug reads chunked bodies only where it is told so.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    if peer.__class__ is tuple:
        environ["REMOTE_PORT"] = str(peer[1])
    for name, value in request.headers:
        key = _KEYS[name] if name in _KEYS else _key(name)
        if key is None:
            continue
        if key in environ:
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"  # RFC 9113 8.2.3
        environ[key] = value
    return environ


def _key(name: str) -> str | None:
    """``HTTP_X_NAME``. A name with ``_`` would pass for one with ``-``, which a proxy may have vouched for."""
    key = None if "_" in name else "HTTP_" + name.upper().replace("-", "_")
    if len(_KEYS) < _KEYS_KEPT:
        _KEYS[name] = key
    return key


def _of_host(request: Request) -> tuple[str, str]:
    host = request.get("host") or "localhost"
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit():
        return name, port
    return host, "443" if request.scheme == "https" else "80"


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
        body = exchange.take_body() if exchange.body_ended else None
        self._start(self._run, exchange, body)

    def _run(self, exchange: Exchange, body: bytes | None) -> None:
        """In the application's thread. Nothing gets out of here: this is where user code fails."""
        answer = WSGIAnswer(exchange, self._loop, self._limits, self._new_waiter)
        environ = environ_of(exchange.request, multithread=self._multithread)
        if body is None:
            environ["wsgi.input"] = BodyInput(exchange, self._loop, self._new_waiter)
        elif body:
            environ["wsgi.input"] = BytesIO(body)
        result: Iterable[bytes] = ()
        try:
            result = self._app(environ, answer.start_response)
            answer.deliver(result)
        except (ClientGone, NotRunningError):
            log.debug("nobody is left to answer %r", exchange)
        except TruncatedBodyError as error:  # the client's fault: no traceback
            answer.fail(exchange.body_status, f"{error}\n")
        except BaseException:  # also SystemExit: an application does not end the server from here
            log.exception("the application failed at %s %s", exchange.request.method, exchange.request.target)
            answer.fail(500, traceback.format_exc() if self._debug else "Internal Server Error\n")
        finally:
            self._close(result, exchange)

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
