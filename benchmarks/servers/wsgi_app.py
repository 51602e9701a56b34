"""The web application that every WSGI server serves: a bare answer, a Flask view, a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from listening import static_folder

GREETING = b"Hello, world"
BARE_HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(GREETING)))]

flask_app = Flask(__name__, static_folder=static_folder(), static_url_path="/static")


@flask_app.get("/flask")
def greeting() -> str:
    """The smallest view."""
    return GREETING.decode()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Without Flask where it is asked for without."""
    if environ["PATH_INFO"] != "/bare":
        return flask_app(environ, start_response)
    start_response("200 OK", BARE_HEADERS)
    return [GREETING]
