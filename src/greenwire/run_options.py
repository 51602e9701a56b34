"""The keywords of ``run``: where to listen, TLS, debugging. Checked before anything is opened. Leaf."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from os import PathLike
from typing import Any

from .errors import ConfigurationError
from .net.listen import server_context

Path = str | PathLike[str]
DEFAULT_PORT = 5000
# Keywords of Flask-SocketIO's run() that tune servers which are not used here.
_MEANINGLESS = frozenset(
    "allow_unsafe_werkzeug server_side ssl_version do_handshake_on_connect suppress_ragged_eofs threaded"
    " processes request_handler passthrough_errors load_dotenv".split()
)


@dataclass
class RunOptions:
    """Everything that ``run`` can be told beside the application."""

    host: str | None = None  # None: 127.0.0.1
    port: int | str = DEFAULT_PORT
    debug: bool = False
    log_output: bool | None = None  # one line for each request; None: as debug
    use_reloader: bool | None = None  # None: as debug
    extra_files: list[str] | None = None
    reloader_options: dict[str, Any] = field(default_factory=dict)
    unix_mode: int | None = None
    certfile: Path | None = None
    keyfile: Path | None = None
    ca_certs: Path | None = None
    cert_reqs: ssl.VerifyMode | int | None = None
    ciphers: str | None = None
    ssl_context: Any = None  # an SSLContext, (certfile, keyfile), or "adhoc"

    @classmethod
    def take(
        cls,
        given: Mapping[str, Any],
        *,
        host: str | None,
        port: int | str | None,
        server_name: str | None,
    ) -> "RunOptions":
        """From keyword arguments. Raises :class:`ConfigurationError` for one that is unknown."""
        known = {item.name for item in fields(cls)}
        for name in given:
            if name not in known | _MEANINGLESS:
                near = get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigurationError(f"run() has no option {name!r}{hint}")
        if port is None:
            port = server_name.rsplit(":", 1)[1] if server_name and ":" in server_name else DEFAULT_PORT
        return cls(host=host, port=port, **{name: given[name] for name in given if name in known})

    @property
    def reloads(self) -> bool:
        """Whether a change of the source restarts the server."""
        return self.debug if self.use_reloader is None else self.use_reloader

    @property
    def logs_requests(self) -> bool:
        """Whether each request gets a line."""
        return self.debug if self.log_output is None else self.log_output

    def tls(self) -> ssl.SSLContext | None:
        """The context to serve with. Raises :class:`ConfigurationError`."""
        context = self.ssl_context
        if isinstance(context, ssl.SSLContext):
            return context
        certfile, keyfile = self.certfile, self.keyfile
        if isinstance(context, tuple):
            certfile, keyfile = context
        elif context == "adhoc":
            from werkzeug.serving import generate_adhoc_ssl_context

            return generate_adhoc_ssl_context()
        elif context is not None:
            raise ConfigurationError(
                f"ssl_context={context!r}: give an ssl.SSLContext, (certfile, keyfile), or 'adhoc'"
            )
        if certfile is None:
            if keyfile is not None:
                raise ConfigurationError("keyfile is given, and certfile is not")
            return None
        return server_context(
            certfile, keyfile, ca_certs=self.ca_certs, cert_reqs=self.cert_reqs, ciphers=self.ciphers
        )
