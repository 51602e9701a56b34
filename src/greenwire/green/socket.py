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
from socket import AF_INET, AF_INET6, SO_ERROR, SOCK_STREAM, SOL_SOCKET, inet_pton
from time import monotonic
from typing import Any

from greenlet import getcurrent

from .hub import Hub, current_hub, sleep
from .originals import with_globals
from .select import again
from .timeout import Timeout
from .tpool import ThreadPool
from .watch import Watch, watch_for
from .worker import Worker

_base = _socket.socket
_IN_PROGRESS = (errno.EINPROGRESS, errno.EALREADY, errno.EINTR)
_LONG_S = 1e9  # what the C library takes is checked by its own code
_RETRY_S = 0.005  # a Unix socket whose backlog is full tells nobody when it is not
_SENDFILE_BYTES = 2**30
_GiveUpOnSendfile = _real._GiveupOnSendfile  # type: ignore[attr-defined]
_NO_FLAGS = 100  # no method has so many arguments
_MSG_DONTWAIT = getattr(_real, "MSG_DONTWAIT", 0)
_Op = Callable[..., Any]
_look_up = ThreadPool(10).execute
# The originals, whatever the names mean later.
_getaddrinfo, _getnameinfo, _gethostbyaddr = _real.getaddrinfo, _real.getnameinfo, _real.gethostbyaddr
_gethostbyname, _gethostbyname_ex = _real.gethostbyname, _real.gethostbyname_ex
_socket_recv, _socket_recv_into, _socket_send = _base.recv, _base.recv_into, _base.send


def _waits(op: Any, write: bool, flags_at: int = _NO_FLAGS) -> Any:
    """*op* of the C socket as a method that waits; its flags are the argument of that number."""

    def method(self: "socket", *args: Any, **kwargs: Any) -> Any:
        try:
            return op(self, *args, **kwargs)
        except BlockingIOError:
            if self._timeout == 0 or (len(args) > flags_at and self._asks_not_to_wait(args[flags_at])):
                raise
        return self._when_ready(write, op, *args, **kwargs)

    method.__name__ = op.__name__
    method.__qualname__ = f"socket.{op.__name__}"
    method.__doc__ = op.__doc__
    return method


class socket(_real.socket):
    """A socket whose methods keep only their own green thread waiting."""

    __slots__ = ("_hubs", "_reading", "_timeout", "_writing")

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        self._hubs: tuple[Hub, ...] = ()  # on which it was waited for
        self._reading: Watch | None = None  # the last ones
        self._writing: Watch | None = None
        super().__init__(family, type, proto, fileno)
        self._timeout = _base.gettimeout(self)
        _base.setblocking(self, False)

    # --- timeouts

    def settimeout(self, value: float | None, /) -> None:
        """Seconds that each method may wait; 0: none, ``None``: for ever."""
        if value is None or (type(value) in (int, float) and 0 <= value < _LONG_S):
            _base.setblocking(self, False)  # raises where it is closed
            self._timeout = None if value is None else float(value)
        else:
            _base.settimeout(self, value)
            self._timeout = _base.gettimeout(self)
            _base.setblocking(self, False)

    def gettimeout(self) -> float | None:
        """What :meth:`settimeout` has set."""
        return self._timeout

    def setblocking(self, flag: bool, /) -> None:
        """``settimeout(None)`` or ``settimeout(0)``."""
        self.settimeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        """Whether methods wait."""
        return self._timeout != 0

    @property
    def timeout(self) -> float | None:
        """What :meth:`settimeout` has set."""
        return self._timeout

    # --- waiting

    def _end(self) -> float | None:
        return None if self._timeout is None else monotonic() + self._timeout

    def _until_ready(self, write: bool, end: float | None) -> bool:
        """Whether it is ready in time. May switch."""
        left = None
        if end is not None:
            left = end - monotonic()
            if left <= 0:
                return False
        watch = self._writing if write else self._reading
        if watch is None or watch.hub is not current_hub():
            watch = self._watch(write)
        return watch.wait(left)

    def _watch(self, write: bool) -> Watch:
        """The first on this hub, or this hub's turn."""
        watch = watch_for(self, self.fileno(), write)
        watch.stream = self.type == SOCK_STREAM
        if watch.hub not in self._hubs:
            self._hubs = (*self._hubs, watch.hub)
        if write:
            self._writing = watch
        else:
            self._reading = watch
        return watch

    def _asks_not_to_wait(self, flags: Any) -> bool:
        """With a timeout the C library takes no notice of the flag, either."""
        return self._timeout is None and isinstance(flags, int) and bool(flags & _MSG_DONTWAIT)

    def _when_ready(self, write: bool, op: _Op, *args: Any, **kwargs: Any) -> Any:
        """What *op* gives, once the descriptor is ready; after the last look at the end of the time. May switch."""
        end = None if self._timeout is None else monotonic() + self._timeout
        while True:
            in_time = self._until_ready(write, end)
            try:
                return op(self, *args, **kwargs)
            except BlockingIOError:
                if not in_time:
                    raise TimeoutError("timed out") from None

    # --- data

    # Of a stream that gave less than it was asked for, no more is to be had now (epoll(7)): the next call waits
    # first. That saves a system call and an exception for each message. It is a guess that cannot go wrong, since
    # the loop tells at once where there is more.

    def _is_quiet(self) -> bool:
        """Whether to wait before the first look. Not where a loop would have to be started for that."""
        watch = self._reading
        return watch is not None and watch.quiet and self._timeout != 0 and type(getcurrent()) is Worker

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Up to *bufsize* bytes; none at the end. May switch."""
        if not flags and self._is_quiet():
            data: bytes = self._when_ready(False, _socket_recv, bufsize, flags)
        else:
            try:
                data = _socket_recv(self, bufsize, flags)
            except BlockingIOError:
                if self._timeout == 0 or (flags and self._asks_not_to_wait(flags)):
                    raise
                data = self._when_ready(False, _socket_recv, bufsize, flags)
        watch = self._reading
        if watch is not None and watch.armed and not flags:
            watch.quiet = watch.stream and len(data) < bufsize
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into *buffer*; how much. May switch."""
        if not flags and self._is_quiet():
            size: int = self._when_ready(False, _socket_recv_into, buffer, nbytes, flags)
        else:
            try:
                size = _socket_recv_into(self, buffer, nbytes, flags)
            except BlockingIOError:
                if self._timeout == 0 or (flags and self._asks_not_to_wait(flags)):
                    raise
                size = self._when_ready(False, _socket_recv_into, buffer, nbytes, flags)
        watch = self._reading
        if watch is not None and watch.armed and not flags:
            watch.quiet = watch.stream and size < (nbytes or memoryview(buffer).nbytes)
        return size

    recvfrom = _waits(_base.recvfrom, False, 1)
    recvfrom_into = _waits(_base.recvfrom_into, False, 2)
    send = _waits(_base.send, True, 1)
    _sendto = _waits(_base.sendto, True, 1)
    if hasattr(_base, "recvmsg"):
        recvmsg = _waits(_base.recvmsg, False, 2)
        _recvmsg_into = _waits(_base.recvmsg_into, False, 2)
        _sendmsg = _waits(_base.sendmsg, True, 2)

        def recvmsg_into(self, buffers: Any, *args: Any) -> tuple[int, list[tuple[int, int, bytes]], int, Any]:
            """``recvmsg_into(buffers[, ancbufsize[, flags]])``. May switch."""
            found: tuple[int, list[tuple[int, int, bytes]], int, Any] = self._recvmsg_into(again(buffers), *args)
            return found

        def sendmsg(self, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None, /) -> int:
            """``sendmsg(buffers[, ancdata[, flags[, address]]])``. May switch."""
            sent: int = self._sendmsg(again(buffers), again(ancdata), flags, self._resolved(address))
            return sent

    def sendto(self, data: Any, *args: Any) -> int:
        """``sendto(data[, flags], address)``. May switch."""
        if args:
            args = (*args[:-1], self._resolved(args[-1]))
        sent: int = self._sendto(data, *args)
        return sent

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all of *data*; the timeout is for the whole. May switch."""
        at = 0
        try:
            at = _socket_send(self, data, flags)
            if type(data) is bytes and at == len(data):
                return
        except BlockingIOError:
            if self._timeout == 0 or (flags and self._asks_not_to_wait(flags)):
                raise
        self._send_rest(data, at, flags)

    def _send_rest(self, data: Any, at: int, flags: int) -> None:
        end = self._end()
        with memoryview(data) as view, view.cast("B") as rest:
            while at < len(rest):
                try:
                    at += _socket_send(self, rest[at:], flags)
                except BlockingIOError:
                    if self._timeout == 0 or (flags and self._asks_not_to_wait(flags)):
                        raise
                    if not self._until_ready(True, end):
                        raise TimeoutError("timed out") from None

    def _sendfile_use_sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """In the kernel; raises what makes :meth:`sendfile` do it piece by piece where that is not possible."""
        self._check_sendfile_params(file, offset, count)  # type: ignore[attr-defined]
        try:
            fd = file.fileno()
            size = os.fstat(fd).st_size
        except (AttributeError, io.UnsupportedOperation, OSError) as error:
            raise _GiveUpOnSendfile(error) from error
        if not size:
            return 0
        if self._timeout == 0:
            raise ValueError("non-blocking sockets are not supported")
        total = 0
        try:
            while count is None or total < count:
                most = _SENDFILE_BYTES if count is None else min(count - total, _SENDFILE_BYTES)
                sent = self._sendfile_once(fd, offset + total, most)
                if not sent:
                    break
                total += sent
        except TimeoutError:
            raise
        except OSError as error:
            if total:
                raise
            raise _GiveUpOnSendfile(error) from error  # not a file that can be mapped
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
                if not self._until_ready(True, end):
                    raise TimeoutError("timed out") from None

    # --- connections

    def accept(self) -> tuple["socket", Any]:
        """The next connection, and who it is from. May switch."""
        fd, address = self._accept()
        return socket(self.family, self.type, self.proto, fileno=fd), address

    _accept = _waits(_base._accept, False)  # type: ignore[attr-defined]

    def bind(self, address: Any, /) -> None:
        """Take an address. May switch, to look up a name."""
        super().bind(self._resolved(address))

    def connect(self, address: Any, /) -> None:
        """Connect. May switch."""
        code = self._connect(address)
        if code:
            raise OSError(code, os.strerror(code))

    def connect_ex(self, address: Any, /) -> int:
        """Connect; 0, or the error number. May switch."""
        try:
            return self._connect(address)
        except TimeoutError:
            return errno.EAGAIN

    def _connect(self, address: Any) -> int:
        end = self._end()
        address = self._resolved(address, self._timeout or None)
        code = _base.connect_ex(self, address)
        while code == errno.EAGAIN and self._timeout != 0:
            if end is not None and monotonic() >= end:
                raise TimeoutError("timed out")
            sleep(_RETRY_S)
            code = _base.connect_ex(self, address)
        if code not in _IN_PROGRESS or self._timeout == 0:
            return code
        if not self._until_ready(True, end):
            raise TimeoutError("timed out")
        code = self.getsockopt(SOL_SOCKET, SO_ERROR)
        return 0 if code == errno.EISCONN else code

    def _resolved(self, address: Any, seconds: float | None = None) -> Any:
        """*address* with a number in place of a name: the C library would keep all waiting for it."""
        if self.family not in (AF_INET, AF_INET6) or not isinstance(address, tuple) or len(address) < 2:
            return address
        host = address[0]
        if not isinstance(host, str) or host in ("", "<broadcast>") or _is_number(host):
            return address
        with Timeout(seconds, TimeoutError("timed out")):
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
        hubs, self._hubs = self._hubs, ()
        self._reading = self._writing = None
        for hub in hubs:
            for write in (False, True):
                watch = hub.watches.get((self.fileno(), write))
                if watch is not None and watch.belongs_to(self):
                    watch.shut(OSError(errno.EBADF, "the socket was closed in another green thread"))


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
        return _getaddrinfo(host, port, family, type, proto, flags)
    return _look_up(_getaddrinfo, host, port, family, type, proto, flags)


def gethostbyname(hostname: str) -> str:
    """``socket.gethostbyname``. May switch."""
    return _look_up(_gethostbyname, hostname)


def gethostbyname_ex(hostname: str) -> tuple[str, list[str], list[str]]:
    """``socket.gethostbyname_ex``. May switch."""
    return _look_up(_gethostbyname_ex, hostname)


def gethostbyaddr(ip_address: str) -> tuple[str, list[str], list[str]]:
    """``socket.gethostbyaddr``. May switch."""
    return _look_up(_gethostbyaddr, ip_address)


def getnameinfo(sockaddr: Any, flags: int) -> tuple[str, str]:
    """``socket.getnameinfo``. May switch."""
    return _look_up(_getnameinfo, sockaddr, flags)


# --- the rest is the standard library's own code, with the names above in place of its own

_names: dict[str, Any] = {**vars(_real), **{name: globals()[name] for name in vars(_real) if name in globals()}}
_names["__name__"] = __name__


def _with_our_names(fn: Any) -> Any:
    ours = _names[fn.__name__] = with_globals(fn, _names)
    return ours


fromfd: Callable[..., socket] = _with_our_names(_real.fromfd)
socketpair: Callable[..., tuple[socket, socket]] = _with_our_names(_real.socketpair)
create_connection: Callable[..., socket] = _with_our_names(_real.create_connection)
has_dualstack_ipv6: Callable[[], bool] = _with_our_names(_real.has_dualstack_ipv6)
create_server: Callable[..., socket] = _with_our_names(_real.create_server)
getfqdn: Callable[..., str] = _with_our_names(_real.getfqdn)

__all__ = list(_real.__all__)


def __getattr__(name: str) -> Any:
    return getattr(_real, name)
