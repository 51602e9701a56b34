"""Where log lines go when the application has said nothing about it, and log files that are opened anew. Leaf."""

import contextlib
import logging
import sys
from collections.abc import Iterator

log = logging.getLogger("greenwire")
access = logging.getLogger("greenwire.access")
_FORMAT = "%(asctime)s [%(process)d] %(levelname)s %(message)s"


def begin(level: str) -> None:
    """Lines of this package go to standard error from now on."""
    if not any(isinstance(handler, _Ours) for handler in log.handlers):
        handler = _Ours()
        handler.setFormatter(logging.Formatter(_FORMAT, "%Y-%m-%d %H:%M:%S"))
        log.addHandler(handler)
        access.addHandler(_Ours())  # its lines are complete, and in a format that programs read
        access.propagate = False
    log.setLevel(level.upper())


def give_way() -> None:
    """The application is imported: where it has set logging up, its way is the way."""
    if logging.getLogger().handlers or any(not isinstance(handler, _Ours) for handler in log.handlers):
        for logger in (log, access):
            logger.handlers = [handler for handler in logger.handlers if not isinstance(handler, _Ours)]
        access.propagate = True


def reopen() -> None:
    """Open every log file anew: somebody has moved it away (logrotate)."""
    for handler in set(_handlers()):
        if isinstance(handler, logging.FileHandler) and handler.stream is not None:
            old = handler.setStream(handler._open())  # documented for those who derive from it
            if old is not None:
                old.close()


def say(text: str) -> None:
    """On standard error, whatever the level of the log. One that takes nothing is no reason not to serve."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


class _Ours(logging.StreamHandler):  # type: ignore[type-arg]
    """On standard error, told apart from the application's own."""


def _handlers() -> Iterator[logging.Handler]:
    for logger in (logging.getLogger(), *logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            yield from logger.handlers
