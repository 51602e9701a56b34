"""Items as the database holds them: one question, asked in several ways."""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .listing import Kind, Listing

PAGE_SIZE = 24


class Status(StrEnum):
    """Whether an item can still be had. An auction past its end stays OPEN until it is settled."""

    OPEN = "open"
    SOLD = "sold"
    UNSOLD = "unsold"


class Show(StrEnum):
    """The filter of the front page."""

    OPEN = "open"
    ENDED = "ended"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Item:
    """An item with what its bids add up to."""

    id: int
    seller_id: int
    seller: str
    title: str
    description: str
    category: str
    photo: str
    kind: Kind
    price_cents: int
    ends_at: int | None
    status: Status
    listed_at: int
    bid_count: int
    high_cents: int | None
    high_bidder_id: int | None
    high_bidder: str | None
    buyer: str | None

    @property
    def is_auction(self) -> bool:
        """Sold by bids, not at a fixed price."""
        return self.kind is Kind.AUCTION

    @property
    def current_cents(self) -> int:
        """What the item costs at this moment: the highest bid, or the asking price."""
        return self.high_cents or self.price_cents

    def is_open(self, now: int) -> bool:
        """Whether it can be bid on or bought at this moment."""
        return self.status is Status.OPEN and (self.ends_at is None or now < self.ends_at)


@dataclass(frozen=True, slots=True)
class Filter:
    """What the front page is asked for."""

    text: str = ""
    category: str = ""
    kind: Kind | None = None
    show: Show = Show.OPEN
    page: int = 1


_SELECT = """
SELECT items.*, seller.name AS seller, buyer.name AS buyer,
       top.amount_cents AS high_cents, top.bidder_id AS high_bidder_id, bidder.name AS high_bidder,
       (SELECT count(*) FROM bids WHERE bids.item_id = items.id) AS bid_count
  FROM items
  JOIN users AS seller ON seller.id = items.seller_id
  LEFT JOIN bids AS top ON top.item_id = items.id
        AND top.amount_cents = (SELECT max(amount_cents) FROM bids WHERE bids.item_id = items.id)
  LEFT JOIN users AS bidder ON bidder.id = top.bidder_id
  LEFT JOIN purchases ON purchases.item_id = items.id
  LEFT JOIN users AS buyer ON buyer.id = purchases.buyer_id
"""

_IS_OPEN = "items.status = 'open' AND (items.ends_at IS NULL OR items.ends_at > :now)"


def _item(row: sqlite3.Row) -> Item:
    fields = dict(row)
    return Item(**fields | {"kind": Kind(fields["kind"]), "status": Status(fields["status"])})


def _items(connection: sqlite3.Connection, rest: str, values: dict[str, Any]) -> list[Item]:
    return [_item(row) for row in connection.execute(_SELECT + rest, values)]


def find(connection: sqlite3.Connection, item_id: int) -> Item | None:
    """The item with this number."""
    found = _items(connection, "WHERE items.id = :id", {"id": item_id})
    return found[0] if found else None


def browse(connection: sqlite3.Connection, wanted: Filter, now: int) -> tuple[list[Item], bool]:
    """One page of items, what ends first at its head, and whether another page follows."""
    where, values = _conditions(wanted, now)
    # What is over: the latest end first. What is open: auctions by their end, then the rest, newest first.
    order = "ends_at DESC" if wanted.show is Show.ENDED else "ends_at IS NULL, ends_at"
    values |= {"count": PAGE_SIZE + 1, "skip": (wanted.page - 1) * PAGE_SIZE}
    rest = f"WHERE {where} ORDER BY {order}, items.id DESC LIMIT :count OFFSET :skip"
    found = _items(connection, rest, values)
    return found[:PAGE_SIZE], len(found) > PAGE_SIZE


def _conditions(wanted: Filter, now: int) -> tuple[str, dict[str, Any]]:
    parts, values = ["TRUE"], dict[str, Any](now=now)
    if wanted.show is not Show.ALL:
        parts.append(_IS_OPEN if wanted.show is Show.OPEN else f"NOT ({_IS_OPEN})")
    if wanted.category:
        parts.append("items.category = :category")
        values["category"] = wanted.category
    if wanted.kind is not None:
        parts.append("items.kind = :kind")
        values["kind"] = wanted.kind.value
    for number, word in enumerate(wanted.text.split()[:8]):
        parts.append(rf"(items.title || ' ' || items.description) LIKE :word{number} ESCAPE '\'")
        values[f"word{number}"] = f"%{_literal(word)}%"
    return " AND ".join(parts), values


def _literal(word: str) -> str:
    """The word with LIKE's own signs taken as letters."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def of_seller(connection: sqlite3.Connection, seller_id: int) -> list[Item]:
    """What this user has listed, newest first."""
    return _items(connection, "WHERE items.seller_id = :id ORDER BY items.id DESC", {"id": seller_id})


def bid_on_by(connection: sqlite3.Connection, bidder_id: int) -> list[Item]:
    """The open auctions this user has bid on, what ends first at their head."""
    rest = (
        "WHERE items.status = 'open' AND items.id IN (SELECT item_id FROM bids WHERE bidder_id = :id)"
        " ORDER BY items.ends_at"
    )
    return _items(connection, rest, {"id": bidder_id})


def in_cart(connection: sqlite3.Connection, user_id: int) -> list[Item]:
    """The user's cart, in the order in which it was filled."""
    rest = "JOIN cart ON cart.item_id = items.id AND cart.user_id = :id ORDER BY cart.added_at, items.id"
    return _items(connection, rest, {"id": user_id})


def insert(connection: sqlite3.Connection, seller_id: int, wanted: Listing, photo: str, now: int) -> int:
    """List an item and return its number."""
    row = connection.execute(
        "INSERT INTO items"
        " (seller_id, title, description, category, photo, kind, price_cents, ends_at, listed_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            seller_id,
            wanted.title,
            wanted.description,
            wanted.category,
            photo,
            wanted.kind.value,
            wanted.price_cents,
            wanted.ends_at(now),
            now,
        ),
    ).fetchone()
    return int(row["id"])
