"""``patch()``: the blocking names of the standard library, replaced by green ones for the whole process.

For code that cannot be told to import from ``greenwire.green``. Call it on the first line of a program. Each
replaced name, and what that changes, stands in docs/green.md.

Names are replaced in place, and only those at the bottom: ``socket.create_connection``, ``queue.Queue`` and
``threading.Event`` are the standard library's own code, over ``socket.socket`` and ``threading.Lock``. What runs the
event loop, or real threads, keeps what it had (``originals``, ``keepers``): asyncio, ``concurrent.futures``,
``multiprocessing``, and Greenwire itself.
"""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from . import late, lowlevel, originals, patch_threading
from . import os as green_os
from . import queue as green_queue
from . import select as green_select
from . import selectors as green_selectors
from . import socket as green_socket
from . import ssl as green_ssl
from . import subprocess as green_subprocess
from . import time as green_time
from .keepers import Keeping, is_in


@dataclass(frozen=True)
class Area:
    """What one keyword of :func:`patch` switches."""

    names: dict[str, tuple[str, ...]]  # of each module
    source: ModuleType
    also: Callable[[], object] | None = None


def _contexts_make_green_sockets() -> None:
    """Also those that were made before, and of classes that were derived before."""
    vars(originals.original("ssl"))["SSLContext"].sslsocket_class = green_ssl.SSLSocket


AREAS = {
    "time": Area({"time": ("sleep",)}, green_time),
    "thread": Area({"_thread": patch_threading.NAMES}, lowlevel, patch_threading.replace),
    "queue": Area({"_queue": ("SimpleQueue", "Empty"), "queue": ("SimpleQueue",)}, green_queue),
    "socket": Area(
        {
            "socket": (
                *("socket", "SocketType"),
                *("getaddrinfo", "getnameinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"),
            )
        },
        green_socket,
    ),
    "ssl": Area({"ssl": ("SSLSocket",)}, green_ssl, _contexts_make_green_sockets),
    "select": Area({"select": ("select", "poll", "epoll")}, green_select),
    "selectors": Area(
        {"selectors": ("DefaultSelector", "SelectSelector", "PollSelector", "EpollSelector")}, green_selectors
    ),
    "os": Area({"os": ("read", "write", "waitpid", "wait", "wait3", "wait4", "waitid", "system", "popen")}, green_os),
    "subprocess": Area({"subprocess": ("Popen",)}, green_subprocess),
}

_CODE_OVER = {"threading": ("thread",), "queue": ("queue", "thread")}  # modules that stand on another's names
_DROP_INS = ("os", "queue", "select", "selectors", "socket", "ssl", "subprocess", "threading", "time")

_done: set[str] = set()
_keeping = Keeping()


def patch(**areas: bool) -> None:
    """Replace blocking names of the standard library by green ones, but in the areas that are given as ``False``.

    To call it again does nothing more. Warns where a module holds a name that it has imported before.
    """
    unknown = set(areas) - set(AREAS)
    if unknown:
        raise TypeError(f"patch() knows {', '.join(AREAS)}, and not {', '.join(sorted(unknown))}")
    todo = [name for name in AREAS if name not in _done and areas.get(name, True)]
    if not todo:
        return
    if not _done:
        _import_what_runs_loops()
        originals.make_all()
        _keeping.begin(patch_threading.RealThreads())
    changes: dict[str, dict[str, Any]] = {}
    for name in todo:
        _done.add(name)
        _replace(AREAS[name], changes)
    late.settle(changes)


def _import_what_runs_loops() -> None:
    """Before the names are replaced: some take classes out of the modules, once and for all."""
    for name in ("asyncio", "concurrent.futures.thread", "uvloop"):
        try:
            importlib.import_module(name)
        except ImportError:  # uvloop is not everywhere
            pass


def _replace(area: Area, changes: dict[str, dict[str, Any]]) -> None:
    for module_name, names in area.names.items():
        module = importlib.import_module(module_name)
        real = originals.original(module_name)
        green = {name: getattr(area.source, name) for name in names if hasattr(real, name)}
        changes[module_name] = green
        for name, value in green.items():
            _keeping.note(value, getattr(real, name))
        _put(module)
        _keeping.again[module_name] = _put
    if area.also is not None:
        area.also()


def _put(module: ModuleType) -> None:
    """The green names into *module*, which may have been imported anew."""
    for area in _done:
        for name in AREAS[area].names.get(module.__name__, ()):
            if hasattr(module, name):
                setattr(module, name, getattr(AREAS[area].source, name))


def is_patched(name: str) -> bool:
    """Whether an area, a module, or one of its names is green now: ``"thread"``, ``"threading"``, ``"time.sleep"``."""
    module, _, rest = name.partition(".")
    areas = _CODE_OVER.get(module) or [area for area in AREAS if module in AREAS[area].names or module == area]
    if not any(area in _done for area in areas):
        return False
    real = originals.original(module) if module in originals.NAMES else None
    return not rest or getattr(sys.modules[module], rest, None) is not getattr(real, rest, None)


def import_patched(name: str) -> ModuleType:
    """Import the module *name* once more, with green modules where it imports the standard library's. Nobody else
    gets it, and nothing is replaced for others. What it imports itself is as it is, if it is there already."""
    green = {one: importlib.import_module(f"{__package__}.{one}") for one in _DROP_INS}
    package, _, last = name.rpartition(".")
    parent = importlib.import_module(package) if package else None
    aside = {one: module for one, module in sys.modules.items() if one in green or is_in(one, name)}
    for one in aside:
        del sys.modules[one]
    sys.modules.update(green)
    try:
        return importlib.import_module(name)
    finally:
        for one in [one for one in sys.modules if is_in(one, name)]:
            del sys.modules[one]
        sys.modules.update(aside)
        if parent is not None and name in aside:
            setattr(parent, last, aside[name])
