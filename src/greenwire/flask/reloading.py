"""``debug=True``: Werkzeug's reloader, with an end that is graceful.

There are two processes. The child serves in a thread while its main thread looks at files; with the end of the main
thread the server would be cut off. So that stops the server first, but not for a change of a file: who has just saved
one does not wait. The parent starts children. Where it is told to end, it tells the child, and waits; a second time it
kills it. It does so with a signal of its own, because who tells both, as a terminal does, must not tell the child
twice: that is the way to have an end at once.
"""

import _thread
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

from ..run_options import RunOptions

_CHANGED = 3  # the exit code of a child that wants a successor
_IS_CHILD = "WERKZEUG_RUN_MAIN"
_MARGIN_S = 2.0  # beyond what the server needs to end by itself
_HANG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)


def run_with_reloader(
    serve: Callable[[], None], stop: Callable[[], None], options: RunOptions, graceful_s: float
) -> None:
    """Run *serve* in a child process that is replaced when a source file changes. *stop* ends it, in *graceful_s*.

    In the parent it raises :class:`SystemExit` with the code of the last child.
    """
    if os.environ.get(_IS_CHILD) == "true":
        _Child(serve, stop, graceful_s).run(options)
    else:
        sys.exit(_Parent().run())


class _Child:
    def __init__(self, serve: Callable[[], None], stop: Callable[[], None], graceful_s: float) -> None:
        self._serve = serve
        self._stop = stop
        self._graceful_s = graceful_s
        self._stopping = False
        self._ended = threading.Event()

    def run(self, options: RunOptions) -> None:
        from werkzeug._reloader import run_with_reloader as run  # where Flask-SocketIO finds it, too

        signal.signal(_HANG_UP, lambda *_: self._told())
        try:
            run(self._served, extra_files=options.extra_files, **options.reloader_options)
        except SystemExit as error:  # TERM, or a change
            if error.code != _CHANGED:
                self._end()
            raise
        self._end()  # Ctrl-C

    def _served(self) -> None:
        try:
            self._serve()
        finally:
            self._ended.set()
            if self._stopping:
                _thread.interrupt_main(signal.SIGTERM)

    def _told(self) -> None:
        self._stop_once()
        if self._ended.is_set():  # long ago: nobody else wakes the main thread
            sys.exit(0)

    def _end(self) -> None:
        """A second signal raises here, and the end is at once."""
        self._stop_once()
        self._ended.wait(self._graceful_s + _MARGIN_S)

    def _stop_once(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._stop()


class _Parent:
    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._told = 0

    def run(self) -> int:
        """Have one child after the other. Gives the exit code of the last one."""
        from werkzeug._reloader import _get_args_for_reloading as arguments

        old = {
            number: signal.signal(number, lambda *_: self._tell())
            for number in (signal.SIGTERM, signal.SIGINT, _HANG_UP)
            if signal.getsignal(number) is not signal.SIG_IGN  # nohup
        }
        try:
            code = _CHANGED
            while code == _CHANGED and not self._told:
                self._child = subprocess.Popen(arguments(), env={**os.environ, _IS_CHILD: "true"}, close_fds=False)
                if self._told:  # meanwhile
                    self._child.send_signal(_HANG_UP)
                code = self._child.wait()
            return 0 if code == -_HANG_UP else code  # it had not come so far that it could have served
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def _tell(self) -> None:
        self._told += 1
        if self._child is not None:
            self._child.send_signal(_HANG_UP if self._told == 1 else signal.SIGKILL)
