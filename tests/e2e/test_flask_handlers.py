"""Handlers as a Flask developer writes them: what surrounds them, what they may do, what becomes of what they raise."""

import threading

import flask
import pytest
from flask import current_app, g, request, session

from greenwire.errors import ContextError, DisconnectedError
from greenwire.flask import ConnectionRefusedError, call, disconnect, emit, join_room, leave_room, rooms, send
from greenwire.green import Event
from support.engine import Client, Polling
from support.raw import Connection
from support.site import Site, new_socketio
from support.waiting import Log, wait_until


@pytest.fixture(params=["threading", "green"])
def socketio(request):
    return new_socketio(async_mode=request.param)


@pytest.fixture
def notes():
    return Log()


# --- the surroundings


@pytest.mark.parametrize("kind", [Client, Polling])
def test_request_is_that_of_the_handshake(socketio, kind, notes):
    @socketio.on("connect")
    @socketio.on("look")
    def look(*args):
        notes.append(
            (
                current_app._get_current_object() is socketio._find_app(),
                request.args["token"],
                request.headers["X-Probe"],
                request.cookies["flavour"],
                request.remote_addr,
                request.path,
                request.method,
                request.event["message"],
                request.namespace,
                flask.url_for("static", filename="x.js"),
            )
        )

    @socketio.on("sid")
    def sid():
        return request.sid

    with Site(socketio) as site, kind(site.port) as client:
        client.handshake(("X-Probe", "yes"), ("Cookie", "flavour=mint"), query="&token=t%20%C3%A9")
        sid = client.join()
        client.emit("look")
        common = (True, "t é", "yes", "mint", "127.0.0.1", "/socket.io/", "GET")
        assert list(notes.wait_for(2)) == [
            (*common, "connect", "/", "/static/x.js"),
            (*common, "look", "/", "/static/x.js"),
        ]
        if kind is Client:
            assert client.call("sid") == [sid]


def test_g_is_fresh_for_each_event(socketio):
    @socketio.on("count")
    def count():
        g.count = g.get("count", 0) + 1
        return g.count

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        assert [client.call("count") for _ in range(3)] == [[1], [1], [1]]


def test_the_session_lasts_as_long_as_the_connection(socketio):
    app = socketio._find_app()

    @app.get("/login")
    def login():
        session["user"] = "ada"
        return "ok"

    @app.get("/who")
    def who():
        return session.get("seen", "nobody")

    @socketio.on("who")
    @socketio.on("who", namespace="/other")
    def who_event():
        session["seen"] = session.get("seen", 0) + 1
        return session.get("user"), session["seen"]

    with Site(socketio) as site, Connection(site.port) as browser, Client(site.port) as client:
        cookie = ("Cookie", browser.get("/login").get("set-cookie").split(";")[0])
        client.join("/", None, cookie)
        client.join("/other")
        assert client.call("who") == ["ada", 1]
        assert client.call("who", namespace="/other") == ["ada", 2]  # of the connection, not of the namespace
        assert client.call("who") == ["ada", 3]
        assert browser.get("/who", cookie).text == "nobody"  # a view never sees it
        with Client(site.port) as another:
            another.join()
            assert another.call("who") == [None, 1]


def test_without_manage_session_each_event_opens_it_anew():
    socketio = new_socketio(manage_session=False)

    @socketio.on("who")
    def who():
        session["seen"] = session.get("seen", 0) + 1
        return session["seen"]

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        assert [client.call("who"), client.call("who")] == [[1], [1]]


def test_teardown_functions_and_signals_run_for_each_event(socketio, notes):
    app = socketio._find_app()
    app.teardown_request(lambda error: notes.append(("request", type(error).__name__)))
    app.teardown_appcontext(lambda error: notes.append(("app", type(error).__name__)))
    app.before_request(lambda: notes.append("never"))

    def popped(sender):
        notes.append("popped")

    socketio.on("good")(lambda: None)

    @socketio.on("bad")
    def bad():
        raise KeyError

    with flask.appcontext_popped.connected_to(popped, app), Site(socketio) as site, Client(site.port) as client:
        client.join()
        client.call("good")  # the first event of a connection also sets up what the others copy
        notes.clear()
        client.emit("good")
        good = [("request", "NoneType"), ("app", "NoneType"), "popped"]
        assert list(notes.wait_for(3)) == good
        client.emit("bad")
        assert list(notes.wait_for(6)) == [*good, ("request", "KeyError"), ("app", "KeyError"), "popped"]


def test_a_teardown_function_that_fails_ends_nothing(socketio, caplog):
    app = socketio._find_app()

    @app.teardown_request
    def fail(error):
        if request.event["args"] == ("fail",):
            raise RuntimeError("teardown")

    socketio.on("echo")(lambda data: data)
    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        assert client.call("echo", "good") == ["good"]
        client.emit("echo", "fail", ack=2)
        assert client.call("echo", "good", ack=3) == ["good"]
    assert "RuntimeError: teardown" in caplog.text


# --- the order of things


def test_what_connect_emits_comes_after_connect(socketio):
    @socketio.on("connect")
    def connected():
        emit("one", 1)
        join_room("early")
        emit("two", 2, to="early")
        send("three")
        emit("all", broadcast=True)

    with Site(socketio) as site, Client(site.port) as client:
        client.handshake()
        client.send_text("40")
        packets = [client.receive() for _ in range(5)]
        assert packets[0].startswith('40{"sid":')
        assert packets[1:] == ['42["one",1]', '42["two",2]', '42["message","three"]', '42["all"]']


def test_what_connect_emits_never_comes_when_it_refuses(socketio, notes):
    @socketio.on("connect")
    def refuse(auth):
        emit("never")
        join_room("never")
        emit("never", to="never")
        raise ConnectionRefusedError("no", {"why": auth})

    @socketio.on("disconnect")
    def gone():
        notes.append("gone")

    with Site(socketio) as site, Client(site.port) as client:
        client.handshake()
        client.send_text('40{"n":1}')
        assert client.receive() == '44{"message":"no","data":{"why":{"n":1}}}'
        client.send_text("40/nowhere,")
        assert client.receive() == '44/nowhere,{"message":"Invalid namespace"}'
        assert site.members == 0
    assert not notes  # it was never connected


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        (False, "Connection rejected by server"),
        (ConnectionRefusedError(), "Connection rejected by server"),
        (ConnectionRefusedError("why"), "why"),
        (RuntimeError("a secret"), "Internal server error"),
        (TypeError("a secret"), "Internal server error"),
    ],
)
def test_refusals(socketio, result, answer):
    calls = []

    @socketio.on("connect")
    def refuse(auth):
        calls.append(auth)
        if isinstance(result, Exception):
            raise result
        return result

    with Site(socketio) as site, Client(site.port) as client:
        client.handshake()
        client.send_text("40")
        assert client.receive() == f'44{{"message":"{answer}"}}'
        assert calls == [None]  # called once, whatever it raised


@pytest.mark.parametrize("result", [None, 0, "", [], True, "redirect"])
def test_anything_but_false_accepts(socketio, result):
    socketio.on("connect")(lambda: result)
    with Site(socketio) as site, Client(site.port) as client:
        client.join()


def test_events_wait_for_the_connect_handler(socketio, notes):
    entered, leave = Event(), Event()

    @socketio.on("connect")
    def slow():
        entered.set()
        assert leave.wait(10)
        notes.append("connect")

    @socketio.on("early")
    def early():
        notes.append("early")

    @socketio.on("disconnect")
    def gone():
        notes.append("gone")

    with Site(socketio) as site, Client(site.port) as client:
        client.handshake()
        client.send_text("40")
        assert entered.wait(10)
        client.emit("early")
        client.send_text("3")
        leave.set()
        assert list(notes.wait_for(2)) == ["connect", "early"]
        client.send_text("41")
        notes.wait_for_item("gone")


def test_rooms_joined_before_an_emit_count(socketio):
    @socketio.on("go")
    def go():
        for n in range(50):
            join_room(n + 1)
            emit("in", n, to=n + 1)
            leave_room(n + 1)
            emit("out", n, to=n + 1)
        return len(rooms())

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        client.emit("go", ack=7)
        assert [client.event() for _ in range(50)] == [["in", n] for n in range(50)]
        assert client.receive() == "437[1]"


def test_one_client_one_order(socketio):
    """Coroutine handlers run in the order of arrival, and what one handler emits keeps its order."""

    @socketio.on("n")
    async def n(number):
        emit("first", number)
        emit("second", number)

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        for number in range(100):
            client.emit("n", number)
        assert [client.event() for _ in range(200)] == [[w, n] for n in range(100) for w in ("first", "second")]


def test_the_room_of_another_client_stays_closed(socketio):
    @socketio.on("join")
    def join(room):
        try:
            join_room(room)
        except ValueError as error:
            return str(error)
        return rooms()

    with Site(socketio) as site, Client(site.port) as thief, Client(site.port) as victim:
        own, other = thief.join(), victim.join()
        assert "cannot enter a sid room" in thief.call("join", other)[0]
        assert thief.call("join", own) == [[own]]
        socketio.emit("secret", to=other)
        socketio.emit("public")
        assert victim.event() == ["secret"]
        assert thief.event() == ["public"]


# --- leaving


def test_rooms_and_session_in_the_disconnect_handler(socketio, notes):
    @socketio.on("join")
    def join():
        join_room("lounge")
        session["name"] = "ada"

    @socketio.on("disconnect")
    def gone(reason):
        emit("never")
        emit("gone", session["name"], to="lounge")
        notes.append((reason, rooms() == [request.sid, "lounge"], request.event["args"]))

    with Site(socketio) as site, Client(site.port) as stays, Client(site.port) as leaves:
        for client in (stays, leaves):
            client.join()
            client.call("join")
        leaves.send_text("41")
        assert stays.event() == ["gone", "ada"]
        assert notes.wait_for(1)[0] == ("client disconnect", True, ("client disconnect",))


def test_disconnect_inside_a_handler(socketio, notes):
    @socketio.on("leave")
    def leave():
        emit("before")
        disconnect()
        emit("after")
        notes.append("still running")

    socketio.on("disconnect")(lambda reason: notes.append(reason))

    with Site(socketio) as site, Client(site.port) as client:
        sid = client.join()
        client.emit("leave")
        assert client.receive() == '42["before"]'
        assert client.receive() == "41"
        assert sorted(notes.wait_for(2)) == ["server disconnect", "still running"]
        assert client.join() != sid  # the connection is still there


def test_disconnect_inside_the_connect_handler(socketio, notes):
    socketio.on("connect")(lambda: disconnect())
    with Site(socketio) as site, Client(site.port) as client:
        client.handshake()
        client.send_text("40")
        assert client.receive() == '44{"message":"Connection rejected by server"}'


def test_disconnect_of_another_client(socketio, notes):
    socketio.on("kick")(lambda sid: disconnect(sid, namespace="/"))
    socketio.on("disconnect")(lambda: notes.append(request.sid))
    with Site(socketio) as site, Client(site.port) as one, Client(site.port) as other:
        one.join()
        sid = other.join()
        one.call("kick", sid)
        assert other.receive() == "41"
        assert notes.wait_for(1) == [sid]
        one.call("kick", "nobody")


def test_a_client_that_leaves_while_its_connect_handler_runs(socketio, notes):
    entered, leave = Event(), Event()

    @socketio.on("connect")
    def slow():
        entered.set()
        assert leave.wait(10)
        notes.append(("connect", request.sid))

    socketio.on("disconnect")(lambda reason: notes.append((reason, request.sid)))
    with Site(socketio) as site:
        with Client(site.port) as client:
            client.handshake()
            client.send_text("40")
            assert entered.wait(10)
        leave.set()
        (_, sid), gone = notes.wait_for(2)
        assert gone == ("transport close", sid)
        site.wait_for_members(0)


def test_leave_and_come_back_while_the_connect_handler_runs(socketio, notes):
    entered, leave = Event(), Event()

    @socketio.on("connect", namespace="/x")
    def slow():
        notes.append("connect")
        emit("hello", request.sid)
        entered.set()
        assert leave.wait(10)

    socketio.on("disconnect", namespace="/x")(lambda: notes.append("disconnect"))
    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        client.send_text("40/x,")
        assert entered.wait(10)
        client.send_text("41/x,")
        client.send_text("40/x,")
        [first] = site.members_of("/x")
        wait_until(lambda: first.again)
        leave.set()
        answer = client.receive()
        assert answer.startswith('40/x,{"sid":')
        assert client.event() == ["hello", answer[13:-2]]  # nothing of the first connection has come
        assert notes == ["connect", "disconnect", "connect"]


# --- errors


def test_an_exception_keeps_the_connection_and_gives_no_ack(socketio, caplog):
    @socketio.on("fail")
    def fail():
        raise ValueError("as it should")

    socketio.on("unsendable")(lambda: object())
    socketio.on("echo")(lambda data: data)
    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        client.emit("fail", ack=1)
        client.emit("unsendable", ack=2)
        assert client.call("echo", "alive", ack=3) == ["alive"]
    text = caplog.text
    assert "ValueError: as it should" in text
    assert "test_flask_handlers.py" in text
    assert "EncodeError" in text


def test_error_handlers_answer(socketio):
    @socketio.on_error()
    def of_root(error):
        return {"error": str(error), "event": request.event["message"]}

    @socketio.on_error_default
    def of_others(error):
        return "default"

    @socketio.on("fail")
    @socketio.on("fail", namespace="/other")
    def fail():
        raise ValueError("why")

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        client.join("/other", None)
        assert client.call("fail") == [{"error": "why", "event": "fail"}]
        assert client.call("fail", namespace="/other") == ["default"]


def test_what_cannot_be_sent_is_an_error_at_the_emit(socketio, notes):
    @socketio.on("go")
    def go():
        with pytest.raises(TypeError):
            emit("x", object())
        return "caught"

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        assert client.call("go") == ["caught"]


# --- async def


def test_coroutine_handlers(socketio):
    import asyncio

    @socketio.on("connect")
    async def connected(auth):
        await asyncio.sleep(0)
        emit("welcome", auth)

    @socketio.on("wait")
    async def wait(data):
        g.before = data
        await asyncio.sleep(0.001)
        session["n"] = session.get("n", 0) + 1
        emit("waited", g.before)
        return session["n"]

    @socketio.on("fail")
    async def fail():
        await asyncio.sleep(0)
        raise ValueError("in a coroutine")

    with Site(socketio) as site, Client(site.port) as client:
        client.join("/", {"a": 1})
        assert client.event() == ["welcome", {"a": 1}]
        client.emit("fail", ack=9)
        client.emit("wait", "x", ack=1)
        assert client.event() == ["waited", "x"]
        assert client.receive() == "431[1]"


# --- from elsewhere


def test_emits_from_views_threads_and_background_tasks(socketio, notes):
    app = socketio._find_app()

    @app.get("/tell")
    def tell():
        emit("module", 1, namespace="/", broadcast=True)
        socketio.emit("method", 2)
        with pytest.raises(ContextError):
            emit("to whom?")
        return "told"

    @socketio.on("start")
    def start():
        def work():
            socketio.sleep(0)
            socketio.emit("background", 4)

        socketio.start_background_task(work).join()

    with Site(socketio) as site, Client(site.port) as client, Connection(site.port) as browser:
        client.join()
        assert browser.get("/tell").text == "told"
        thread = threading.Thread(target=socketio.emit, args=("thread", 3))
        thread.start()
        thread.join()
        client.emit("start")
        assert [client.event() for _ in range(4)] == [["module", 1], ["method", 2], ["thread", 3], ["background", 4]]


def test_rooms_from_views(socketio):
    app = socketio._find_app()

    @app.get("/join/<sid>")
    def join(sid):
        join_room("lounge", sid=sid, namespace="/")
        emit("hello", to="lounge", namespace="/")
        return str(len(rooms(sid, "/")))

    with Site(socketio) as site, Client(site.port) as client, Connection(site.port) as browser:
        sid = client.join()
        assert browser.get(f"/join/{sid}").text == "2"
        assert client.event() == ["hello"]
        assert browser.get("/join/nobody").status == 500


def test_call_asks_a_client_and_waits(socketio):
    from greenwire.errors import DisconnectedError, TimeoutError

    @socketio.on("ask")
    def ask():
        return call("question", {"a": 1}, timeout=10)

    @socketio.on("ask in vain")
    def in_vain():
        with pytest.raises(TimeoutError):
            call("question", timeout=0.05)
        with pytest.raises(DisconnectedError):
            call("question", to="nobody")
        return "done"

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        client.emit("ask", ack=1)
        packet = client.packet()
        assert packet.endswith('["question",{"a":1}]')
        client.send_text("43" + packet[2 : packet.index("[")] + '["yes",2]')
        assert client.receive() == '431["yes",2]'
        client.emit("ask in vain", ack=2)
        assert "question" in client.packet()
        assert client.packet() == '432["done"]'


def test_sessions_are_opened_side_by_side(socketio):
    """A session interface may ask a database: other clients do not wait for its answer, in green threads least."""
    app, both, asked = socketio._find_app(), Event(), []

    class Slow(flask.sessions.SecureCookieSessionInterface):
        def open_session(self, app, request):
            asked.append(request)
            if len(asked) == 2:
                both.set()
            assert both.wait(10)
            return super().open_session(app, request)

    app.secret_key, app.session_interface = "key", Slow()
    socketio.on("connect")(lambda: None)
    with Site(socketio) as site, Client(site.port) as one, Client(site.port) as other:
        for client in (one, other):
            client.handshake()
            client.send_text("40")
        assert all(client.receive().startswith("40{") for client in (one, other))


def test_a_call_ends_when_its_client_leaves_and_not_after_its_disconnect_handler(socketio, notes):
    gate = Event()

    @socketio.on("ask")
    def ask():
        try:
            call("question", timeout=15)
        except DisconnectedError:
            notes.append("left")
            gate.set()

    @socketio.on("disconnect")
    def disconnected():
        assert gate.wait(10)
        try:
            call("question", timeout=15)
        except DisconnectedError:
            notes.append("leaving")

    with Site(socketio) as site, Client(site.port) as client:
        client.join()
        client.emit("ask")
        client.packet()
        client.send_text("41")
        assert notes.wait_for(2) == ["left", "leaving"]
