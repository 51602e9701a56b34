"""What ``run`` and the command can be told: where to listen, processes, TLS, logs, debugging. Leaf.

Each field is a row of the table of settings; see :mod:`greenwire.settings`. Values are checked before anything is
opened.
"""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from os import PathLike, cpu_count
from typing import Any

from .errors import ConfigurationError
from .limits import Limits
from .net.listen import listen, listen_on
from .net.systemd import handed_down
from .net.tls import contexts
from .net.trust import Trusted
from .settings import (
    ADDRESS,
    ALIASES,
    BINDS,
    CERT_REQS,
    CERTS,
    FILE,
    LEVEL,
    MODE,
    SWITCH,
    TEXT,
    TEXTS,
    URL_PATH,
    WHOLE,
    WORKERS,
    meant,
    rows_of,
    setting,
)

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

    # --- listening
    host: str | None = setting(
        None,
        "a name or an address; `'::'` is every one; `'unix:/path'` a Unix socket",
        shown_default="'127.0.0.1'",
    )
    port: int | str = setting(DEFAULT_PORT, "that of `SERVER_NAME` where it has one; `0` takes a free one")
    bind: list[str] = setting(
        [],
        "where to listen: HOST:PORT, [::]:PORT, unix:PATH or fd://N; in place of host and port",
        BINDS,
        section="listening",
        short="-b",
        shown_default="127.0.0.1:5000, or 0.0.0.0:$PORT where PORT is set",
    )
    unix_mode: int | None = setting(None, "permissions of a Unix socket", MODE, section="listening")
    unix_owner: str | None = setting(
        None, "whose file a Unix socket is: USER, USER:GROUP or :GROUP", TEXT, section="listening"
    )
    # --- proxies
    forwarded_allow_ips: list[str] = setting(
        [],
        "proxies that are believed when they say for whom they speak: addresses, networks, unix: or *",
        TEXTS,
        section="proxies",
        also_env=("FORWARDED_ALLOW_IPS",),
        shown_default="nobody",
    )
    forwarded_headers: list[str] = setting(
        [],
        "which headers these proxies set, or delete: x-forwarded-for, -proto, -host, -port, forwarded",
        TEXTS,
        section="proxies",
        shown_default="x-forwarded-for,x-forwarded-proto",
    )
    proxy_protocol: list[str] = setting(
        [],
        "who begins each connection with a PROXY header, as forwarded-allow-ips; nobody else is let in",
        TEXTS,
        section="proxies",
        shown_default="nobody",
    )
    # --- processes
    workers: int | str = setting(
        1,
        "worker processes, or 'auto' for one for each core",
        WORKERS,
        section="processes",
        short="-w",
        also_env=("WEB_CONCURRENCY",),
    )
    supervisor: bool | None = setting(
        None,
        "a process above the workers that replaces them; without it one worker serves in the first process",
        SWITCH,
        section="processes",
        shown_default="with several workers, --max-requests or --reload",
    )
    max_requests: int = setting(
        0,
        "replace a worker after so many HTTP requests (polls count, too); 0: never",
        WHOLE,
        section="processes",
    )
    max_requests_jitter: int = setting(
        0,
        "up to so many more for each worker, by chance, so that they do not all go at once",
        WHOLE,
        section="processes",
    )
    user: str | None = setting(None, "serve as this user, once the ports are open", TEXT, section="processes")
    group: str | None = setting(None, "serve as this group", TEXT, section="processes")
    umask: int | None = setting(None, "the mask of permissions for files that are made", MODE, section="processes")
    pid: Path | None = setting(
        None, "a file that holds the first process's id while it serves", FILE, section="processes"
    )
    # --- the application
    green: bool = setting(False, "run handlers in greenlets", SWITCH, section="the application")
    # --- developing
    debug: bool = setting(
        False,
        "Flask's interactive debugger, and the reloader",
        SWITCH,
        section="developing",
        also_env=("FLASK_DEBUG",),
        shown_default="app.debug; false for the command",
    )
    use_reloader: bool | None = setting(
        None,
        "replace the workers when a source file changes",
        SWITCH,
        key="reload",
        section="developing",
        shown_default="debug",
    )
    reload_include: list[str] = setting(
        [], "further files to look at, as glob patterns", TEXTS, section="developing", shown_default="*.py"
    )
    reload_exclude: list[str] = setting([], "files and folders not to look at", TEXTS, section="developing")
    extra_files: list[str] | None = setting(None, "further files that the reloader of `run` looks at")
    reloader_options: dict[str, Any] = setting({}, "keywords for Werkzeug's `run_with_reloader`")
    # --- TLS
    certfile: Path | None = setting(None, "the certificate chain; makes it https", FILE, section="TLS")
    keyfile: Path | None = setting(None, "its private key", FILE, section="TLS", shown_default="in certfile")
    certs: list[tuple[Path, Path | None]] = setting(
        [],
        "more certificates, each for its names; who asks for another name gets the first",
        CERTS,
        section="TLS",
    )
    ca_certs: Path | None = setting(None, "whose certificates clients may show", FILE, section="TLS")
    cert_reqs: ssl.VerifyMode | int | None = setting(
        None,
        "whether a client must show one: none, optional, required",
        CERT_REQS,
        section="TLS",
        shown_default="optional with ca-certs",
    )
    ciphers: str | None = setting(None, "OpenSSL's cipher list", TEXT, section="TLS")
    ssl_context: Any = setting(None, "an `ssl.SSLContext`, `(certfile, keyfile)`, or `'adhoc'`")
    # --- looking at it
    log_output: bool | None = setting(None, "one line on standard error for each request", shown_default="debug")
    access_log: str | None = setting(
        None,
        "a line for each request: combined, json, or a format string as gunicorn has",
        TEXT,
        section="looking at it",
    )
    access_log_file: Path | None = setting(
        None,
        "the file for these lines, opened anew at USR1; - is standard output",
        FILE,
        section="looking at it",
        shown_default="the logger 'greenwire.access'",
    )
    server_header: bool = setting(True, "say `Server: greenwire`", SWITCH, section="looking at it")
    date_header: bool = setting(True, "say the time in `Date`", SWITCH, section="looking at it")
    metrics: str | None = setting(
        None, "serve /metrics for Prometheus, and /health, on an address of their own", ADDRESS, section="looking at it"
    )
    health: str | None = setting(
        None, "answer 200 on this path while serving, and 503 while ending", URL_PATH, section="looking at it"
    )
    # --- bounds
    ws_compression: bool | None = setting(
        None,
        "compress WebSocket messages (permessage-deflate): less traffic, more CPU",
        SWITCH,
        section="the application",
        shown_default="that of SocketIO(...)",
    )
    limits: dict[str, float] = setting({}, "limits to change, by name, as in `{'threads': 400}`")

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
        taken, limits = cls._sorted(given)
        if port is None:
            port = server_name.rsplit(":", 1)[1] if server_name and ":" in server_name else DEFAULT_PORT
        elif taken.get("bind"):
            raise ConfigurationError("run() is given both port and bind: bind alone says where to listen")
        limits |= taken.pop("limits", None) or {}
        return cls(host=host, port=port, limits=limits, **taken)

    @classmethod
    def _sorted(cls, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
        """Fields and limits among keywords, each checked."""
        rows = {row.key.replace("-", "_"): row for row in rows_of(cls)} | {row.name: row for row in rows_of(cls)}
        aliases = {key.replace("-", "_"): name for key, name in ALIASES.items()}
        taken: dict[str, Any] = {}
        limits: dict[str, float] = {}
        for name, value in given.items():
            if name in aliases:
                limits[aliases[name]] = value
            elif name in rows:
                row = rows[name]
                if row.kind is not None and value is not None:
                    value = _checked(row.read, value, f"run({name}=...)")
                if value is not None:
                    taken[row.name] = value
            elif name not in _MEANINGLESS:
                raise ConfigurationError(f"run() has no option {name!r}{meant(name, [*rows, *aliases])}")
        return taken, limits

    def bounded(self, base: Limits) -> Limits:
        """*base* with the limits that were given here. Raises :class:`ConfigurationError`."""
        known = {item.name for item in fields(Limits)}
        for name in self.limits:
            if name not in known:
                raise ConfigurationError(f"there is no limit {name!r}{meant(name, known)}")
        return replace(base, **self.limits)  # type: ignore[arg-type]

    # --- processes

    @property
    def watches(self) -> bool:
        """Whether the supervisor replaces the workers when a source file changes; ``run`` has Werkzeug's reloader."""
        return False

    @property
    def worker_count(self) -> int:
        """How many workers there shall be."""
        return (cpu_count() or 1) if self.workers == "auto" else int(self.workers)

    @property
    def supervised(self) -> bool:
        """Whether there is a process above the worker, or workers."""
        needed = self.worker_count > 1 or self.max_requests > 0 or self.watches
        if self.supervisor is False and needed:
            raise ConfigurationError("without a supervisor there is one worker, and nobody replaces it; see workers")
        return needed or bool(self.supervisor)

    def listen(self, limits: Limits) -> list[socket.socket]:
        """The listening sockets. Raises :class:`greenwire.errors.BindError`."""
        given: dict[str, Any] = {"backlog": limits.backlog, "unix_mode": self.unix_mode, "unix_owner": self.unix_owner}
        binds = handed_down() or self.bind  # what systemd has opened is where it wants us to listen
        return listen_on(binds, **given) if binds else listen(self.host, self.port, **given)

    def forwarders(self) -> Trusted:
        """The proxies that speak for others in HTTP."""
        return Trusted(self.forwarded_allow_ips)

    def announcers(self) -> Trusted:
        """The proxies that do so with a PROXY header."""
        return Trusted(self.proxy_protocol, "proxy_protocol")

    @property
    def reloads(self) -> bool:
        """Whether a change of the source restarts the server."""
        return self.debug if self.use_reloader is None else self.use_reloader

    @property
    def logs_requests(self) -> bool:
        """Whether each request gets a line."""
        wanted = self.access_log is not None or self.access_log_file is not None
        return (self.debug or wanted) if self.log_output is None else self.log_output

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
        if certfile is None and keyfile is not None:
            raise ConfigurationError("keyfile is given, and certfile is not")
        pairs = [*([(certfile, keyfile)] if certfile is not None else ()), *self.certs]
        if not pairs:
            return None
        return contexts(pairs, ca_certs=self.ca_certs, cert_reqs=self.cert_reqs, ciphers=self.ciphers)


@dataclass
class CommandOptions(RunOptions):
    """What the command can be told, and ``run`` in a program cannot."""

    app: str | None = setting(
        None, "MODULE:APP, where the command line does not give it", TEXT, section="the application"
    )
    chdir: Path | None = setting(
        None, "change to this folder first; modules are found in it", FILE, section="the application", shown_default="."
    )
    green: bool = setting(
        False,
        "patch the standard library before the application is imported, and run handlers in greenlets",
        SWITCH,
        section="the application",
    )
    log_level: str = setting("info", "of the logger 'greenwire'", LEVEL, section="looking at it")

    @property
    def watches(self) -> bool:
        """Whether the supervisor replaces the workers when a source file changes."""
        return self.reloads


def _checked(read: Any, value: Any, where: str) -> Any:
    try:
        return read(value, where)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
