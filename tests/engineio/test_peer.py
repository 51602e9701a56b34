"""A peer whose owner has too much to do: what is held meanwhile comes later, in order, and once."""

import pytest

from greenwire.engineio.peer import Peer


class StubSocket:
    """A WebSocket that remembers whether it is read."""

    paused = False

    def listen(self, on_message):
        self.on_message = on_message

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False


class Owner:
    """Takes messages in, and pauses its peer at those that it was told."""

    def __init__(self, *pauses_at):
        self.peer = Peer("sid", None, 0.0, keeper=None)
        self.peer.owner, self.peer.on_message = self, Owner._take
        self.taken = []
        self.drained = 0
        self._pauses_at = pauses_at

    def _take(self, message):
        self.taken.append(message)
        if message in self._pauses_at:
            self.peer.pause()

    def post(self, *messages):
        self.peer.deliver(list(messages), self._drain)

    def _drain(self):
        self.drained += 1


def test_what_a_post_brings_waits_and_so_does_its_answer():
    owner = Owner("b")
    owner.post("a", "b", "c", "d")
    assert (owner.taken, owner.drained, owner.peer.paused) == (["a", "b"], 0, True)
    owner.peer.resume()
    assert (owner.taken, owner.drained, owner.peer.paused) == (["a", "b", "c", "d"], 1, False)
    owner.peer.resume()
    assert owner.drained == 1


@pytest.mark.parametrize("last", ["c", "d"])
def test_paused_again_by_what_was_held(last):
    owner = Owner("a", "b", last)
    owner.post("a", "b", "c", "d")
    for taken in ("a", "ab"):
        assert (owner.taken, owner.drained, owner.peer.paused) == (list(taken), 0, True)
        owner.peer.resume()
    assert (owner.taken[-1], owner.drained, owner.peer.paused) == (last, 0, True)
    owner.peer.resume()
    assert (owner.taken, owner.drained, owner.peer.paused) == (["a", "b", "c", "d"], 1, False)


def test_an_upgrade_in_a_pause_is_read_when_it_is_over():
    owner, socket = Owner("a"), StubSocket()
    owner.post("a", "b")
    owner.peer.upgraded(socket)
    assert socket.paused
    owner.peer.resume()
    assert (owner.taken, owner.drained, socket.paused) == (["a", "b"], 1, False)


def test_a_websocket_stays_paused_while_what_a_post_has_brought_waits():
    owner, socket = Owner("a", "b"), StubSocket()
    owner.post("a", "b", "c")
    owner.peer.upgraded(socket)
    owner.peer.resume()
    assert (owner.taken, socket.paused) == (["a", "b"], True)
    owner.peer.resume()
    assert (owner.taken, socket.paused) == (["a", "b", "c"], False)
