"""Every other message queue, by Kombu: AMQP (RabbitMQ), Kafka, SQS, …, in two threads.

As python-socketio does it: a fanout exchange that has the name of the channel, the message as text, and for each server
a queue of its own that the broker forgets some time after the server is gone.

Kombu waits, and a loop must not: one thread listens, one publishes. In the server what is to be published waits in a
queue of bounded size.
"""

import logging
import queue
import threading
import uuid
from typing import Any

from ..errors import ConfigurationError
from ..limits import Limits
from ..loop import Loop
from ..quiet import QuietLog
from .broker import FIRST_PAUSE_S, LONGEST_PAUSE_S, Receive, missing, without_password

log = logging.getLogger("greenwire")

_LOOK_S = 0.5  # how long the listening thread waits before it looks whether it is to end
_END_S = 5.0
_QUEUE_EXPIRES_S = 300.0  # python-socketio's
_QUEUED = 10_000  # messages; together with queue_waiting_bytes

Options = dict[str, Any] | None


class KombuBroker:
    """One channel of a message queue that Kombu can reach."""

    def __init__(
        self,
        url: str,
        channel: str,
        connection_options: Options = None,
        exchange_options: Options = None,
        queue_options: Options = None,
        producer_options: Options = None,
    ) -> None:
        try:
            import kombu
        except ImportError:
            raise missing(url, "kombu") from None
        self.name = without_password(url)
        self.listening = False
        self._url = url
        self._channel = channel
        self._connection_options = connection_options or {}
        self._exchange_options = {"type": "fanout", "durable": False, **(exchange_options or {})}
        self._queue_options = {
            "durable": False,
            "queue_arguments": {"x-expires": int(_QUEUE_EXPIRES_S * 1000)},
            **(queue_options or {}),
        }
        self._producer_options = producer_options or {}
        self._kombu: Any = kombu
        self._lock = threading.Lock()
        self._producer: Any = None  # of whoever publishes
        self._outbox: queue.Queue[bytes | None] = queue.Queue(_QUEUED)
        self._waiting_bytes = 0
        self._limit = 0
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        try:
            self._failures: tuple[type[Exception], ...] = (
                OSError,
                *self._connect().recoverable_connection_errors,
                *self._connect().recoverable_channel_errors,
            )
        except (KeyError, ImportError, ValueError) as error:
            raise ConfigurationError(
                f"message_queue={self.name!r}: Kombu knows no such queue ({error});"
                " redis://, rediss://, unix://, amqp:// and others of Kombu's are supported"
            ) from None

    def _connect(self) -> Any:
        return self._kombu.Connection(self._url, **self._connection_options)

    def _exchange(self) -> Any:
        return self._kombu.Exchange(self._channel, **self._exchange_options)

    # --- in a server

    def start(self, loop: Loop, limits: Limits, quiet: QuietLog, receive: Receive) -> None:
        self._loop = loop
        self._quiet = quiet
        self._receive = receive
        self._limit = limits.queue_waiting_bytes
        self._ending.clear()
        for target in (self._keep_listening, self._keep_publishing):
            thread = threading.Thread(target=target, name="greenwire-queue", daemon=True)
            self._threads.append(thread)
            thread.start()

    def publish(self, message: bytes) -> None:
        try:
            if self._waiting_bytes + len(message) > self._limit:
                raise queue.Full
            self._outbox.put_nowait(message)
            self._waiting_bytes += len(message)
        except queue.Full:
            warning = "an event for other processes is dropped: %s is slow or away (limit 'queue_waiting_bytes')"
            self._quiet.warning("outbox", warning, self.name)

    def stop(self) -> None:
        self._ending.set()
        try:
            self._outbox.put(None, timeout=_END_S)
        except queue.Full:
            log.warning("%d events for other processes are lost: %s takes none", self._outbox.qsize(), self.name)
        for thread in self._threads:
            thread.join(_END_S)
        self._threads.clear()
        self._waiting_bytes = 0  # the loop hears no more of what has been published

    def _keep_publishing(self) -> None:
        while (message := self._outbox.get()) is not None:
            self.write(message)
            self._loop.post(self._published, len(message))
        self.close()

    def _published(self, size: int) -> None:
        self._waiting_bytes -= size

    def _keep_listening(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._ending.is_set():
            try:
                self._listen()
            except self._failures as error:
                if self.listening:
                    pause_s = FIRST_PAUSE_S
                message = "cannot read from the message queue at %s: %s; trying again in %g s"
                self._loop.post(self._quiet.warning, "queue", message, self.name, error, pause_s)
            self.listening = False
            self._ending.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _listen(self) -> None:
        name = f"greenwire.{uuid.uuid4()}"
        source = self._kombu.Queue(name, self._exchange(), **self._queue_options)
        with self._connect() as connection, connection.SimpleQueue(source) as messages:
            self.listening = True
            log.info("connected to the message queue at %s", self.name)
            while not self._ending.is_set():
                try:
                    message = messages.get(block=True, timeout=_LOOK_S)
                except messages.Empty:
                    continue
                message.ack()
                self._loop.post(self._receive, _bytes(message.body))

    # --- from any thread

    def write(self, message: bytes) -> None:
        """Publish, trying twice: the connection may have been closed because nobody used it."""
        with self._lock:
            for attempt in (1, 2):
                try:
                    self._publish(message)
                    return
                except self._failures as error:
                    self._disconnect()
                    if attempt == 2:
                        log.error("cannot write to the message queue at %s: %s; the event is lost", self.name, error)

    def close(self) -> None:
        with self._lock:
            self._disconnect()

    def _publish(self, message: bytes) -> None:
        if self._producer is None:
            connection = self._connect()
            connection.connect()  # now, so that one who does not answer fails here
            self._producer = connection.Producer(exchange=self._exchange(), **self._producer_options)
        self._producer.publish(
            message.decode(), content_type="text/plain", content_encoding="utf-8", declare=[self._exchange()]
        )

    def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.connection.release()
            except self._failures:
                pass  # it is gone already


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)
