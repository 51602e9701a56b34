"""Reference 1.6, sessions: managed ones, those of the application, server-side ones; Flask-Login; flash()."""

import flask
import pytest
from flask import flash, get_flashed_messages, request, session

from greenwire.flask import SocketIO


@pytest.fixture
def with_views(app):
    @app.get("/set/<value>")
    def set_value(value):
        session["value"] = value
        return "ok"

    @app.get("/get")
    def get_value():
        return session.get("value", "nothing")

    return app


def handlers(socketio):
    socketio.on("get")(lambda: session.get("value", "nothing"))

    @socketio.on("set")
    def set_value(value):
        session["value"] = value
        return session.modified


def test_managed_sessions_fork_at_connect(with_views, connect):
    handlers(SocketIO(with_views))
    browser = with_views.test_client()
    browser.get("/set/first")
    client = connect(flask_test_client=browser)
    assert client.emit("get", callback=True) == "first"
    browser.get("/set/second")
    assert client.emit("get", callback=True) == "first"
    assert client.emit("set", "third", callback=True) is True
    assert client.emit("get", callback=True) == "third"
    assert browser.get("/get").text == "second"


def test_managed_sessions_are_those_of_the_connection(with_views, connect):
    socketio = SocketIO(with_views)
    handlers(socketio)
    socketio.on("get", namespace="/other")(lambda: session.get("value"))
    one, other = connect(), connect()
    one.emit("set", 1)
    one.connect("/other")
    assert one.emit("get", namespace="/other", callback=True) == 1
    assert other.emit("get", callback=True) == "nothing"


def test_the_saved_session_in_the_environ(with_views, connect):
    socketio = SocketIO(with_views)
    handlers(socketio)
    client = connect()
    client.emit("set", [1])
    assert socketio.server.environ[client.eio_sid]["saved_session"] == {"value": [1]}
    assert dict(socketio.server.environ[client.eio_sid]["saved_session"]) == {"value": [1]}


def test_sessions_of_cookies_are_frozen_without_manage_session(with_views, connect):
    handlers(SocketIO(with_views, manage_session=False))
    browser = with_views.test_client()
    browser.get("/set/first")
    client = connect(flask_test_client=browser)
    client.emit("set", "changed")
    assert client.emit("get", callback=True) == "first"


def test_manage_session_can_be_switched(with_views, connect):
    socketio = SocketIO(with_views)
    handlers(socketio)
    client = connect()
    client.emit("set", 1)
    socketio.manage_session = False
    assert client.emit("get", callback=True) == "nothing"
    socketio.manage_session = True
    assert client.emit("get", callback=True) == 1


@pytest.fixture(params=["filesystem", "sqlite"])
def server_side(request, with_views, tmp_path):
    """The application with Flask-Session."""
    flask_session = pytest.importorskip("flask_session")
    if request.param == "filesystem":
        cachelib = pytest.importorskip("cachelib")
        with_views.config["SESSION_TYPE"] = "cachelib"
        with_views.config["SESSION_CACHELIB"] = cachelib.FileSystemCache(str(tmp_path / "sessions"))
    else:
        flask_sqlalchemy = pytest.importorskip("flask_sqlalchemy")
        with_views.config["SESSION_TYPE"] = "sqlalchemy"
        with_views.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'sessions.db'}"
        with_views.config["SESSION_SQLALCHEMY"] = database = flask_sqlalchemy.SQLAlchemy(with_views)
    flask_session.Session(with_views)
    yield with_views
    if request.param == "sqlite":
        with with_views.app_context():
            database.session.remove()
            database.engine.dispose()


def test_both_sides_share_server_side_sessions(server_side, connect):
    handlers(SocketIO(server_side, manage_session=False))
    browser = server_side.test_client()
    browser.get("/set/first")
    client = connect(flask_test_client=browser)
    assert client.emit("get", callback=True) == "first"
    client.emit("set", "from the handler")
    assert browser.get("/get").text == "from the handler"
    browser.get("/set/again")
    assert client.emit("get", callback=True) == "again"


def test_a_handler_that_fails_saves_nothing(server_side, connect):
    socketio = SocketIO(server_side, manage_session=False)

    @socketio.on("fail")
    def fail():
        session["value"] = "half done"
        raise KeyError

    browser = server_side.test_client()
    browser.get("/set/first")
    client = connect(flask_test_client=browser)
    with pytest.raises(KeyError):
        client.emit("fail")
    assert browser.get("/get").text == "first"


def test_server_side_sessions_are_forked_when_managed(server_side, connect):
    handlers(SocketIO(server_side))
    browser = server_side.test_client()
    browser.get("/set/first")
    client = connect(flask_test_client=browser)
    client.emit("set", "mine")
    assert client.emit("get", callback=True) == "mine"
    assert browser.get("/get").text == "first"


def test_flash(socketio, connect):
    socketio.on("say")(lambda text: flash(text))
    socketio.on("hear")(lambda: get_flashed_messages())
    client = connect()
    client.emit("say", "one")
    client.emit("say", "two")
    assert client.emit("hear", callback=True) == ["one", "two"]
    assert client.emit("hear", callback=True) == []


def test_flash_within_one_event(socketio, connect):
    @socketio.on("both")
    def both():
        flash("now")
        return get_flashed_messages()

    assert connect().emit("both", callback=True) == ["now"]


def test_flask_login(app, connect):
    flask_login = pytest.importorskip("flask_login")
    socketio = SocketIO(app)
    manager = flask_login.LoginManager(app)

    class User(flask_login.UserMixin):
        def __init__(self, name):
            self.id = name

    manager.user_loader(User)

    @app.get("/login/<name>")
    def login(name):
        flask_login.login_user(User(name))
        return "ok"

    @socketio.on("connect")
    def connected():
        return flask_login.current_user.is_authenticated

    @socketio.on("who")
    def who():
        return flask_login.current_user.id

    @socketio.on("login")
    def login_here(name):
        flask_login.login_user(User(name))

    @socketio.on("logout")
    def logout():
        flask_login.logout_user()
        return flask_login.current_user.is_authenticated

    assert not connect().is_connected()
    browser = app.test_client()
    browser.get("/login/ada")
    client = connect(flask_test_client=browser)
    assert client.is_connected()
    assert client.emit("who", callback=True) == "ada"
    client.emit("login", "grace")
    assert client.emit("who", callback=True) == "grace"
    assert client.emit("logout", callback=True) is False


def test_an_application_without_a_secret_key(connect):
    app = flask.Flask("no key")
    socketio = SocketIO(app)

    @socketio.on("look")
    def look():
        return list(session)

    client = socketio.test_client(app)
    assert client.emit("look", callback=True) == []
    client.close()


def test_request_attributes_do_not_leak_from_event_to_event(socketio, connect):
    @socketio.on("mark")
    def mark():
        seen = getattr(request, "mine", None)
        request.mine = 1
        return seen

    client = connect()
    assert [client.emit("mark", callback=True) for _ in range(2)] == [[], []]
