"""The stand-ins for eventlet and gevent.

Handlers run in threads, so nothing has to be patched: a library that blocks, blocks its own thread. The names that
mean the same with threads are answered with threads; of the others each says what to use.
"""

import importlib
import queue
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import jobs
from .notices import calling_line, say
from .standin import Plan

_THREADS = "handlers run in threads, use the standard library's threading and socket"
_RUN = "call socketio.run(app, host, port), it is the server"
_POOL = "use concurrent.futures.ThreadPoolExecutor"
_TIMEOUT = "give the timeout to what waits, as in queue.get(timeout=5) or requests.get(url, timeout=5)"
_EVENT = "use threading.Event, or a queue.Queue where a value is sent"

_LOCKS = {"Semaphore": threading.Semaphore, "BoundedSemaphore": threading.BoundedSemaphore}
_QUEUES = {
    name: getattr(queue, name) for name in ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue", "Empty", "Full")
}


def _nothing(name: str) -> Callable[..., None]:
    """``eventlet.monkey_patch`` and its kin."""

    def nothing(*_: Any, **__: Any) -> None:
        say(calling_line(), f"{name}() does nothing here: delete this line")

    return nothing


def _nothing_is_patched(*_: Any) -> bool:
    """Libraries ask this to find out how to wait."""
    return False


def _import_patched(name: str, *_: Any) -> ModuleType:
    """``eventlet.import_patched``: the module as it is."""
    return importlib.import_module(name)


_PATCHES = "all socket dns time select thread os ssl subprocess sys builtins queue signal contextvars".split()

EVENTLET = {
    "eventlet": Plan(
        {
            "monkey_patch": _nothing("eventlet.monkey_patch"),
            "import_patched": _import_patched,
            "sleep": jobs.sleep,
            "spawn": jobs.spawn,
            "spawn_n": jobs.spawn,
            "spawn_after": jobs.spawn_later,
            "spawn_after_local": jobs.spawn_later,
            "getcurrent": threading.current_thread,
            "Queue": queue.Queue,
            **_LOCKS,
        },
        {
            "GreenPool": _POOL,
            "GreenPile": _POOL,
            "Timeout": _TIMEOUT,
            "timeout": _TIMEOUT,
            "with_timeout": _TIMEOUT,
            "Event": _EVENT,
            "event": _EVENT,
            "listen": _RUN,
            "serve": _RUN,
            "wrap_ssl": "give certfile= and keyfile= to socketio.run(app)",
            "wsgi": _RUN,
            "websocket": "use Socket.IO, or another server for plain WebSockets",
            "hubs": "there is no hub, nothing needs it",
            "connect": "use socket.create_connection",
            "kill": "let the function look at a threading.Event and return",
        },
        _THREADS,
    ),
    "eventlet.patcher": Plan(
        {
            "monkey_patch": _nothing("eventlet.patcher.monkey_patch"),
            "is_monkey_patched": _nothing_is_patched,
            "import_patched": _import_patched,
            "original": _import_patched,
            "already_patched": {},
        },
        otherwise=_THREADS,
    ),
    "eventlet.queue": Plan(_QUEUES, otherwise="use the standard library's queue"),
    "eventlet.semaphore": Plan(_LOCKS, otherwise="use threading"),
    "eventlet.greenthread": Plan(
        {
            "sleep": jobs.sleep,
            "spawn": jobs.spawn,
            "spawn_n": jobs.spawn,
            "spawn_after": jobs.spawn_later,
            "getcurrent": threading.current_thread,
        },
        otherwise=_THREADS,
    ),
    "eventlet.corolocal": Plan({"local": threading.local}, otherwise=_THREADS),
    "eventlet.tpool": Plan({"execute": jobs.execute}, otherwise=_POOL),
    "eventlet.green": Plan(otherwise="import the standard library's module of that name"),
}

GEVENT = {
    "gevent": Plan(
        {
            "sleep": jobs.sleep,
            "spawn": jobs.spawn,
            "spawn_later": jobs.spawn_later,
            "joinall": jobs.joinall,
            "getcurrent": threading.current_thread,
        },
        {
            "Greenlet": "use threading.Thread, or gevent.spawn(function)",
            "Timeout": _TIMEOUT,
            "with_timeout": _TIMEOUT,
            "pool": _POOL,
            "threadpool": _POOL,
            "pywsgi": _RUN,
            "server": _RUN,
            "signal": "use signal.signal",
            "signal_handler": "use signal.signal",
            "kill": "let the function look at a threading.Event and return",
            "killall": "let the functions look at a threading.Event and return",
            "wait": "use gevent.joinall(jobs, timeout)",
            "get_hub": "there is no hub, nothing needs it",
            "socket": "use the standard library's socket",
            "subprocess": "use the standard library's subprocess",
        },
        _THREADS,
    ),
    "gevent.monkey": Plan(
        {
            **{f"patch_{name}": _nothing(f"gevent.monkey.patch_{name}") for name in _PATCHES},
            "is_module_patched": _nothing_is_patched,
            "is_object_patched": _nothing_is_patched,
            "saved": {},
        },
        otherwise=_THREADS,
    ),
    "gevent.queue": Plan(_QUEUES, otherwise="use the standard library's queue"),
    "gevent.event": Plan({"Event": threading.Event}, otherwise="use concurrent.futures.Future"),
    "gevent.lock": Plan({**_LOCKS, "RLock": threading.RLock}, otherwise="use threading"),
    "gevent.local": Plan({"local": threading.local}, otherwise=_THREADS),
}
# gevent-websocket, which is given to gevent's server.
GEVENT_WEBSOCKET = {"geventwebsocket": Plan(otherwise=_RUN)}
