"""The house clock: every moment is an integer, milliseconds since the Unix epoch.

Wall-clock time, not monotonic, because an auction's end is stored and has to survive a restart.
"""

import time
from datetime import UTC, datetime

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def now() -> int:
    """This moment."""
    return time.time_ns() // 1_000_000


def iso(moment: int) -> str:
    """The moment for a `datetime` attribute, such as 2025-11-12T14:03:00Z."""
    return datetime.fromtimestamp(moment / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def words(moment: int) -> str:
    """The moment for a reader whose browser runs no script; the script shows local time instead."""
    return datetime.fromtimestamp(moment / SECOND, UTC).strftime("%d %b %Y, %H:%M UTC")
