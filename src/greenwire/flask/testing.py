"""A client for tests. It speaks to the real server, over memory: what it sends and gets is encoded and decoded,
namespaces, rooms, acknowledgements and sessions are the real ones. See memory.py for when what is done.
"""

import uuid
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import flask
from flask.testing import EnvironBuilder, FlaskClient

from ..engineio.session import Reason
from ..errors import ConfigurationError
from ..socketio.dispatch import as_args
from ..socketio.handlers import normal_namespace
from ..socketio.packet import ACK, BINARY_ACK, BINARY_EVENT, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT, Packet
from ..socketio.wire import Wire
from .given import GivenRequest
from .memory import MemoryPeer, MemorySite, Parts

if TYPE_CHECKING:
    from .extension import SocketIO

Received = dict[str, Any]
_FIRST_ONLY = ("message", "json")  # events whose `args` is the first argument itself


class SocketIOTestClient:
    """Connects when it is made. Several may be connected at the same time.

    Exceptions of handlers are raised by the call that has caused them. A client that a test drops without
    :meth:`close` is forgotten without a word.
    """

    clients: ClassVar["weakref.WeakValueDictionary[str, SocketIOTestClient]"] = weakref.WeakValueDictionary()

    def __init__(
        self,
        app: flask.Flask,
        socketio: "SocketIO",
        namespace: str | None = None,
        query_string: str | Mapping[str, Any] | None = None,
        headers: Any = None,
        auth: Mapping[str, Any] | None = None,
        flask_test_client: FlaskClient | None = None,
    ) -> None:
        self.app = app
        self.socketio = socketio
        self.flask_test_client = flask_test_client
        self.eio_sid = uuid.uuid4().hex
        self.callback_counter = 0
        self._site: MemorySite = socketio._memory_site(app)
        self._inbox = Inbox(socketio._core.wire)
        environ = self._environ(query_string, headers)
        self._peer: MemoryPeer = self._site.open(self.eio_sid, environ, self._inbox.take)
        self._inbox.answer = self._peer.receive
        weakref.finalize(self, self._site.forget, self._peer).atexit = False
        self.clients[self.eio_sid] = self
        self._connect(namespace, auth)

    # --- the connection

    def is_connected(self, namespace: str | None = None) -> bool:
        """Whether it is connected to *namespace*."""
        return self._inbox.connected.get(normal_namespace(namespace), False)

    def connect(
        self,
        namespace: str | None = None,
        query_string: str | Mapping[str, Any] | None = None,
        headers: Any = None,
        auth: Mapping[str, Any] | None = None,
    ) -> None:
        """Connect to one more namespace. With *query_string* or *headers* as if it had connected with them, and
        with a new session."""
        if self.is_connected(namespace):
            raise RuntimeError("already connected")
        if query_string or headers or self._peer.sid not in self._site.peers:
            self._renew(self._environ(query_string, headers))
        self._connect(namespace, auth)

    def disconnect(self, namespace: str | None = None) -> None:
        """Leave *namespace*; the disconnect handler runs."""
        namespace = normal_namespace(namespace)
        if not self.is_connected(namespace):
            raise RuntimeError("not connected")
        del self._inbox.connected[namespace]
        self._send(self._inbox.wire.disconnect(namespace))

    def close(self) -> None:
        """Go away as a browser does that is closed: the disconnect handlers of all namespaces run."""
        self._inbox.connected.clear()
        self._site.loop.post(self._peer.close, Reason.TRANSPORT_CLOSE)
        self._site.settle()

    def connect_error(self, namespace: str | None = None) -> Any:
        """What the server gave as reason when it refused this client: ``{"message": …}``, perhaps with ``"data"``.
        ``None`` where it did not refuse."""
        return self._inbox.refusals.get(normal_namespace(namespace))

    def sid(self, namespace: str | None = None) -> str | None:
        """What ``request.sid`` is in the handlers of *namespace*."""
        return self._inbox.sids.get(normal_namespace(namespace))

    @property
    def connected(self) -> dict[str, bool]:
        """The namespaces that it has asked for, and whether it is connected to them."""
        return self._inbox.connected

    # --- sending

    def emit(self, event: str, *args: Any, callback: bool = False, namespace: str | None = None, **_: Any) -> Any:
        """Send an event. With *callback* the acknowledgement is returned: one value, a list of none or several, or
        ``None`` where there was none.

        A client that is not connected to *namespace* sends nothing.
        """
        namespace = normal_namespace(namespace)
        if not self.is_connected(namespace):
            return None
        ack_id = None
        if callback:
            self.callback_counter += 1
            ack_id = self.callback_counter
        self._send(self._inbox.wire.event(namespace, [event, *args], ack_id))
        answer = self._inbox.acks.pop(ack_id, None) if ack_id is not None else None
        return answer[0] if answer is not None and len(answer) == 1 else answer

    def send(self, data: Any, json: bool = False, callback: bool = False, namespace: str | None = None) -> Any:
        """Send *data* as the event ``message``, or ``json``."""
        return self.emit("json" if json else "message", data, callback=callback, namespace=namespace)

    # --- receiving

    def get_received(self, namespace: str | None = None) -> list[Received]:
        """The events that have come since the last call: ``{"name", "args", "namespace"}``. ``args`` is a list; of
        ``message`` and ``json`` it is the first argument."""
        namespace = normal_namespace(namespace)
        if not self.is_connected(namespace):
            raise RuntimeError("not connected")
        queue = self._inbox.queue
        received = [event for event in queue if event["namespace"] == namespace]
        queue[:] = [event for event in queue if event["namespace"] != namespace]
        return received

    @property
    def queue(self) -> list[Received]:
        """The events that have come, of all namespaces."""
        return self._inbox.queue

    @property
    def acks(self) -> dict[int, list[Any]]:
        """Acknowledgements that nobody has waited for, by id."""
        return self._inbox.acks

    def on(
        self, event: str, handler: Callable[..., Any] | None = None, namespace: str | None = None
    ) -> Callable[..., Any]:
        """Answer *event* as a client's handler does: what *handler* returns is the acknowledgement that a
        ``callback`` or ``call()`` of the server gets. Such events are not in :meth:`get_received`."""

        def register(fn: Callable[..., Any]) -> Callable[..., Any]:
            self._inbox.handlers[normal_namespace(namespace), event] = fn
            return fn

        return register if handler is None else register(handler)

    def advance(self, seconds: float) -> None:
        """Let time pass for the server: a ``timeout=`` of an emit, say."""
        self._site.loop.advance(seconds)

    # --- the inside

    def _connect(self, namespace: str | None, auth: Any) -> None:
        namespace = normal_namespace(namespace)
        self._inbox.refusals.pop(namespace, None)
        self._inbox.connected[namespace] = False
        self._send(self._inbox.wire.request(namespace, auth))

    def _send(self, packet: Any) -> None:
        loop = self._site.loop
        loop.post(self._peer.receive, packet)
        loop.settle(nested=True)  # also inside of a handler: the acknowledgement is wanted now

    def _environ(self, query_string: str | Mapping[str, Any] | None, headers: Any) -> dict[str, Any]:
        if isinstance(query_string, str):
            query_string = query_string.removeprefix("?")
        browser = self.flask_test_client
        base = {"REMOTE_ADDR": "127.0.0.1"} if browser is None else browser.environ_base
        builder = EnvironBuilder(
            self.app, self.socketio.path, query_string=query_string, headers=headers, environ_base=base
        )
        try:
            environ = builder.get_environ()
        finally:
            builder.close()
        if browser is not None:
            browser._add_cookies_to_wsgi(environ)  # the one way to them that knows domain and path
        environ["flask.app"] = self.app
        return environ

    def _renew(self, environ: dict[str, Any]) -> None:
        """From now on this is what it has connected with."""
        if self._peer.sid not in self._site.peers:  # the server has closed the connection: a new one
            self._site = self.socketio._memory_site(self.app)
            self._peer = self._site.open(self.eio_sid, environ, self._inbox.take)
            self._inbox.answer = self._peer.receive
            weakref.finalize(self, self._site.forget, self._peer).atexit = False
            return
        self._peer.request = GivenRequest(environ)
        client = self._site.client(self._peer)
        if client is not None:
            client.context = None


class Inbox:
    """What has come from the server. It does not know its client, so that one can be forgotten."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.answer: Callable[[Any], None] = _nobody
        self.connected: dict[str, bool] = {}
        self.sids: dict[str, str] = {}
        self.refusals: dict[str, Any] = {}
        self.queue: list[Received] = []
        self.acks: dict[int, list[Any]] = {}
        self.handlers: dict[tuple[str, str], Callable[..., Any]] = {}

    def take(self, parts: Parts) -> None:
        """One packet."""
        packet = self.wire.read(parts)
        namespace = packet.namespace
        match packet.type:
            case t if t == CONNECT:
                self.connected[namespace] = True
                self.sids[namespace] = packet.data["sid"]
            case t if t == CONNECT_ERROR:
                self.connected[namespace] = False
                self.refusals[namespace] = packet.data
            case t if t == DISCONNECT:
                self.connected[namespace] = False
            case t if t in (ACK, BINARY_ACK):
                assert packet.ack_id is not None
                self.acks[packet.ack_id] = packet.data
            case t if t in (EVENT, BINARY_EVENT):
                self._event(packet)

    def _event(self, packet: Packet) -> None:
        name, *args = packet.data
        handler = self.handlers.get((packet.namespace, name))
        if handler is None:
            shown = (args[0] if args else None) if name in _FIRST_ONLY else args
            self.queue.append({"name": name, "args": shown, "namespace": packet.namespace})
            return
        result = handler(*args)
        if packet.ack_id is not None:
            self.answer(self.wire.ack(packet.namespace, as_args(result), packet.ack_id))


def _nobody(packet: Any) -> None:
    raise ConfigurationError("the test client has no connection")
