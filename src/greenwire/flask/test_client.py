"""The test client, under the name that ``flask_socketio.test_client`` has."""

from .testing import SocketIOTestClient

__all__ = ["SocketIOTestClient"]
