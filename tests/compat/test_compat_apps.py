"""An application of each usual kind runs under greenwire.compat as it runs on Flask-SocketIO.

Those that Flask-SocketIO can serve here without eventlet and gevent are run on it, too: they are what they are said
to be, and not made to fit.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import socketio

from compat.serving import APPS, Running, said, served
from support.waiting import Log, wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "migrate.md").read_text()
# What section 3 of the page has one do to the two applications that were made for eventlet and for gevent.
DELETED = {
    "import eventlet\n\neventlet.monkey_patch()\n": "",
    "eventlet.sleep(0)": "socketio.sleep(0)",
    "job = eventlet.spawn(pow, number, 2)": "job = ThreadPoolExecutor().submit(pow, number, 2)",
    "return job.wait()": "return job.result()",
    "eventlet.spawn_after(0.01, socketio.emit, ": "threading.Timer(0.01, socketio.emit, ",
    '"it is later", "now")': '("it is later", "now")).start()',
    "import threading\n": "import threading\nfrom concurrent.futures import ThreadPoolExecutor\n",
    "from gevent import monkey\n\nmonkey.patch_all()\n": "from concurrent.futures import ThreadPoolExecutor\n",
    "import gevent\n": "",
    "job = gevent.spawn(checksum, ": "job = ThreadPoolExecutor().submit(checksum, ",
    "gevent.sleep(0)\n    gevent.joinall([job])\n    return job.get()": "socketio.sleep()\n    return job.result()",
}
COMPAT, MIGRATED, ORIGINAL = "greenwire.compat", "greenwire.flask", "flask_socketio"
EVERYWHERE = pytest.mark.parametrize("under", [COMPAT, MIGRATED, ORIGINAL])
OURS = pytest.mark.parametrize("under", [COMPAT, MIGRATED])


@pytest.fixture
def app(request, under: str, tmp_path: Path) -> Iterator[Running]:
    """The application that the test names in its ``app`` mark."""
    command, folder = [*request.function.app, "0"], APPS
    if under == COMPAT:
        command = ["-m", "greenwire.compat", *command]
    elif under == MIGRATED:
        folder = migrated(tmp_path)
    with served(*command, cwd=folder, is_graceful=under != ORIGINAL) as running:
        yield running
    if under != ORIGINAL:
        assert running.process.returncode == 0, list(running.lines)
        assert not [line for line in running.lines if line.startswith("Traceback")], list(running.lines)


def migrated(folder: Path) -> Path:
    """The applications after what docs/migrate.md says in its sections 2 and 3."""
    section = PAGE.partition("## 2. ")[2].partition("## 3. ")[0]
    rows = re.findall(r"^\| `(from .*?) import [^`]*` \| `(from .*?) import [^`]*` \|$", section, re.MULTILINE)
    assert len(rows) == 4
    for path in APPS.rglob("*.py"):
        text = path.read_text()
        for before, after in sorted(rows, reverse=True):  # a package after its parts
            text = text.replace(f"{before} import", f"{after} import")
        for before, after in DELETED.items():
            text = text.replace(before, after)
        copy = folder / path.relative_to(APPS)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(text)
    return folder


def of(*arguments: str):
    """Which application the test is about."""

    def mark(test):
        test.app = arguments
        return test

    return mark


@EVERYWHERE
@of("chat.py")
def test_chat_with_rooms(app: Running):
    welcomed = Log()
    ann = app.connect(auth={"name": "ann"}, on={"welcome": welcomed.append})
    assert welcomed.wait_for(1) == [{"name": "ann", "online": 1}]
    bob = app.connect(auth={"name": "bob"}, on={"welcome": welcomed.append})
    assert welcomed.wait_for(2)[1] == {"name": "bob", "online": 2}
    joined, spoken, shouted, closing, left = (
        said(ann, event) for event in ("joined", "said", "shouted", "closing", "left")
    )
    assert ann.call("join", {"room": "tea"}, timeout=10) == ["tea", ann.get_sid()]
    bob.call("join", {"room": "tea"}, timeout=10)
    assert joined.wait_for(1) == [("bob",)]
    bob.emit("say", ("tea", "hello"))
    assert spoken.wait_for(1) == [({"from": "bob", "text": "hello"},)]
    bob.emit("shout", "hey")
    assert shouted.wait_for(1) == [("hey",)]
    assert requests.post(f"{app.url}/announce/tea", json=["biscuits"], timeout=10).json() == {"told": "tea"}
    assert bob.call("leave", {"room": "tea"}, timeout=10) == 1
    bob.call("close", "tea", timeout=10)  # its handler has ended: nobody is in the room any more
    assert closing.wait_for(1) == [("tea",)]
    bob.call("say", ("tea", "nobody is here"), timeout=10)
    bob.call("leave", {"room": "tea"}, timeout=10)
    bob.emit("leave_me")
    assert left.wait_for(1) == [({"name": "bob", "reason": "server disconnect", "rooms": 1},)]
    assert len(spoken) == 1
    assert len(shouted) == 1


@EVERYWHERE
@of("chat.py")
def test_chat_answers(app: Running):
    client = app.connect(auth={"name": "ann"}, on={"asked": lambda question: question[::-1]})
    texts, values, answers = (said(client, event) for event in ("message", "json", "answer was"))
    client.send("hello")
    assert texts.wait_for(1) == [("HELLO",)]
    client.emit("json", {"a": 1})
    assert values.wait_for(1) == [({"seen": {"a": 1}},)]
    client.emit("question", "why")
    assert answers.wait_for(1) == [({"answer": "yhw", "name": "ann"},)]
    assert client.call("fail", timeout=10) == {"error": "on purpose", "event": "fail"}


@EVERYWHERE
@of("chat.py")
def test_chat_refuses_who_has_no_name(app: Running):
    refused = Log()
    with pytest.raises(socketio.exceptions.ConnectionError):
        app.connect(on={"connect_error": refused.append})
    assert refused == [{"message": "who are you?", "data": {"field": "name"}}]


@EVERYWHERE
@of("classes.py")
def test_class_namespaces(app: Running):
    here = {"namespace": "/room"}
    members, told, whispered, texts = Log(), Log(), Log(), Log()
    handlers = {
        "members": members.append,
        "told": told.append,
        "whispered": whispered.append,
        "message": texts.append,
    }
    one = app.connect(namespaces=["/room"], on=handlers)
    two = app.connect(namespaces=["/room"])
    assert members.wait_for(2) == [1, 2]
    assert one.call("enter", "tea", timeout=10, **here) is True
    two.emit("tell", ("tea", "hello"), **here)
    assert told.wait_for(1) == ["hello"]
    one.emit("whisper", "psst", **here)
    assert whispered.wait_for(1) == ["function: psst"]
    two.send("abc", **here)
    assert texts.wait_for(1) == ["cba"]
    assert one.call("fail", timeout=10, **here) == "LookupError: nothing here"
    two.call("close", "tea", timeout=10, **here)
    two.call("tell", ("tea", "nobody is here"), timeout=10, **here)
    assert one.call("unknown", timeout=10, **here) is None
    two.disconnect()
    three = app.connect(namespaces=["/room"])
    assert members.wait_for(3)[2] == 2
    assert three.connected
    assert told == ["hello"]


@EVERYWHERE
@of("classes.py")
def test_everything_else_has_a_handler_too(app: Running):
    assert app.connect().call("anything at all", ("x", 2), timeout=10) == {
        "event": "anything at all",
        "args": ["x", 2],
    }


@OURS
@of("background.py")
def test_background_thread_of_an_eventlet_application(app: Running, under: str):
    ticks = Log()
    client = app.connect(on={"tick": ticks.append})
    assert ticks.wait_for(3)[:3] == [1, 2, 3]
    later = said(client, "it is later")
    client.emit("later")
    assert later.wait_for(1) == [("now",)]
    assert client.call("compute", 12, timeout=10) == 144
    assert client.call("stop", timeout=10) == "stopped"
    told = ["background.py:6: eventlet.monkey_patch() does nothing here: delete this line"]
    assert app.notices() == (told if under == COMPAT else [])


@EVERYWHERE
@of("sessions.py")
def test_sessions(app: Running):
    with pytest.raises(socketio.exceptions.ConnectionError):
        app.connect()
    with requests.Session() as browser:
        browser.post(f"{app.url}/login", data={"user": "ann"}, timeout=10)
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        client = app.connect(headers={"Cookie": cookies, "X-Shop": "tea"})
        sessions = said(client, "session")
        assert client.call("remember", ("cart", [1, 2]), timeout=10) == ["cart", "user"]
        assert client.call("recall", timeout=10) == [None, "tea", False]
        assert sessions.wait_for(1) == [({"user": "ann", "cart": [1, 2]},)]
        # A copy: the view does not see it, and the next connection begins anew.
        assert browser.get(f"{app.url}/session", timeout=10).json() == {"user": "ann"}
        other = app.connect(headers={"Cookie": cookies})
        assert other.call("remember", ("x", 1), timeout=10) == ["user", "x"]
        wait_until(lambda: client.call("seen", timeout=10)[:4] == ["connect", "connect", "remember", "recall"])


@EVERYWHERE
@of("login.py")
def test_flask_login(app: Running):
    greeted = Log()
    stranger = app.connect(on={"you are": greeted.append})
    assert greeted.wait_for(1) == ["a stranger"]
    gone = said(stranger, "disconnect")
    stranger.emit("secret", "hello")
    gone.wait_for(1)
    with requests.Session() as browser:
        assert browser.post(f"{app.url}/login", data={"user": "ann"}, timeout=10).text == "ann"
        client = app.connect(
            headers={"Cookie": f"session={browser.cookies['session']}"}, on={"you are": greeted.append}
        )
        assert greeted.wait_for(2)[1] == "ann"
        assert client.call("secret", "hello", timeout=10) == "hello, ann"
        assert client.call("logout", timeout=10) is False


@OURS
@pytest.mark.parametrize("transport", ["websocket", "polling"])
@of("uploads.py")
def test_uploads_in_binary_events_of_a_gevent_application(app: Running, under: str, transport: str):
    content = bytes(range(256)) * 4_000
    piece = 100_000
    client = app.connect(transports=[transport])
    written, files = said(client, "written"), said(client, "file")
    name = client.call("start upload", ("picture", len(content)), timeout=10)
    for offset in range(0, len(content), piece):
        assert client.call("write", (name, offset, content[offset : offset + piece]), timeout=10)
    assert sum(reply["bytes"] for (reply,) in written.wait_for(11)) == len(content)
    assert client.call("finish", name, timeout=10) == hashlib.sha256(content).hexdigest()
    client.emit("download", (name, 400_000))
    assert b"".join(files.wait_for(1)[0][0]["pieces"]) == content
    told = ["uploads.py:6: gevent.monkey.patch_all() does nothing here: delete this line"]
    assert app.notices() == (told if under == COMPAT else [])


@EVERYWHERE
@of("-m", "factory")
def test_application_factory_with_blueprints(app: Running):
    orders = Log()
    here = {"namespace": "/orders"}
    client = app.connect(
        namespaces=["/orders"], socketio_path="/live", on={"order": orders.append, "failed": orders.append}
    )
    watching = said(client, "watching", "/orders")
    assert client.call("watch", "ann", timeout=10, **here).endswith("/shop/orders/1")
    assert watching.wait_for(1) == [({"app": "factory", "customer": "ann"},)]
    assert requests.put(f"{app.url}/shop/orders/7", timeout=10).text == "factory"
    assert orders.wait_for(1) == [{"number": 7, "url": "/shop/orders/7"}]
    client.emit("watch", ("too", "many"), **here)
    assert "takes 1 positional argument" in orders.wait_for(2)[1]


@pytest.mark.parametrize("command", [["-m", "greenwire.compat"], []], ids=["greenwire.compat", "flask_socketio"])
@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_flask_run(command: list[str], transport: str):
    with served(*command, "-m", "flask", "--app", "chat", "run", "--port", "0", is_graceful=False) as app:
        client = app.connect(auth={"name": "ann"}, transports=[transport])
        assert client.call("fail", timeout=10) == {"error": "on purpose", "event": "fail"}
