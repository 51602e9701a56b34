"""The fall of the hammer."""

from collections.abc import Callable
from sqlite3 import Connection

import pytest
from auction.bids import BidRefused, Reason
from auction.items import Item, Status

from auction import bids, clock, create_app, items, settle

People = Callable[[int], list[int]]
ListItem = Callable[..., int]


def find(connection: Connection, item_id: int) -> Item:
    item = items.find(connection, item_id)
    assert item is not None
    return item


def purchases(connection: Connection) -> list[tuple[int, int, int, int]]:
    return [tuple(row) for row in connection.execute("SELECT * FROM purchases")]


def test_the_highest_bid_wins_when_time_runs_out(connection: Connection, people: People, list_item: ListItem) -> None:
    seller, ann, bob = people(3)
    item_id = list_item(seller, lasts=60_000, now=0)
    bids.place(connection, item_id, ann, 1_000, lambda: 10)
    bids.place(connection, item_id, bob, 1_500, lambda: 20)
    assert settle.next_end(connection) == 60_000
    assert settle.due(connection, 59_999) == []
    assert settle.due(connection, 60_000) == [item_id]
    assert purchases(connection) == [(item_id, bob, 1_500, 60_000)]
    assert find(connection, item_id).status is Status.SOLD
    assert settle.next_end(connection) is None


def test_settling_again_changes_nothing(connection: Connection, people: People, list_item: ListItem) -> None:
    seller, ann = people(2)
    item_id = list_item(seller, lasts=60_000, now=0)
    bids.place(connection, item_id, ann, 1_000, lambda: 10)
    settle.due(connection, 60_000)
    before = purchases(connection)
    assert settle.due(connection, 99_000) == []
    assert purchases(connection) == before


def test_an_auction_without_a_bid_ends_unsold(connection: Connection, people: People, list_item: ListItem) -> None:
    item_id = list_item(people(1)[0], lasts=60_000, now=0)
    assert settle.due(connection, 60_000) == [item_id]
    assert find(connection, item_id).status is Status.UNSOLD
    assert purchases(connection) == []


def test_nothing_can_be_bid_after_settling(connection: Connection, people: People, list_item: ListItem) -> None:
    seller, ann = people(2)
    item_id = list_item(seller, lasts=60_000, now=0)
    settle.due(connection, 60_000)
    with pytest.raises(BidRefused) as refusal:
        bids.place(connection, item_id, ann, 5_000, lambda: 0)  # even by a clock that runs behind
    assert refusal.value.reason is Reason.TOO_LATE


def test_what_ends_while_the_house_is_closed_is_settled_when_it_opens(
    config: dict[str, object], connection: Connection, people: People, list_item: ListItem
) -> None:
    seller, ann = people(2)
    listed = clock.now() - 3 * clock.HOUR
    item_id = list_item(seller, lasts=clock.HOUR, now=listed)
    bids.place(connection, item_id, ann, 4_200, lambda: listed + 10)
    for _start in range(2):
        create_app(config)
        assert purchases(connection) == [(item_id, ann, 4_200, listed + clock.HOUR)]
