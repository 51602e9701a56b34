"""python-socketio's client, the one that uses threads, over both transports and an upgrade between them."""

from collections.abc import Callable, Iterator

import pytest
import socketio

from clients import python_app
from support.heard import HeardClient
from support.site import Site
from support.waiting import Log, wait_until

TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgrade": ["polling", "websocket"]}
Connect = Callable[..., socketio.Client]


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Site, Log]]:
    app, notes = python_app.make()
    with Site(app) as site:
        yield site, notes


@pytest.fixture
def served(running: tuple[Site, Log]) -> Iterator[tuple[Site, Log]]:
    """The site, without clients, and its notes of this test only."""
    yield running
    running[0].close_all()
    running[1].clear()


@pytest.fixture
def notes(served: tuple[Site, Log]) -> Log:
    return served[1]


@pytest.fixture(params=TRANSPORTS)
def connect(request, served) -> Iterator[Connect]:
    """Makes connected clients, and disconnects them."""
    clients = []

    def connect(**options):
        client = HeardClient(reconnection=False, handle_sigint=False)
        clients.append(client)
        for event, handler in options.pop("on", {}).items():
            client.on(event, handler)
        client.connect(served[0].url, transports=TRANSPORTS[request.param], wait_timeout=10, **options)
        return client

    yield connect
    for client in clients:
        client.disconnect()
        if client.eio.http is not None:
            client.eio.http.close()


def test_the_transport_is_the_one_asked_for(connect, request):
    wanted = "polling" if "polling" in request.node.callspec.id else "websocket"
    assert connect().transport() == wanted


def test_auth_reaches_the_connect_handler(connect, notes):
    connect(auth={"token": "good"})
    notes.wait_for_item(("connect", {"token": "good"}))


def test_a_refusal_has_message_and_data(connect):
    told = Log()
    with pytest.raises(socketio.exceptions.ConnectionError, match="failed to connect"):
        connect(auth={"token": "bad"}, on={"connect_error": told.append})
    assert told == [{"message": "no entry", "data": "bad token"}]


def test_emit_and_call(connect):
    echoed = Log()
    client = connect(on={"echo": lambda *args: echoed.append(args)})
    assert client.call("echo", {"a": [1, None, "é"]}, timeout=10) == {"a": [1, None, "é"]}
    assert client.call("echo", ("several", 2), timeout=10) == ("several", 2)
    assert client.call("echo", timeout=10) is None
    assert list(echoed.wait_for(3)) == [({"a": [1, None, "é"]},), ("several", 2), ()]


def test_a_callback_gets_the_acknowledgement(connect):
    answered = Log()
    connect().emit("echo", ("x", "y"), callback=lambda *args: answered.append(args))
    assert answered.wait_for(1)[0] == ("x", "y")


def test_binary_both_ways(connect):
    client = connect()
    data = {"blob": bytes(range(256)), "list": [b"", b"\x1e"], "text": "b"}
    assert client.call("echo", data, timeout=10) == data


def test_the_server_asks_and_waits(connect):
    client = connect(on={"question": lambda question: question * 2})
    assert client.call("ask", 21, timeout=10) == ["the client said", 42]


def test_an_event_without_a_handler_is_not_acknowledged(connect):
    client = connect()
    with pytest.raises(socketio.exceptions.TimeoutError):
        client.call("nobody listens", timeout=0.1)
    assert client.call("echo", 1, timeout=10) == 1


def test_namespaces_share_a_connection(connect):
    client = connect(namespaces=["/", "/other"])
    assert client.call("echo", 1, namespace="/other", timeout=10) == {"other": 1}
    assert client.call("echo", 1, timeout=10) == 1
    assert client.get_sid("/") != client.get_sid("/other")


def test_rooms(connect):
    told = [Log(), Log(), Log()]
    clients = [connect(on={"told": log.append}) for log in told]
    for client in clients[:2]:
        client.call("join", "room", timeout=10)
    clients[0].call("tell", ("room", "first"), timeout=10)
    told[1].wait_for(1)
    clients[1].call("leave", "room", timeout=10)
    clients[0].call("tell", ("room", "second"), timeout=10)
    for client in clients:  # what was told before has come by then
        client.call("echo", timeout=10)
    assert [list(log) for log in told] == [[], ["first"], []]


def test_a_client_disconnects(connect, notes):
    connect().disconnect()
    assert list(notes.wait_for(2)) == [("connect", None), ("disconnect", "client disconnect", True)]


def test_the_server_disconnects(connect, notes):
    gone = Log()
    client = connect(on={"disconnect": gone.append})
    client.emit("leave me")
    assert gone.wait_for(1)[0] == client.reason.SERVER_DISCONNECT
    notes.wait_for_item(("disconnect", "server disconnect", True))


@pytest.mark.parametrize("connect", ["websocket", "upgrade"], indirect=True)
def test_the_line_breaks(connect, notes, served):
    client = connect()
    served[0].drop(client.eio.sid)
    notes.wait_for_item(("disconnect", "transport close", True))
    wait_until(lambda: not client.connected)


def test_a_burst_arrives_whole(connect):
    """Although this client takes no more than 16 packets of one poll."""
    echoed = Log()
    client = connect(on={"echo": echoed.append})
    for n in range(200):
        client.emit("echo", n)
    assert sorted(echoed.wait_for(200)) == list(range(200))  # handlers of threads overtake each other
