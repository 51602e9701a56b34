"""The rules of the house, one table each: money, bids, listings, photos."""

import pytest
from auction.bids import BidRefused, Reason
from auction.items import Item, Status
from auction.listing import Kind

from auction import bids, clock, listing, money, photos

SELLER, ANN, BOB = 1, 2, 3
ENDS = 1_000_000


def auction(**changes: object) -> Item:
    facts: dict[str, object] = {
        "id": 7, "seller_id": SELLER, "seller": "sam", "title": "A thing", "description": "", "category": "Other",
        "photo": "p.png", "kind": Kind.AUCTION, "price_cents": 1_000, "ends_at": ENDS, "status": Status.OPEN,
        "listed_at": 0, "bid_count": 0, "high_cents": None, "high_bidder_id": None, "high_bidder": None,
        "buyer": None,
    }  # fmt: skip
    return Item(**facts | changes)


def with_bid(cents: int) -> Item:
    return auction(bid_count=1, high_cents=cents, high_bidder_id=ANN, high_bidder="ann")


@pytest.mark.parametrize(
    ("text", "cents"),
    [("12", 1_200), ("12.5", 1_250), ("12.50", 1_250), ("12,50", 1_250), (" 7 ", 700), ("0.01", 1), ("007", 700),
     ("10000000", money.MAX_CENTS)],
)  # fmt: skip
def test_amounts_that_are_read(text: str, cents: int) -> None:
    assert money.parse(text) == cents


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "+1", "0", "0.00", "1.234", "1,234.50", "1e3", "٣", "NaN", "12€", "1 2", "10000000.01", "9" * 400,
     "1\n2", "\ud800", None, 12, 12.5, True, [], {}, b"12"],
)  # fmt: skip
def test_amounts_that_are_refused(text: object) -> None:
    with pytest.raises(money.BadAmount):
        money.parse(text)


def test_amounts_that_are_written() -> None:
    assert money.show(123_450) == "€1,234.50"
    assert money.show(5) == "€0.05"
    assert money.parse(money.plain(123_450)) == 123_450


@pytest.mark.parametrize(
    ("item", "bidder", "cents", "now", "reason"),
    [
        (auction(), BOB, 1_000, 0, None),
        (auction(), BOB, 999, 0, Reason.TOO_LOW),
        (auction(), BOB, -5, 0, Reason.TOO_LOW),
        (auction(), BOB, 1_000, ENDS - 1, None),
        (auction(), BOB, 1_000, ENDS, Reason.TOO_LATE),
        (auction(status=Status.SOLD), BOB, 1_000, 0, Reason.TOO_LATE),
        (auction(status=Status.UNSOLD), BOB, 1_000, 0, Reason.TOO_LATE),
        (auction(), SELLER, 1_000, 0, Reason.OWN_ITEM),
        (auction(kind=Kind.FIXED, ends_at=None), BOB, 1_000, 0, Reason.NOT_AN_AUCTION),
        (with_bid(1_000), BOB, 1_000, 0, Reason.TOO_LOW),
        (with_bid(1_000), BOB, 1_099, 0, Reason.TOO_LOW),
        (with_bid(1_000), BOB, 1_100, 0, None),
        (with_bid(1_000), ANN, 5_000, 0, Reason.ALREADY_HIGHEST),
        (with_bid(999), BOB, 1_049, 0, None),
    ],
)
def test_bids(item: Item, bidder: int, cents: int, now: int, reason: Reason | None) -> None:
    if reason is None:
        bids.judge(item, bidder, cents, now)
        return
    with pytest.raises(BidRefused) as refusal:
        bids.judge(item, bidder, cents, now)
    assert refusal.value.reason is reason
    assert str(refusal.value).endswith(".")


def test_a_raise_never_shrinks_as_the_price_grows() -> None:
    steps = [money.step(cents) for cents in range(1, 1_000_000, 997)]
    assert steps == sorted(steps)
    assert steps[0] > 0


FORM = {"title": "A thing", "description": "Old", "category": "Art", "kind": "auction", "price": "5", "length": "2",
        "unit": "minutes"}  # fmt: skip


def test_a_listing_is_read() -> None:
    wanted = listing.read(FORM | {"title": "  A \t thing\u202e\x07 ", "description": "one \r\n two\x00"})
    assert (wanted.title, wanted.description) == ("A thing", "one\ntwo")
    assert wanted.ends_at(1_000) == 1_000 + 2 * clock.MINUTE
    assert listing.read(FORM | {"kind": "fixed", "length": "no"}).ends_at(1_000) is None


@pytest.mark.parametrize(
    "change",
    [{"title": "ab"}, {"title": "x" * 81}, {"title": "\u202e\u202e\u202e"}, {"description": "x" * 2_001},
     {"category": "Weapons"}, {"kind": ""}, {"kind": "gift"}, {"price": "-3"}, {"price": "free"}, {"length": "0"},
     {"length": "-1"}, {"length": "1.5"}, {"length": "²"}, {"length": "9" * 5_000}, {"unit": "years"},
     {"length": "4", "unit": "seconds"}, {"length": "31", "unit": "days"}],
)  # fmt: skip
def test_listings_that_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(listing.ListingRefused):
        listing.read(FORM | change)


def jpeg(width: int, height: int) -> bytes:
    frame = b"\xff\xc0\x00\x11\x08" + height.to_bytes(2) + width.to_bytes(2) + b"\x03" + bytes(9)
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + bytes(9) + frame + b"\xff\xda"


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\0\0\0;"


def webp(chunk: bytes) -> bytes:
    return b"RIFF" + len(chunk).to_bytes(4, "little") + b"WEBP" + chunk


LOSSY = webp(b"VP8 \x0a\0\0\0" + b"\0\0\0\x9d\x01\x2a" + b"\x28\0\x1e\0")
LOSSLESS = webp(b"VP8L\x05\0\0\0\x2f" + (39 | 29 << 14).to_bytes(4, "little") + bytes(8))
EXTENDED = webp(b"VP8X\x0a\0\0\0" + bytes(4) + (39).to_bytes(3, "little") + (29).to_bytes(3, "little"))


@pytest.mark.parametrize(
    ("data", "extension"),
    [(jpeg(40, 30), "jpg"), (gif(40, 30), "gif"), (LOSSY, "webp"), (LOSSLESS, "webp"), (EXTENDED, "webp")],
)
def test_photos_are_known_by_their_content(data: bytes, extension: str) -> None:
    assert photos.inspect(data, 1_000) == photos.Photo(extension, 40, 30)


def test_a_png_is_known_by_its_content(png: bytes) -> None:
    assert photos.inspect(png, len(png)) == photos.Photo("png", 8, 6)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>GIF89a", b"\x89PNG\r\n\x1a\n", b"GIF89a",
     b"\xff\xd8\xff", b"RIFF\0\0\0\0WAVE" + bytes(40), webp(b"EVIL" + bytes(30)), b"%PDF-1.7", bytes(100),
     b"\xff\xd8\xff" + b"\xff" * 5_000, b"\xff\xd8" + b"\xff\xe0\x00\x00" * 500,
     gif(0, 5), gif(5, 0), gif(12_001, 5), jpeg(12_000, 12_000)],
)  # fmt: skip
def test_what_is_no_photo_is_refused(data: bytes) -> None:
    with pytest.raises(photos.PhotoRefused):
        photos.inspect(data, 100_000)


def test_a_photo_may_be_as_large_as_the_limit_and_no_larger(png: bytes) -> None:
    photos.inspect(png, len(png))
    with pytest.raises(photos.PhotoRefused, match="larger than"):
        photos.inspect(png, len(png) - 1)
