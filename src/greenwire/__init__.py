"""Greenwire: the realtime server for Flask. HTTP/1.1, WebSocket and Socket.IO on one port.

The face for Flask applications is :mod:`greenwire.flask`.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
