"""Whose code it is: the application's own, or a library's. For messages that name a line."""

import os
import sysconfig
from pathlib import Path
from types import FrameType

_FOLDERS = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
# What the paths of all begin with that is not the application's: modules frozen into the interpreter, too.
LIBRARIES = ("<frozen ", *(f"{folder}{os.sep}" for folder in {*_FOLDERS, str(Path(__file__).parent)}))


def culprit(frame: FrameType | None, floor: frozenset[FrameType] = frozenset()) -> tuple[str, str] | None:
    """Whose code *frame* is in: the function that was called, and the line that its own code is at.

    Frames of libraries do not count where there are others, those in *floor* and below never. ``None``: there is none.
    """
    stack: list[FrameType] = []
    while frame is not None and frame not in floor:
        stack.append(frame)
        frame = frame.f_back
    if not stack:
        return None
    own = [frame for frame in stack if not frame.f_code.co_filename.startswith(LIBRARIES)] or stack
    called, at = own[-1], own[0]
    return called.f_code.co_qualname, f"{at.f_code.co_filename}:{at.f_lineno}"
