"""The keywords of ``SocketIO(...)``: sorted, checked, and explained where they are wrong."""

import logging
from collections.abc import Callable
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import flask

from ..cluster import MessageQueue
from ..engineio.options import Options
from ..errors import ConfigurationError
from ..green.patch import is_patched
from ..limits import Limits
from ..settings import meant
from ..socketio.handlers import ANY, normal_namespace
from ..socketio.packet import Json
from ..socketio.user_json import UserJson
from ..socketio.wire import JsonWire, Wire
from .server import ManagerFace

log = logging.getLogger("greenwire")

_ENGINE = {field.name for field in fields(Options)}
_KNOWN = frozenset(
    "async_handlers async_mode always_connect channel client_manager connect_timeout json limits"
    " manage_session message_queue namespaces path resource serializer".split()
)
# Known to Flask-SocketIO and without a meaning here, each with the reason.
_IGNORED = {
    "logger": "logging goes through the standard logger 'greenwire'",
    "engineio_logger": "logging goes through the standard logger 'greenwire'",
    "monitor_clients": "clients are always monitored",
    "allow_unsafe_werkzeug": "run() does not use Werkzeug's server",
}
THREADS = "threading"
DEFAULT_CHANNEL = "flask-socketio"
GREEN = "green"
GREEN_NAMES = (GREEN, "eventlet", "gevent", "gevent_uwsgi")
_SWITCHES = frozenset(
    "async_handlers always_connect manage_session allow_upgrades http_compression ws_compression"
    " cors_credentials".split()
)


def check(options: dict[str, Any]) -> None:
    """Log once what has no meaning here; name the likely meaning of what is unknown. Raises where a value cannot
    mean what was meant."""
    for name, value in options.items():
        if name in _IGNORED:
            log.info("the option %s has no effect: %s", name, _IGNORED[name])
        elif name not in _KNOWN and name not in _ENGINE:
            log.warning("the option %s is unknown and ignored%s", name, meant(name, _KNOWN | _ENGINE))
        elif name in _SWITCHES and not isinstance(value, bool | int | None):
            raise ConfigurationError(f"{name}={value!r}: it takes True or False")


def queue(options: dict[str, Any]) -> MessageQueue | None:
    """What joins this server with others: ``client_manager``, or ``message_queue`` and ``channel``."""
    manager = options.get("client_manager")
    if isinstance(manager, MessageQueue):
        return manager
    if manager is not None and not isinstance(manager, ManagerFace):
        raise ConfigurationError(
            f"client_manager={manager!r}: give message_queue=URL instead, or an object of greenwire.cluster:"
            " RedisQueue(url) for socketio.RedisManager(url), KombuQueue(url) for socketio.KombuManager(url)"
        )
    url = options.get("message_queue")
    return MessageQueue(url, options.get("channel") or DEFAULT_CHANNEL) if url else None


def engine_options(options: dict[str, Any]) -> Options:
    """The Engine.IO options among *options*."""
    given = {name: value for name, value in options.items() if name in _ENGINE}
    interval = given.get("ping_interval")
    if isinstance(interval, tuple):  # (interval, grace): their sum is what the client is told
        if len(interval) != 2 or not all(isinstance(part, int | float) for part in interval):
            raise ConfigurationError(f"ping_interval={interval!r}: it takes seconds, or (seconds, grace)")
        given["ping_interval"] = sum(interval)
    return Options(**given)


def limits(options: dict[str, Any]) -> Limits:
    """The limits: ``limits=Limits(...)``, with what the options say about the same things."""
    base = options.get("limits") or Limits()
    if not isinstance(base, Limits):
        raise ConfigurationError(f"limits={base!r}: give a greenwire.limits.Limits(...)")
    if "connect_timeout" in options:
        return replace(base, connect_timeout_s=options["connect_timeout"])
    return base


def resource_path(options: dict[str, Any]) -> str:
    """The URL prefix, with a slash on both sides."""
    path = options.get("path") or options.get("resource") or "socket.io"
    if not isinstance(path, str):
        raise ConfigurationError(f"path={path!r}: it takes a string such as 'socket.io'")
    return f"/{path.strip('/')}/"


def async_mode(options: dict[str, Any]) -> str:
    """What handlers run in: ``"threading"`` or ``"green"``. ``None``: threads, unless there was ``green.patch()``."""
    mode = options.get("async_mode")
    if mode is None:
        return GREEN if is_patched("thread") else THREADS
    if mode in GREEN_NAMES:
        return GREEN
    if mode != THREADS:
        raise ConfigurationError(
            f"async_mode={mode!r}: use 'threading' for threads, or 'green' for greenlets, of which"
            f" {', '.join(map(repr, GREEN_NAMES[1:]))} are other names"
        )
    return THREADS


def namespaces(options: dict[str, Any]) -> tuple[str, ...]:
    """The namespaces that are open without handlers; ``*`` among them: all."""
    given = options.get("namespaces") or ()
    names = (given,) if isinstance(given, str) else tuple(given)
    return tuple(ANY if name == ANY else normal_namespace(name) for name in names)


def wire(options: dict[str, Any], find_app: Callable[[], flask.Flask]) -> Wire:
    """The form of packets: ``serializer`` and ``json``."""
    serializer = options.get("serializer") or "default"
    if serializer == "msgpack":
        try:
            from ..socketio.msgpack import MsgpackWire
        except ImportError as error:
            raise ConfigurationError("serializer='msgpack' needs the package msgpack: pip install msgpack") from error
        return MsgpackWire()
    if serializer != "default":
        raise ConfigurationError(f"serializer={serializer!r}: use 'default' or 'msgpack'")
    module = options.get("json")
    if module is None:
        return JsonWire(Json())
    return JsonWire(UserJson(_in_app(find_app) if module is flask.json else module))


def _in_app(find_app: Callable[[], flask.Flask]) -> Any:
    """``flask.json``, which asks the current application how; there is one in its handlers only."""

    def inside(fn: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if flask.has_app_context():
                return fn(*args, **kwargs)
            with find_app().app_context():
                return fn(*args, **kwargs)

        return call

    return SimpleNamespace(dumps=inside(flask.json.dumps), loads=inside(flask.json.loads))
