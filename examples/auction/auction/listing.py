"""The form that lists an item, read and judged; no database, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from . import clock, money

CATEGORIES = ("Art", "Books", "Cameras", "Clocks", "Furniture", "Home", "Music", "Other")

TITLE_CHARACTERS = 80
DESCRIPTION_CHARACTERS = 2_000
UNITS = {"seconds": clock.SECOND, "minutes": clock.MINUTE, "hours": clock.HOUR, "days": clock.DAY}
SHORTEST = 5 * clock.SECOND
LONGEST = 30 * clock.DAY


class Kind(StrEnum):
    """How an item is sold."""

    FIXED = "fixed"
    AUCTION = "auction"


class ListingRefused(ValueError):
    """The form does not describe an item; the message is for the person who filled it in."""


@dataclass(frozen=True, slots=True)
class Listing:
    """An item to be listed, but for its photo."""

    title: str
    description: str
    category: str
    kind: Kind
    price_cents: int
    duration: int | None

    def ends_at(self, now: int) -> int | None:
        """When its auction ends, if it is listed at this moment."""
        return None if self.duration is None else now + self.duration


def read(form: Mapping[str, str]) -> Listing:
    """Judge the form. Raises `ListingRefused`."""
    kind = _kind(form.get("kind", ""))
    try:
        price = money.parse(form.get("price", ""))
    except money.BadAmount as error:
        raise ListingRefused(f"Price: {error}") from None
    return Listing(
        title=_title(form.get("title", "")),
        description=_description(form.get("description", "")),
        category=_category(form.get("category", "")),
        kind=kind,
        price_cents=price,
        duration=_duration(form) if kind is Kind.AUCTION else None,
    )


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise ListingRefused("Choose between an auction and a fixed price.") from None


def _title(text: str) -> str:
    title = _printable(" ".join(text.split()))
    if not 3 <= len(title) <= TITLE_CHARACTERS:
        raise ListingRefused(f"A title has 3 to {TITLE_CHARACTERS} characters.")
    return title


def _description(text: str) -> str:
    lines = [_printable(line.strip()) for line in text.splitlines()]
    description = "\n".join(lines).strip()
    if len(description) > DESCRIPTION_CHARACTERS:
        raise ListingRefused(f"A description has up to {DESCRIPTION_CHARACTERS} characters.")
    return description


def _printable(text: str) -> str:
    """Without control characters and without the invisible ones that turn the direction of what follows."""
    return "".join(character for character in text if character.isprintable())


def _category(text: str) -> str:
    if text not in CATEGORIES:
        raise ListingRefused("Choose a category.")
    return text


def _duration(form: Mapping[str, str]) -> int:
    length, unit = form.get("length", ""), UNITS.get(form.get("unit", ""))
    if unit is None or not (length.isascii() and length.isdigit() and len(length) <= 9):
        raise ListingRefused("Write how long the auction runs as a whole number.")
    duration = int(length) * unit
    if not SHORTEST <= duration <= LONGEST:
        raise ListingRefused("An auction runs for 5 seconds to 30 days.")
    return duration
