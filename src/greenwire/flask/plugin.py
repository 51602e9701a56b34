"""A fixture for pytest: ``socketio_client``, which connects test clients and closes them when the test is over.

::

    def test_bid(socketio_client, app):
        alice, bob = socketio_client(app), socketio_client(app, auth={"name": "bob"})
        alice.emit("bid", 12)
        assert bob.get_received()[0]["name"] == "bid"
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import flask

    from .testing import SocketIOTestClient


@pytest.fixture
def socketio_client(request: pytest.FixtureRequest) -> "Iterator[Callable[..., SocketIOTestClient]]":
    """``socketio_client(app, namespace=…, auth=…, …)``: a connected client, with the options of
    ``SocketIO.test_client``. Without *app* it is that of the fixture ``app``."""
    clients: list[SocketIOTestClient] = []

    def connect(app: "flask.Flask | None" = None, namespace: str | None = None, **options: Any) -> "SocketIOTestClient":
        app = request.getfixturevalue("app") if app is None else app
        client: SocketIOTestClient = app.extensions["socketio"].test_client(app, namespace, **options)
        clients.append(client)
        return client

    yield connect
    for client in reversed(clients):
        client.close()
