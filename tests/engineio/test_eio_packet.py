"""Engine.IO packets in all their wire forms."""

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenwire.engineio.packet import (
    CLOSE_PACKET,
    NOOP_PACKET,
    PING_PACKET,
    PROBE_REPLY,
    Outgoing,
    decode_payload,
    message,
    open_packet,
)
from greenwire.errors import RemoteProtocolError
from support.rawframes import BINARY, TEXT, Frame, parse

TEXTS = st.text(st.characters(exclude_characters="\x1e", exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("packet", "wire"),
    [
        (PING_PACKET, b"2"),
        (CLOSE_PACKET, b"1"),
        (NOOP_PACKET, b"6"),
        (PROBE_REPLY, b"3probe"),
        (message(""), b"4"),
        (message("hello"), b"4hello"),
        (message("€"), b"4\xe2\x82\xac"),
    ],
)
def test_text_packets(packet, wire):
    assert packet.payload == wire
    assert parse(packet.frame) == [Frame(TEXT, wire)]


@pytest.mark.parametrize(
    ("data", "payload"), [(b"", b"b"), (b"\x01\x02\x03\x04", b"bAQIDBA=="), (b"\xfb\xff", b"b+/8=")]
)
def test_binary_messages_have_no_type_digit(data, payload):
    packet = message(data)
    assert packet.payload == payload
    assert parse(packet.frame) == [Frame(BINARY, data)]


def test_a_packet_and_its_attachments_stay_together():
    packet = Outgoing(b'451-["a",{"_placeholder":true,"num":0}]', (b"\x01\x02\x03", b"x" * 200))
    assert parse(packet.frame) == [
        Frame(TEXT, b'451-["a",{"_placeholder":true,"num":0}]'),
        Frame(BINARY, b"\x01\x02\x03"),
        Frame(BINARY, b"x" * 200),
    ]
    assert packet.payload == b'451-["a",{"_placeholder":true,"num":0}]\x1ebAQID\x1eb' + b64encode(b"x" * 200)


def test_each_form_is_made_once():
    packet = message("x")
    assert packet.frame is packet.frame
    assert packet.payload is packet.payload


def test_the_handshake_has_these_five_keys_in_milliseconds():
    packet = open_packet(
        "lv_VI97HAXpY6yYWAAAC", upgrades=["websocket"], ping_interval_s=0.3, ping_timeout_s=20, max_payload_bytes=1000
    )
    assert packet.payload[:1] == b"0"
    assert json.loads(packet.payload[1:]) == {
        "sid": "lv_VI97HAXpY6yYWAAAC",
        "upgrades": ["websocket"],
        "pingInterval": 300,
        "pingTimeout": 20_000,
        "maxPayload": 1000,
    }


@pytest.mark.parametrize(
    ("body", "packets"),
    [
        (b"4hello", ["4hello"]),
        (b"4", ["4"]),
        (b"4hello\x1e2\x1e4world", ["4hello", "2", "4world"]),
        (b"4hello\x1ebAQIDBA==", ["4hello", b"\x01\x02\x03\x04"]),
        (b"b", [b""]),
        (b"4b", ["4b"]),
        ("4€\x1e4é".encode(), ["4€", "4é"]),
        (b"1", ["1"]),
        (b"0\x1e3\x1e5\x1e6", ["0", "3", "5", "6"]),
    ],
)
def test_payloads(body, packets):
    assert decode_payload(body) == packets


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x1e",
        b"4a\x1e",
        b"\x1e4a",
        b"4a\x1e\x1e4b",
        b"7",
        b"hello",
        b" 4",
        b"b*",
        b"bAQI",
        b"bAQID BA==",
        b"b-_8=",  # base64url is another alphabet
        b"bAA==AA==",
        b"4\xff",
        b"\xff",
        b"4\xed\xa0\x80",
        "٤hello".encode(),  # a digit, but not ASCII's
        b"\xef\xbb\xbf4x",
    ],
)
def test_what_is_no_payload(body):
    with pytest.raises(RemoteProtocolError):
        decode_payload(body)


@given(st.lists(TEXTS | st.binary(max_size=200), min_size=1, max_size=8))
def test_what_is_sent_by_polling_is_what_comes_back(messages):
    packets = [message(data) for data in messages]
    decoded = decode_payload(b"\x1e".join(packet.payload for packet in packets))
    assert decoded == [data if isinstance(data, bytes) else "4" + data for data in messages]
    frames = parse(b"".join(packet.frame for packet in packets))
    assert [frame.payload for frame in frames] == [
        data if isinstance(data, bytes) else b"4" + data.encode() for data in messages
    ]


@given(st.binary(max_size=100) | st.lists(st.sampled_from([b"4", b"b", b"\x1e", b"AQID", b"=", b"\xff"])).map(b"".join))
def test_garbage_is_refused_or_packets(body):
    try:
        packets = decode_payload(body)
    except RemoteProtocolError:
        return
    assert packets
    for packet in packets:
        assert isinstance(packet, bytes) or packet[0] in "0123456"
