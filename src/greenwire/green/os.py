"""The module ``os``, whose ``read``, ``write`` and the ``wait`` family let other green threads run."""

import io
import os as _real
from collections.abc import Callable
from subprocess import PIPE
from typing import Any, TypeVar

from . import children as _children
from . import descriptors as _descriptors
from . import subprocess as _subprocess
from .hub import alone as _alone

T = TypeVar("T", bound=tuple[Any, ...])

__all__ = list(_real.__all__)

read = _descriptors.read
write = _descriptors.write
_real_waitpid, _real_wait4, _real_wait = _real.waitpid, _real.wait4, _real.wait


def _wait(call: Callable[[int, int], T], pid: int, options: int) -> T:
    """``call(pid, options)`` of the ``waitpid`` kind."""
    if options & _real.WNOHANG or _alone():
        return call(pid, options)

    def look() -> T | None:
        answer = call(pid, options | _real.WNOHANG)
        return answer if answer[0] else None

    found = _children.first(look, pid, options)
    assert found is not None
    return found


def waitpid(pid: int, options: int, /) -> tuple[int, int]:
    """``os.waitpid``. May switch."""
    return _wait(_real_waitpid, pid, options)


def wait() -> tuple[int, int]:
    """``os.wait``. May switch."""
    return waitpid(-1, 0)


def wait4(pid: int, options: int) -> tuple[int, int, Any]:
    """``os.wait4``. May switch."""
    return _wait(_real_wait4, pid, options)


def wait3(options: int) -> tuple[int, int, Any]:
    """``os.wait3``. May switch."""
    return wait4(-1, options)


def _green_waitid(real: Callable[[int, int, int], Any]) -> Callable[[int, int, int], Any]:
    def waitid(idtype: int, id: int, options: int, /) -> Any:
        """``os.waitid``. May switch."""
        if options & _real.WNOHANG or _alone():
            return real(idtype, id, options)
        return _children.first_of(lambda: real(idtype, id, options | _real.WNOHANG), (idtype, id, options))

    return waitid


if hasattr(_real, "waitid"):
    waitid = _green_waitid(_real.waitid)


def system(command: Any) -> int:
    """``os.system``, of which Ctrl-C ends more than the command. May switch."""
    command = _real.fsencode(command)
    if b"\0" in command:
        raise ValueError("embedded null byte")
    pid = _real.posix_spawn("/bin/sh", ["sh", "-c", command], _real.environ)
    return waitpid(pid, 0)[1]


def popen(cmd: str, mode: str = "r", buffering: int = -1) -> Any:
    """``os.popen``. May switch, in the methods of what it gives."""
    if not isinstance(cmd, str):
        raise TypeError(f"invalid cmd type ({type(cmd)}, expected string)")
    if mode not in ("r", "w"):
        raise ValueError(f"invalid mode {mode!r}")
    if buffering == 0 or buffering is None:
        raise ValueError("popen() does not support unbuffered streams")
    end = "stdout" if mode == "r" else "stdin"
    child = _subprocess.Popen(cmd, shell=True, text=True, bufsize=buffering, **{end: PIPE})
    return _real._wrap_close(io.TextIOWrapper(getattr(child, end).detach()), child)


def __getattr__(name: str) -> Any:
    return getattr(_real, name)
