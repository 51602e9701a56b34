"""python-socketio's messages: what of them is understood, and what does no harm."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenwire.cluster import dialect
from greenwire.cluster.dialect import CallbackArrived, Emit
from greenwire.cluster.messages import CloseRoom, Disconnect, Join, Leave
from greenwire.errors import EncodeError, RemoteProtocolError
from greenwire.socketio.packet import Json, event_encoder

OURS = "our-host"
FIRST, SECOND = ({"_placeholder": True, "num": n} for n in range(2))


def read(**fields):
    return dialect.read(json.dumps(fields), OURS)[0]


def emit(data, **more):
    return read(method="emit", event="e", data=data, namespace="/", host_id="H", **more)


@pytest.mark.parametrize(
    ("data", "args"),
    [
        ([None], []),  # 5.15.1 and later
        ([], []),
        ([{"a": 1}], [{"a": 1}]),
        ([[1, 2]], [[1, 2]]),
        ([1, None], [1, None]),
        ("text", ["text"]),  # 5.14.0 to 5.15.0
        ({"a": 1}, [{"a": 1}]),
        (7, [7]),
        (None, []),
    ],
)
def test_the_data_of_all_dialects(data, args):
    assert emit(data) == Emit("e", args, "/", None, frozenset(), None)
    assert emit(data, binary=False, room=None, skip_sid=None, callback=None) == emit(data)


@pytest.mark.parametrize(
    ("data", "args"),
    [
        ([[{"x": FIRST}, SECOND], "AAE=", "eg=="], [{"x": b"\0\1"}, b"z"]),
        ([{"x": FIRST}, "AAE="], [{"x": b"\0\1"}]),  # 5.14.2 to 5.15.0
        ([FIRST, "AAE="], [b"\0\1"]),
    ],
)
def test_binary_data_of_all_dialects(data, args):
    assert emit(data, binary=True).args == args


def test_rooms_and_skipped_sids():
    assert emit([], room="r").rooms == ("r",)
    assert emit([], room=["r", 7]).rooms == ("r", 7)
    assert emit([], room=[]).rooms is None
    assert emit([], skip_sid="s").skip == {"s"}
    assert emit([], skip_sid=["s", "t"]).skip == {"s", "t"}
    assert emit([], callback=["r", "/", 3]).callback == ("r", "/", 3)
    assert emit([], callback=["r"]).callback is None


def test_orders():
    common = {"namespace": "/n", "host_id": "H"}
    assert read(method="disconnect", sid="s", **common) == Disconnect("s", "/n")
    assert read(method="enter_room", sid="s", room=7, **common) == Join("s", 7, "/n")
    assert read(method="leave_room", sid="s", room="r", **common) == Leave("s", "r", "/n")
    assert read(method="close_room", room="r", **common) == CloseRoom("r", "/n")
    assert read(method="close_room", room="r", namespace=None) == CloseRoom("r", "/")


def test_whose_messages_are_ours():
    assert read(method="callback", sid="s", namespace="/", id=1, args=[2], host_id=OURS) == CallbackArrived(
        1, "s", "/", [2]
    )
    assert read(method="callback", sid="s", namespace="/", id=1, args=[2], host_id="H") is None
    assert read(method="emit", event="e", data=[], namespace="/", host_id=OURS) is None
    assert read(method="emit", event="e", data=[], namespace="/").args == []
    assert read(method="something new", host_id="H") is None
    assert read(method="emit", event="e", data=[], namespace=None) is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"nonsense",
        b"[]",
        b"7",
        b'{"method":7}',
        b'{"method":"emit","namespace":"/"}',
        b'{"method":"emit","event":"e","data":[],"binary":true,"namespace":"/"}',
        b'{"method":"emit","event":"e","data":[{"_placeholder":true,"num":3}],"binary":true,"namespace":"/"}',
        b'{"method":"emit","event":"e","data":[[],7],"binary":true,"namespace":"/"}',
        b'{"method":"emit","event":"e","data":[],"namespace":"/","room":[[]]}',
        b'{"method":"emit","event":"e","data":[],"namespace":"/","room":{"a":1}}',
        b'{"method":"enter_room","sid":"s"}',
        b'{"method":"enter_room","sid":"s","room":{}}',
        b'{"method":"close_room","room":[]}',
        b'{"method":"callback","host_id":"our-host"}',
    ],
)
def test_what_makes_no_sense(message):
    with pytest.raises(RemoteProtocolError):
        dialect.read(message, OURS)


def test_what_is_pickled_is_not_read_and_says_why():
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    with pytest.raises(RemoteProtocolError, match="pickled: its sender needs python-socketio 5.14 or newer"):
        dialect.read(pickle.dumps({"method": Trap()}), OURS)


@given(st.binary(max_size=100) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_garbage(message):
    try:
        dialect.read(message, OURS)
    except RemoteProtocolError:
        pass


@pytest.mark.parametrize("namespace", ["/", "/n", '/odd["name'])
@pytest.mark.parametrize("event", ["e", 'quoted " and \\', "ü", "[1,2]", ""])
@pytest.mark.parametrize("args", [[], [1], [[1, 2]], ["a", {"b": None}], [b"\0", {"x": [b"1"]}], ["]", '"']])
@pytest.mark.parametrize("ack_id", [None, 17])
def test_what_is_written_is_read(namespace, event, args, ack_id):
    packet = event_encoder(Json())(namespace, [event, *args], ack_id)
    message = dialect.emit(packet, None, "H", namespace, ("r",), frozenset("s"), ack_id, ("q",), True)
    callback = None if ack_id is None else ("r", namespace, 17)
    found, host = dialect.read(message, OURS)
    assert found == Emit(event, args, namespace, ("r",), frozenset("s"), callback, ("q",), True)
    assert host == "H"


@pytest.mark.parametrize("room", [("a", "b"), b"r", object()])
def test_rooms_that_a_queue_cannot_name(room):
    with pytest.raises(EncodeError):
        dialect.order(CloseRoom(room, "/"), "H")
    with pytest.raises(EncodeError):
        dialect.emit(event_encoder(Json())("/", ["e"]), None, "H", "/", (room,), frozenset(), None)
