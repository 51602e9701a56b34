"""The module ``ssl`` with sockets that wait on the hub: import this where you would import that.

Every name of ``ssl`` is here. A context made by this module wraps sockets into green ones; of a context that was made
elsewhere, set ``context.sslsocket_class = greenwire.green.ssl.SSLSocket``.
"""

import ssl as _real
from typing import Any

from . import socket as green_socket
from .originals import with_globals

_WantRead, _WantWrite = _real.SSLWantReadError, _real.SSLWantWriteError
# The originals, whatever the names mean later.
_real_read, _real_write, _real_send = _real.SSLSocket.read, _real.SSLSocket.write, _real.SSLSocket.send
_real_handshake, _real_unwrap = _real.SSLSocket.do_handshake, _real.SSLSocket.unwrap


class SSLSocket(_real.SSLSocket, green_socket.socket):  # type: ignore[misc]  # ssl forbids some methods
    """A TLS connection whose methods keep only their own green thread waiting."""

    # ssl.SSLSocket does the work, and where it would wait it raises "want read" or "want write", since its
    # descriptor never blocks. What it inherits without encryption it finds in the green socket.

    def _tls(self, name: str, op: Any, *args: Any) -> Any:
        """May switch."""
        end = self._end()
        in_time = True
        while True:
            try:
                return op(self, *args)
            except (_WantRead, _WantWrite) as want:
                if self._timeout == 0:
                    raise
                if not in_time:
                    raise TimeoutError(f"The {name} operation timed out") from None
                write = isinstance(want, _WantWrite)
            in_time = self._until_ready(write, end)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """Up to *len* bytes. May switch."""
        if self._is_quiet() and not self._until_ready(False, self._end()):
            raise TimeoutError("The read operation timed out")
        found = self._tls("read", _real_read, len, buffer)
        watch = self._reading
        if watch is not None and watch.armed:  # a record is read whole, and nothing of the next
            watch.quiet = (found if buffer is not None else found.__len__()) < len
        return found

    def write(self, data: Any) -> int:
        """Send some of *data*; how much. May switch."""
        sent: int = self._tls("write", _real_write, data)
        return sent

    def send(self, data: Any, flags: int = 0) -> int:
        """Send some of *data*; how much. May switch."""
        sent: int = self._tls("write", _real_send, data, flags)
        return sent

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of *data*. May switch."""
        if self._sslobj is None:  # type: ignore[attr-defined]
            green_socket.socket.sendall(self, data, flags)
        else:
            super().sendall(data, flags)

    def do_handshake(self, block: bool = False) -> None:
        """Agree with the peer. May switch."""
        timeout = self.gettimeout()
        try:
            if block and timeout == 0:
                self.settimeout(None)
            self._tls("handshake", _real_handshake)
        except Exception:
            raise
        except BaseException:  # killed half-way: nobody can use the connection, nor knows of it
            self.close()
            raise
        finally:
            if self.fileno() >= 0:
                self.settimeout(timeout)

    def accept(self) -> tuple["SSLSocket", Any]:
        """The next connection, encrypted, and who it is from. May switch."""
        connection, address = super().accept()
        assert isinstance(connection, SSLSocket)
        return connection, address

    def unwrap(self) -> Any:
        """End the encryption, and give the socket for what follows. May switch."""
        return self._tls("shutdown", _real_unwrap)


class SSLContext(_real.SSLContext):
    """A context whose sockets are green."""

    sslsocket_class = SSLSocket


_names: dict[str, Any] = {**vars(_real), "SSLContext": SSLContext, "SSLSocket": SSLSocket}
_names["__name__"] = __name__
_names["create_connection"] = green_socket.create_connection


def _with_our_names(fn: Any) -> Any:
    """The standard library's own code, with our classes in place of its own."""
    ours = _names[fn.__name__] = with_globals(fn, _names)
    return ours


create_default_context: Any = _with_our_names(_real.create_default_context)
_create_unverified_context: Any = _with_our_names(_real._create_unverified_context)
_create_default_https_context: Any = create_default_context
get_server_certificate: Any = _with_our_names(_real.get_server_certificate)


def wrap_socket(
    sock: Any,
    keyfile: Any = None,
    certfile: Any = None,
    server_side: bool = False,
    cert_reqs: int = _real.CERT_NONE,
    ca_certs: Any = None,
    do_handshake_on_connect: bool = True,
    suppress_ragged_eofs: bool = True,
    ciphers: str | None = None,
    server_hostname: str | None = None,
) -> SSLSocket:
    """*sock*, encrypted: for those who come from ``eventlet.wrap_ssl``; a context can do more. May switch."""
    context = SSLContext(_real.PROTOCOL_TLS_SERVER if server_side else _real.PROTOCOL_TLS_CLIENT)
    context.check_hostname = server_hostname is not None and cert_reqs != _real.CERT_NONE
    context.verify_mode = _real.VerifyMode(cert_reqs)
    if certfile is not None:
        context.load_cert_chain(certfile, keyfile)
    if ca_certs is not None:
        context.load_verify_locations(ca_certs)
    if ciphers is not None:
        context.set_ciphers(ciphers)
    wrapped = context.wrap_socket(
        sock,
        server_side=server_side,
        do_handshake_on_connect=do_handshake_on_connect,
        suppress_ragged_eofs=suppress_ragged_eofs,
        server_hostname=server_hostname,
    )
    assert isinstance(wrapped, SSLSocket)
    return wrapped


def __getattr__(name: str) -> Any:
    return getattr(_real, name)
