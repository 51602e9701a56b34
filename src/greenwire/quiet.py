"""A log that a client cannot flood: the same warning at most once a second, with a count of the ones in between.

Nothing is lost and no timer is needed: what was held back is told with the next one of its kind, or at
:meth:`QuietLog.flush` when the server stops. Call it from the loop thread.
"""

import logging
from collections.abc import Callable

EVERY_S = 1.0


class QuietLog:
    """Warnings by key. *now* gives monotonic seconds."""

    def __init__(self, log: logging.Logger, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._keys: dict[str, tuple[float, int]] = {}  # key -> (not again before, held back)

    def warning(self, key: str, message: str, *args: object) -> None:
        """Log ``message % args`` unless one of this *key* was logged within the last second.

        *key* names the kind of warning and comes from our own code, never from a client: there are as many
        entries as there are kinds.
        """
        self._say(logging.WARNING, key, None, message, args)

    def error(self, key: str, exception: BaseException, message: str, *args: object) -> None:
        """Likewise, as an error with the traceback of *exception*."""
        self._say(logging.ERROR, key, exception, message, args)

    def _say(
        self, level: int, key: str, exception: BaseException | None, message: str, args: tuple[object, ...]
    ) -> None:
        until, held = self._keys.get(key, (float("-inf"), 0))
        now = self._now()
        if now < until:
            self._keys[key] = (until, held + 1)
            return
        self._keys[key] = (now + EVERY_S, 0)
        more = f" (and {held} more like it)" if held else ""
        self._log.log(level, message + more, *args, exc_info=exception)

    def flush(self) -> None:
        """Say what is still held back."""
        for key, (_, held) in self._keys.items():
            if held:
                self._log.warning("%s: %d more like the last one", key, held)
        self._keys.clear()
