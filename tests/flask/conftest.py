"""An application of its own for each test, and clients that speak to it over memory."""

from collections.abc import Callable

import flask
import pytest

from greenwire.flask import SocketIO, SocketIOTestClient
from greenwire.flask.plugin import socketio_client  # noqa: F401  # also where the entry point is not installed


@pytest.fixture
def app() -> flask.Flask:
    app = flask.Flask("face")
    app.secret_key = "not a secret"
    app.testing = True
    return app


@pytest.fixture
def socketio(app: flask.Flask) -> SocketIO:
    return SocketIO(app)


@pytest.fixture
def connect(socketio_client: Callable[..., SocketIOTestClient], app: flask.Flask) -> Callable[..., SocketIOTestClient]:  # noqa: F811
    """A client of ``app``; keywords as those of ``test_client``."""
    return lambda namespace=None, **options: socketio_client(app, namespace, **options)
