"""Money is an integer count of cents; text is only for reading and writing it."""

import re

SYMBOL = "€"
MAX_CENTS = 1_000_000_000
"""Ten million: above it a price is taken for a slip of the finger."""

_AMOUNT = re.compile(r"([0-9]{1,12})(?:[.,]([0-9]{1,2}))?")

# The least raise over a price: (below this price, raise by this much).
_LADDER = (
    (1_000, 50),
    (10_000, 100),
    (50_000, 500),
    (100_000, 1_000),
    (500_000, 5_000),
)
_TOP_STEP = 10_000


class BadAmount(ValueError):
    """The text is not an amount that the house deals in; the message is for the person who typed it."""


def parse(text: object) -> int:
    """Read "12", "12.5" or "12,50" as cents. Raises `BadAmount`."""
    match = _AMOUNT.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise BadAmount("Write an amount such as 12.50.")
    whole, fraction = match.groups()
    cents = int(whole) * 100 + int((fraction or "").ljust(2, "0"))
    if cents <= 0:
        raise BadAmount("The amount must be more than zero.")
    if cents > MAX_CENTS:
        raise BadAmount(f"The house deals in amounts up to {show(MAX_CENTS)}.")
    return cents


def show(cents: int) -> str:
    """The amount for a reader: €1,234.50."""
    return f"{SYMBOL}{cents // 100:,}.{cents % 100:02}"


def plain(cents: int) -> str:
    """The amount for an input field: 1234.50."""
    return f"{cents // 100}.{cents % 100:02}"


def step(cents: int) -> int:
    """The least raise over a price of this many cents."""
    return next((raise_by for below, raise_by in _LADDER if cents < below), _TOP_STEP)
