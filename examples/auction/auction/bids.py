"""Bids: the rules, and the one transaction in which they hold."""

import sqlite3
from collections.abc import Callable
from enum import StrEnum

from . import clock, db, items, money
from .items import Item


class Reason(StrEnum):
    """Why a bid is refused, for the program; the sentence for the bidder comes with it."""

    NOT_LOGGED_IN = "not_logged_in"
    BAD_REQUEST = "bad_request"
    UNKNOWN_ITEM = "unknown_item"
    NOT_AN_AUCTION = "not_an_auction"
    OWN_ITEM = "own_item"
    TOO_LATE = "too_late"
    TOO_LOW = "too_low"
    ALREADY_HIGHEST = "already_highest"


class BidRefused(Exception):
    """The bid does not count. `str()` of it is the sentence for the bidder."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def minimum(item: Item) -> int:
    """The least that the next bid must offer."""
    return item.price_cents if item.high_cents is None else item.high_cents + money.step(item.high_cents)


def judge(item: Item, bidder_id: int, cents: int, now: int) -> None:
    """The rules. Raises `BidRefused` at the first one that is broken."""
    if not item.is_auction:
        raise BidRefused(Reason.NOT_AN_AUCTION, "This item has a fixed price.")
    if item.seller_id == bidder_id:
        raise BidRefused(Reason.OWN_ITEM, "This is your own item.")
    if not item.is_open(now):
        raise BidRefused(Reason.TOO_LATE, "Too late: the auction has ended.")
    if cents < minimum(item):
        raise BidRefused(Reason.TOO_LOW, f"Too low: the next bid is {money.show(minimum(item))} or more.")
    if item.high_bidder_id == bidder_id:
        raise BidRefused(Reason.ALREADY_HIGHEST, "Yours is the highest bid already.")


def place(
    connection: sqlite3.Connection,
    item_id: int,
    bidder_id: int,
    cents: int,
    read_clock: Callable[[], int] = clock.now,
) -> None:
    """Place a bid. Raises `BidRefused`.

    Item and clock are read with the write lock held, so bids of one instant are judged one after the other,
    and a bid that had to wait for the lock until the hammer fell is too late.
    """
    with db.transaction(connection):
        now = read_clock()
        item = items.find(connection, item_id)
        if item is None:
            raise BidRefused(Reason.UNKNOWN_ITEM, "There is no such item.")
        judge(item, bidder_id, cents, now)
        connection.execute(
            "INSERT INTO bids (item_id, bidder_id, amount_cents, placed_at) VALUES (?, ?, ?, ?)",
            (item_id, bidder_id, cents, now),
        )
