"""The running house: its background task, and what a restart keeps."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import Connection
from time import monotonic, sleep
from urllib.request import urlopen

import pytest
from auction.listing import Kind, Listing
from auction_house import House

from auction import bids, clock, db, items

pytestmark = pytest.mark.slow


@contextmanager
def open_house(data: Path) -> Iterator[House]:
    house = House(data)
    try:
        yield house
    finally:
        house.stop()


def wait_until(happened: Callable[[], bool], seconds: float) -> None:
    deadline = monotonic() + seconds
    while not happened():
        assert monotonic() < deadline, "it did not happen in time"
        sleep(0.05)


def user_id(connection: Connection, name: str) -> int:
    return int(connection.execute("SELECT id FROM users WHERE name = ?", (name,)).fetchone()["id"])


def list_with_a_bid(connection: Connection, lasts: int) -> tuple[int, int]:
    """Ada lists something, grace bids; returns the item and the end of its auction."""
    listing = Listing("A thing", "", "Other", Kind.AUCTION, 1_000, clock.HOUR)
    item_id = items.insert(connection, user_id(connection, "ada"), listing, "none.png", clock.now())
    bids.place(connection, item_id, user_id(connection, "grace"), 1_200)
    ends_at = clock.now() + lasts  # from now on: the bid may have taken its time
    connection.execute("UPDATE items SET ends_at = ? WHERE id = ?", (ends_at, item_id))
    return item_id, ends_at


def sale(connection: Connection, item_id: int) -> tuple[int, int, int] | None:
    row = connection.execute("SELECT * FROM purchases WHERE item_id = ?", (item_id,)).fetchone()
    return (row["buyer_id"], row["price_cents"], row["bought_at"]) if row else None


def test_an_auction_ends_though_nobody_watches_and_also_while_the_house_is_closed(tmp_path: Path) -> None:
    with open_house(tmp_path) as house, closing(db.connect(tmp_path / "auction.sqlite3")) as connection:
        grace = user_id(connection, "grace")
        item_id, ends_at = list_with_a_bid(connection, 1_500)
        wait_until(lambda: sale(connection, item_id) is not None, 20)
        assert clock.now() >= ends_at
        assert sale(connection, item_id) == (grace, 1_200, ends_at)
        with urlopen(f"{house.address}/items/{item_id}", timeout=20) as page:
            assert "Sold to grace for €12.00." in page.read().decode()

    with closing(db.connect(tmp_path / "auction.sqlite3")) as connection:
        missed, missed_end = list_with_a_bid(connection, 500)
        wait_until(lambda: clock.now() > missed_end, 20)
        assert sale(connection, missed) is None
        with open_house(tmp_path):
            assert sale(connection, missed) == (grace, 1_200, missed_end)
            assert sale(connection, item_id) == (grace, 1_200, ends_at)
