"""The import hook: which modules are answered by stand-ins, and how."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from . import green, packages
from .standin import Plan, StandIn, lacks

_STDLIB_TWINS = "eventlet.green."  # eventlet.green.socket and its like


class Finder(MetaPathFinder, Loader):
    """Answers the imports of *plans*, and refuses with advice what else is imported from the same packages."""

    def __init__(self, plans: Mapping[str, Plan], open_packages: frozenset[str]) -> None:
        """*open_packages* are installed: of them only the modules in *plans* are answered."""
        self._plans = plans
        self._roots = frozenset(name.partition(".")[0] for name in plans) - open_packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a stand-in. Raises ``ImportError`` where there is none and should be."""
        if fullname in self._plans or self._twin(fullname):
            return ModuleSpec(fullname, self, is_package=True)
        root = fullname.partition(".")[0]
        if root not in self._roots:
            return None
        # Not ModuleNotFoundError: `from eventlet import x` swallows that one, and the advice with it.
        parent, _, name = fullname.rpartition(".")
        plan = self._plans.get(parent) or self._plans[root]
        raise ImportError(lacks(fullname, plan.advice(name)), name=fullname)

    @staticmethod
    def _twin(fullname: str) -> str | None:
        name = fullname.removeprefix(_STDLIB_TWINS)
        return name if name != fullname and name.partition(".")[0] in sys.stdlib_module_names else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The stand-in, or for ``eventlet.green.X`` the standard library's ``X``."""
        twin = self._twin(spec.name)
        # A copy: the import system writes into the module that it is given.
        plan = Plan(public_names(importlib.import_module(twin))) if twin else self._plans[spec.name]
        return StandIn(spec.name, plan)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to do: the module was made whole."""


def public_names(module: ModuleType) -> dict[str, object]:
    """What is in *module*, without what the import system has put there."""
    return {name: value for name, value in vars(module).items() if not name.startswith("__")}


def install() -> None:
    """Answer the imports of this process from now on. Once; before the application is imported."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    plans = {**packages.flask_socketio(), **green.EVENTLET, **green.GEVENT, **green.GEVENT_WEBSOCKET}
    plans |= packages.EXCEPTIONS
    installed = frozenset(name for name in ("socketio", "engineio") if PathFinder.find_spec(name))
    if "socketio" not in installed:
        plans |= packages.SOCKETIO
    if "engineio" not in installed:
        plans |= packages.ENGINEIO
    _forget(plans)
    sys.meta_path.insert(0, Finder(plans, installed))


def _forget(plans: Mapping[str, Plan]) -> None:
    """Modules that are loaded already would be answered by themselves."""
    roots = {name.partition(".")[0] for name in plans}
    for name in [name for name in sys.modules if name.partition(".")[0] in roots]:
        del sys.modules[name]
