"""The application, put together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, g, render_template, request, send_file
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from greenwire.flask import SocketIO

from . import accounts, cart, clock, csrf, db, live, money, photos, seed, settings, settle, shop

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none';"
        " form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Build the auction house. Its `SocketIO` is `app.extensions["socketio"]`.

    With `TESTING` on, no background task runs: a test settles when it wants to.
    """
    app = Flask(__name__)
    app.config.from_mapping(settings.load(config))
    app.url_map.converters["item"] = shop.ItemNumber
    db.init_app(app)
    csrf.init_app(app)
    _init_pages(app)
    # A browser that vanishes without a word is counted as a watcher until its ping is missed: not for long.
    socketio = SocketIO(app, ping_interval=10, ping_timeout=10)
    app.extensions["auction.live"] = live.Live(socketio)
    _open_house(app)
    if not app.testing:
        socketio.start_background_task(live.of(app).keep_settling, app)
    return app


def _open_house(app: Flask) -> None:
    """Fill an empty house with the demo, and settle what ended while it was closed."""
    with app.app_context():
        if settings.is_on(app.config["AUCTION_DEMO"]):
            seed.fill(db.get(), app.config["PHOTOS"], clock.now())
        settle.due(db.get(), clock.now())


def _init_pages(app: Flask) -> None:
    for module in (accounts, shop, cart, photos):
        app.register_blueprint(module.pages)
    app.add_url_rule("/static/socket.io.min.js", "socketio_js", _socketio_js)
    app.register_error_handler(HTTPException, _error_page)
    app.after_request(_harden)
    app.context_processor(_common)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= {
        "money": money.show,
        "plain_money": money.plain,
        "iso": clock.iso,
        "moment": clock.words,
    }


def _common() -> dict[str, Any]:
    """What every page needs."""
    user = _user()
    return {
        "user": user,
        "cart_count": cart.count(db.get(), user.id) if user else 0,
        "server_now": clock.now(),
        "has_live": Path(current_app.config["SOCKETIO_JS"]).is_file(),
        "transports": current_app.config["AUCTION_TRANSPORTS"],
    }


def _user() -> accounts.User | None:
    if "user" not in g:
        g.user = accounts.current_user()
    user: accounts.User | None = g.user
    return user


def _socketio_js() -> Response:
    """The Socket.IO client, from where npm has put it; pages work without it, only not live."""
    path = Path(current_app.config["SOCKETIO_JS"])
    if not path.is_file():
        raise NotFound("The Socket.IO client is not installed.")
    return send_file(path, mimetype="text/javascript", conditional=True)


def _harden(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if response.mimetype == "text/html":
        # Pages tell who is logged in and what time it is; a stored copy would tell neither right.
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _error_page(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None:  # a redirect of the router, not an error
        return error.response
    sentence = error.description
    if isinstance(error, RequestEntityTooLarge):
        sentence = f"Send {current_app.config['MAX_PHOTO_BYTES'] / settings.MEGABYTE:g} MB or less."
    if request.path.startswith("/static/") or request.path.startswith("/photos/"):
        return str(error), error.code or 500, {"Content-Type": "text/plain; charset=utf-8"}
    return render_template("error.html", error=error, sentence=sentence), error.code or 500
