"""One client of the Socket.IO level: what each packet means in each state of its namespace."""

import pytest

from greenwire.engineio.packet import message
from greenwire.engineio.session import Reason
from greenwire.errors import RemoteProtocolError
from greenwire.limits import Limits
from greenwire.socketio.client import Ack, Client, Connect, Disconnect, Event, Member, MemberState
from greenwire.socketio.packet import Json
from support.rawframes import parse

CONNECTING, CONNECTED, LEAVING, GONE = MemberState


class Peer:
    """What the layer below does for a client."""

    def __init__(self):
        self.sent = []
        self.closed = []

    def send(self, packet):
        self.sent.append(parse(packet.frame)[0].payload.decode()[1:])

    def close(self, reason=Reason.SERVER):
        self.closed.append(reason)


def make_client(**limits):
    return Client(Peer(), Json, Limits(**limits))


def join(client, namespace="/", state=CONNECTED):
    """A member in *state*, brought there as the dispatcher does."""
    member = Member(f"sid-{namespace}", namespace, client, client.peer.send)
    client.members[namespace] = member
    if state is not CONNECTING:
        member.accepted(message("0"))
        client.peer.sent.clear()
    if state in (LEAVING, GONE):
        member.leaves()
    if state is GONE:
        member.gone()
    assert member.state is state
    return member


# --- packets by state


STATES = [None, *MemberState]  # None: the namespace was never joined
REFUSED = "refused"

TABLE = {
    #                            never    CONNECTING  CONNECTED  LEAVING  GONE
    "0": (Connect, REFUSED, REFUSED, Connect, Connect),
    '0{"token":1}': (Connect, REFUSED, REFUSED, Connect, Connect),
    '2["a",1]': (REFUSED, Event, Event, Event, None),
    '27["a",1]': (REFUSED, Event, Event, Event, None),
    "37[]": (REFUSED, None, None, None, None),  # nobody waits for number 7
    "1": (REFUSED, Disconnect, Disconnect, Disconnect, None),
    '51-["a"]': (REFUSED, None, None, None, None),
    '2["connect"]': (REFUSED, REFUSED, REFUSED, REFUSED, None),
    '4{"message":"x"}': (REFUSED,) * 5,
    "7": (REFUSED,) * 5,
    '2["a"': (REFUSED,) * 5,
}
CASES = [
    pytest.param(text, state, meaning, id=f"{text}-{state.name if state else 'never'}")
    for text, meanings in TABLE.items()
    for state, meaning in zip(STATES, meanings, strict=True)
]


@pytest.mark.parametrize("namespace", ["/", "/chat"])
@pytest.mark.parametrize(("text", "state", "meaning"), CASES)
def test_a_packet_in_a_state(text, state, meaning, namespace):
    client = make_client()
    member = join(client, namespace, state) if state is not None else None
    if namespace != "/":
        at = text.index("-") + 1 if "-" in text else 1
        text = f"{text[:at]}{namespace},{text[at:]}"
    if meaning is REFUSED:
        with pytest.raises(RemoteProtocolError):
            client.receive(text)
        return
    incoming = client.receive(text)
    if meaning is None:
        assert incoming is None
    else:
        assert isinstance(incoming, meaning)
        assert meaning is Connect or incoming.member is member


def test_what_a_connect_asks_for():
    assert make_client().receive('0/chat,{"token":"x"}') == Connect("/chat", {"token": "x"})
    assert make_client().receive("0") == Connect("/", None)


@pytest.mark.parametrize(
    ("text", "name", "args", "ack_id"),
    [
        ('2["a"]', "a", [], None),
        ('2["a",1,[2],{"b":null}]', "a", [1, [2], {"b": None}], None),
        ('20["a",1]', "a", [1], 0),
        ('2999["a"]', "a", [], 999),
        ("2[7,1]", "7", [1], None),
        ('2["message","hi"]', "message", ["hi"], None),
        ('2["*"]', "*", [], None),
        ('2[""]', "", [], None),
        ('2["a",{"_placeholder":true,"num":0}]', "a", [{"_placeholder": True, "num": 0}], None),
    ],
)
def test_what_an_event_holds(text, name, args, ack_id):
    client = make_client()
    member = join(client)
    assert client.receive(text) == Event(member, name, args, ack_id)


@pytest.mark.parametrize("name", ["connect", "connect_error", "disconnect", "disconnecting"])
@pytest.mark.parametrize("form", ['2["{}"]', '20["{}"]', '2/chat,["{}",1]'])
def test_reserved_names(name, form):
    client = make_client()
    join(client)
    join(client, "/chat")
    with pytest.raises(RemoteProtocolError, match=name):
        client.receive(form.format(name))


@pytest.mark.parametrize("args", ["[]", "[null]", "[true]", "[1.5]", "[[]]", "[{}]", "[", '["a"]]'])
@pytest.mark.parametrize("form", ["2{}", "20{}", "2/chat,{}"])
def test_what_is_no_event(args, form):
    client = make_client()
    join(client)
    join(client, "/chat")
    with pytest.raises(RemoteProtocolError):
        client.receive(form.format(args))


def test_namespaces_do_not_mix():
    client = make_client()
    root, chat = join(client), join(client, "/chat")
    assert client.receive('2["a"]').member is root
    assert client.receive('2/chat,["a"]').member is chat
    with pytest.raises(RemoteProtocolError):
        client.receive('2/chat/,["a"]')


def test_what_was_sent_before_it_knew_that_it_was_put_out_is_ignored():
    client = make_client(namespaces=2)
    for namespace in ("/a", "/b", "/c", "/d"):
        join(client, namespace, GONE)
        assert client.receive(f'2{namespace},["late"]') is None
    assert len(client._left) <= 2
    assert not client.members


def test_it_may_come_back():
    client = make_client()
    join(client, "/", GONE)
    assert isinstance(client.receive("0"), Connect)
    again = join(client)
    assert client.receive('2["a"]').member is again


def test_the_old_member_does_not_forget_the_new_one():
    client = make_client()
    old = join(client, "/", LEAVING)
    old.gone()
    new = join(client)
    old.gone()
    assert client.members == {"/": new}


# --- binary packets


def test_attachments_are_awaited_and_put_in_their_places():
    client = make_client()
    member = join(client)
    text = '52-7["a",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}]]'
    assert client.receive(text) is None
    assert client.receive(b"zero") is None
    assert client.receive(b"one") == Event(member, "a", [b"one", [b"zero"]], 7)
    assert isinstance(client.receive('2["next"]'), Event)


def test_bytearrays_count_as_bytes():
    client = make_client()
    member = join(client)
    client.receive('51-["a",{"_placeholder":true,"num":0}]')
    assert client.receive(bytearray(b"x")) == Event(member, "a", [b"x"], None)


@pytest.mark.parametrize("between", ['2["b"]', "1", "0/chat,", '51-["c"]', ""])
def test_nothing_may_come_between_a_packet_and_its_attachments(between):
    client = make_client()
    join(client)
    client.receive('52-["a"]')
    client.receive(b"x")
    with pytest.raises(RemoteProtocolError):
        client.receive(between)


def test_an_attachment_that_nothing_announced():
    client = make_client()
    join(client)
    with pytest.raises(RemoteProtocolError):
        client.receive(b"x")
    client = make_client()
    join(client)
    client.receive('51-["a"]')
    client.receive(b"x")
    with pytest.raises(RemoteProtocolError):
        client.receive(b"one too many")


@pytest.mark.parametrize(("count", "good"), [(3, True), (4, False)])
def test_attachments_at_the_limit_and_one_past(count, good):
    client = make_client(attachments=3)
    join(client)
    if good:
        assert client.receive(f'5{count}-["a"]') is None
    else:
        with pytest.raises(RemoteProtocolError):
            client.receive(f'5{count}-["a"]')


def test_nothing_is_collected_for_a_namespace_that_was_never_joined():
    client = make_client()
    with pytest.raises(RemoteProtocolError):
        client.receive('51-["a"]')
    with pytest.raises(RemoteProtocolError):
        client.receive('51-/chat,["a"]')


def test_a_member_that_goes_while_attachments_come():
    client = make_client()
    member = join(client)
    client.receive('51-["a"]')
    member.leaves()
    member.gone()
    assert client.receive(b"x") is None
    assert isinstance(client.receive("0"), Connect)


def test_a_binary_event_with_a_bad_placeholder():
    client = make_client()
    join(client)
    client.receive('51-["a",{"_placeholder":true,"num":1}]')
    with pytest.raises(RemoteProtocolError):
        client.receive(b"x")


@pytest.mark.parametrize("depth", [100, 900, 1020, 5000])
def test_deep_json_before_attachments_is_no_error_of_ours(depth):
    client = make_client()
    join(client)
    try:
        client.receive('51-["a",' + "[" * depth + "]" * depth + "]")
    except RemoteProtocolError:
        assert depth > 1000
        return
    assert isinstance(client.receive(b"x"), Event)


# --- acknowledgements


def test_an_acknowledgement_reaches_its_callback_once():
    client = make_client()
    member = join(client)
    member.expect_ack(0, print)
    member.expect_ack(1, repr)
    assert client.receive('31["b",2]') == Ack(member, repr, ["b", 2])
    assert client.receive("31[]") is None
    assert client.receive("30[]") == Ack(member, print, [])


def test_a_binary_acknowledgement():
    client = make_client()
    member = join(client)
    member.expect_ack(3, print)
    assert client.receive('61-3[{"_placeholder":true,"num":0}]') is None
    assert client.receive(b"x") == Ack(member, print, [b"x"])


def test_acknowledgements_belong_to_a_namespace():
    client = make_client()
    root, chat = join(client), join(client, "/chat")
    root.expect_ack(1, print)
    assert client.receive("3/chat,1[]") is None
    chat.expect_ack(1, repr)
    assert client.receive("3/chat,1[]").callback is repr
    assert client.receive("31[]").callback is print


def test_forgotten_acknowledgements():
    client = make_client()
    member = join(client)
    assert member.take_ack(1) is None
    assert member.expect_ack(1, print) is None
    assert client.owed == 1
    assert member.take_ack(1) is print
    assert member.take_ack(1) is None
    assert client.owed == 0
    assert client.receive("31[]") is None


def test_pending_acks_at_the_limit_and_one_past():
    client = make_client(pending_acks=3)
    member = join(client)
    for number in range(3):
        member.expect_ack(number, print)
    member.take_ack(0)
    member.expect_ack(0, repr)  # now 1 has waited for longest
    assert member.expect_ack(3, print) is print
    assert client.receive("31[]") is None  # it has made room
    for number in (0, 2, 3):
        assert isinstance(client.receive(f"3{number}[]"), Ack)


@pytest.mark.parametrize("how", ["leaves", "gone"])
def test_who_goes_says_which_answers_will_not_come(how):
    client = make_client()
    member = join(client)
    member.expect_ack(1, print)
    member.expect_ack(2, repr)
    member.take_ack(1)
    assert getattr(member, how)() == [repr]
    assert client.owed == 0
    assert member.gone() == []


# --- a member


def numbered(n):
    return message(str(n))


def test_what_is_sent_in_each_state():
    client = make_client()
    member = join(client, "/", CONNECTING)
    member.send(numbered(1))
    member.send(numbered(2))
    assert client.peer.sent == []
    member.accepted(message("connect"))
    assert client.peer.sent == ["connect", "1", "2"]
    member.send(numbered(3))
    assert client.peer.sent == ["connect", "1", "2", "3"]
    member.leaves()
    member.send(numbered(4))
    member.gone()
    member.send(numbered(5))
    assert client.peer.sent == ["connect", "1", "2", "3"]


def test_a_refused_member_sends_nothing_ever():
    client = make_client()
    member = join(client, "/", CONNECTING)
    member.send(numbered(1))
    assert member.gone() == []
    member.send(numbered(2))
    assert client.peer.sent == []
    assert client.members == {}
    assert member.state is GONE


def test_a_broadcast_that_looked_up_send_before_the_accept_keeps_the_order():
    client = make_client()
    member = join(client, "/", CONNECTING)
    waiting = member.send
    waiting(numbered(1))
    member.accepted(message("connect"))
    member.send(numbered(2))
    assert client.peer.sent == ["connect", "1", "2"]


def test_a_client_that_left_while_its_connect_handler_ran_is_not_told_that_it_is_connected():
    client = make_client()
    member = join(client, "/", CONNECTING)
    member.send(numbered(1))
    member.lost = Reason.CLIENT
    assert member.has_left
    member.accepted(message("connect"))
    member.send(numbered(2))
    assert client.peer.sent == []


@pytest.mark.parametrize("state", MemberState)
def test_who_has_left(state):
    assert join(make_client(), "/", state).has_left is (state is LEAVING)


def test_outbox_packets_at_the_limit_and_one_past():
    client = make_client(queued_packets=3)
    member = join(client, "/", CONNECTING)
    for n in range(3):
        member.send(numbered(n))
    assert client.peer.closed == []
    member.send(numbered(3))
    assert client.peer.closed == [Reason.TRANSPORT_ERROR]
    member.accepted(message("connect"))
    assert client.peer.sent == ["connect", "0", "1", "2"]


def test_outbox_bytes_at_the_limit_and_one_past():
    packet = message("x" * 47)
    assert len(packet.frame) == 50
    client = make_client(queued_bytes=100)
    member = join(client, "/", CONNECTING)
    member.send(packet)
    member.send(packet)
    assert client.peer.closed == []
    member.send(message(""))
    assert client.peer.closed == [Reason.TRANSPORT_ERROR]
