"""What a browser is told about an auction: the same facts for the first page and for every live update."""

import sqlite3
from typing import TypedDict

from . import bids, clock, money
from .items import Item, Status

RECENT_BIDS = 8


class Bid(TypedDict):
    """One line of the bid history."""

    bidder: str
    price: str
    placed_at: int


class Glance(TypedDict):
    """Enough for a card on the front page."""

    id: int
    version: int
    status: str
    price: str
    bids: int
    ends_at: int | None
    server_now: int


class State(Glance):
    """All that the auction's own page shows."""

    label: str
    bidder: str | None
    result: str
    minimum: str
    minimum_cents: int
    offers: list[str]
    recent: list[Bid]


def glance(item: Item) -> Glance:
    """The item for a card."""
    return Glance(
        id=item.id,
        version=_version(item),
        status=item.status.value,
        price=money.show(item.current_cents),
        bids=item.bid_count,
        ends_at=item.ends_at,
        server_now=clock.now(),
    )


def state(connection: sqlite3.Connection, item: Item) -> State:
    """The auction for its page."""
    least = bids.minimum(item)
    return State(
        **glance(item),
        label=_label(item),
        bidder=item.high_bidder,
        result=_result(item),
        minimum=money.show(least),
        minimum_cents=least,
        offers=[money.plain(cents) for cents in _offers(least)],
        recent=_recent(connection, item.id),
    )


def _version(item: Item) -> int:
    """Grows with each change, so that a browser can drop an update that a newer one has overtaken."""
    return item.bid_count + (item.status is not Status.OPEN)


def _label(item: Item) -> str:
    """What the price is."""
    if item.high_bidder is None:
        return "Starting price"
    return "Sold for" if item.status is Status.SOLD else "Highest bid"


def _result(item: Item) -> str:
    """How the auction ended; shown once its time is up."""
    match item.status:
        case Status.SOLD:
            return f"Sold to {item.buyer} for {money.show(item.current_cents)}."
        case Status.UNSOLD:
            return "Ended without a bid."
        case Status.OPEN:
            return "The hammer is falling."


def _offers(least: int) -> list[int]:
    """Three bids worth offering at the press of a button."""
    second = least + money.step(least)
    return [cents for cents in (least, second, second + 2 * money.step(second)) if cents <= money.MAX_CENTS]


def _recent(connection: sqlite3.Connection, item_id: int) -> list[Bid]:
    rows = connection.execute(
        "SELECT users.name, amount_cents, placed_at FROM bids JOIN users ON users.id = bidder_id"
        " WHERE item_id = ? ORDER BY amount_cents DESC LIMIT ?",
        (item_id, RECENT_BIDS),
    )
    return [Bid(bidder=row["name"], price=money.show(row["amount_cents"]), placed_at=row["placed_at"]) for row in rows]
