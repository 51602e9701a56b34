"""One line for each request by a format of the user's own: what ``greenwire.wsgi.server(log=, log_format=)`` takes."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from ..errors import ConfigurationError
from .log import MONTHS, asked, escaped
from .request import Request

log = logging.getLogger("greenwire")

DEFAULT_FORMAT = (
    '%(client_ip)s - - [%(date_time)s] "%(request_line)s" %(status_code)s %(body_length)s %(wall_seconds).6f'
)


def writer_to(target: Any) -> Callable[[str], object]:
    """What puts one line into *target*: a logger, a file, or for ``None`` the standard error stream."""
    if hasattr(target, "info"):
        info: Callable[[str], object] = target.info
        return info
    write = (sys.stderr if target is None else target).write
    return lambda line: write(line + "\n")


class LineLog:
    """An access log. Raises :class:`ConfigurationError` for a format that asks for more than there is."""

    def __init__(self, write: Callable[[str], object], line_format: str, *, forwarded_for: bool) -> None:
        self._write = write
        self._format = line_format
        self._forwarded_for = forwarded_for
        self._second = 0
        self._date_time = ""
        try:
            self._line("-", "-", "-", 0, 0, 0.0)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"log_format {line_format!r}: {error!r}") from None

    def __call__(self, request: Request, status: int, sent_bytes: int, seconds: float, *_: object) -> None:
        ip, port = request.peer[:2] if isinstance(request.peer, tuple) else ("-", "-")
        if self._forwarded_for and (forwarded := request.get("x-forwarded-for")):
            ip = f"{escaped(forwarded).replace(' ', '')},{ip}"
        try:
            self._write(self._line(ip, port, asked(request), status, sent_bytes, seconds))
        except Exception:  # the user's own stream: a full disk must not end connections
            log.exception("the access log cannot be written")

    def _line(self, ip: object, port: object, line: str, status: int, sent_bytes: int, seconds: float) -> str:
        return self._format % {
            "client_ip": ip,
            "client_port": port,
            "date_time": self._now(),
            "request_line": line,
            "status_code": status,
            "body_length": sent_bytes,
            "wall_seconds": seconds,
        }

    def _now(self) -> str:
        second = int(time.time())
        if second != self._second:
            now = time.localtime(second)
            month = MONTHS[now.tm_mon - 1]
            self._second, self._date_time = second, time.strftime(f"%d/{month}/%Y %H:%M:%S", now)
        return self._date_time
