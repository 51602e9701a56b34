"""TLS contexts: from files to what a server shakes hands with.

TLS 1.2 or later, with the ciphers that OpenSSL and Python prefer, HTTP/1.1 by ALPN. Several certificates share a
port: the client says in its hello whom it wants (SNI, RFC 6066 3), and is shown the certificate of that name. The
first one is for everybody else. A name is matched exactly, then by the wildcard one label up (RFC 9525 6.3).

Files are read when a context is made. To change certificates under way make another one and set
``Server.ssl_context``: handshakes to come use it, connections that are open live on.

Every failure is a :class:`ConfigurationError` of one line: the option, the file, the reason, what to do.
"""

import _ssl
import logging
import os
import ssl
import time
from collections.abc import Sequence
from typing import Any

from ..errors import ConfigurationError

log = logging.getLogger("greenwire")

Path = str | os.PathLike[str]
Pair = tuple[Path, Path | None]


def contexts(
    pairs: Sequence[Pair],
    *,
    password: str | None = None,
    ca_certs: Path | None = None,
    cert_reqs: ssl.VerifyMode | int | None = None,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    """A context that shows the certificate of *pairs* whose name the client asks for; the first if there is none.

    Raises :class:`ConfigurationError`.
    """
    if not pairs:
        raise ConfigurationError("certs: give at least one pair of certificate file and key file")
    by_name: dict[str, ssl.SSLContext] = {}
    made = []
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2:
            raise ConfigurationError(f"certs: {pair!r} is no pair; give (certfile, keyfile), or (certfile, None)")
        certfile, keyfile = pair
        context = server_context(certfile, keyfile, password, ca_certs, cert_reqs, ciphers)
        made.append(context)
        certificate = decoded(certfile)
        _warn_of_dates(certfile, certificate)
        for name in names_of(certificate):
            by_name.setdefault(name, context)
    if len(made) > 1:
        made[0].sni_callback = _Chooser(by_name)
    return made[0]


class _Chooser:
    """Puts the context of the asked-for name in the place of the first one."""

    def __init__(self, by_name: dict[str, ssl.SSLContext]) -> None:
        self._by_name = by_name

    def __call__(self, connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
        asked = (name or "").lower().rstrip(".")
        chosen = self._by_name.get(asked) or self._by_name.get("*." + asked.partition(".")[2])
        if chosen is not None:
            connection.context = chosen


def names_of(certificate: dict[str, Any]) -> list[str]:
    """The DNS names that it is for, in lower case; its common name where it has no others."""
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    if not names:
        subject = [pair for part in certificate.get("subject", ()) for pair in part]
        names = [value for kind, value in subject if kind == "commonName"]
    return [name.lower() for name in names]


def decoded(certfile: Path) -> dict[str, Any]:
    """The certificate in the form of ``SSLSocket.getpeercert``."""
    # The only decoder that Python has for a certificate that nobody has verified. It has been there since 2.6.
    return dict(_ssl._test_decode_cert(os.fspath(certfile)))  # type: ignore[attr-defined]


def _warn_of_dates(certfile: Path, certificate: dict[str, Any]) -> None:
    begins, ends, now = certificate["notBefore"], certificate["notAfter"], time.time()
    if ssl.cert_time_to_seconds(ends) < now:
        log.warning("certfile %s: it has expired on %s; renew it", os.fspath(certfile), ends)
    elif ssl.cert_time_to_seconds(begins) > now:
        log.warning("certfile %s: it is valid from %s on; is the clock right?", os.fspath(certfile), begins)


def server_context(
    certfile: Path,
    keyfile: Path | None = None,
    password: str | None = None,
    ca_certs: Path | None = None,
    cert_reqs: ssl.VerifyMode | int | None = None,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    """A context for a server: TLS 1.2 or later, HTTP/1.1 by ALPN.

    With *ca_certs* clients may show a certificate; ``cert_reqs=ssl.CERT_REQUIRED`` demands one.
    Raises :class:`ConfigurationError` that names the file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load_certificate(context, certfile, keyfile, password)
    if ca_certs is not None:
        _load_authorities(context, ca_certs)
    reqs = ssl.VerifyMode(cert_reqs) if cert_reqs is not None else None
    if reqs not in (None, ssl.CERT_NONE) and ca_certs is None:
        raise ConfigurationError("cert_reqs asks for client certificates: ca_certs must say whose to trust")
    if reqs is not None:
        context.verify_mode = reqs
    elif ca_certs is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
    if ciphers is not None:
        try:
            context.set_ciphers(ciphers)
        except ssl.SSLError:
            raise ConfigurationError(f"ciphers {ciphers!r}: OpenSSL knows no cipher of that name") from None
    return context


def _load_certificate(
    context: ssl.SSLContext,
    certfile: Path,
    keyfile: Path | None,
    password: str | None,
) -> None:
    for what, path in (("certfile", certfile), ("keyfile", keyfile)):
        if path is not None:
            _must_read(what, path)

    asked = False

    def ask() -> str:  # OpenSSL would ask at the terminal, and a server has none
        nonlocal asked
        asked = True
        if password is None:
            raise ConfigurationError(f"keyfile {keyfile or certfile}: it is encrypted; pass its password")
        return password

    try:
        context.load_cert_chain(certfile, keyfile, ask)
    except ssl.SSLError as error:
        raise ConfigurationError(_certificate_error(error, certfile, keyfile, asked)) from None


def _certificate_error(error: ssl.SSLError, certfile: object, keyfile: object, encrypted: bool) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"keyfile {keyfile or certfile}: it is not the key of the certificate in {certfile}; give the pair"
    if encrypted:  # OpenSSL 3 gives no reason; there is hardly another one
        return f"keyfile {keyfile or certfile}: the password is wrong"
    if keyfile is None:
        why = error.reason or error
        return f"certfile {certfile}: no PEM certificate with its key can be read from it ({why}); give a keyfile, too"
    key = f"the key {keyfile}"
    return f"certfile {certfile}: no PEM certificate with {key} can be read from it ({error.reason or error})"


def _load_authorities(context: ssl.SSLContext, ca_certs: Path) -> None:
    _must_read("ca_certs", ca_certs)
    try:
        context.load_verify_locations(ca_certs)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"ca_certs {ca_certs}: no PEM certificate can be read from it ({error.reason or error})"
        ) from None


def _must_read(what: str, path: Path) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        hint = _HINTS.get(type(error), "give the path of a file in PEM format")
        raise ConfigurationError(f"{what} {os.fspath(path)}: {error.strerror}; {hint}") from None


_HINTS: dict[type[OSError], str] = {PermissionError: "the user that serves must be able to read it"}
