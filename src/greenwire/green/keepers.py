"""Who keeps the real modules in a patched process: what runs the event loop, or real threads.

Their modules refer to ``threading``, ``socket`` and so on by names of their own. Those are set to the modules of
``originals``, in what is imported already and, by a finder at the head of ``sys.meta_path``, in what is imported
later. The finder also sees a standard module that is imported anew, as tests do, and has it patched again.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from . import originals

Change = Callable[[ModuleType], object]

_KEEPERS = ("asyncio", "concurrent.futures", "multiprocessing", "uvloop", "greenwire", "importlib")
_NOT = ("concurrent.futures._base",)  # the futures themselves: who waits for one may be green
# Those whose threads are real, but keep green ones waiting; in Greenwire, what stands beside user code.
_REAL_THREADS = ("concurrent.futures", "multiprocessing", "greenwire.flask", "greenwire.compat", "greenwire.socketio")
_OWN = "greenwire.green"  # where the green names come from
_PATCHING = {f"{_OWN}.{name}" for name in ("late", "originals", "patch", "patch_threading", "threading")}  # mean theirs


class Keeping:
    """The state of one process."""

    def __init__(self) -> None:
        self.again: dict[str, Change] = {}  # standard modules, to be patched where they are imported anew
        self._real_of: dict[int, Any] = {}  # id of a green name: what it stands for
        self._for_us: dict[str, ModuleType] = {}
        self._for_others: dict[str, ModuleType] = {}
        self._with_real_threads: dict[str, ModuleType] = {}

    def begin(self, real_threads: ModuleType) -> None:
        """See to what is imported, and to what will be. *real_threads* stands for ``threading`` where it is used."""
        self._for_us = {name: originals.original(name) for name in originals.NAMES}
        # They encrypt without sockets, and may as well see what a test puts into the module.
        self._for_others = {name: module for name, module in self._for_us.items() if name != "ssl"}
        self._with_real_threads = {**self._for_others, "threading": real_threads}
        for name, module in list(sys.modules.items()):
            if is_keeper(name) and isinstance(module, ModuleType):  # or ``None``: not to be imported
                self.keep(module)
        sys.meta_path.insert(0, _Finder(self))

    def note(self, green: object, real: object) -> None:
        """*green* has taken the place of *real*."""
        self._real_of[id(green)] = real

    def keep(self, module: ModuleType) -> None:
        """Give *module* the real names."""
        name = module.__name__
        if is_in(name, _OWN):
            originals.refer_to(module, self._for_us)
            return
        if any(is_in(name, one) for one in _REAL_THREADS):
            originals.refer_to(module, self._with_real_threads)
            _derive_anew(module, sys.modules["threading"], self._with_real_threads["threading"])
        else:
            originals.refer_to(module, self._for_others)
        self._take_back_names(module)

    def _take_back_names(self, module: ModuleType) -> None:
        """It has said ``from socket import socket`` after ``patch``."""
        names = vars(module)
        for name, value in list(names.items()):
            if id(value) in self._real_of:
                names[name] = self._real_of[id(value)]

    def change_for(self, name: str) -> Change | None:
        """What to do with the module *name* once it is imported."""
        return self.again.get(name) or (self.keep if is_keeper(name) else None)


def _derive_anew(module: ModuleType, patched: Any, real: Any) -> None:
    """The module's own kinds of threads are real threads."""
    for value in list(vars(module).values()):
        if isinstance(value, type) and value.__module__ == module.__name__ and patched.Thread in value.__bases__:
            value.__bases__ = tuple(real.Thread if base is patched.Thread else base for base in value.__bases__)


def is_keeper(name: str) -> bool:
    """Whether a module of this name keeps the real modules."""
    return name not in _PATCHING and name not in _NOT and any(is_in(name, keeper) for keeper in _KEEPERS)


def is_in(name: str, package: str) -> bool:
    """Whether the module *name* is *package* or stands in it."""
    return name == package or name.startswith(package + ".")


class _Finder:
    """Has the others find the module, and changes it once it is there."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        change = self._keeping.change_for(name)
        if change is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, change)  # type: ignore[assignment]  # what it lacks it passes on
                return spec
        return None


class _Loader:
    """A loader that changes what it has loaded, and leaves nothing of itself behind."""

    def __init__(self, real: Any, change: Change) -> None:
        self._real = real
        self._change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        spec.loader = self._real  # some loaders look at it
        module: ModuleType | None = self._real.create_module(spec)
        spec.loader = self  # type: ignore[assignment]
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._real
        module.__loader__ = self._real
        self._real.exec_module(module)
        self._change(module)
