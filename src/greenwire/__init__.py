"""Greenwire: the realtime server for Flask. HTTP/1.1, WebSocket and Socket.IO on one port.

The face for Flask applications is :mod:`greenwire.flask`. :func:`serve` serves any WSGI application, and Engine.IO
or Socket.IO servers beside it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .limits import Limits
    from .stack import Mount

__all__ = ["__version__", "serve"]


def serve(
    app: Callable[..., Any] | None = None,
    *,
    mounts: "Sequence[Mount]" = (),
    host: str | None = None,
    port: int | str | None = None,
    limits: "Limits | None" = None,
    **options: Any,
) -> None:
    """Serve a WSGI application and what is mounted beside it, until Ctrl-C or SIGTERM.

    *mounts*: :class:`greenwire.engineio.Server` objects, for example. Options are those of
    :class:`greenwire.run_options.RunOptions`. Raises :class:`greenwire.errors.BindError`.
    """
    from .limits import DEFAULT
    from .processes import launch  # not above: importing greenwire.errors should not start the whole house
    from .run_options import RunOptions
    from .stack import Service

    if launch.ignored("greenwire.serve()"):
        return
    chosen = RunOptions.take(options, host=host, port=port, server_name=None)
    bounds = chosen.bounded(limits or DEFAULT)
    launch.run(chosen, bounds, lambda own, worker: Service(app, mounts, own, bounds, worker).run())
