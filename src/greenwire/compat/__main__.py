"""``python -m greenwire.compat server.py [arguments]`` or ``-m module [arguments]``."""

import builtins
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from types import ModuleType
from zipfile import is_zipfile

from .finder import install

USAGE = """\
usage: python -m greenwire.compat script.py [arguments]
       python -m greenwire.compat -m module [arguments]

Runs an application written for Flask-SocketIO on Greenwire, without touching it. What it should change is said on
standard error."""


def main(arguments: Sequence[str]) -> None:
    """Run what *arguments* name, as ``python`` itself would be given it."""
    match arguments:
        case ["-h" | "--help", *_]:
            print(USAGE)
        case ["-m", module, *rest]:
            install()
            _run_module(module, rest)
        case [script, *rest] if not script.startswith("-"):
            if not os.path.exists(script):
                sys.exit(f"greenwire.compat: there is no {script!r}")
            install()
            _run_script(script, rest)
        case _:
            sys.exit(USAGE)


def _run_module(name: str, rest: Sequence[str]) -> None:
    # sys.path[0] is the current directory already: Python was started with -m itself.
    sys.argv = ["-m", *rest]  # what a package sees that is imported on the way
    try:
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(f"{name}.__main__")
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise  # of an import inside of it
        spec = None
    if spec is None or spec.origin is None:
        sys.exit(f"greenwire.compat: there is no module {name!r} that can be run")
    sys.argv[0] = spec.origin
    _run_found(spec)


def _run_script(script: str, rest: Sequence[str]) -> None:
    sys.argv = [script, *rest]
    file = os.path.abspath(script)
    if os.path.isdir(script) or is_zipfile(script):
        sys.path[0 : not sys.flags.safe_path] = [file]
        spec = PathFinder.find_spec("__main__", [file])
        if spec is None:
            sys.exit(f"greenwire.compat: there is no '__main__' module in {script!r}")
        _run_found(spec)
        return
    if not sys.flags.safe_path:  # python -P puts no script's folder there
        sys.path[0] = os.path.dirname(os.path.realpath(script))
    loader = SourceFileLoader("__main__", file)
    main = _main_module(file, loader)
    exec(loader.source_to_code(loader.get_data(file), file), main.__dict__)


def _run_found(spec: ModuleSpec) -> None:
    assert spec.loader is not None
    main = _main_module(spec.origin, spec.loader)
    main.__spec__, main.__package__, main.__cached__ = spec, spec.parent, spec.cached  # type: ignore[attr-defined]
    code = spec.loader.get_code(spec.name)  # type: ignore[attr-defined]
    exec(code, main.__dict__)


def _main_module(file: str | None, loader: Loader) -> ModuleType:
    """``__main__``, in the place of our own. Not by ``runpy``: there it is gone before threads and exit hooks are."""
    main = ModuleType("__main__")
    main.__file__ = file
    main.__loader__ = loader
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    return main


if __name__ == "__main__":
    main(sys.argv[1:])
