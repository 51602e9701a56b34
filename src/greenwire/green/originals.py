"""The standard library's modules as they were before :func:`patch`: for those who need the system's own waiting.

``patch`` puts green names into a module in place, so that everybody who has imported it gets them; the module's own
functions then use them, too. What must go on as before needs a module of its own. Two ways to one:

*copied*    the module's names; its functions with the copy for globals; its classes are the very same, and from now on
            look their globals up in the copy. So ``socket.socket`` of both are related, and what is an instance
            of one passes for the other.
*fresh*     the module's source run again, for those whose classes have to differ: a thread is either real or green.

The copies of modules use the copies of one another.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from threading import Lock
from types import FunctionType, ModuleType
from typing import Any

COPIED = ("_thread", "_queue", "time", "os", "select", "selectors", "socket", "ssl", "subprocess")
FRESH = ("threading", "queue")  # in this order: the second uses the first

NAMES = frozenset({*COPIED, *FRESH})

_made: dict[str, ModuleType] = {}
_making = Lock()


def original(name: str) -> Any:
    """The module *name* as it was before ``patch``, or one of its names: ``original("time.sleep")``."""
    module, _, rest = name.partition(".")
    if module not in NAMES:
        return _walk(importlib.import_module(module), rest)
    make_all()
    return _walk(_made[module], rest)


def _walk(found: Any, path: str) -> Any:
    for part in filter(None, path.split(".")):
        found = getattr(found, part)
    return found


def make_all() -> None:
    """Make what is not made yet. Has to be before the first name is replaced."""
    with _making:
        if _made:
            return
        real = [importlib.import_module(name) for name in COPIED]
        made = {module.__name__: _copy(module) for module in real}
        made |= {name: _fresh(name, made) for name in FRESH}
        for module in made.values():
            refer_to(module, made)
        for module in real:
            _settle_classes(module, vars(made[module.__name__]))
        _made.update(made)


def refer_to(module: ModuleType, others: dict[str, ModuleType]) -> None:
    """Where *module* holds a standard module of these names, give it that of *others*."""
    real = {id(sys.modules[name]): other for name, other in others.items() if name in sys.modules}
    names = vars(module)
    for name, value in list(names.items()):
        if isinstance(value, ModuleType) and id(value) in real:
            names[name] = real[id(value)]


def _copy(module: ModuleType) -> ModuleType:
    copy = ModuleType(module.__name__, module.__doc__)
    names = vars(copy)
    names.update(vars(module))
    for name, value in vars(module).items():
        if isinstance(value, FunctionType) and value.__globals__ is vars(module):
            names[name] = with_globals(value, names)
    return copy


def _fresh(name: str, others: dict[str, ModuleType]) -> ModuleType:
    """Run the source of *name* again; where it imports one of *others*, it gets that."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    refer_to(module, others)
    return module


def with_globals(fn: Any, names: dict[str, Any]) -> Any:
    """*fn* with *names* for its globals."""
    other = FunctionType(fn.__code__, names, fn.__name__, fn.__defaults__, fn.__closure__)
    other.__kwdefaults__ = fn.__kwdefaults__
    other.__qualname__ = fn.__qualname__
    other.__doc__ = fn.__doc__
    other.__annotations__ = fn.__annotations__
    vars(other).update(vars(fn))
    return other


def _settle_classes(module: ModuleType, names: dict[str, Any]) -> None:
    """Have the methods of the module's classes look their globals up in *names*."""

    def settled(fn: Any) -> Any:
        ours = isinstance(fn, FunctionType) and fn.__globals__ is vars(module)
        return with_globals(fn, names) if ours else fn

    for cls in _classes(module):
        for name, value in list(vars(cls).items()):
            changed = _rewrapped(value, settled)
            if changed is not value:
                setattr(cls, name, changed)


def _classes(module: ModuleType) -> Iterator[type]:
    for value in list(vars(module).values()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            yield value


def _rewrapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """*value* with the functions inside changed; itself where there are none to change."""
    if isinstance(value, FunctionType):
        return change(value)
    if isinstance(value, classmethod | staticmethod):
        inner = change(value.__func__)
        return value if inner is value.__func__ else type(value)(inner)
    if isinstance(value, property):
        fget, fset, fdel = map(change, (value.fget, value.fset, value.fdel))
        same = fget is value.fget and fset is value.fset and fdel is value.fdel
        return value if same else property(fget, fset, fdel, value.__doc__)
    return value
