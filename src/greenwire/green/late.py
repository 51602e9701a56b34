"""Modules that were imported before ``patch()`` and hold a name of their own: ``from time import sleep``.

Modules of the standard library get the green name, where that is a class or function for waiting on descriptors or
time; those that hold a lock's type keep it, since none of them waits under it. The others are named in a warning.
"""

import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from . import originals
from .keepers import is_keeper

_HARMLESS = frozenset({"get_ident", "LockType", "lock", "_count", "_set_sentinel"})  # they wait for nothing
_SHOWN_AS = {"allocate_lock": "threading.Lock", "_local": "threading.local", "RLock": "threading.RLock"}
_SHOWN = 20


class LateWarning(RuntimeWarning):
    """``patch()`` came after an import that it cannot undo."""


def settle(changes: dict[str, dict[str, Any]]) -> None:
    """See to those who hold what was replaced: module -> name -> the green one."""
    real = {
        id(getattr(originals.original(module), name)): (module, name, green)
        for module, names in changes.items()
        for name, green in names.items()
        if name not in _HARMLESS
    }
    missed = []
    for holder, name, value in _names_elsewhere():
        module, original_name, green = real.get(id(value), ("", "", None))
        if not module:
            continue
        if not _is_standard(holder):
            missed.append(f"{holder.__name__}.{name} is {_SHOWN_AS.get(original_name, f'{module}.{original_name}')}")
        elif module not in ("_thread", "threading"):
            setattr(holder, name, green)
    if missed:
        _warn(missed)


def _names_elsewhere() -> Iterator[tuple[ModuleType, str, Any]]:
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and not is_keeper(name) and not _is_ours(name):
            for one, value in list(vars(module).items()):
                yield module, one, value


def _is_ours(name: str) -> bool:
    return name in originals.NAMES or name.startswith("greenwire.")


def _is_standard(module: ModuleType) -> bool:
    return module.__name__.partition(".")[0] in sys.stdlib_module_names and module.__name__ != "__main__"


def _warn(missed: list[str]) -> None:
    more = f", and {len(missed) - _SHOWN} more" if len(missed) > _SHOWN else ""
    warnings.warn(
        f"greenwire.green.patch() came too late for {', '.join(missed[:_SHOWN])}{more}:"
        " these still keep all green threads waiting. Call it before the first import of these modules.",
        LateWarning,
        stacklevel=4,
    )
