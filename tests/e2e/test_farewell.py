"""A client that is dismissed while it speaks: what happened is acknowledged."""

import pytest

from greenwire.drain import Drain
from support.engine import Client, Polling
from support.site import Site, new_socketio
from support.waiting import wait_until


@pytest.mark.parametrize("kind", [Polling, Client])
def test_an_event_between_the_look_and_the_dismissal(kind):
    """Its handler may be done before the dismissal's turn; its acknowledgement then stands behind that."""
    socketio = new_socketio()
    happened = []
    socketio.on("note")(happened.append)
    with Site(socketio) as site, kind(site.port) as client:
        client.join()
        (peer,) = site.peers.values()
        if kind is Polling:
            client.send_request("GET", client.target)
            wait_until(lambda: peer.session.holds_poll)

        def talk_while_it_drains() -> None:
            drain = Drain(site.service.loop, site.service.server, [site.engine], 8.0, lambda: None)
            site.service.loop.call_later(1.0, drain.cancel)
            site.service.runner.start(lambda: None)  # another client's: ours runs in the same moment of standing by
            drain._farewells[peer.sid]._look()
            peer.deliver(['21["note","x"]'], lambda: None)

        site.service.loop.post_behind(talk_while_it_drains)
        told = client.response().body if kind is Polling else client.receive_frame()[1]
        assert told == (b"431[]" if happened else b"1" if kind is Polling else (1001).to_bytes(2))
