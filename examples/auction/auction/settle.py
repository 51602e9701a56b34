"""The fall of the hammer: what happens to an auction when its time is up.

Settling may run twice, in two processes, or late after a restart: only an OPEN auction is settled, and an
item is in `purchases` at most once.
"""

import sqlite3

from . import db
from .items import Status


def due(connection: sqlite3.Connection, now: int) -> list[int]:
    """Settle each auction whose time is up; return their numbers."""
    if not _waiting(connection, now):
        return []
    with db.transaction(connection):
        settled = _waiting(connection, now)
        for item_id in settled:
            _settle(connection, item_id)
    return settled


def _waiting(connection: sqlite3.Connection, now: int) -> list[int]:
    rows = connection.execute("SELECT id FROM items WHERE status = 'open' AND ends_at <= ?", (now,))
    return [row["id"] for row in rows]


def _settle(connection: sqlite3.Connection, item_id: int) -> None:
    # The purchase dates from the auction's end, not from the moment somebody came round to settle it.
    bought = connection.execute(
        "INSERT INTO purchases (item_id, buyer_id, price_cents, bought_at)"
        " SELECT items.id, bidder_id, amount_cents, ends_at"
        "   FROM bids JOIN items ON items.id = bids.item_id"
        "  WHERE items.id = ? ORDER BY amount_cents DESC LIMIT 1",
        (item_id,),
    ).rowcount
    status = Status.SOLD if bought else Status.UNSOLD
    connection.execute("UPDATE items SET status = ? WHERE id = ?", (status.value, item_id))


def next_end(connection: sqlite3.Connection) -> int | None:
    """When the next auction ends."""
    row = connection.execute("SELECT min(ends_at) AS ends_at FROM items WHERE status = 'open'").fetchone()
    ends_at: int | None = row["ends_at"]
    return ends_at
