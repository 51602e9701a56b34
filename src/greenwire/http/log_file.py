"""A file of lines that never stands in the way of serving.

Lines of one turn of the loop are written in one call, behind what is there (``O_APPEND``: several processes may
share the file). What cannot be written, on a full disk for example, is dropped: one notice when that begins, one
when it is over, and nothing is kept meanwhile. ``logrotate`` moves the file away and has it opened anew.
"""

import logging
import os
from collections.abc import Callable
from typing import Any

from ..errors import ConfigurationError

log = logging.getLogger("greenwire")

STDOUT = "-"


class LineFile:
    """Loop thread only. *mark_dirty* has :meth:`flush` called at the end of the turn."""

    def __init__(self, path: str | os.PathLike[str], mark_dirty: Callable[[Any], None]) -> None:
        self._path = os.fspath(path)
        self._mark_dirty = mark_dirty
        self._lines: list[str] = []
        self._dropped = 0
        try:
            self._descriptor = self._open()
        except OSError as error:
            raise ConfigurationError(
                f"access_log_file {self._path}: {error.strerror}; give a file that the server may write to"
            ) from None

    def _open(self) -> int:
        if self._path == STDOUT:
            return os.dup(1)
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o666)

    def write(self, line: str) -> None:
        """Add *line* at the end of this turn."""
        if not self._lines:
            self._mark_dirty(self)
        self._lines.append(line)

    def flush(self) -> None:
        """Write what was added."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        data = "".join([line + "\n" for line in lines]).encode(errors="backslashreplace")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            self._drop(len(lines), error)
        else:
            if self._dropped:
                log.warning("%s is written again; %d lines were dropped", self._path, self._dropped)
                self._dropped = 0

    def _drop(self, count: int, error: OSError) -> None:
        if not self._dropped:
            log.error("cannot write %s: %s; its lines are dropped until it can be", self._path, error.strerror)
        self._dropped += count

    def reopen(self) -> None:
        """Somebody has moved the file away: go on in a new one of its name; in the old one where that fails."""
        self.flush()
        try:
            descriptor = self._open()
        except OSError as error:
            log.error("cannot open %s anew: %s; going on in the old file", self._path, error.strerror)
            return
        os.close(self._descriptor)
        self._descriptor = descriptor

    def close(self) -> None:
        """Write the rest and close it."""
        self.flush()
        os.close(self._descriptor)
