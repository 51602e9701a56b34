"""What workers say to each other, as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenwire.cluster import messages
from greenwire.cluster.messages import (
    Answered,
    Ask,
    Broadcast,
    CloseRoom,
    Disconnect,
    Expecting,
    Forget,
    Goodbye,
    Hello,
    Join,
    Leave,
    Reader,
    Reply,
    Unanswered,
    encode,
    pack,
    unpack,
)
from greenwire.errors import EncodeError, RemoteProtocolError

EXAMPLES = [
    Hello(3),
    Goodbye(),
    Broadcast((b'42["x"]',), "/", None),
    Broadcast((b'451-["x"]', b"\0", b""), "/n", ("a", 7, 1.5, ("t", 1), True), ("s",), 12, ("q",), True),
    Expecting(5, ("a", "b")),
    Answered((b"[1]", b"\xff"), 5, "s"),
    Unanswered(5, "s"),
    Forget(5, "/", ("r",)),
    Join("s", "r", "/"),
    Leave("s", ("a", ("b",)), "/"),
    CloseRoom(7, "/n"),
    Disconnect("s", "/"),
    Ask(9, None, None),
    Reply((), 9),
]


def test_every_kind_has_an_example():
    assert {type(example) for example in EXAMPLES} == set(messages.KINDS)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("server", [0, 255])
def test_what_is_encoded_is_read(message, server):
    assert list(Reader(10_000).feed(encode(message, server))) == [(server, message)]


@given(st.lists(st.sampled_from(EXAMPLES), max_size=6), st.lists(st.integers(1, 60), max_size=40))
def test_any_split_of_the_bytes_gives_the_same_messages(sent, sizes):
    data = b"".join(map(encode, sent))
    reader, found = Reader(10_000), []
    for size in sizes:
        found += [message for _, message in reader.feed(data[:size])]
        data = data[size:]
    found += [message for _, message in reader.feed(data)]
    assert found == sent


@given(st.binary(max_size=200))
def test_garbage_is_an_error_or_nothing(data):
    try:
        list(Reader(1_000).feed(data))
    except RemoteProtocolError:
        pass


def test_a_message_of_the_limit_and_one_beyond():
    data = encode(Broadcast((b"x" * 100,), "/", None))
    assert len(list(Reader(len(data)).feed(data))) == 1
    with pytest.raises(RemoteProtocolError, match="worker_message_bytes"):
        list(Reader(len(data) - 1).feed(data))


@pytest.mark.parametrize("room", [b"bytes", object(), frozenset("a"), ("a", b"b"), 1 << 70])
def test_rooms_that_others_cannot_know(room):
    with pytest.raises(EncodeError):
        encode(Join("s", room, "/"))
    with pytest.raises(EncodeError):
        encode(Broadcast((b"",), "/", (room,)))


@pytest.mark.parametrize("value", [[], [None, 1, "ü", {"a": [b"\0", {"b": b"1"}]}], [b"same", b"same"]])
def test_values_are_packed(value):
    assert unpack(pack(value)) == value


def test_values_that_cannot_be():
    with pytest.raises(EncodeError):
        pack([object()])
    for parts in ((), (b"{",), (b'{"_placeholder":true,"num":0}',)):
        with pytest.raises(RemoteProtocolError):
            unpack(parts)
