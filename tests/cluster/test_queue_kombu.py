"""The queues that Kombu reaches, by its transport in memory."""

import json
import logging

import kombu
import pytest

from greenwire.cluster import KombuQueue
from greenwire.cluster.kombu import KombuBroker
from greenwire.errors import ConfigurationError
from greenwire.flask import SocketIO
from greenwire.limits import Limits
from greenwire.quiet import QuietLog
from support.site import Site, new_socketio
from support.waiting import Log, wait_until

URL = "memory://cluster"


@pytest.fixture
def site():
    socketio = new_socketio(message_queue=URL)
    with Site(socketio) as site:
        wait_until(lambda: socketio.queue.broker.listening, "it listens")
        yield site
        site.close_all()


@pytest.fixture
def emitter():
    socketio = SocketIO(message_queue=URL)
    yield socketio
    socketio.queue.broker.close()


def test_an_emitter_reaches_clients(site, emitter):
    import socketio as peer

    notes = Log()
    client = peer.Client(reconnection=False)
    client.on("x", lambda *args: notes.append(args))
    client.connect(site.url, transports=["websocket"])
    emitter.emit("x", ("a", {"b": b"\0"}))
    emitter.emit("x", "end")
    assert notes.wait_for(2) == [("a", {"b": b"\0"}), ("end",)]
    client.disconnect()


def test_a_server_publishes_what_others_read(site):
    with kombu.Connection(URL) as connection:
        exchange = kombu.Exchange("flask-socketio", type="fanout", durable=False)
        with connection.SimpleQueue(kombu.Queue("theirs", exchange, durable=False)) as queue:
            site.socketio.emit("x", 1, to="r")
            message = queue.get(timeout=10)
            message.ack()
    fields = json.loads(message.payload)
    assert (fields["method"], fields["event"], fields["data"], fields["room"]) == ("emit", "x", [1], "r")
    assert message.content_type == "text/plain"


def test_python_socketios_manager_reaches_clients(site):
    import socketio as peer

    notes = Log()
    client = peer.Client(reconnection=False)
    client.on("x", lambda *args: notes.append(args))
    client.connect(site.url, transports=["websocket"])
    manager = peer.KombuManager(URL, channel="flask-socketio", write_only=True)
    manager.emit("x", [1, 2], namespace="/")
    assert notes.wait_for(1) == [([1, 2],)]
    client.disconnect()


class EndedLoop:
    """What is posted to it goes nowhere, as to a loop that has been closed."""

    def post(self, fn, *args):
        pass


def test_what_was_published_while_the_loop_ended_does_not_wait_for_ever(caplog):
    broker, quiet = KombuBroker(URL, "elsewhere"), QuietLog(logging.getLogger("greenwire"), float)
    for _ in range(3):
        broker.start(EndedLoop(), Limits(queue_waiting_bytes=10), quiet, print)
        broker.publish(b"0123456789")
        broker.stop()
    assert "dropped" not in caplog.text


def test_a_queue_that_kombu_does_not_know():
    with pytest.raises(ConfigurationError, match="Kombu knows no such queue"):
        new_socketio(message_queue="nonsense://host")


def test_as_client_manager():
    queue = KombuQueue(URL, channel="mine", exchange_options={"durable": True}, write_only=True)
    assert (queue.write_only, queue.channel) == (True, "mine")
    assert SocketIO(client_manager=queue).queue.broker is queue.broker
