"""From an address, as a user writes it, to listening sockets.

===================  ==========================================================================
``host``             what is listened on
===================  ==========================================================================
``None``             127.0.0.1
``""``               every address of the machine, both families
``"::"``             every address, both families, in one dual-stack socket
``"localhost"``      127.0.0.1 and ::1, as far as the machine has them: browsers try either one
a name               every address it resolves to that is on this machine
``"unix:/path"``     a Unix socket; a file that a dead server has left behind is replaced
``"fd://3"``         a socket that listens already, opened by whoever has started us (systemd)
===================  ==========================================================================

:func:`listen_on` takes several as texts: ``host:port``, ``[::]:port``, ``unix:/path``, ``fd://3``.

All sockets of one call have one port, also for port 0. ``SO_REUSEADDR`` is on, so that a restart does not wait
for connections in TIME_WAIT. ``SO_REUSEPORT`` is off: with it a second server on the same port starts without
an error, and the kernel deals the connections of one client out to two processes.

Every failure is a :class:`BindError` of one line: the address, the reason, what to do.
"""

import errno
import os
import socket
import stat
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import BindError

UNIX = "unix:"
FD = "fd://"
_PORT_TRIES = 16  # for port 0 in two families: the first one's port may be taken in the second

_Address = tuple[socket.AddressFamily, str]

_REASONS = {
    errno.EADDRINUSE: "another program listens there already; stop it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address; use 127.0.0.1, or '' for every address",
    errno.EACCES: "permission denied; ports below 1024 need privileges, so choose a higher one",
    errno.EAFNOSUPPORT: "this machine does not have that kind of address",
}
_UNIX_REASONS = {
    errno.ENOENT: "its directory does not exist; create it first",
    errno.ENOTDIR: "its directory is not a directory",
    errno.EACCES: "permission denied; choose a directory that you may write to",
    errno.EROFS: "the file system is read-only; choose another directory",
}


def listen(
    host: str | None,
    port: int | str,
    *,
    backlog: int,
    unix_mode: int | None = None,
    unix_owner: str | None = None,
) -> list[socket.socket]:
    """Listen on *host* and *port*; give the non-blocking listening sockets.

    *unix_mode* and *unix_owner* (``user``, ``user:group`` or ``:group``) are those of a Unix socket's file, before
    anybody can connect to it. Raises :class:`BindError`.
    """
    if host is not None and host.startswith(UNIX):
        return [_listen_unix(host.removeprefix(UNIX), backlog, unix_mode, unix_owner)]
    if host is not None and host.startswith(FD):
        return [_inherit(host)]
    number = _port(port)
    addresses = _resolve(host, number)
    for _ in range(_PORT_TRIES - 1):
        try:
            return _listen_all(host, addresses, number, backlog)
        except BindError as error:
            if number or not _in_use(error):
                raise
    return _listen_all(host, addresses, number, backlog)


class Bind(NamedTuple):
    """Where to listen, for :func:`listen`."""

    host: str | None
    port: int


def parse_bind(text: str) -> Bind:
    """``host:port``, ``:port`` (every address), ``[::1]:port``, ``unix:/path`` or ``fd://3``.

    Raises :class:`BindError` that says which of these it may be.
    """
    if text.startswith((UNIX, FD)):
        return Bind(text, 0)
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not bracketed) or not port:
        raise BindError(f"bind {text!r}: write HOST:PORT, [::1]:PORT, unix:/path/to/socket or fd://3")
    return Bind(host[1:-1] if bracketed else host, _port(port))


def listen_on(
    binds: Iterable[str], *, backlog: int, unix_mode: int | None = None, unix_owner: str | None = None
) -> list[socket.socket]:
    """Listen on each of *binds*, or on none: where one fails, those before it are closed again."""
    sockets: list[socket.socket] = []
    try:
        for text in binds:
            host, port = parse_bind(text)
            sockets += listen(host, port, backlog=backlog, unix_mode=unix_mode, unix_owner=unix_owner)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def could_listen(binds: Iterable[str], *, unix_owner: str | None = None) -> None:
    """Raise what :func:`listen_on` would raise, but not where somebody listens already. Nothing stays open, or new."""
    for text in binds:
        host, port = parse_bind(text)
        if text.startswith(UNIX):
            _could_listen_unix(text.removeprefix(UNIX), unix_owner)
            continue
        try:
            sockets = listen(host, port, backlog=1)
        except BindError as error:
            if not _in_use(error):
                raise
        else:
            for sock in sockets:
                sock.close()


def url_of(sock: socket.socket, secure: bool) -> str:
    """The URL of a listening socket: ``http://127.0.0.1:5000``, ``http://[::1]:5000`` or ``unix:/path``."""
    name = sock.getsockname()
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return f"{UNIX}{os.fsdecode(name)}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{'https' if secure else 'http'}://{host}:{name[1]}"


# --- TCP


def _port(port: object) -> int:
    """Flask users pass the string that an environment variable holds; that is fine when it is a number."""
    text = port.strip() if isinstance(port, str) else port
    if isinstance(text, str) and text.isascii() and text.isdigit():
        text = int(text)
    if isinstance(text, bool) or not isinstance(text, int):
        raise BindError(f"port {port!r}: a port is a number from 0 to 65535")
    if not 0 <= text <= 65_535:
        raise BindError(f"port {text}: out of range, a port is a number from 0 to 65535")
    return text


def _resolve(host: str | None, port: int) -> list[_Address]:
    if host is None:
        return [(socket.AF_INET, "127.0.0.1")]
    if host == "":
        return [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
    if host.lower() == "localhost":  # /etc/hosts may know only one of the two
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a host name"
        raise BindError(
            f"cannot listen on {host!r}: the name cannot be resolved ({reason}); use an address such as 127.0.0.1"
        ) from None
    addresses = [(family, _scoped(name)) for family, _, _, _, name in found if family in _FAMILIES]
    return list(dict.fromkeys(addresses))


_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def _scoped(name: tuple[object, ...]) -> str:
    """``fe80::1%2``: a link-local address is nothing without its interface."""
    scope = name[3] if len(name) == 4 else 0
    return f"{name[0]}%{scope}" if scope and "%" not in str(name[0]) else str(name[0])


def _listen_all(host: str | None, addresses: list[_Address], port: int, backlog: int) -> list[socket.socket]:
    """A socket for each address. One that this machine lacks is left out as long as another is there."""
    sockets: list[socket.socket] = []
    lacking: BindError | None = None
    try:
        for family, address in addresses:
            try:
                sockets.append(_listen_tcp(host, family, address, port, backlog))
            except BindError as error:
                if not _not_here(error):
                    raise
                lacking = lacking or error
            else:
                port = sockets[-1].getsockname()[1]
        if not sockets and lacking is not None:
            raise lacking
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _listen_tcp(host: str | None, family: socket.AddressFamily, address: str, port: int, backlog: int) -> socket.socket:
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere it lets a second server steal the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        # Linux hands it down to the accepted sockets; the event loops set it again elsewhere.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((address, port))
        sock.listen(backlog)
        sock.setblocking(False)
    except (OSError, OverflowError) as error:
        if sock is not None:
            sock.close()
        raise _bind_error(_shown(address, port), error, _REASONS) from error
    return sock


def _shown(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _bind_error(where: str, error: Exception, reasons: dict[int, str]) -> BindError:
    number = error.errno if isinstance(error, OSError) else None
    reason = reasons.get(number) if number is not None else None
    if reason is None:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return BindError(f"cannot listen on {where}: {reason}")


def _in_use(error: BindError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE


def _not_here(error: BindError) -> bool:
    absent = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in absent


# --- inherited


class Inherited(socket.socket):
    """A listening socket that somebody else has opened, and whose file, if any, is his to remove."""


def _inherit(text: str) -> Inherited:
    number = text.removeprefix(FD)
    if not (number.isascii() and number.isdigit()):
        raise BindError(f"cannot listen on {text}: write fd:// and the number of a descriptor, as in fd://3")
    try:
        sock = Inherited(fileno=int(number))
    except (OSError, OverflowError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise BindError(f"cannot listen on {text}: {reason}; is it handed down by the process above?") from None
    if not _listens(sock):
        sock.detach()  # it is not ours to close
        raise BindError(f"cannot listen on {text}: it is not a listening stream socket")
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def _listens(sock: socket.socket) -> bool:
    if sock.type != socket.SOCK_STREAM:
        return False
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except (OSError, AttributeError):  # macOS does not tell for all kinds
        return True


# --- Unix


def _listen_unix(path: str, backlog: int, mode: int | None, owner: str | None) -> socket.socket:
    uid, gid = _checked(path, owner)
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        if owner is not None:
            _give_to(path, uid, gid, owner)
        if mode is not None:
            os.chmod(path, mode)  # before listen(): until then nobody can connect
        sock.listen(backlog)
        sock.setblocking(False)
    except BindError:
        sock.close()
        os.unlink(path)
        raise
    except (OSError, ValueError) as error:
        sock.close()
        raise _bind_error(f"unix:{path}", error, _UNIX_REASONS) from error
    return sock


def _could_listen_unix(path: str, owner: str | None) -> None:
    _checked(path, owner)
    _is_there(path)
    folder = os.path.join(os.path.dirname(path) or os.curdir, "")
    try:
        os.stat(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _bind_error(f"unix:{path}", error, _UNIX_REASONS) from error


def _checked(path: str, owner: str | None) -> tuple[int, int]:
    """The numbers of *owner*, -1 for who is not named."""
    if not path:
        raise BindError("cannot listen on 'unix:': the path is missing; write unix:/path/to/socket")
    if not hasattr(socket, "AF_UNIX"):
        raise BindError(f"cannot listen on unix:{path}: this system has no Unix sockets; use a port")
    import grp  # not above: not every system has them
    import pwd

    user, _, group = (owner or "").partition(":")
    try:
        if owner is not None and not user and not group:
            raise ValueError
        return pwd.getpwnam(user).pw_uid if user else -1, grp.getgrnam(group).gr_gid if group else -1
    except (KeyError, ValueError):
        reason = "this machine has no such user or group; write USER, USER:GROUP or :GROUP"
        raise BindError(f"cannot listen on unix:{path}: unix_owner {owner!r}: {reason}") from None


def _give_to(path: str, uid: int, gid: int, owner: str) -> None:
    try:
        os.chown(path, uid, gid)
    except OSError as error:
        raise BindError(f"cannot listen on unix:{path}: unix_owner {owner!r}: {error.strerror}") from None


def _is_there(path: str) -> bool:
    """Whether there is a socket; anything else at *path* is an error."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return False  # nothing there, or bind() will say what is wrong
    if not stat.S_ISSOCK(found.st_mode):
        raise BindError(f"cannot listen on unix:{path}: a file that is no socket is there; remove it")
    return True


def _remove_stale(path: str) -> None:
    """Unlink a socket that nobody listens on any more. Anything else at *path* is not ours to remove."""
    if not _is_there(path):
        return
    if _somebody_listens(path):
        raise BindError(f"cannot listen on unix:{path}: {_REASONS[errno.EADDRINUSE].replace('port', 'path')}")
    try:
        os.unlink(path)
    except OSError as error:
        raise _bind_error(f"unix:{path}", error, _UNIX_REASONS) from error


def _somebody_listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:  # a full backlog, no permission: somebody may be there
            return True
    return True
