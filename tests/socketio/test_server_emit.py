"""The bare server's ``emit``: who gets it."""

import pytest

from greenwire.flask.memory import InlineLoop, InlineTasks
from greenwire.socketio.adapter import Special
from greenwire.socketio.server import Server


class StubPeer:
    """A session that keeps the frames it is sent."""

    writable = True

    def __init__(self):
        self.sent = []

    def send(self, packet):
        self.sent.append(packet.parts[0])

    def close(self, *reason):
        pass


@pytest.fixture
def crowd():
    """A server and the sids and peers of three clients, who have heard of their connection."""
    server, loop, peers = Server(), InlineLoop(), {}
    dispatcher = server.bind(loop, loop, InlineTasks(loop), loop, print)
    for _ in range(3):
        peer = StubPeer()
        dispatcher.opened(peer)
        loop.ask(peer.on_message, peer.owner, "0")
        sid = list(dispatcher.spaces["/"].members)[-1]
        peers[sid] = peer
        peer.sent.clear()
    return server, peers


def who_heard(peers):
    return [number for number, peer in enumerate(peers.values()) if peer.sent == [b'42["bid",12]']]


@pytest.mark.parametrize("kind", [str, list, tuple, frozenset, iter])
def test_who_is_skipped_hears_nothing(crowd, kind):
    server, peers = crowd
    first = next(iter(peers))
    server.emit("bid", 12, skip=first if kind is str else kind([first]))
    assert who_heard(peers) == [1, 2]


def test_what_few_emits_want_goes_with_the_rest(crowd):
    server, peers = crowd
    first, second, _ = peers
    server.enter_room(second, "busy")
    server.emit("bid", 12, skip=first, special=Special(except_rooms=("busy",)))
    assert who_heard(peers) == [2]
