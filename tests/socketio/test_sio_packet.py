"""Socket.IO packets: their wire forms, both ways, and what garbage does to the decoder."""

import math
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greenwire.errors import EncodeError, RemoteProtocolError
from greenwire.socketio.packet import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    EVENT,
    Json,
    Packet,
    ack_encoder,
    attach,
    decode,
    encode_connect,
    encode_connect_error,
    encode_disconnect,
    event_encoder,
)
from support.rawframes import BINARY, parse

MAX_ATTACHMENTS, MAX_DIGITS = 10, 18


def read(text):
    return decode(Json, text, MAX_ATTACHMENTS, MAX_DIGITS)


def wire(outgoing):
    """The text behind the Engine.IO digit, and the attachments."""
    first, *rest = parse(outgoing.frame)
    text = first.payload.decode()
    assert text[0] == "4"
    assert all(frame.opcode == BINARY for frame in rest)
    return text[1:], [frame.payload for frame in rest]


def back(outgoing):
    """What a client makes of a packet of ours."""
    text, attachments = wire(outgoing)
    packet = decode(Json, text, max(len(attachments), 1), MAX_DIGITS)
    assert packet.attachments == len(attachments)
    return packet._replace(data=attach(packet.data, attachments))


# --- the wire, as in the tables of the protocol


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (encode_connect(Json, "/", "S"), '0{"sid":"S"}'),
        (encode_connect(Json, "/chat", "S"), '0/chat,{"sid":"S"}'),
        (encode_connect_error(Json, "/nope", {"message": "Invalid"}), '4/nope,{"message":"Invalid"}'),
        (encode_disconnect("/"), "1"),
        (encode_disconnect("/chat"), "1/chat,"),
        (event_encoder(Json)("/", ["a"]), '2["a"]'),
        (event_encoder(Json)("/", ["a", 1, None, True, 1.5, "é"]), '2["a",1,null,true,1.5,"é"]'),
        (event_encoder(Json)("/chat", ["a"], 0), '2/chat,0["a"]'),
        (event_encoder(Json)("/", ["a"], 12), '212["a"]'),
        (ack_encoder(Json)("/", [], 7), "37[]"),
        (ack_encoder(Json)("/chat", ["ok"], 7), '3/chat,7["ok"]'),
    ],
)
def test_text_packets(packet, text):
    assert wire(packet) == (text, [])


def test_binary_packets():
    packet = event_encoder(Json)("/", ["a", {"x": [b"\x01", "t", b"\x02"]}])
    assert wire(packet) == (
        '52-["a",{"x":[{"_placeholder":true,"num":0},"t",{"_placeholder":true,"num":1}]}]',
        [b"\x01", b"\x02"],
    )
    assert packet.payload == b"4" + wire(packet)[0].encode() + b"\x1ebAQ==\x1ebAg=="
    assert wire(ack_encoder(Json)("/n", [b"x"], 3)) == ('61-/n,3[{"_placeholder":true,"num":0}]', [b"x"])


def test_only_events_and_acknowledgements_may_hold_bytes():
    with pytest.raises(EncodeError):
        encode_connect_error(Json, "/", {"message": "no", "data": b"x"})


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", Packet("0", "/", None, 0, None)),
        ('0{"token":"x"}', Packet("0", "/", None, 0, {"token": "x"})),
        ("0/foo", Packet("0", "/foo", None, 0, None)),
        ("0/foo,", Packet("0", "/foo", None, 0, None)),
        ('0/foo,{"a":1}', Packet("0", "/foo", None, 0, {"a": 1})),
        ("0/foo?token=x,", Packet("0", "/foo", None, 0, None)),
        ('0/foo?a=1,{"b":2}', Packet("0", "/foo", None, 0, {"b": 2})),
        ("1", Packet("1", "/", None, 0, None)),
        ("1/custom", Packet("1", "/custom", None, 0, None)),
        ("1/custom,", Packet("1", "/custom", None, 0, None)),
        ('2["a"]', Packet("2", "/", None, 0, ["a"])),
        ("2[1]", Packet("2", "/", None, 0, [1])),
        ('20["a"]', Packet("2", "/", 0, 0, ["a"])),
        ('2/foo,12["a",{"b":[]}]', Packet("2", "/foo", 12, 0, ["a", {"b": []}])),
        ('2999999999999999999["a"]', Packet("2", "/", 999_999_999_999_999_999, 0, ["a"])),
        ('2["a",{"_placeholder":true,"num":0}]', Packet("2", "/", None, 0, ["a", {"_placeholder": True, "num": 0}])),
        ("313[]", Packet("3", "/", 13, 0, [])),
        ("3/foo,13[null]", Packet("3", "/foo", 13, 0, [None])),
        ('51-["a"]', Packet("5", "/", None, 1, ["a"])),
        ('510-/foo,7["a"]', Packet("5", "/foo", 7, 10, ["a"])),
        ("61-/foo,7[1]", Packet("6", "/foo", 7, 1, [1])),
        ('2["a","\\ud83d"]', Packet("2", "/", None, 0, ["a", "\ud83d"])),  # half an emoji
        ('2["\\uD83d\\ude00"]', Packet("2", "/", None, 0, ["😀"])),
        ("2/é,[1]", Packet("2", "/é", None, 0, [1])),
    ],
)
def test_packets_from_clients(text, packet):
    assert read(text) == packet


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "x",
        "[]",
        " 2[1]",
        # connect: an object or nothing
        *("0" + data for data in ("[]", "null", '"x"', "1.5", "true", "{", "/foo,[]")),
        # disconnect: nothing
        "1{}",
        "1[]",
        "1/foo,null",
        # event: a list that begins with a name
        *("2" + data for data in ("", "[]", "{}", "null", '"a"', "[null]", "[[]]", "[{}]", "[1.5]", "/foo", "/foo,")),
        "212",
        # acknowledgement: a list, and an id
        "3[]",
        "31",
        "31{}",
        "3/foo,[]",
        "61-[]",
        # connect error: from servers only
        '4{"message":"x"}',
        "4",
        '4"x"',
        # attachments: counted, in binary packets, and only there
        '5["a"]',
        '50-["a"]',
        '511-["a"]',
        '5-["a"]',
        '5-1-["a"]',
        '5x-["a"]',
        '5٣-["a"]',
        '500001-["a"]',
        "5" + "9" * 100 + '-["a"]',
        '51.5-["a"]',
        '21-["a"]',
        "01-",
        # JSON that is none
        *("2" + data for data in ('["a"', '["a"]x', '["a",]', "['a']", '["a",NaM]', '["a",Infinit]', '["\x1f"]')),
        '2["a",01]',
        '2["\\ud800",NaM',
        '2["\\ud800"',
        '2["\\ud80"]',
        '2/foo["a"]',
        '2/foo,x["a"]',
        '2-1["a"]',
        '2٣["a"]',
    ],
)
def test_what_is_no_packet_of_a_client(text):
    with pytest.raises(RemoteProtocolError):
        read(text)


@pytest.mark.parametrize(("limit", "good"), [(1, False), (2, True), (3, True)])
def test_attachments_at_the_limit_and_one_past(limit, good):
    if good:
        assert decode(Json, '52-["a"]', limit, MAX_DIGITS).attachments == 2
    else:
        with pytest.raises(RemoteProtocolError, match="attachments"):
            decode(Json, '52-["a"]', limit, MAX_DIGITS)


def test_ack_id_digits_at_the_limit_and_one_past():
    assert read("2" + "1" * MAX_DIGITS + '["a"]').ack_id == int("1" * MAX_DIGITS)
    with pytest.raises(RemoteProtocolError):
        read("2" + "1" * (MAX_DIGITS + 1) + '["a"]')


@pytest.mark.parametrize(
    "text",
    [
        "2" + "9" * 1_000_000,
        "2" + "9" * 1_000_000 + '["a"]',
        "5" + "9" * 1_000_000 + '-["a"]',
        "5" + "1-" * 500_000,
        "0/" + "?" * 1_000_000,
        "0/" + "a" * 1_000_000 + "?",
        '2["a",' + "9" * 1_000_000,
        '2["a",0.' + "9" * 1_000_000,
        '2["a",1e' + "9" * 1_000_000,
        '2["a",' + "[" * 1_000_000,
        '2["a",' + '{"a":' * 200_000,
        '2["a","' + "\\" * 999_999,
        '2["\\ud800",' + "9" * 1_000_000 + "]",
        '2["\\ud800",' + "[" * 1_000_000,
        '2["' + "\\ud800" * 150_000,
    ],
)
def test_a_megabyte_of_malice_takes_no_time(text):
    started = time.process_time()
    try:
        read(text)
    except RemoteProtocolError:
        pass
    # Linear work takes some ms; quadratic work on a million digits takes many seconds.
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("depth", [10, 500, 1000, 5000, 300_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_bounded(depth, opens, closes):
    text = '51-["a",' + opens * depth + '{"_placeholder":true,"num":0}' + closes * depth + "]"
    try:
        data = attach(read(text).data, [b"x"])
    except RemoteProtocolError:
        assert depth > 500
        return
    inner = data[1]
    for _ in range(depth):
        inner = inner[0] if opens == "[" else inner["a"]
    assert inner == b"x"


# --- placeholders


@pytest.mark.parametrize("number", [0, 1])
def test_placeholders_in_range(number):
    assert attach(["a", {"x": [{"_placeholder": True, "num": number}]}], [b"0", b"1"]) == ["a", {"x": [b"%d" % number]}]


@pytest.mark.parametrize("number", [-1, 2, 10**30, 0.0, "0", None, True, False, [], {}])
def test_placeholders_out_of_range(number):
    with pytest.raises(RemoteProtocolError):
        attach(["a", {"_placeholder": True, "num": number}], [b"0", b"1"])


def test_a_placeholder_without_a_number():
    with pytest.raises(RemoteProtocolError):
        attach(["a", {"_placeholder": True}], [b"0"])


def test_an_attachment_may_stand_twice_or_nowhere():
    place = {"_placeholder": True, "num": 0}
    assert attach(["a", place, place], [b"0", b"1"]) == ["a", b"0", b"0"]


@pytest.mark.parametrize("almost", [{"_placeholder": False, "num": 0}, {"_placeholder": 1, "num": 9}, {"num": 7}])
def test_what_only_looks_like_a_placeholder(almost):
    assert attach(["a", almost], [b"0"]) == ["a", almost]


# --- there and back

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(max_size=20)
)
KEYS = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda key: key != "_placeholder")
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


@given(VALUES, st.none() | st.integers(0, 10**18 - 1), st.sampled_from(["/", "/chat", "/é x"]))
def test_events_come_back(value, ack_id, namespace):
    packet = back(event_encoder(Json)(namespace, ["ev", value], ack_id))
    assert (packet.namespace, packet.ack_id, packet.data) == (namespace, ack_id, ["ev", value])
    assert packet.type == (BINARY_EVENT if packet.attachments else EVENT)


@given(st.lists(VALUES, max_size=3), st.integers(0, 10**18 - 1))
def test_acknowledgements_come_back(args, ack_id):
    packet = back(ack_encoder(Json)("/", args, ack_id))
    assert (packet.data, packet.ack_id) == (args, ack_id)
    assert packet.type == (BINARY_ACK if packet.attachments else ACK)


@dataclass
class Point:
    x: Any
    y: Any


class Color(Enum):
    RED = "red"


UNUSUAL = st.sampled_from(
    [
        ((1, (b"x", 2)), [1, [b"x", 2]]),
        (bytearray(b"x"), b"x"),
        (memoryview(b"xyz")[::2], b"xz"),
        (float("nan"), None),
        (float("-inf"), None),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (Decimal("12.00"), "12.00"),
        ({1: "a", None: "b", False: "c"}, {"1": "a", "null": "b", "false": "c"}),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Point(1, b"y"), {"x": 1, "y": b"y"}),
        (Point([], float("nan")), {"x": [], "y": None}),
        (Color.RED, "red"),
        ({2: b"x"}, {"2": b"x"}),
        ({1.5: 1}, {"1.5": 1}),
        (frozenset([7]), [7]),
        (2**70, 2**70),
        (-(2**70), -(2**70)),
        ({"n": 2**64}, {"n": 2**64}),
    ]
)


def same(got, wanted):
    """Equal; integers beyond 64 bits as JavaScript sees them."""
    if isinstance(wanted, list):
        return isinstance(got, list) and len(got) == len(wanted) and all(map(same, got, wanted))
    if isinstance(wanted, dict):
        return isinstance(got, dict) and got.keys() == wanted.keys() and all(same(got[k], wanted[k]) for k in wanted)
    if isinstance(wanted, int) and abs(wanted) >= 2**63:
        return float(got) == float(wanted)
    return got == wanted and type(got) is type(wanted)


@settings(max_examples=300)
@given(st.lists(UNUSUAL | VALUES.map(lambda value: (value, value)), min_size=1, max_size=5), st.booleans())
def test_what_json_alone_has_no_form_for_in_any_combination(pairs, in_tuple):
    given_values = [value for value, _ in pairs]
    packet = back(event_encoder(Json)("/", ["ev", tuple(given_values) if in_tuple else given_values]))
    assert same(packet.data, ["ev", [wanted for _, wanted in pairs]])


@pytest.mark.parametrize(("text", "value"), [("NaN", math.nan), ("-Infinity", -math.inf), ("Infinity", math.inf)])
def test_what_pythons_own_json_writes_is_read(text, value):
    found = decode(Json, f'2["a",{text}]', 0, 0).data[1]
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_a_lone_surrogate_reaches_a_javascript_client_as_it_is():
    text, _ = wire(event_encoder(Json)("/", ["a", "\ud800", {"\udfff": b"x"}]))
    assert text == '51-["a","\\ud800",{"\\udfff":{"_placeholder":true,"num":0}}]'


def test_the_digits_of_a_big_integer_are_all_sent():
    assert wire(event_encoder(Json)("/", ["a", 2**100]))[0] == f'2["a",{2**100}]'


def test_one_bytes_object_is_one_attachment_wherever_it_stands():
    data = b"x" * 1000
    text, attachments = wire(event_encoder(Json)("/", ["a", data, {"again": data}, (data,)]))
    assert attachments == [data]
    assert text.count('"num":0') == 3


def test_equal_bytes_that_are_two_objects_both_arrive():
    one, two = bytearray(b"x"), bytearray(b"x")
    assert back(event_encoder(Json)("/", ["a", one, two])).data == ["a", b"x", b"x"]


class Copying:
    """A codec that makes its own copy of everything it writes, as some do."""

    plain = staticmethod(Json.plain)
    loads = staticmethod(Json.loads)

    @staticmethod
    def dumps(value, default):
        def plain(item):
            if isinstance(item, list):
                return [plain(inner) for inner in item]
            if isinstance(item, bytearray):
                return default(memoryview(bytes(item)))
            return item

        return Json.dumps(plain(value), default)


def test_a_codec_may_hand_over_bytes_that_it_does_not_keep():
    values = [bytearray([n]) for n in range(50)]
    assert back(event_encoder(Copying)("/", ["a", *values])).data == ["a", *map(bytes, values)]


def test_what_was_sent_is_what_it_was_at_the_time():
    data = bytearray(b"before")
    packet = event_encoder(Json)("/", ["a", data])
    data[:] = b"after!"
    assert back(packet).data == ["a", b"before"]


@pytest.mark.parametrize("value", [object(), {b"x": 1}, {(1, 2): 3}, 1j, lambda: 0, {"a": [object()]}])
def test_what_cannot_be_sent_is_an_error_that_is_a_type_error(value):
    with pytest.raises(EncodeError) as caught:
        event_encoder(Json)("/", ["a", value])
    assert isinstance(caught.value, TypeError)


def test_the_error_names_the_type():
    with pytest.raises(EncodeError, match="Room has no JSON form"):
        event_encoder(Json)("/", ["a", {"x": type("Room", (), {})()}])


def test_a_list_that_holds_itself_is_an_error():
    endless = []
    endless.append(endless)
    with pytest.raises(EncodeError):
        event_encoder(Json)("/", ["a", endless])


# --- garbage

PIECES = st.sampled_from([*'0123456789-,/?[]{}"a:\\', "null", '["a"]', '{"_placeholder":true,"num":0}', "/foo,", "1-"])


@settings(max_examples=1000)
@example("2[")
@given(st.text() | st.lists(PIECES, max_size=12).map("".join))
def test_garbage_is_refused_or_a_packet(text):
    try:
        packet = read(text)
        attach(packet.data, [b"0", b"1"])
    except RemoteProtocolError:
        return
    assert packet.type in "012356"
    assert packet.namespace[0] == "/"
