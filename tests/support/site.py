"""A Socket.IO application, served by a thread of the test's own process on a free port.

At its end nothing may be left: no thread, no task, no connection, no descriptor, no complaint of the event loop,
no line about an internal error.
"""

import gc
import logging
import os
import threading
from typing import Any

import flask

from greenwire.flask import SocketIO
from greenwire.stack import Service

from .waiting import TIMEOUT_S, wait_until


class Site:
    """``with Site(socketio) as site:``. Clients are to be closed before its end."""

    def __init__(self, socketio: SocketIO, *, port: int = 0, beside: bool = False, **options: Any) -> None:
        """*beside* another one, which ends later and looks then whether anything is left."""
        self.socketio = socketio
        self.app: flask.Flask = socketio._find_app()
        self.complaints: list[object] = []
        self.failed: list[BaseException] = []
        self._options = {"port": port, **options}
        self._beside = beside
        self._thread = threading.Thread(target=self._run, name="site", daemon=True)
        self._log = _Recorder(self.complaints)

    def _run(self) -> None:
        try:
            self.socketio.run(self.app, **self._options)
        except BaseException as error:
            self.failed.append(error)

    def __enter__(self) -> "Site":
        gc.collect()
        self._threads = set(threading.enumerate())
        self._descriptors = descriptors()
        logging.getLogger("greenwire").addHandler(self._log)
        self._thread.start()
        self.service: Service = wait_until(lambda: self.failed or self.socketio._service, "the site runs")
        assert not self.failed, self.failed
        self.service.loop.aio.set_exception_handler(lambda _, context: self.complaints.append(context))
        self.url = self.service.urls[0]
        self.port = int(self.url.rsplit(":", 1)[1])
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        logging.getLogger("greenwire").removeHandler(self._log)
        if kind is None and not self._beside:
            self._assert_nothing_is_left()

    def stop(self) -> None:
        """Stop, gracefully first."""
        self.service.stop()
        self._thread.join(TIMEOUT_S)
        if self._thread.is_alive():
            self.service.stop()
            self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), "the site does not stop"

    def _assert_nothing_is_left(self) -> None:
        service = self.service
        assert not self.failed
        assert not self.complaints
        assert service.tasks.busy() == 0
        wait_until(lambda: service.runner.busy() == 0, "no handler runs")
        assert not service.server.connections
        wait_until(lambda: set(threading.enumerate()) <= self._threads, "all threads have ended")
        gc.collect()
        wait_until(lambda: len(descriptors()) <= len(self._descriptors), "all descriptors are closed")

    # --- a look inside, by the loop thread

    @property
    def engine(self) -> Any:
        """The Engine.IO server."""
        return next(iter(self.service.engines.values()))

    @property
    def peers(self) -> dict[str, Any]:
        """The Engine.IO sessions."""
        return self.service.loop.ask(lambda: dict(self.engine.peers))

    def members_of(self, namespace: str) -> list[Any]:
        """The members of a namespace."""
        spaces = self.service.mounts[0]._dispatcher.spaces
        return self.service.loop.ask(lambda: list(spaces[namespace].members.values()) if namespace in spaces else [])

    @property
    def members(self) -> int:
        """How many clients there are, each counted in each of its namespaces."""
        spaces = self.service.mounts[0]._dispatcher.spaces
        return self.service.loop.ask(lambda: sum(len(space.members) for space in spaces.values()))

    def wait_for_members(self, count: int) -> None:
        """Wait until so many clients are in a namespace."""
        wait_until(lambda: self.members == count, f"{count} members, there are {self.members}")

    def close_all(self) -> None:
        """Close all sessions, and wait until nobody is left."""
        self.service.loop.ask(lambda: [peer.close() for peer in list(self.engine.peers.values())])
        self.wait_for_members(0)

    def drop(self, sid: str) -> None:
        """Cut the WebSocket of the Engine.IO session *sid*, as a broken line would."""
        self.service.loop.ask(lambda: self.engine.peers[sid].socket.abort())


class _Recorder(logging.Handler):
    def __init__(self, complaints: list[object]) -> None:
        super().__init__(logging.ERROR)
        self._complaints = complaints

    def emit(self, record: logging.LogRecord) -> None:
        if "internal error" in record.getMessage():
            self._complaints.append((record.getMessage(), record.exc_info))


def descriptors() -> list[str]:
    """The sockets and event queues of this process."""
    folder = "/proc/self/fd"
    found = []
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        try:
            what = os.readlink(f"{folder}/{name}")
        except OSError:  # the one that listed the folder
            continue
        if what.startswith(("socket:", "anon_inode:")):
            found.append(what)
    return found


def new_socketio(**options: Any) -> SocketIO:
    """An application of its own with a secret key."""
    app = flask.Flask("test_app")
    app.secret_key = "not a secret"
    return SocketIO(app, **options)
