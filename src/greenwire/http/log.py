"""The access log: one line for each answer, and one for each WebSocket when it has ended.

Off unless the server is told otherwise. A format is one of three names, or a text of gunicorn's atoms:

======================  ===============================================================================
``common``              address, user, time, request line, status, bytes of the body
``combined``            also referrer and user agent; behind them the seconds it took
``json``                one JSON object: the same, by name
``%(h)s %(r)s …``       see ``_ATOMS`` below; ``%({x-name}i)s`` is a header of the request
======================  ===============================================================================

A WebSocket is a line with status 101, the seconds that it was open, the bytes that it was sent, and its close
code: behind the line in ``common`` and ``combined``, ``%(c)s`` in a format, ``close_code`` in JSON.

What a client sent is escaped, so that no request can write a line of its own into the log, or colours into a
terminal.
"""

import logging
import os
import re
import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import NamedTuple

import orjson

from ..errors import ConfigurationError
from .request import Request

log = logging.getLogger("greenwire.access")

COMMON = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s'
COMBINED = COMMON + ' "%(f)s" "%(a)s" %(L)s'

_UNPRINTABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")  # and the quote and the backslash
_MORE_CONTROLS = re.compile(r"[\x7f-\x9f]")
_ATOM = re.compile(r"%(?:\(([^()]*)\)[sd]|(%))|%")
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # whatever the locale calls them


class Entry(NamedTuple):
    """What is known of one answer, or of one WebSocket that has ended."""

    request: Request
    status: int
    sent_bytes: int
    seconds: float
    close_code: int | None  # not None: a WebSocket


class AccessLog:
    """Call it for each answer. Raises :class:`ConfigurationError` for a format that makes no sense."""

    def __init__(self, form: str = "combined", write: Callable[[str], object] | None = None) -> None:
        self.write: Callable[[str], object] = write if write is not None else _to_logger
        self._named = form in _NAMED
        self._line = _json if form == "json" else compile_format(_NAMED.get(form, form))

    def __call__(
        self, request: Request, status: int, sent_bytes: int, seconds: float, close_code: int | None = None
    ) -> None:
        """Write the line."""
        line = self._line(Entry(request, status, sent_bytes, seconds, close_code))
        if close_code is not None and self._named:
            line = f"{line} {close_code}"
        self.write(line)


def _to_logger(line: str) -> None:
    log.info("%s", line)


def compile_format(text: str) -> Callable[[Entry], str]:
    """What makes a line of an entry. Raises :class:`ConfigurationError` that names the atom which there is not."""
    parts: list[Callable[[Entry], str]] = []
    end = 0
    for match in _ATOM.finditer(text):
        parts.append(_constant(text[end : match.start()] + (match[2] or "")))
        if match[1] is not None:
            parts.append(_atom(match[1]))
        elif not match[2]:
            raise ConfigurationError(f"access_log: the % at {match.start()} begins nothing; write %% or %(name)s")
        end = match.end()
    parts.append(_constant(text[end:]))
    return lambda entry: "".join([part(entry) for part in parts])


def _constant(text: str) -> Callable[[Entry], str]:
    return lambda entry: text


def _atom(name: str) -> Callable[[Entry], str]:
    if name in _ATOMS:
        return _ATOMS[name]
    if name.startswith("{") and name.endswith("}i"):
        header = name[1:-2].lower()
        return lambda entry: _header(entry, header)
    raise ConfigurationError(
        f"access_log: there is no %({name})s; there are {', '.join(_ATOMS)} and {{header}}i, or the names "
        f"{', '.join([*_NAMED, 'json'])}"
    )


# --- atoms


def escaped(text: str) -> str:
    """Only what can be seen, and nothing that ends a quote."""
    return _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _header(entry: Entry, name: str) -> str:
    return escaped(entry.request.get(name) or "-")


def _address(entry: Entry) -> str:
    peer = entry.request.peer
    return str(peer[0]) if isinstance(peer, tuple) else "-"


def asked(request: Request) -> str:
    """The request line, as the access log shows it."""
    return f"{request.method} {escaped(request.target)} HTTP/{request.version}"


def _user(entry: Entry) -> str:
    """The name of Basic authentication (RFC 7617): what the client says, not what anybody has checked."""
    scheme, _, credentials = (entry.request.get("authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return "-"
    try:
        name = b64decode(credentials.strip(), validate=True).partition(b":")[0].decode("latin-1")
    except (Base64Error, ValueError):
        return "-"
    return escaped(name) or "-"


class _Clock:
    """The time of this second, as the log writes it."""

    second = 0
    text = ""


def _moment(entry: Entry) -> str:
    second = int(time.time())
    if second != _Clock.second:
        now = time.localtime(second)
        _Clock.text = time.strftime(f"[%d/{MONTHS[now.tm_mon - 1]}/%Y:%H:%M:%S %z]", now)
        _Clock.second = second
    return _Clock.text


_ATOMS: dict[str, Callable[[Entry], str]] = {
    "h": _address,
    "l": lambda entry: "-",
    "u": _user,
    "t": _moment,
    "r": lambda entry: asked(entry.request),
    "m": lambda entry: entry.request.method,
    "U": lambda entry: escaped(entry.request.target.partition("?")[0]),
    "q": lambda entry: escaped(entry.request.query),
    "H": lambda entry: f"HTTP/{entry.request.version}",
    "s": lambda entry: str(entry.status),
    "B": lambda entry: str(entry.sent_bytes),
    "b": lambda entry: str(entry.sent_bytes or "-"),
    "f": lambda entry: _header(entry, "referer"),
    "a": lambda entry: _header(entry, "user-agent"),
    "T": lambda entry: str(int(entry.seconds)),
    "M": lambda entry: str(int(entry.seconds * 1_000)),
    "D": lambda entry: str(int(entry.seconds * 1_000_000)),
    "L": lambda entry: f"{entry.seconds:.6f}",
    "p": lambda entry: f"<{os.getpid()}>",
    "c": lambda entry: "-" if entry.close_code is None else str(entry.close_code),
}
_NAMED = {"common": COMMON, "combined": COMBINED}


def _json(entry: Entry) -> str:
    request = entry.request
    found: dict[str, object] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "address": _address(entry),
        "user": _user(entry),
        "method": request.method,
        "target": request.target,
        "protocol": f"HTTP/{request.version}",
        "host": request.get("host") or "",
        "status": entry.status,
        "bytes": entry.sent_bytes,
        "seconds": round(entry.seconds, 6),
        "referrer": request.get("referer") or "",
        "user_agent": request.get("user-agent") or "",
    }
    if entry.close_code is not None:
        found["close_code"] = entry.close_code
    # JSON escapes the control characters of ASCII below the space; terminals know others.
    return _MORE_CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", orjson.dumps(found).decode())
