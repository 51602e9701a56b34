"""The gateway of ``greenwire.wsgi.server``: what eventlet's applications find in the environ, and may rely on.

* ``greenwire.posthooks``, also as ``eventlet.posthooks``: a list of ``(function, args, kwargs)``, to be called as
  ``function(environ, *args, **kwargs)`` once the answer has been given to the kernel.
* What the server was given as ``environ=``.
* :class:`StopServe`, raised by the application: it ends the server.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..green.convenience import StopServe
from .exchange import Exchange
from .wsgi import Environ, Gateway
from .wsgi_answer import ExcInfo, WSGIAnswer

log = logging.getLogger("greenwire")

_SPELLINGS: dict[str, str] = {}  # of header names
_SPELLINGS_KEPT = 1_024


@dataclass(frozen=True)
class Manner:
    """How a site's requests are taken and answered."""

    environ: Mapping[str, Any] = field(default_factory=dict)  # over each request's own
    http_1_0: bool = False  # nothing newer is spoken
    keep_alive: bool = True  # whether a connection may have a second request
    capitalizes: bool = True  # the application's header names: ``X-Like-This``
    debug: bool = False  # clients see tracebacks


class SiteGateway(Gateway):
    """A gateway with manners. *on_stop* is called where the application raises :class:`StopServe`."""

    def __init__(self, *args: Any, manner: Manner, on_stop: Callable[[], object], **options: Any) -> None:
        super().__init__(*args, debug=manner.debug, **options)
        self._manner = manner
        self._on_stop = on_stop

    def handle(self, exchange: Exchange) -> None:
        """Have the application answer *exchange*."""
        manner = self._manner
        if manner.http_1_0 and exchange.request.version != "1.0":
            exchange.request.version = "1.0"
            if "keep-alive" not in (exchange.request.get("connection") or "").lower():
                exchange.connection.close_after_answer()
        if not manner.keep_alive:
            exchange.connection.close_after_answer()
        super().handle(exchange)

    def _run(self, exchange: Exchange, body: bytes | None) -> None:
        environ = self._environ(exchange, body)
        hooks: list[Any] = []
        environ["greenwire.posthooks"] = environ["eventlet.posthooks"] = hooks
        environ.update(self._manner.environ)
        answer = _SiteAnswer(exchange, self._loop, self._limits, self._new_waiter)
        answer.manner = self._manner
        self._call(exchange, environ, answer)
        if hooks:
            self._loop.ask(exchange.flush)
            for hook in hooks:
                _call_hook(environ, hook)

    def _failed(self, exchange: Exchange, answer: WSGIAnswer, error: BaseException) -> None:
        if isinstance(error, StopServe):
            answer.fail(503, "The server stops.\n")
            self._loop.post(self._on_stop)
        else:
            super()._failed(exchange, answer, error)


def _call_hook(environ: Environ, hook: Any) -> None:
    try:
        function, args, kwargs = hook
        function(environ, *args, **kwargs)
    except Exception:
        log.exception("the post hook %r failed", hook)


class _SiteAnswer(WSGIAnswer):
    """An answer whose head is spelled as the site wants it."""

    __slots__ = ("manner",)

    manner: Manner

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """Say what the head will be."""
        if self.manner.capitalizes:
            try:
                headers = [(_SPELLINGS.get(name) or _capitalized(name), value) for name, value in headers]
            except (TypeError, ValueError):  # what is no header is judged where all are
                pass
        write = super().start_response(status, headers, exc_info)
        if self.manner.http_1_0:
            self._line = self._line.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        return write


def _capitalized(name: Any) -> Any:
    if not isinstance(name, str):
        return name
    spelled = "-".join(part.capitalize() for part in name.split("-"))
    if len(_SPELLINGS) < _SPELLINGS_KEPT:
        _SPELLINGS[name] = spelled
    return spelled
