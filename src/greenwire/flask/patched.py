"""Whether eventlet or gevent has replaced Python's sockets and threads under us, and where.

Under a monkey patch the server's own threads would be green threads of a hub that nobody runs: it would stand
still. So it does not start, and says which line is to go.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ConfigurationError
from ..places import LIBRARIES

# Within one line: a class that matches line ends would look for its match through the whole rest of a file.
_CALL = re.compile(r"^[ \t]*(?!#)[^#'\"\n]*\b(monkey_patch|patch_all)[ \t]*\(", re.MULTILINE)
_FIXES = {
    "eventlet": "eventlet.monkey_patch(), or a server's eventlet worker,",
    "gevent": "gevent.monkey.patch_all(), or a server's gevent worker,",
}


def check() -> None:
    """Raise :class:`ConfigurationError` in a process that has been monkey-patched."""
    for name in ("eventlet", "gevent"):
        if _has_patched(name):
            lines = "; ".join(_lines())
            fix = f"Delete the line {lines}." if lines else f"Take {_FIXES[name]} out of whatever has started it."
            raise ConfigurationError(
                f"{name} has monkey-patched this process, and Greenwire needs Python's own sockets and threads."
                f" {fix} Handlers may block all the same: they run in threads."
            )


def _has_patched(name: str) -> bool:
    """Asked of the library itself, if it is here at all."""
    asked: Any
    if name == "eventlet":
        asked = getattr(sys.modules.get("eventlet.patcher"), "is_monkey_patched", None)
    else:
        asked = getattr(sys.modules.get("gevent.monkey"), "is_module_patched", None)
    return asked is not None and any(asked(module) for module in ("socket", "thread", "threading"))


def _lines() -> Iterator[str]:
    """The lines of the application's own modules that look like it: ``app.py:3: eventlet.monkey_patch()``."""
    for path in sorted(set(filter(None, map(_file, list(sys.modules.values()))))):
        try:
            text = Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for found in _CALL.finditer(text):
            number = text.count("\n", 0, found.start(1)) + 1
            yield f"{path}:{number}: {text.splitlines()[number - 1].strip()}"


def _file(module: ModuleType | None) -> str | None:
    path = getattr(module, "__file__", None)
    return path if isinstance(path, str) and path.endswith(".py") and not path.startswith(LIBRARIES) else None
