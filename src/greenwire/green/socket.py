"""The module ``socket`` with sockets that wait on the hub: import this where you would import that.

Every name of ``socket`` is here. The descriptor of a green socket never blocks; the blocking and the timeouts that
its user sees are made here. Names are looked up in threads by the C library, so answers are exactly its own.
"""

import _socket
import errno
import io
import os
import socket as _real
from collections.abc import Callable
from socket import AF_INET, AF_INET6, SO_ERROR, SOL_SOCKET, getdefaulttimeout, inet_pton
from time import monotonic
from types import FunctionType
from typing import Any

from .hub import Hub, sleep
from .tpool import ThreadPool
from .watch import wait_on, watch_for

_base = _socket.socket
_IN_PROGRESS = (errno.EINPROGRESS, errno.EALREADY, errno.EINTR)
_RETRY_S = 0.005  # a Unix socket whose backlog is full tells nobody when it is not
_SENDFILE_BYTES = 2**30
_look_up = ThreadPool(10).execute


def _waits(op: Any, write: bool) -> Any:
    """*op* of the C socket as a method that waits."""

    def method(self: "socket", *args: Any, **kwargs: Any) -> Any:
        try:
            return op(self, *args, **kwargs)
        except BlockingIOError:
            if self._timeout == 0:
                raise
        end = self._end()
        while True:
            self._until_ready(write, end)
            try:
                return op(self, *args, **kwargs)
            except BlockingIOError:
                pass

    method.__name__ = op.__name__
    method.__qualname__ = f"socket.{op.__name__}"
    method.__doc__ = op.__doc__
    return method


class socket(_real.socket):
    """A socket whose methods keep only their own green thread waiting."""

    __slots__ = ("_hubs", "_timeout")

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        self._hubs: set[Hub] = set()  # on which it was waited for
        self._timeout = getdefaulttimeout()
        super().__init__(family, type, proto, fileno)
        _base.setblocking(self, False)

    # --- timeouts

    def settimeout(self, value: float | None) -> None:
        """Seconds that each method may wait; 0: none, ``None``: for ever."""
        if value is not None:
            value = float(value)
            if value < 0:
                raise ValueError("Timeout value out of range")
        if self.fileno() < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._timeout = value

    def gettimeout(self) -> float | None:
        """What :meth:`settimeout` has set."""
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        """``settimeout(None)`` or ``settimeout(0)``."""
        self.settimeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        """Whether methods wait."""
        return self._timeout != 0

    @property
    def timeout(self) -> float | None:
        """What :meth:`settimeout` has set."""
        return self._timeout

    def _end(self) -> float | None:
        return None if self._timeout is None else monotonic() + self._timeout

    def _until_ready(self, write: bool, end: float | None) -> None:
        """May switch."""
        left = None if end is None else end - monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("timed out")
        watch = watch_for(self, self.fileno(), write)
        self._hubs.add(watch.hub)
        if not wait_on(watch, left):
            raise TimeoutError("timed out")

    # --- data

    recv = _waits(_base.recv, False)
    recv_into = _waits(_base.recv_into, False)
    recvfrom = _waits(_base.recvfrom, False)
    recvfrom_into = _waits(_base.recvfrom_into, False)
    send = _waits(_base.send, True)
    _sendto = _waits(_base.sendto, True)
    if hasattr(_base, "recvmsg"):
        recvmsg = _waits(_base.recvmsg, False)
        recvmsg_into = _waits(_base.recvmsg_into, False)
        sendmsg = _waits(_base.sendmsg, True)

    def sendto(self, data: Any, *args: Any) -> int:
        """``sendto(data[, flags], address)``."""
        if args:
            args = (*args[:-1], self._resolved(args[-1]))
        sent: int = self._sendto(data, *args)
        return sent

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of *data*; the timeout is for the whole. May switch."""
        end = self._end()
        with memoryview(data) as view, view.cast("B") as rest:
            at, size = 0, len(rest)
            while at < size:
                try:
                    at += _base.send(self, rest[at:], flags)
                except BlockingIOError:
                    if self._timeout == 0:
                        raise
                    self._until_ready(True, end)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send an open file, in the kernel where that is possible; how many bytes. May switch."""
        self._check_sendfile_params(file, offset, count)  # type: ignore[attr-defined]
        if self._timeout == 0:
            raise ValueError("non-blocking sockets are not supported")
        try:
            fd = file.fileno()
            size = os.fstat(fd).st_size
        except (AttributeError, io.UnsupportedOperation, OSError):
            return self._sendfile_piecewise(file, offset, count)
        if not size:
            return 0
        total = 0
        try:
            while count is None or total < count:
                most = _SENDFILE_BYTES if count is None else min(count - total, _SENDFILE_BYTES)
                sent = self._sendfile_once(fd, offset + total, most)
                if not sent:
                    break
                total += sent
        except OSError as error:
            if total or isinstance(error, TimeoutError) or error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
            return self._sendfile_piecewise(file, offset, count)
        finally:
            if total and hasattr(file, "seek"):
                file.seek(offset + total)
        return total

    def _sendfile_once(self, fd: int, offset: int, most: int) -> int:
        end = self._end()
        while True:
            try:
                return os.sendfile(self.fileno(), fd, offset, most)
            except BlockingIOError:
                self._until_ready(True, end)

    def _sendfile_piecewise(self, file: Any, offset: int, count: int | None) -> int:
        sent: int = self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined]
        return sent

    # --- connections

    def accept(self) -> tuple["socket", Any]:
        """The next connection, and who it is from. May switch."""
        fd, address = self._accept_fd()
        return socket(self.family, self.type, self.proto, fileno=fd), address

    _accept_fd = _waits(_base._accept, False)  # type: ignore[attr-defined]

    def bind(self, address: Any) -> None:
        """Take an address. May switch, to look up a name."""
        super().bind(self._resolved(address))

    def connect(self, address: Any) -> None:
        """Connect. May switch."""
        code = self._connect(address)
        if code:
            raise OSError(code, os.strerror(code))

    def connect_ex(self, address: Any) -> int:
        """Connect; 0, or the error number. May switch."""
        try:
            return self._connect(address)
        except TimeoutError:
            return errno.EAGAIN

    def _connect(self, address: Any) -> int:
        address = self._resolved(address)
        end = self._end()
        code = _base.connect_ex(self, address)
        while code == errno.EAGAIN and self._timeout != 0:
            if end is not None and monotonic() >= end:
                raise TimeoutError("timed out")
            sleep(_RETRY_S)
            code = _base.connect_ex(self, address)
        if code not in _IN_PROGRESS or self._timeout == 0:
            return code
        self._until_ready(True, end)
        return self.getsockopt(SOL_SOCKET, SO_ERROR)

    def _resolved(self, address: Any) -> Any:
        """*address* with a number in place of a name: the C library would keep all waiting for it."""
        if self.family not in (AF_INET, AF_INET6) or not isinstance(address, tuple) or len(address) < 2:
            return address
        host = address[0]
        if not isinstance(host, str) or host in ("", "<broadcast>") or _is_number(host):
            return address
        found = getaddrinfo(host, None, self.family, self.type, self.proto)
        return (found[0][4][0], *address[1:])

    # --- the end

    def _real_close(self, *args: Any) -> None:  # called by close(), once no file made of it is open
        self._forget()
        super()._real_close(*args)  # type: ignore[misc]

    def detach(self) -> int:
        """Give the descriptor away."""
        self._forget()
        return super().detach()

    def _forget(self) -> None:
        """Whoever waits on the descriptor learns that it is closed, before its number is another's."""
        fd = self.fileno()
        while self._hubs:
            hub = self._hubs.pop()
            for write in (False, True):
                watch = hub.watches.get((fd, write))
                if watch is not None and watch.belongs_to(self):
                    watch.shut(OSError(errno.EBADF, "the socket was closed in another green thread"))


SocketType = socket


def _is_number(host: str) -> bool:
    if ":" in host:
        return True  # also with a zone behind a per cent sign
    try:
        inet_pton(AF_INET, host)
    except (OSError, ValueError):
        return False
    return True


# --- names: by the C library, in threads


def getaddrinfo(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> list[Any]:
    """``socket.getaddrinfo``. May switch."""
    if host is None or (isinstance(host, str) and _is_number(host)):
        return _real.getaddrinfo(host, port, family, type, proto, flags)
    return _look_up(_real.getaddrinfo, host, port, family, type, proto, flags)


def gethostbyname(hostname: str) -> str:
    """``socket.gethostbyname``. May switch."""
    return _look_up(_real.gethostbyname, hostname)


def gethostbyname_ex(hostname: str) -> tuple[str, list[str], list[str]]:
    """``socket.gethostbyname_ex``. May switch."""
    return _look_up(_real.gethostbyname_ex, hostname)


def gethostbyaddr(ip_address: str) -> tuple[str, list[str], list[str]]:
    """``socket.gethostbyaddr``. May switch."""
    return _look_up(_real.gethostbyaddr, ip_address)


def getnameinfo(sockaddr: Any, flags: int) -> tuple[str, str]:
    """``socket.getnameinfo``. May switch."""
    return _look_up(_real.getnameinfo, sockaddr, flags)


def fromfd(fd: int, family: int, type: int, proto: int = 0) -> socket:
    """A socket of a duplicate of *fd*."""
    return socket(family, type, proto, fileno=_socket.dup(fd))


def socketpair(family: int | None = None, type: int = _real.SOCK_STREAM, proto: int = 0) -> tuple[socket, socket]:
    """Two sockets, connected to each other."""
    one, two = _real.socketpair(family, type, proto)
    return _green(one), _green(two)


def _green(sock: _real.socket) -> socket:
    return socket(sock.family, sock.type, sock.proto, fileno=sock.detach())


# --- the rest is the standard library's own code, with the names above in place of its own

_names: dict[str, Any] = {**vars(_real), **{name: globals()[name] for name in vars(_real) if name in globals()}}
_names["__name__"] = __name__


def _with_our_names(fn: Any) -> Any:
    ours = FunctionType(fn.__code__, _names, fn.__name__, fn.__defaults__, fn.__closure__)
    ours.__kwdefaults__ = fn.__kwdefaults__
    ours.__doc__ = fn.__doc__
    _names[fn.__name__] = ours
    return ours


create_connection: Callable[..., socket] = _with_our_names(_real.create_connection)
has_dualstack_ipv6: Callable[[], bool] = _with_our_names(_real.has_dualstack_ipv6)
create_server: Callable[..., socket] = _with_our_names(_real.create_server)
getfqdn: Callable[..., str] = _with_our_names(_real.getfqdn)

__all__ = list(_real.__all__)


def __getattr__(name: str) -> Any:
    return getattr(_real, name)
