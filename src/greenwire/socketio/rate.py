"""How fast one client may send events: a token bucket that holds one second's worth.

Kept as one number for each client, the time at which its bucket will be full again ("virtual scheduling", ITU-T I.371):
an event moves it one event's time ahead, and when it is more than a second ahead of now the client has to wait.
Waiting is not being read from, so TCP slows the client down, and nothing is lost.
"""

from collections.abc import Callable

from .client import Client

BURST_S = 1.0
UNBOUNDED = 1_000_000  # events a second: more than a process can take in


class EventRate:
    """Loop thread only."""

    def __init__(self, per_second: int, now: Callable[[], float]) -> None:
        self._each_s = 1 / per_second
        self._now = now

    def spend(self, client: Client) -> None:
        """One event of *client* has come."""
        client.full_at = max(client.full_at, self._now()) + self._each_s

    def wait_s(self, client: Client) -> float:
        """How long no other event of *client* may come."""
        return max(0.0, client.full_at - self._now() - BURST_S + self._each_s)
