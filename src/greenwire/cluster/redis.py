"""Redis, or Valkey, as carrier: ``PUBLISH <channel> <message>``.

``redis://``, ``rediss://`` (TLS), ``unix://`` for a Unix socket, the same with ``valkey``, and
``redis+sentinel://host1:26379,host2:26379/db/service``.
"""

import logging
import threading
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError
from .broker import TaskBroker, missing, without_password

log = logging.getLogger("greenwire")

_LOOK_S = 15.0  # how long one look for messages waits; between two a broken line can be found out
_HEALTH_CHECK_S = 30
_SENTINEL_PORT = 26379


class RedisBroker(TaskBroker):
    """One channel of a Redis server. *options* go to ``redis.Redis``."""

    def __init__(self, url: str, channel: str, options: dict[str, Any] | None = None) -> None:
        super().__init__()
        try:
            import redis
            import redis.asyncio
        except ImportError:
            raise missing(url, "redis") from None
        self.name = without_password(url)
        self.failures = (redis.RedisError, OSError, TimeoutError)
        self._channel = channel
        self._url = url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
        self._options = {"health_check_interval": _HEALTH_CHECK_S, **(options or {})}
        if not url.startswith("unix:"):
            self._options.setdefault("socket_keepalive", True)
        self._asynchronous: Any = None  # the client of the loop
        self._blocking: Any = None  # the client of everybody else; it is safe in threads
        self._lock = threading.Lock()
        if "+sentinel" not in self._url:
            try:
                redis.ConnectionPool.from_url(self._url)
            except ValueError as error:
                raise ConfigurationError(f"message_queue={self.name!r}: {error}") from None

    # --- on the loop

    def _client(self) -> Any:
        if self._asynchronous is None:
            import redis.asyncio

            self._asynchronous = _connect(redis.asyncio, self._url, self._options)
        return self._asynchronous

    async def _listen(self) -> None:
        async with self._client().pubsub(ignore_subscribe_messages=False) as subscription:
            await subscription.subscribe(self._channel)
            while True:
                message = await subscription.get_message(timeout=_LOOK_S)
                if message is None:
                    continue
                if message["type"] == "message":
                    self._receive(message["data"])
                elif message["type"] == "subscribe":
                    self._listens()

    async def _send(self, messages: list[bytes]) -> None:
        if len(messages) == 1:
            await self._client().publish(self._channel, messages[0])
            return
        pipeline = self._client().pipeline(transaction=False)
        for message in messages:
            pipeline.publish(self._channel, message)
        await pipeline.execute()

    async def _close(self) -> None:
        client, self._asynchronous = self._asynchronous, None
        if client is not None:
            await client.aclose()

    # --- from any thread

    def write(self, message: bytes) -> None:
        import redis

        with self._lock:
            if self._blocking is None:
                self._blocking = _connect(redis, self._url, self._options)
            client = self._blocking
        for attempt in (1, 2):  # the first may meet a connection that the server has closed meanwhile
            try:
                client.publish(self._channel, message)
                return
            except self.failures as error:
                if attempt == 2:
                    log.error("cannot write to the message queue at %s: %s; the event is lost", self.name, error)

    def close(self) -> None:
        with self._lock:
            client, self._blocking = self._blocking, None
        if client is not None:
            client.close()


def _connect(module: Any, url: str, options: dict[str, Any]) -> Any:
    if "+sentinel" not in url:
        return module.Redis.from_url(url, **options)
    hosts, service, given = sentinel_url(url)
    return module.sentinel.Sentinel(hosts, **options, **given).master_for(service)


def sentinel_url(url: str) -> tuple[list[tuple[str, int]], str, dict[str, Any]]:
    """Hosts, service and connection options of ``redis+sentinel://[user:password@]host[:port],…/db/service``."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    database, _, service = parts.path.strip("/").partition("/")
    given: dict[str, Any] = {"db": int(database)} if database.isdigit() else {}
    if user:
        given["username"] = unquote(user)
    if password:
        given["password"] = unquote(password)
    if parts.scheme.startswith("rediss"):
        given["ssl"] = True
    if not service:
        raise ConfigurationError(f"message_queue={without_password(url)!r}: it ends with /db/service")
    return [_host(host) for host in hosts.split(",")], service, given


def _host(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if text.rpartition(":")[2].isdigit() else (text, "", "")
    return host.strip("[]"), int(port or _SENTINEL_PORT)
