"""The names of flask_socketio, socketio and engineio that applications import, and what answers them."""

from typing import Any

from .. import errors
from .. import flask as face
from ..cluster import KombuQueue, RedisQueue
from .extension import SocketIO
from .notices import calling_line, say
from .standin import Plan

_CLIENT = "pip install python-socketio: its client works beside Greenwire"
_QUEUE = "of message queues there are RedisManager and KombuManager; see greenwire.cluster"
_SERVER = "socketio.server of the application's SocketIO object is the server"


class _PayloadType(type):
    """Says that a setting has no effect, where it is made."""

    def __setattr__(cls, name: str, value: Any) -> None:
        what = f"{cls.__name__}.{name} has no effect: a POST is bounded in bytes, by max_http_buffer_size"
        say(calling_line(), f"{what}. Delete this line")
        super().__setattr__(name, value)


class Payload(metaclass=_PayloadType):
    """``engineio.payload.Payload``, of which applications set one attribute."""

    max_decode_packets = 16


def flask_socketio() -> dict[str, Plan]:
    """``flask_socketio`` and its parts: the objects of ``greenwire.flask``."""
    # One class in the process, by whichever of its two names it is imported.
    face.SocketIO = SocketIO  # type: ignore[misc]
    names = {name: getattr(face, name) for name in face.__all__}
    otherwise = "the public names of Flask-SocketIO are in greenwire.flask"
    return {
        "flask_socketio": Plan(names, otherwise=otherwise),
        "flask_socketio.namespace": Plan({"Namespace": names["Namespace"]}, otherwise=otherwise),
        "flask_socketio.test_client": Plan({"SocketIOTestClient": names["SocketIOTestClient"]}, otherwise=otherwise),
    }


EXCEPTIONS = {
    "socketio.exceptions": Plan(
        {
            name: getattr(errors, name)
            for name in (
                "SocketIOError",
                "ConnectionError",
                "ConnectionRefusedError",
                "TimeoutError",
                "BadNamespaceError",
                "DisconnectedError",
            )
        },
        otherwise="the exceptions are in greenwire.errors",
    )
}
# Only where python-socketio is not installed. Where it is, its client is left to the application.
SOCKETIO = {
    "socketio": Plan(
        {"RedisManager": RedisQueue, "KombuManager": KombuQueue},
        instead={"Server": _SERVER, **dict.fromkeys(("KafkaManager", "ZmqManager", "PubSubManager"), _QUEUE)},
        otherwise=_CLIENT,
    )
}
ENGINEIO = {
    "engineio": Plan(otherwise=_CLIENT),
    "engineio.payload": Plan({"Payload": Payload}, otherwise=_CLIENT),
}
