"""The access log: one line for each answer, to the logger ``greenwire.access``.

Off unless the server is told otherwise. What a client sent is escaped, so that no request can write a line of
its own into the log, or colours into a terminal.
"""

import logging
import re
import time

from .request import Request

log = logging.getLogger("greenwire.access")

_UNPRINTABLE = re.compile(r'[^\x20\x21\x23-\x5b\x5d-\x7e]')  # and the quote and the backslash


def common(request: Request, status: int, sent_bytes: int, seconds: float) -> None:
    """The Common Log Format: address, time, request line, status, bytes of the body."""
    log.info("%s", line_of(request, status, sent_bytes, time.time()))


def combined(request: Request, status: int, sent_bytes: int, seconds: float) -> None:
    """The Combined Log Format: also referrer and user agent; and behind them the seconds it took."""
    referrer, agent = (_escaped(request.get(name) or "-") for name in ("referer", "user-agent"))
    line = line_of(request, status, sent_bytes, time.time())
    log.info('%s "%s" "%s" %.6f', line, referrer, agent, seconds)


def line_of(request: Request, status: int, sent_bytes: int, now: float) -> str:
    """One line in the Common Log Format, for an answer that ended at the Unix time *now*."""
    peer = request.peer[0] if isinstance(request.peer, tuple) else "-"
    moment = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(now))
    asked = f"{request.method} {_escaped(request.target)} HTTP/{request.version}"
    return f'{peer} - - [{moment}] "{asked}" {status} {sent_bytes or "-"}'


def _escaped(text: str) -> str:
    return _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
