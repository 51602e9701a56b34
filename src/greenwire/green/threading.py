"""The module ``threading`` over green threads: import this where you would import that.

It is the standard library's own code, run again over ``greenwire.green.lowlevel`` in place of ``_thread``: every name
is here, and means what it means there. Where ``patch()`` has been called before, ``threading`` itself is all that, and
these are its names.
"""

import builtins as _builtins
import importlib.util as _importlib_util
import threading as _threading
from typing import Any

from . import lowlevel as _lowlevel
from .patch import is_patched as _is_patched
from .patch_threading import adapt as _adapt


def _import(name: str, *args: Any, **kwargs: Any) -> Any:
    return _lowlevel if name == "_thread" else __import__(name, *args, **kwargs)


def _run_again(names: dict[str, Any]) -> None:
    spec = _importlib_util.find_spec("threading")
    code = spec.loader.get_code("threading")  # type: ignore[union-attr]  # the standard library has its source
    doc = names["__doc__"]
    names["__builtins__"] = {**vars(_builtins), "__import__": _import}
    exec(code, names)
    names["__doc__"] = doc
    _adapt(names, vars(_threading)["_active"])
    _threading._register_atexit(names["_shutdown"])  # type: ignore[attr-defined]


if _is_patched("threading"):
    globals().update({name: value for name, value in vars(_threading).items() if not name.startswith("__")})
    __all__ = list(_threading.__all__)
else:
    _run_again(globals())


def __getattr__(name: str) -> Any:
    return getattr(_threading, name)
