"""What the application's author is told: once for each of the author's own lines, on standard error.

Standard error and not a logger: this is the output of a tool, and the application configures the loggers.
"""

import importlib
import os
import sys
import threading
from pathlib import Path
from types import FrameType, TracebackType

from ..places import LIBRARIES

# Between a line and what it calls here: this package, and the interpreter's import.
_BETWEEN = ("<frozen ", str(Path(__file__).parents[1]) + os.sep, str(Path(importlib.__file__).parent) + os.sep)
_said: set[tuple[str, str]] = set()
_lock = threading.Lock()


def say(where: str, what: str) -> None:
    """Tell *what* about the line *where*, unless it was told before."""
    with _lock:
        if (where, what) in _said:
            return
        _said.add((where, what))
    print(f"greenwire.compat: {where}: {what}", file=sys.stderr, flush=True)


def calling_line() -> str:
    """The line outside of this package that is being run: ``server.py:3``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        frame = frame.f_back
    return "unknown line" if frame is None else _place(frame.f_code.co_filename, frame.f_lineno)


def raising_line(traceback: TracebackType | None) -> str:
    """The application's line nearest to where an exception was raised; else the line that raised it."""
    found, is_own = "unknown line", False
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not file.startswith(LIBRARIES):
            found, is_own = _place(file, traceback.tb_lineno), True
        elif not is_own:
            found = _place(file, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def _place(file: str, line: int) -> str:
    """``app.py:3``; with the folder where that is not the current one."""
    return f"{file.removeprefix(os.getcwd() + os.sep)}:{line}"
