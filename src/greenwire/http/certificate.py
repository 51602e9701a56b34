"""Who the client is by its TLS certificate, for the environ.

==============================  ======================================================================
key                             value
==============================  ======================================================================
``SSL_CLIENT_VERIFY``           ``SUCCESS``, or ``NONE`` where it has shown no certificate. One that is
                                not valid does not come this far: its handshake fails
``SSL_CLIENT_S_DN``, ``_I_DN``  subject and issuer, as RFC 4514 writes them: ``CN=ada,O=Example``
``SSL_CLIENT_M_SERIAL``         the serial number, in hexadecimal
``SSL_CLIENT_V_START``, ``_END``  the time that it is valid for
``greenwire.client_certificate``  a :class:`ClientCertificate`, or None
==============================  ======================================================================

The names are Apache's. They are there where the server asks for certificates (``ca_certs``); headers that look
alike (``SSL-Client-Verify:``) come in as ``HTTP_SSL_CLIENT_VERIFY``.
"""

import re
import ssl
from collections.abc import Callable
from typing import Any

from .exchange import Exchange

KEY = "greenwire.client_certificate"

# RFC 4514 3: the short names; any other attribute keeps its long one.
_SHORT = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
_SPECIAL = re.compile(r'([,+"\\<>;]|^[ #]| $)')
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class ClientCertificate:
    """A certificate that was verified in the handshake."""

    def __init__(self, connection: ssl.SSLObject) -> None:
        self.fields: dict[str, Any] = dict(connection.getpeercert() or {})  # as SSLSocket.getpeercert() gives them
        self.der: bytes = connection.getpeercert(binary_form=True) or b""

    @property
    def subject(self) -> str:
        """The subject's distinguished name (RFC 4514)."""
        return _written(self.fields.get("subject", ()))

    @property
    def issuer(self) -> str:
        """The issuer's distinguished name (RFC 4514)."""
        return _written(self.fields.get("issuer", ()))

    @property
    def pem(self) -> str:
        """The certificate as text."""
        return ssl.DER_cert_to_PEM_cert(self.der)

    def __repr__(self) -> str:
        return f"<ClientCertificate {self.subject}>"


class ClientCertificates:
    """Stands before *handle* and puts the client's certificate into the request."""

    def __init__(self, handle: Callable[[Exchange], None]) -> None:
        self._handle = handle

    def handle(self, exchange: Exchange) -> None:
        """Have *exchange* handled as one of the client of this certificate."""
        secured = exchange.connection.secured
        if secured is not None:
            exchange.request.extra = _environ(ClientCertificate(secured) if secured.getpeercert() else None)
        self._handle(exchange)


def _environ(found: ClientCertificate | None) -> dict[str, Any]:
    if found is None:
        return {"SSL_CLIENT_VERIFY": "NONE", KEY: None}
    return {
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL_CLIENT_S_DN": found.subject,
        "SSL_CLIENT_I_DN": found.issuer,
        "SSL_CLIENT_M_SERIAL": found.fields.get("serialNumber", ""),
        "SSL_CLIENT_V_START": found.fields.get("notBefore", ""),
        "SSL_CLIENT_V_END": found.fields.get("notAfter", ""),
        KEY: found,
    }


def _written(name: Any) -> str:
    """RFC 4514 2.1: the last part first; 2.4: special characters with a backslash."""
    parts = ("+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in part) for part in name)
    return ",".join(reversed(list(parts)))


def _escaped(value: str) -> str:
    value = _SPECIAL.sub(r"\\\1", value)
    return _UNPRINTABLE.sub(lambda found: f"\\{ord(found[0]):02X}", value)
