"""A client that refuses long payloads gets short ones, and everything, in order."""

import pytest

from greenwire.engineio.packet import Outgoing, message
from greenwire.engineio.session import Session
from greenwire.limits import DEFAULT


def polled(session):
    replies = []
    session.poll_arrives(replies.append)
    return replies[0].split(b"\x1e") if replies else None


def session_for(payload_packets):
    ignore = lambda *_: None  # noqa: E731
    return Session("sid", DEFAULT, wake=ignore, on_pong=ignore, on_closed=ignore, payload_packets=payload_packets)


@pytest.mark.parametrize(("number", "sizes"), [(15, [15]), (16, [16]), (17, [16, 1]), (40, [16, 16, 8])])
def test_payloads_are_no_longer_than_the_client_takes(number, sizes):
    session = session_for(16)
    for n in range(number):
        session.send(message(str(n)))
    payloads = [polled(session) for _ in sizes]
    assert [len(payload) for payload in payloads] == sizes
    assert [packet for payload in payloads for packet in payload] == [b"4%d" % n for n in range(number)]
    assert polled(session) is None


def test_attachments_count_and_stay_with_their_packet():
    session = session_for(4)
    for n in range(3):
        session.send(Outgoing(b"4%d" % n, (b"x", b"y")))
    assert [polled(session) for _ in range(3)] == [[b"4%d" % n, b"beA==", b"beQ=="] for n in range(3)]


def test_a_packet_that_is_longer_than_that_goes_alone():
    session = session_for(2)
    session.send(Outgoing(b"4a", (b"x", b"y")))
    session.send(message("b"))
    assert [len(polled(session)), len(polled(session))] == [3, 1]
