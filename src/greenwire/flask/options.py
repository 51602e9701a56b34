"""The keywords of ``SocketIO(...)`` and ``run(...)``: sorted, checked, and explained where they are wrong."""

import logging
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from ..engineio.options import Options
from ..errors import ConfigurationError
from ..limits import Limits

log = logging.getLogger("greenwire")

_ENGINE = {field.name for field in fields(Options)}
# Known to Flask-SocketIO and without a meaning here, each with the reason.
_IGNORED = {
    "logger": "logging goes through the standard logger 'greenwire'",
    "engineio_logger": "logging goes through the standard logger 'greenwire'",
    "monitor_clients": "clients are always monitored",
    "allow_unsafe_werkzeug": "run() does not use Werkzeug's server",
}


def engine_options(options: dict[str, Any]) -> Options:
    """The Engine.IO options among *options*."""
    given = {name: value for name, value in options.items() if name in _ENGINE}
    interval = given.get("ping_interval")
    if isinstance(interval, tuple):  # (interval, grace): their sum is what the client is told
        given["ping_interval"] = sum(interval)
    return Options(**given)


def limits(options: dict[str, Any], engine: Options) -> Limits:
    """The limits: ``limits=Limits(...)``, with what the options say about the same things."""
    base = options.get("limits") or Limits()
    if not isinstance(base, Limits):
        raise ConfigurationError(f"limits={base!r}: give a greenwire.limits.Limits(...)")
    values = {field.name: getattr(base, field.name) for field in fields(base)}
    values["message_bytes"] = engine.max_http_buffer_size
    if "connect_timeout" in options:
        values["connect_timeout_s"] = options["connect_timeout"]
    return Limits(**values)


def check(options: dict[str, Any], known: frozenset[str]) -> None:
    """Log once what has no meaning here; name the likely meaning of what is unknown."""
    for name in options:
        if name in _IGNORED:
            log.info("the option %s has no effect: %s", name, _IGNORED[name])
        elif name not in known and name not in _ENGINE:
            near = get_close_matches(name, known | _ENGINE, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            log.warning("the option %s is unknown and ignored%s", name, hint)


def resource_path(options: dict[str, Any]) -> str:
    """The URL prefix, with a slash on both sides."""
    path = options.get("path") or options.get("resource") or "socket.io"
    return f"/{str(path).strip('/')}/"
