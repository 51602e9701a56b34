"""What picows is given for a transport, a socket and a logger, so that it parses frames and does nothing else."""

from typing import Any, Protocol

from picows import WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Fails(Protocol):
    """Whose connection picows calls failed."""

    def failed(self, frame: bytes) -> None: ...


class Wire:
    """What picows takes for the transport."""

    __slots__ = ("_owner", "armed")

    def __init__(self, owner: Fails) -> None:
        self._owner = owner
        self.armed = False  # before the take-over is complete picows writes its own 101: swallowed

    def write(self, data: bytes) -> None:
        if self.armed:
            self._owner.failed(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 1  # not nothing: else picows would write to the descriptor itself

    def get_extra_info(self, name: str) -> Any:
        return _NO_SOCKET if name == "socket" else None

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """picows closes some time after a failure: by then we have."""

    abort = close


class _NoSocket:
    """The socket options are set by net/; picows' system calls for them are saved."""

    def setsockopt(self, *args: object) -> None: ...

    def getsockopt(self, *args: object) -> int:
        return 1

    def fileno(self) -> int:
        return -1


class _NoLog:
    """picows makes one ``logging.Logger`` a connection (10 KB) from a real one, so it gets this."""

    def isEnabledFor(self, level: int) -> bool:
        return False

    def info(self, *args: object, **kwargs: object) -> None: ...

    debug = warning = error = exception = log = info


_NO_SOCKET = _NoSocket()
_NO_LOG = _NoLog()
_SWALLOWED = WSUpgradeResponse.create_101_response()  # one for all: nobody sees it
_HEADERS: list[Any] = []  # of the request that picows is fed: what it parsed the first time


def _share(request: WSUpgradeRequest) -> None:
    """picows keeps its request for as long as the connection lives, and all are the same: 1.3 KB less for each."""
    if not _HEADERS:
        _HEADERS.append(request.headers)
    request.headers = _HEADERS[0]


def new_protocol(listener: WSListener, max_frame_bytes: int) -> WSProtocol:
    """A protocol of a server, which tells *listener*; it takes its first request from :data:`REQUEST`."""

    def accept(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        _share(request)
        return WSUpgradeResponseWithListener(_SWALLOWED, listener)

    return WSProtocol(
        None,
        None,
        False,
        accept,
        _NO_LOG,
        False,
        None,
        False,
        0,
        0,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,
        max_frame_bytes,
        None,
        2_048,
    )
