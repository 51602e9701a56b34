"""A client that sends faster than it may is read no faster than it may; nothing is lost, nobody else waits."""

import time

import pytest

from greenwire.errors import EncodeError
from greenwire.limits import Limits
from support.engine import Client, Polling
from support.healthy import Healthy
from support.site import Site, new_socketio
from support.waiting import Log


def make(**options):
    socketio = new_socketio(**options)
    socketio.notes = Log()
    socketio.on("echo")(lambda data: data)
    socketio.on("note")(lambda data: socketio.notes.append(data))
    return socketio


@pytest.mark.parametrize("ordered", [False, True])
def test_a_fast_client_is_slowed_down(ordered):
    socketio = make(limits=Limits(events_per_second=200), async_handlers=not ordered)
    with Site(socketio) as site, Client(site.port) as fast, Client(site.port) as other:
        fast.join()
        other.join()
        start = time.monotonic()
        for n in range(600):
            fast.emit("note", n)
        assert other.call("echo", 1) == [1]
        noted = len(socketio.notes)
        assert noted <= 200 + 200 * (time.monotonic() - start) + 1  # it did not wait for them
        assert sorted(socketio.notes.wait_for(600)) == list(range(600))
        assert time.monotonic() - start > 1.9


def test_over_polling_the_answer_waits():
    socketio = make(limits=Limits(events_per_second=100))
    with Site(socketio) as site, Polling(site.port) as polling:
        polling.join()
        start = time.monotonic()
        polling.say(*(f'42["note",{n}]' for n in range(150)))
        assert time.monotonic() - start > 0.4
        assert sorted(socketio.notes.wait_for(150)) == list(range(150))


def test_a_client_that_leaves_while_it_waits():
    socketio = make(limits=Limits(events_per_second=10))
    with Site(socketio) as site, StillServes(site):
        for _ in range(10):
            with Client(site.port) as client:
                client.join()
                for n in range(15):
                    client.emit("note", n)
                client.reset()
        site.wait_for_members(0)


class StillServes:
    """Looks at the end whether a new client is served."""

    def __init__(self, site):
        self._site = site

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with Client(self._site.port) as client:
            client.join()
            assert client.call("echo", 1) == [1]


def test_without_the_limit_nobody_waits():
    socketio = make()
    with Site(socketio) as site, Healthy(site.port), Client(site.port) as client:
        client.join()
        for n in range(3_000):
            client.emit("note", n)
        assert len(socketio.notes.wait_for(3_000)) == 3_000


def test_too_many_attachments_are_an_error_at_the_emit():
    socketio = make(limits=Limits(attachments_sent=2))
    failed = Log()

    @socketio.on("ask")
    def ask(count):
        try:
            socketio.emit("parts", [bytes([n]) for n in range(count)])
        except EncodeError as error:
            failed.append(str(error))
        return "done"

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        client.emit("ask", 2)
        assert client.packet().startswith("452-")
        assert [client.receive(), client.receive()] == [b"\0", b"\1"]
        assert client.call("ask", 3) == ["done"]
        assert "attachments_sent" in failed.wait_for(1)[0]
