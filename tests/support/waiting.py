"""Waiting for what must happen, with a deadline; never longer than it takes."""

import threading
import time
from collections.abc import Callable
from typing import Any

TIMEOUT_S = 15.0  # for what must happen; a test that passes never waits it out


def wait_until(fact: Callable[[], Any], what: str = "", timeout_s: float = TIMEOUT_S) -> Any:
    """Look at *fact* again and again until it is true. Returns what it said."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not (value := fact()):
        assert time.monotonic() < deadline, f"it has not come true in {timeout_s} s: {what or fact}"
        pause.wait(0.005)
    return value


class Log(list[Any]):
    """What handlers have noted, in order; to be appended to from any thread."""

    def wait_for(self, count: int) -> "Log":
        """Wait until there are *count* entries."""
        wait_until(lambda: len(self) >= count, f"{count} entries, there are {list(self)}")
        return self

    def wait_for_item(self, item: Any) -> "Log":
        """Wait until *item* is there."""
        wait_until(lambda: item in self, f"{item!r} in {list(self)}")
        return self
