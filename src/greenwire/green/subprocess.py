"""The module ``subprocess``, whose children are waited for, read from and written to while others run.

The code is the standard library's own, with green names in place of some of its names. Pipes are green files; a
child's end is waited for without polling. A child may be started anywhere, and waited for where one may wait.
"""

import io as _io
import subprocess as _real
from collections.abc import Callable
from os import WNOHANG
from subprocess import TimeoutExpired
from types import SimpleNamespace
from typing import Any

from . import children as _children
from . import descriptors as _descriptors
from . import selectors as _selectors
from .hub import alone as _alone
from .originals import with_globals as _with_names

__all__ = list(_real.__all__)

_names: dict[str, Any] = dict(vars(_real))


class Popen(_real.Popen):  # type: ignore[type-arg]
    """``subprocess.Popen``, whose methods may switch."""

    __init__ = _with_names(_real.Popen.__init__, _names)
    _communicate = _with_names(_real.Popen._communicate, _names)  # type: ignore[attr-defined]

    # After ``patch`` the class above has names of its own; these use the module's, as whoever replaces one expects.
    _execute_child = _with_names(_real.Popen._execute_child, vars(_real))  # type: ignore[attr-defined]
    _try_wait = _with_names(_real.Popen._try_wait, vars(_real))  # type: ignore[attr-defined]

    def _wait(self, timeout: float | None) -> int | None:
        if _alone():
            return super()._wait(timeout)  # type: ignore[misc,no-any-return]
        if _children.first(self._look, self.pid, 0, timeout) is None:
            raise TimeoutExpired(self.args, timeout)  # type: ignore[arg-type]  # without a timeout there is an answer
        return self.returncode

    def _look(self) -> int | None:
        """The exit status, where there is one. Not by ``poll``: for that, a child that is nobody's has ended well."""
        if self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                if self.returncode is None:
                    pid, status = self._try_wait(WNOHANG)
                    if pid == self.pid:
                        self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


_names["Popen"] = Popen
_names["io"] = SimpleNamespace(open=_descriptors.open_pipe, TextIOWrapper=_io.TextIOWrapper)
_names["_PopenSelector"] = _selectors.PollSelector


def _with_our_popen(name: str) -> Callable[..., Any]:
    fn = _names[name] = _with_names(getattr(_real, name), _names)
    return fn  # type: ignore[no-any-return]


run = _with_our_popen("run")
call = _with_our_popen("call")
check_call = _with_our_popen("check_call")
check_output = _with_our_popen("check_output")
getstatusoutput = _with_our_popen("getstatusoutput")
getoutput = _with_our_popen("getoutput")


def __getattr__(name: str) -> Any:
    return getattr(_real, name)
