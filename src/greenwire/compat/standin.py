"""A module that stands in for one that is not loaded: some names work, the others say what to use instead."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What a stand-in answers: *names* work; *instead* says what to use for others."""

    names: Mapping[str, Any] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    otherwise: str = ""  # what to use for a name in neither

    def advice(self, name: str) -> str:
        """What to use instead of *name*."""
        return self.instead.get(name, self.otherwise)


class StandIn(ModuleType):
    """The module. Names that it lacks raise ``AttributeError`` with advice."""

    def __init__(self, name: str, plan: Plan) -> None:
        super().__init__(name, f"Stands in for {name} under greenwire.compat.")
        self.__path__: list[str] = []  # a package, so that every import of a part of it comes to the finder
        self.__dict__.update(plan.names)
        self.__dict__["_plan"] = plan

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by the interpreter and by tools, which know what a lack means
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        try:
            return importlib.import_module(f"{self.__name__}.{name}")
        except ImportError:
            raise AttributeError(lacks(f"{self.__name__}.{name}", self._plan.advice(name))) from None


def lacks(name: str, advice: str) -> str:
    """The message for a *name* that no stand-in has."""
    return f"{name} has no stand-in under greenwire.compat: {advice}"
