"""The bytes of an answer's head."""

import re
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from time import time

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_LINES = {code: f"HTTP/1.1 {code} {phrase}\r\n".encode() for code, phrase in _REASONS.items()}
SERVER = b"Server: greenwire\r\n"
CLOSE = b"Connection: close\r\n"
ALIVE = {"1.1": b"", "1.0": b"Connection: keep-alive\r\n"}  # by HTTP version
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

# RFC 9110 7.6.1 and PEP 3333: between us and the next hop, so not the application's to set.
_HOP_BY_HOP = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "trailers", "transfer-encoding", "upgrade"),
    )
)
_SPECIAL = _HOP_BY_HOP | {"content-length", "date", "server"}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_NAMES: dict[str, str] = {}  # names that have been judged: in lower case where they are special, else ""
_NAMES_KEPT = 1_024
# Headers that have been judged, and nothing is to be noted of: most applications send the same few again and again.
_LINES_JUDGED: dict[tuple[str, str], bytes] = {}
_LINES_JUDGED_KEPT = 1_024
_JUDGED_BYTES = 256
_VARYING = frozenset("set-cookie etag last-modified location content-range content-disposition expires".split())


class Fields:
    """Header fields that are ready to be sent, and what the framing has to know of them.

    The framing itself (Content-Length, Transfer-Encoding, Connection) is not among the bytes: the exchange
    writes it.
    """

    block = b""
    length: int | None = None  # Content-Length
    close = False  # Connection: close was asked for
    dated = False  # there is a Date
    named = False  # there is a Server


def encode(headers: list[tuple[str, str]]) -> Fields:
    """Judge and encode *headers*; hop-by-hop fields are left out. Raises ValueError that names the header."""
    fields = Fields()
    block = b""
    try:
        for header in headers:
            block += _LINES_JUDGED.get(header) or _judge(fields, header)
    except (AttributeError, TypeError, ValueError) as error:
        bad = _first_bad(headers)
        if bad is None and any(isinstance(header, list) for header in headers):  # not PEP 3333's, but clear enough
            return encode([(name, value) for name, value in headers])
        raise ValueError(bad or str(error)) from None
    fields.block = block
    return fields


def _judge(fields: Fields, header: tuple[str, str]) -> bytes:
    """The line of *header*, or nothing; what the framing has to know of it is noted in *fields*."""
    if not isinstance(header, tuple):
        raise TypeError("a response header is a pair of name and value")
    name, value = header
    special = _NAMES.get(name)
    if special is None:
        special = _judge_name(name)
    if special == "content-length":  # nearly every answer has one
        length = int(value) if value.isascii() and value.isdigit() else -1
        if length < 0 or (fields.length is not None and fields.length != length):
            raise ValueError(f"response header Content-Length: {value!r} is not one length")
        fields.length = length
        return b""
    if special and not _note(fields, special, value):
        return b""
    line = (name + ": " + value + "\r\n").encode("latin-1")  # a TypeError, where one is no string
    if line.count(b"\r") != 1 or line.count(b"\n") != 1 or b"\0" in line:  # to split a response takes one more
        raise ValueError("response headers have line breaks")
    if not special and len(_LINES_JUDGED) < _LINES_JUDGED_KEPT and _is_worth_keeping(name, line):
        _LINES_JUDGED[name, value] = line
    return line


def _is_worth_keeping(name: str, line: bytes) -> bool:
    return len(line) <= _JUDGED_BYTES and name.lower() not in _VARYING


def _note(fields: Fields, name: str, value: str) -> bool:
    """Take down what the framing has to know; whether the field itself is to be sent."""
    if name == "date":
        fields.dated = True
    elif name == "server":
        fields.named = True
    elif name == "connection" and "close" in value.lower():
        fields.close = True
    return name in ("date", "server")


def _judge_name(name: object) -> str:
    if not isinstance(name, str) or not _TOKEN(name):
        raise ValueError(f"response header name {name!r} is not a token (RFC 9110 5.6.2)")
    special = name.lower() if name.lower() in _SPECIAL else ""
    if len(_NAMES) < _NAMES_KEPT:
        _NAMES[name] = special
    return special


def _first_bad(headers: list[tuple[str, str]]) -> str | None:
    """What is wrong with the first header that has the wrong shape; the slow way, for the message."""
    for header in headers:
        if not isinstance(header, tuple | list) or len(header) != 2:
            return f"response header {header!r} is not a pair of name and value"
        name, value = header
        if not isinstance(value, str):
            return f"response header {name}: its value is {type(value).__name__}, not str"
        if any(character in value for character in "\r\n\0"):
            return f"response header {name}: its value {value!r} has a line break or a NUL"
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            return f"response header {name}: its value {value!r} is not latin-1"
    return None


def status_line(code: int, reason: str | None = None) -> bytes:
    """``HTTP/1.1 200 OK``, with the registered reason unless another is given."""
    if reason is None:
        return _LINES.get(code) or f"HTTP/1.1 {code} \r\n".encode()
    return f"HTTP/1.1 {code} {reason}\r\n".encode("latin-1")


class _Own:
    """Our own fields, and until when they are right."""

    until = 0.0
    date = b""
    both = b""  # Server and Date


def _own(now: float) -> bytes:
    """Our fields of this second."""
    second = int(now)
    _Own.date = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
    _Own.both = SERVER + _Own.date
    _Own.until = second + 1.0
    return _Own.both


def head(line: bytes, fields: Fields, framing: bytes) -> bytes:
    """The whole head of an answer, its empty line included."""
    now = time()
    own = _Own.both if _Own.until - 1.0 <= now < _Own.until else _own(now)  # a clock may be set back
    if fields.dated or fields.named:
        own = (b"" if fields.named else SERVER) + (b"" if fields.dated else _Own.date)
    return b"".join((line, own, fields.block, framing, b"\r\n"))


Head = Callable[[bytes, Fields, bytes], bytes]


def head_without(*, server: bool, date: bool) -> Head:
    """A :func:`head` that leaves fields of ours out: Server where *server* is false, Date where *date* is."""
    if server and date:
        return head

    def write(line: bytes, fields: Fields, framing: bytes) -> bytes:
        fields.named, fields.dated = fields.named or not server, fields.dated or not date
        return head(line, fields, framing)

    return write


def plain(code: int, message: str, head: Head = head) -> bytes:
    """A complete answer in plain text, after which the connection ends."""
    body = message.encode() + b"\n"
    fields = encode([("Content-Type", "text/plain; charset=utf-8")])
    return head(status_line(code), fields, b"Content-Length: %d\r\n%b" % (len(body), CLOSE)) + body
