"""Bytes to requests: llhttp (through ``httptools``) plus what it leaves to us. Pure: no I/O, no clock.

``feed()`` takes bytes and stops at the end of a message, which ``httptools`` itself cannot. It can here because
every head ends with CRLF CRLF, every chunked body does, and the extent of any other body is known: so we hand
over no more than up to the next such place. The bytes behind it stay with the caller, as bytes: a client that
pipelines costs no objects before its turn, and what follows an Upgrade is not taken for HTTP.

llhttp refuses: a bare CR or LF, folded lines, a space before the colon, Content-Length beside
Transfer-Encoding or twice or signed or in a list, a ``chunked`` that is not last, chunk sizes with a prefix or
sign or space, control characters. What it lets pass and we do not:

* any coding besides ``chunked`` (501), and Transfer-Encoding in HTTP/1.0, where it has no meaning (400)
* versions other than 1.0 and 1.1 (505), the methods of RTSP and ICE, and CONNECT (501)
* HTTP/1.1 without exactly one Host, or one that is no host (RFC 9112 3.2) (400)
* lengths without a limit: request line (414), fields (431), body (413), chunk extensions and trailers (400)

Trailer fields are dropped: nothing in WSGI asks for them, and merged into the headers they are a way to smuggle.

What a client says of itself in its header fields it says again with the next request, byte for byte. Such fields are
not read twice: where a whole head ends like the last one that was a head only, and its line is a plain one, the
fields are those that were judged then, and llhttp is not asked.
"""

import contextlib
import re
from enum import Enum, auto
from typing import NoReturn

import httptools

from ..errors import RemoteProtocolError
from ..limits import Limits
from .request import Request, split_target

_END = b"\r\n\r\n"
_SLICE = 16_384  # of a chunked body: bounds the parts that one call can make of tiny chunks
_CHUNK_ALLOWANCE = 32  # bytes of framing that any chunk may cost without counting as overhead
_KNOWN_BYTES = 4_096  # of fields that are remembered: an idle connection holds them
_HOST_BYTES = 255  # RFC 1035 2.3.4: of a name that can be resolved
_VERSION = b" HTTP/1.1"
_PLAIN_LINE = re.compile(rb"([A-Z-]+) (/[!-\"$-~]*)").fullmatch  # origin-form (RFC 9112 3.2.1), before the version

Line = tuple[str, str, str, str]  # method, target, path and query
# Plain lines that have been read: the same few pages are asked for again and again. A query may hold secrets.
_LINES_READ: dict[bytes, Line] = {}
_LINES_READ_KEPT = 1_024
_READ_BYTES = 128

_HOST = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-fv:.%A-Za-z~_-]+\])(?::[0-9]*)?").fullmatch
_METHODS = {
    name.encode(): name
    for name in "GET POST PUT DELETE HEAD OPTIONS PATCH TRACE PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK "
    "SEARCH REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE BIND REBIND UNBIND ACL "
    "MKCALENDAR LINK UNLINK PURGE QUERY".split()
}
_VERSIONS = {"1.1": "1.1", "1.0": "1.0"}
_KNOWN_NAMES = (
    "Host User-Agent Accept Accept-Encoding Accept-Language Connection Content-Length Content-Type Cookie Origin "
    "Referer Upgrade Upgrade-Insecure-Requests Cache-Control Pragma Authorization Transfer-Encoding Expect "
    "If-None-Match If-Modified-Since X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Real-IP X-Requested-With "
    "Sec-WebSocket-Key Sec-WebSocket-Version Sec-WebSocket-Extensions Sec-WebSocket-Protocol Sec-Fetch-Dest "
    "Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-CH-UA Sec-CH-UA-Mobile Sec-CH-UA-Platform DNT Range Via"
).split()
_NAMES = {spelled.encode(): name.lower() for name in _KNOWN_NAMES for spelled in (name, name.lower())}
_SPECIAL = frozenset(("host", "content-length", "transfer-encoding", "expect", "upgrade"))


class Framing(Enum):
    """How the end of the message that is being read is found."""

    HEAD = auto()  # no request yet: at CRLF CRLF
    LENGTH = auto()  # Content-Length says so
    CHUNKED = auto()  # after the last chunk and its trailers: at CRLF CRLF
    COMPLETE = auto()  # it has ended; next() starts over


# Names of our own: in Python 3.11 looking a member up in its Enum costs 75 ns, and a request does it 30 times.
IN_HEAD, LENGTH, CHUNKED, COMPLETE = Framing


class RequestParser:
    """Feed it; look at :attr:`request`, :attr:`framing` and the body; call :meth:`next` when a message is over."""

    __slots__ = (
        "_body_follows",
        "_chunks",
        "_error",
        "_fed",
        "_fields",
        "_has_more",
        "_head_bytes",
        "_host",
        "_known",
        "_known_before",
        "_limits",
        "_local",
        "_parser",
        "_parts",
        "_peer",
        "_scheme",
        "_substituted",
        "_tail",
        "_url",
        "body_size",
        "expects_continue",
        "framing",
        "keep_alive",
        "known_headers",
        "left",
        "received",
        "request",
        "wants_upgrade",
    )

    def __init__(
        self, limits: Limits, peer: tuple[object, ...] | str, local: tuple[object, ...] | str, scheme: str
    ) -> None:
        self._limits = limits
        self._peer = peer
        self._local = local
        self._scheme = scheme
        self._host = ""  # the last one that was judged: a client names the same one again and again
        self._known = b""  # the last fields and the version before them; what they say:
        self.known_headers: list[tuple[str, str]] = []
        self._known_before = 0  # within so many bytes of a head they have ended, unless its line is too long
        self._parts: list[bytes] = []
        self._error: RemoteProtocolError | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._substituted = False  # _parser is one that knows only this message's body
        self._head_bytes = limits.request_line_bytes + limits.header_bytes + 4
        self._fields: list[tuple[bytes, bytes]] = []
        self._url = b""
        self._tail = b""  # the last bytes fed: CRLF CRLF may come in two pieces
        self.keep_alive = False
        self._forget_body()
        self.next()

    def next(self) -> None:
        """Forget the message that has ended; the next bytes begin a new one."""
        if self._has_more:
            self._forget_body()
        self.request: Request | None = None
        self.framing = IN_HEAD

    def _forget_body(self) -> None:
        """Back to what holds for a message that is only a head, as most are."""
        self._has_more = False  # a body, an expectation, an upgrade
        if self._substituted:
            self._parser = httptools.HttpRequestParser(self)
            self._substituted = False
        self._fed = 0  # bytes of the head; after it, bytes of the body with its framing
        self._body_follows = False  # although llhttp thinks that the message has ended, for an upgrade
        self._fields = []  # trailers
        self._tail = b""
        self._chunks = 0
        self._parts = []
        self.expects_continue = False
        self.wants_upgrade = False
        self.left = 0  # bytes of a body of known length that have not come yet
        self.received = 0  # bytes of body so far
        self.body_size = 0  # bytes of body that nobody has taken

    def close(self) -> None:
        """Nothing more will be fed: let go of llhttp, which holds us by its callbacks."""
        del self._parser

    @property
    def started(self) -> bool:
        """Whether a byte of the message has come."""
        return self._fed > 0

    def unreadable(self) -> Request:
        """What stands for a request that could not be read, in the access log."""
        return Request("-", "-", "", "", "1.1", [], self._peer, self._local, self._scheme)

    # --- feeding

    def feed(self, data: bytes, at: int) -> int:
        """Take bytes from *at* on; return where it stopped, at the latest at the end of a message.

        Raises :class:`RemoteProtocolError`; the parser is of no use afterwards.
        """
        framing = self.framing
        if framing is IN_HEAD and self._known and not self._fed and (end := self._repeated(data, at)):
            return end
        end = len(data)
        whole = False
        if framing is LENGTH:
            end = min(end, at + self.left)
            self.left -= end - at
        elif framing is IN_HEAD and not self._fed and (found := data.find(_END, at)) >= 0:
            end, whole = found + 4, True  # a whole head
        else:
            end = self._boundary(data, at, end)
        self._fed += end - at
        if framing is IN_HEAD and self._fed > self._head_bytes:
            self._feed_too_long(data, at, end)
        try:
            self._parser.feed_data(data if end - at == len(data) else memoryview(data)[at:end])
        except httptools.HttpParserUpgrade:
            if self.framing is not COMPLETE:
                self._go_on_with_body()
        except httptools.HttpParserError as error:
            raise self._error or _explained(error, data, at) from None
        if framing is IN_HEAD:
            if whole and not self._has_more:
                self._remember(data, at, end)
            return end
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        if framing is CHUNKED:
            self._check_overhead()
        return end

    def _repeated(self, data: bytes, at: int) -> int:
        """Read the head at *at*, if its line is a plain one and the known fields follow; return its end, else 0."""
        line_end = data.find(self._known, at, at + self._known_before)
        if line_end < 0:
            return 0
        line = data[at:line_end]
        read = _LINES_READ.get(line) or _read_plain(line)
        if read is None:
            return 0
        method, target, path, query = read
        self.keep_alive = True
        self.framing = COMPLETE
        self.request = Request(
            method, target, path, query, "1.1", self.known_headers, self._peer, self._local, self._scheme
        )
        return line_end + len(self._known)

    def _remember(self, data: bytes, at: int, end: int) -> None:
        """The fields of a whole head, unless its line makes the message mean something else than another would."""
        request = self.request
        if request is None or request.version != "1.1" or request.target[0] != "/" or not self.keep_alive:
            return
        version_at = data.find(_VERSION + b"\r\n", at, end)
        if version_at >= 0 and end - version_at <= _KNOWN_BYTES:
            self._known, self.known_headers = data[version_at:end], request.headers
            self._known_before = self._limits.request_line_bytes + end - version_at - len(_VERSION)

    def _boundary(self, data: bytes, at: int, end: int) -> int:
        """The end of the first CRLF CRLF at or behind *at*, or *end*; the tail remembers one that is cut."""
        tail = self._tail
        if tail:
            seam = (tail + data[at : at + 3]).find(_END)
            if seam >= 0:
                self._tail = b""
                return at + seam + 4 - len(tail)
        found = data.find(_END, at)
        if found >= 0 and (found - at < _SLICE or self.framing is IN_HEAD):
            self._tail = b""
            return found + 4
        if self.framing is CHUNKED:
            end = min(end, at + _SLICE)
        self._tail = (tail + data[max(at, end - 3) : end])[-3:]
        return end

    def _feed_too_long(self, data: bytes, at: int, end: int) -> None:
        """The head is longer than any may be: look at no more of it than is allowed, to say what is too long."""
        with contextlib.suppress(httptools.HttpParserError):
            self._parser.feed_data(data[at : end - (self._fed - self._head_bytes)])
        raise self._error or RemoteProtocolError("the header fields are too long", status=431)

    def _go_on_with_body(self) -> None:
        """llhttp takes a request with Upgrade for ended behind its head. A parser that knows of no upgrade goes on."""
        self._parser = httptools.HttpRequestParser(_BodyOnly(self))
        framing = b"Content-Length: %d" % self.left if self.left else b"Transfer-Encoding: chunked"
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
        self._substituted = True
        self._body_follows = False

    def _check_overhead(self) -> None:
        overhead = self._fed - self.received - self._chunks * _CHUNK_ALLOWANCE
        if overhead > self._limits.chunk_overhead_bytes:
            raise RemoteProtocolError("too many bytes of chunk extensions or trailers")

    def take_body(self) -> bytes:
        """The bytes of body that have come since the last call."""
        parts = self._parts
        if not parts:
            return b""
        self._parts = []
        self.body_size = 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    # --- called by httptools

    def on_url(self, url: bytes) -> None:
        self._url = self._url + url if self._url else url
        if len(self._url) > self._limits.request_line_bytes:
            self._fail("the request line is too long", 414)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        method = _METHODS.get(self._parser.get_method())
        if method is None:
            self._fail("this method is not implemented", 501)
        version = _VERSIONS.get(self._parser.get_http_version())
        if version is None:
            self._fail("only HTTP/1.1 and HTTP/1.0 are spoken here", 505)
        url, self._url = self._url, b""
        line_bytes = len(url) + len(method) + 10  # two spaces and HTTP/1.1
        if line_bytes > self._limits.request_line_bytes:
            self._fail("the request line is too long", 414)
        if self._fed - line_bytes - 4 > self._limits.header_bytes:
            self._fail("the header fields are too long", 431)
        target = url.decode("latin-1")
        try:
            path, query, authority = split_target(method, target)
            headers = self._take_headers()
            self._judge(version, headers, authority)
            self.keep_alive = self._parser.should_keep_alive()
        except RemoteProtocolError as error:
            self._error = error
            raise
        self.request = Request(method, target, path, query, version, headers, self._peer, self._local, self._scheme)

    def _take_headers(self) -> list[tuple[str, str]]:
        fields, self._fields = self._fields, []  # from here on trailers, which nobody reads
        if len(fields) > self._limits.header_count:
            raise RemoteProtocolError("there are too many header fields", status=431)
        return [
            (_NAMES.get(name) or name.decode("latin-1").lower(), value.decode("latin-1").rstrip(" \t"))
            for name, value in fields
        ]

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        size = len(body)
        self.body_size += size
        self.received += size
        if self.received > self._limits.body_bytes:
            self._fail("the request body is too large", 413)

    def on_chunk_header(self) -> None:
        self._chunks += 1

    def on_message_complete(self) -> None:
        if not self._body_follows:
            self.framing = COMPLETE

    # --- judging a head

    def _judge(self, version: str, headers: list[tuple[str, str]], authority: str | None) -> None:
        """Set the framing, and refuse what llhttp lets pass."""
        hosts = 0
        self._fed = 0
        self.framing = COMPLETE
        upgrade = False
        for at, (name, value) in enumerate(headers):
            if name not in _SPECIAL:
                continue
            if name == "host":
                hosts += 1
                if value != self._host and not _HOST(value):
                    raise RemoteProtocolError("the Host field is no host")
                if authority is not None:  # RFC 9112 3.2.2: the target's own host wins
                    headers[at] = ("host", authority)
                if len(value) <= _HOST_BYTES:
                    self._host = value
                continue
            self._has_more = True
            if name == "content-length":
                self._judge_length(int(value))
            elif name == "transfer-encoding":
                self._judge_coding(version, value)
            elif name == "expect":
                self._judge_expect(version, value)
            else:
                upgrade = True
        if not hosts and authority is not None:
            headers.append(("host", authority))
        if hosts != 1 and (hosts or version == "1.1"):
            raise RemoteProtocolError("there must be exactly one Host field")
        if authority is not None and not _HOST(authority):
            raise RemoteProtocolError("the request target has no usable host")
        if upgrade and self._parser.should_upgrade():
            self._judge_upgrade(version)

    def _judge_length(self, length: int) -> None:
        if length > self._limits.body_bytes:
            raise RemoteProtocolError("the request body is too large", status=413)
        if length:
            self.left = length
            self.framing = LENGTH

    def _judge_coding(self, version: str, value: str) -> None:
        if version == "1.0":  # RFC 9112 6.1: its framing is to be treated as faulty
            raise RemoteProtocolError("HTTP/1.0 has no Transfer-Encoding")
        if value.lower() != "chunked":
            raise RemoteProtocolError("the only transfer coding here is chunked", status=501)
        self.framing = CHUNKED

    def _judge_expect(self, version: str, value: str) -> None:
        if version == "1.0":  # RFC 9110 10.1.1: to be ignored
            return
        if value.lower() != "100-continue":
            raise RemoteProtocolError("this expectation cannot be met", status=417)
        self.expects_continue = True

    def _judge_upgrade(self, version: str) -> None:
        """Offer an upgrade where it is plain; else go on as if it had not been asked for (RFC 9110 7.8)."""
        self._body_follows = self.framing is not COMPLETE
        self.wants_upgrade = version == "1.1" and not self._body_follows

    def _fail(self, message: str, status: int) -> NoReturn:
        self._error = RemoteProtocolError(message, status=status)
        raise self._error


def _read_plain(line: bytes) -> Line | None:
    """A request line without its version, if there is nothing to judge about it."""
    match = _PLAIN_LINE(line)
    method = _METHODS.get(match[1]) if match else None
    if match is None or method is None:
        return None
    target = match[2].decode("ascii")
    path, query, _ = split_target(method, target)
    read = method, target, path, query
    if not query and len(line) <= _READ_BYTES and len(_LINES_READ) < _LINES_READ_KEPT:
        _LINES_READ[line] = read
    return read


class _BodyOnly:
    """What a parser that goes on with a body may call."""

    __slots__ = ("on_body", "on_chunk_header", "on_message_complete")

    def __init__(self, parser: RequestParser) -> None:
        self.on_body = parser.on_body
        self.on_chunk_header = parser.on_chunk_header
        self.on_message_complete = parser.on_message_complete


def _explained(error: httptools.HttpParserError, data: bytes, at: int) -> RemoteProtocolError:
    """llhttp's refusal in terms of HTTP."""
    text = str(error)
    if isinstance(error, httptools.HttpParserInvalidMethodError) and re.match(rb"[A-Za-z-]+ ", data[at:]):
        return RemoteProtocolError("this method is not implemented", status=501)
    if "HTTP version" in text or "PRI" in text:
        return RemoteProtocolError("only HTTP/1.1 and HTTP/1.0 are spoken here", status=505)
    return RemoteProtocolError(f"malformed request: {text[:100] or type(error).__name__}")
