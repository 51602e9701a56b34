"""The exceptions that Greenwire shows to its users, named by who is at fault and what to do next.

::

    GreenwireError
    ├── ConfigurationError        you: an option or a handler is wrong; the message names the line to change
    │   ├── BindError             you: the address cannot be listened on; says which and why
    │   └── ContextError          you: a function was called where it cannot know what you mean
    ├── EncodeError               you: a value cannot be sent; raised at your own ``emit`` line
    ├── NotRunningError           you: an answer was wanted from a server that is not running
    ├── RemoteProtocolError       the client: it broke a protocol; carries how to answer it
    ├── TruncatedBodyError        the client: its request body ended early or was malformed
    └── SocketIOError             the names and meaning of ``socketio.exceptions``
        ├── ConnectionError
        │   └── ConnectionRefusedError   raise it in a connect handler to refuse the client
        ├── TimeoutError          an acknowledgement did not come in time
        ├── BadNamespaceError     the namespace is not connected
        └── DisconnectedError     the client is gone

Pure: imports nothing.
"""


class GreenwireError(Exception):
    """Base of all exceptions of this package."""


class ConfigurationError(GreenwireError, ValueError):
    """An option, a handler or a call is wrong. The message says what would work."""


class BindError(ConfigurationError):
    """An address cannot be listened on. One line: the address, the reason, the fix."""


class ContextError(ConfigurationError, RuntimeError):
    """A function that needs a handler or an application around it was called without one."""


class EncodeError(GreenwireError, TypeError):
    """A value cannot be encoded for the wire."""


class NotRunningError(GreenwireError, RuntimeError):
    """The server that should answer is not running."""


class RemoteProtocolError(GreenwireError):
    """The peer broke a protocol.

    *status* is the HTTP status to answer with where there is still a request to answer,
    *close_code* the RFC 6455 code where there is a WebSocket. The message is safe to show to the peer.
    """

    def __init__(self, message: str, *, status: int = 400, close_code: int = 1002) -> None:
        super().__init__(message)
        self.status = status
        self.close_code = close_code


class TruncatedBodyError(GreenwireError, OSError):
    """A request body ended early, was malformed, or came too slowly. Raised by reads of ``wsgi.input``.

    An ``OSError``, because that is what a failing file raises, and what Werkzeug turns into a
    ``ClientDisconnected`` (400) of its own.
    """


class SocketIOError(GreenwireError):
    """Base of the errors of the Socket.IO level."""


class ConnectionError(SocketIOError):  # the documented name, as in socketio.exceptions
    """A connection could not be made."""


class ConnectionRefusedError(ConnectionError):  # the documented name
    """Raise it in a connect handler to refuse the client.

    No argument: the client sees ``{"message": "Connection rejected by server"}``. The first argument is
    the message; one more becomes ``data``, several more a list in ``data``.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.error_args = refusal(args)


class TimeoutError(SocketIOError):  # the documented name
    """The client did not acknowledge in time."""


class BadNamespaceError(SocketIOError):
    """The client is not connected to this namespace."""


class DisconnectedError(SocketIOError):
    """The client is gone."""


def refusal(args: tuple[object, ...]) -> dict[str, object]:
    """The CONNECT_ERROR payload for the arguments of a ``ConnectionRefusedError``."""
    if not args:
        return {"message": "Connection rejected by server"}
    payload: dict[str, object] = {"message": str(args[0])}
    if len(args) > 1:
        payload["data"] = args[1] if len(args) == 2 else list(args[1:])
    return payload
