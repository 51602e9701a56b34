"""Green threads: plain blocking code, thousands at once, over the event loop of one thread.

``spawn(fn)`` starts one; wherever it waits, by a name of this package, others run. ``wait(awaitable)`` runs
anything of asyncio from plain code, ``await to_green(fn)`` plain code from a coroutine.
"""

from greenlet import GreenletExit, getcurrent

from . import fork as _fork  # noqa: F401  # what it does is done at a fork
from . import tpool
from .convenience import StopServe, connect, listen, serve
from .hub import sleep, wait
from .originals import original
from .patch import import_patched, is_patched, patch
from .pool import GreenPile, GreenPool
from .queue import LifoQueue, PriorityQueue, Queue
from .ssl import wrap_socket as wrap_ssl
from .sync import BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore, local
from .thread import GreenThread, kill, spawn, spawn_after, spawn_n, to_green
from .timeout import Timeout
from .worker import HubClosedError

__all__ = [
    "BoundedSemaphore",
    "Condition",
    "Event",
    "GreenPile",
    "GreenPool",
    "GreenThread",
    "GreenletExit",
    "HubClosedError",
    "LifoQueue",
    "Lock",
    "PriorityQueue",
    "Queue",
    "RLock",
    "Semaphore",
    "StopServe",
    "Timeout",
    "connect",
    "getcurrent",
    "import_patched",
    "is_patched",
    "kill",
    "listen",
    "local",
    "original",
    "patch",
    "serve",
    "sleep",
    "spawn",
    "spawn_after",
    "spawn_n",
    "to_green",
    "tpool",
    "wait",
    "wrap_ssl",
]
