"""What applications name a message queue with: a URL, or one of these as ``client_manager=``."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from ..errors import ConfigurationError
from ..socketio.dispatch import as_args
from ..socketio.rooms import Room
from ..socketio.server import Server
from .broker import Broker
from .emitter import CallerLoop, Emitter
from .kombu import KombuBroker
from .redis import RedisBroker

_REDIS = ("redis", "rediss", "valkey", "valkeys", "unix")


class MessageQueue:
    """A channel of a message queue, by its URL: Redis, Valkey, or whatever Kombu can reach.

    Nothing is connected before something is sent or served. By itself it reaches the clients of all servers on the
    channel, from any thread; *write_only* says that it is meant for that.
    """

    def __init__(self, url: str, channel: str = "socketio", write_only: bool = False) -> None:
        self.url = url
        self.channel = channel
        self.write_only = write_only
        self.broker: Broker = self._make()
        self._server = Server()
        self._server.rest_with(CallerLoop(), Emitter(self._server, self.broker))

    def _make(self) -> Broker:
        return broker_for(self.url, self.channel)

    def emit(
        self,
        event: str,
        data: Any = None,
        namespace: str | None = None,
        room: Room | Collection[Room] | None = None,
        skip_sid: str | Iterable[str] | None = None,
        callback: Callable[..., object] | None = None,
        to: Room | Collection[Room] | None = None,
    ) -> None:
        """Send an event to everybody in the namespace, or in *to*. A tuple is several arguments."""
        args = as_args(data)
        to = (to or room) or None
        self._server.emit(event, *args, to=to, skip=skip_sid, namespace=namespace, callback=callback)

    def disconnect(self, sid: str, namespace: str | None = None) -> None:
        """Put a client out of the namespace."""
        self._server.disconnect(sid, namespace)

    def enter_room(self, sid: str, namespace: str | None, room: Room) -> None:
        """Put a client into *room*."""
        self._server.enter_room(sid, room, namespace)

    def leave_room(self, sid: str, namespace: str | None, room: Room) -> None:
        """Take a client out of *room*."""
        self._server.leave_room(sid, room, namespace)

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take everybody out of *room*."""
        self._server.close_room(room, namespace)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.broker.name} {self.channel!r}>"


class RedisQueue(MessageQueue):
    """In the place of ``socketio.RedisManager``, with its arguments. *redis_options* go to ``redis.Redis``."""

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        channel: str = "socketio",
        write_only: bool = False,
        logger: Any = None,
        json: Any = None,
        redis_options: dict[str, Any] | None = None,
    ) -> None:
        self._options = redis_options
        super().__init__(url, channel, write_only)

    def _make(self) -> Broker:
        return RedisBroker(self.url, self.channel, self._options)


class KombuQueue(MessageQueue):
    """In the place of ``socketio.KombuManager``, with its arguments. The options go to Kombu."""

    def __init__(
        self,
        url: str = "amqp://guest:guest@localhost:5672//",
        channel: str = "socketio",
        write_only: bool = False,
        logger: Any = None,
        json: Any = None,
        connection_options: dict[str, Any] | None = None,
        exchange_options: dict[str, Any] | None = None,
        queue_options: dict[str, Any] | None = None,
        producer_options: dict[str, Any] | None = None,
    ) -> None:
        self._options = (connection_options, exchange_options, queue_options, producer_options)
        super().__init__(url, channel, write_only)

    def _make(self) -> Broker:
        return KombuBroker(self.url, self.channel, *self._options)


def broker_for(url: Any, channel: str) -> Broker:
    """The broker for a ``message_queue=`` URL. Raises :class:`ConfigurationError`."""
    if not isinstance(url, str) or "://" not in url:
        raise ConfigurationError(f"message_queue={url!r}: give a URL such as 'redis://localhost:6379/0'")
    kind = RedisBroker if url.partition(":")[0].partition("+")[0].lower() in _REDIS else KombuBroker
    return kind(url, channel)
