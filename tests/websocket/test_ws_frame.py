"""Frames that we build, read by a parser that is not the builder's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenwire.websocket.frame import binary_frame, close_frame, pong_frame, text_frame
from support.rawframes import BINARY, CLOSE, PONG, TEXT, Frame, parse

EDGES = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize(("build", "opcode"), [(text_frame, TEXT), (binary_frame, BINARY)])
def test_every_form_of_length(build, opcode, size):
    data = b"x" * size
    wire = build(data)
    assert parse(wire) == [Frame(opcode, data)]
    # RFC 6455 5.2: the minimal number of bytes MUST be used to encode the length.
    assert len(wire) - size == (2 if size < 126 else 4 if size < 65_536 else 10)


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), max_size=10))
def test_frames_in_a_row_come_apart_again(messages):
    wire = b"".join((text_frame if text else binary_frame)(data) for text, data in messages)
    assert parse(wire) == [Frame(TEXT if text else BINARY, data) for text, data in messages]


@given(st.binary(max_size=125))
def test_pong(payload):
    assert parse(pong_frame(payload)) == [Frame(PONG, payload)]


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (None, "", b""),
        (1000, "", b"\x03\xe8"),
        (1001, "bye", b"\x03\xe9bye"),
        (4999, "é", b"\x13\x87\xc3\xa9"),
    ],
)
def test_close(code, reason, payload):
    assert parse(close_frame(code, reason)) == [Frame(CLOSE, payload)]


@given(st.text(max_size=200))
def test_a_long_reason_is_cut_between_characters(reason):
    (frame,) = parse(close_frame(1000, reason))
    assert len(frame.payload) <= 125  # 5.5
    cut = frame.payload[2:].decode()
    assert reason.startswith(cut)
    assert cut == reason or len(cut.encode()) > 123 - 4
