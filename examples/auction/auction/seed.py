"""The demo: two accounts, one more seller, and a few things on offer, in a house that is still empty."""

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace

from . import accounts, clock, db, items, photos, still_life
from .listing import Kind, Listing

ACCOUNTS = (("ada", "demo-ada-1815"), ("grace", "demo-grace-1906"))
_HOUSE = "house"

Bids = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Lot:
    """One thing of the demo: who sells it, what it is, its photo, and the bids it has had."""

    seller: str
    listing: Listing
    paint: Callable[[], bytes]
    bids: Bids = ()

    def listed_ago(self, age: int) -> "Lot":
        """The same lot, put on offer so long ago and still ending at the same moment."""
        lasts = self.listing.duration
        return self if lasts is None else replace(self, listing=replace(self.listing, duration=age + lasts))


def _lot(
    seller: str, title: str, category: str, price: int, paint: Callable[[], bytes], words: str,
    lasts: int | None = None, bids: Bids = (),
) -> Lot:  # fmt: skip
    kind = Kind.FIXED if lasts is None else Kind.AUCTION
    return Lot(seller, Listing(title, words, category, kind, price, lasts), paint, bids)


_LOTS = (
    _lot(_HOUSE, "Harbour at dusk, oil on board", "Art", 12_000, still_life.painting,
         "Unsigned, about 1930, in its first frame. A little craquelure in the sky, none in the sails.",
         lasts=0, bids=(("grace", 12_000), ("ada", 14_500))),
    _lot("grace", "Enamel coffee pot", "Home", 2_400, still_life.coffee_pot,
         "One litre, lid and spout without a chip. Makes the kitchen look as if somebody is up already."),
    _lot("ada", "Four atlases and a small globe", "Books", 4_500, still_life.books,
         "Borders of 1911, 1924, 1938 and 1951. The globe disagrees with all of them."),
    _lot(_HOUSE, "Reading chair in green wool", "Furniture", 18_000, still_life.chair,
         "Newly covered, old springs. The left arm is worn exactly where a cup stands."),
    _lot("ada", "Blue vase with a white band", "Home", 3_800, still_life.vase,
         "Stoneware, 31 cm high. The flowers are not part of the sale but will be given along."),
    _lot(_HOUSE, "Parlour guitar, spruce and walnut", "Music", 9_000, still_life.guitar,
         "Small body, big voice. New frets, new strings, case included.",
         lasts=3 * clock.DAY, bids=(("ada", 9_000), ("grace", 10_500), ("ada", 12_000))),
    _lot("grace", "Alarm clock, two bells", "Clocks", 1_500, still_life.clock,
         "Runs eight minutes fast a week, which has never made anybody late.",
         lasts=26 * clock.HOUR, bids=(("ada", 1_500),)),
    _lot(_HOUSE, "Rangefinder camera, 50 mm lens", "Cameras", 15_000, still_life.camera,
         "Shutter true at every speed, rangefinder bright, leather case. One roll of film inside, unexposed.",
         lasts=3 * clock.HOUR, bids=(("grace", 15_000), ("ada", 16_000))),
    _lot(_HOUSE, "Brass desk lamp", "Home", 4_000, still_life.lamp,
         "Two joints that hold where you leave them, rewired, warm light. Ends soon.",
         lasts=12 * clock.MINUTE, bids=(("ada", 4_000), ("grace", 4_500))),
)  # fmt: skip


def fill(connection: sqlite3.Connection, folder: str, now: int) -> None:
    """Fill the house if nobody has ever had an account in it."""
    if connection.execute("SELECT 1 FROM users LIMIT 1").fetchone():
        return
    pictures = [lot.paint() for lot in _LOTS]  # before the lock: painting takes a while
    with db.transaction(connection):
        if connection.execute("SELECT 1 FROM users LIMIT 1").fetchone():
            return  # another process was faster
        logins = (*ACCOUNTS, (_HOUSE, secrets.token_urlsafe(32)))
        ids = {name: accounts.create(connection, name, password).id for name, password in logins}
        ages = range(len(_LOTS) * clock.HOUR, 0, -clock.HOUR)
        for age, lot, picture in zip(ages, _LOTS, pictures, strict=True):
            photo = photos.store(picture, photos.inspect(picture, len(picture)), folder)
            _list(connection, lot.listed_ago(age), photo, now - age, ids)


def _list(connection: sqlite3.Connection, lot: Lot, photo: str, listed: int, ids: dict[str, int]) -> None:
    item_id = items.insert(connection, ids[lot.seller], lot.listing, photo, listed)
    for turn, (bidder, cents) in enumerate(lot.bids, start=1):
        connection.execute(
            "INSERT INTO bids (item_id, bidder_id, amount_cents, placed_at) VALUES (?, ?, ?, ?)",
            (item_id, ids[bidder], cents, listed + turn * clock.MINUTE),
        )


def accounts_left(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """The demo accounts that still open with the passwords given here."""
    return [account for account in ACCOUNTS if accounts.check(connection, *account)]
