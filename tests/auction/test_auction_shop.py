"""The pages: listing, photos, browsing, the cart, bidding by a plain form."""

from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection

import pytest
from auction_visitor import Visitor
from flask import Flask

from auction import clock, create_app, db, items, seed

New = Callable[[], Visitor]


@pytest.fixture
def sold_by_ada(ada: Visitor, png: bytes) -> Callable[..., str]:
    """List an item of ada's; returns its address."""
    return lambda **fields: ada.sell(png, **fields).headers["Location"]


def test_a_listed_item_shows_with_its_photo(ada: Visitor, png: bytes, connection: Connection, app: Flask) -> None:
    answer = ada.sell(png, "../../evil.html", title="Brass lamp", category="Home")
    page = ada.get(answer.headers["Location"])
    assert "Brass lamp" in page.text
    item = items.find(connection, 1)
    assert item is not None
    assert f"/photos/{item.photo}" in page.text
    assert [path.name for path in Path(app.config["PHOTOS"]).iterdir()] == [item.photo]
    photo = ada.get(f"/photos/{item.photo}")
    assert photo.data == png
    assert photo.headers["Content-Type"] == "image/png"
    assert photo.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in photo.headers["Cache-Control"] or "max-age" in photo.headers["Cache-Control"]


@pytest.mark.parametrize(
    "name", ["..%2fauction.sqlite3", "secret_key", "a.svg", "x.png", ".png", "a%00.png", "a/b.png", "é.png"]
)
def test_other_files_are_not_served_as_photos(ada: Visitor, name: str) -> None:
    assert ada.get(f"/photos/{name}").status_code == 404


@pytest.mark.parametrize("data", [b"", b"<script>alert(1)</script>", b"\x89PNG but not really", bytes(5_000)])
def test_an_upload_that_is_no_image_is_refused(ada: Visitor, data: bytes, connection: Connection, app: Flask) -> None:
    answer = ada.sell(data, "photo.png", title="Kept title")
    assert answer.status_code == 400
    assert "not a PNG, JPEG, GIF or WebP image" in answer.text or "Choose a photo" in answer.text
    assert "Kept title" in answer.text  # what was typed is not lost
    assert connection.execute("SELECT count(*) FROM items").fetchone()[0] == 0
    assert list(Path(app.config["PHOTOS"]).iterdir()) == []


def test_an_upload_may_be_as_large_as_the_limit(config: dict[str, object], png: bytes) -> None:
    limits = {"MAX_PHOTO_BYTES": 100_000, "MAX_CONTENT_LENGTH": 200_000}
    ada = Visitor(create_app(config | limits).test_client()).sign_up("ada")
    assert ada.sell(png.ljust(100_000, b"\0")).status_code == 302
    refused = ada.sell(png.ljust(100_001, b"\0"))
    assert refused.status_code == 400
    assert "larger than 0.1 MB" in refused.text
    flood = ada.sell(png.ljust(200_000, b"\0"))
    assert flood.status_code == 413
    assert "Send 0.1 MB or less" in flood.text


def test_a_title_is_text_wherever_it_shows(ada: Visitor, sold_by_ada: Callable[..., str], visitor: New) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x>"
    address = sold_by_ada(title=attack, description=attack, kind="fixed")
    grace = visitor().sign_up("grace")
    pages = [grace.get(path) for path in ("/", address, f"/?q={attack}")]
    pages.append(grace.client.post(f"{address.replace('items', 'cart')}/add", data={"csrf_token": grace.token()}))
    pages.append(grace.get("/cart"))
    grace.post("/cart/checkout", total="1000")
    pages.append(grace.get("/purchases"))
    assert any("&lt;script&gt;alert(1)" in page.text for page in pages)
    for page in pages:
        assert "<script>alert" not in page.text
        assert "<img src=x>" not in page.text


def test_every_page_forbids_foreign_scripts_and_frames(ada: Visitor) -> None:
    for path in ("/", "/login", "/sell", "/nowhere", "/static/auction.js"):
        headers = ada.get(path).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("number", ["0", "-1", "999", "9" * 18, "9" * 19, "9" * 5_000, "1.5", "abc", "%00", "٣"])
def test_an_unknown_item_is_a_404(ada: Visitor, number: str) -> None:
    assert ada.get(f"/items/{number}").status_code == 404
    assert ada.post(f"/items/{number}/bid", price="5").status_code in (302, 404)
    assert ada.post(f"/cart/{number}/add").status_code == 404


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-5", "page=" + "9" * 50, "page=x", "show=never", "kind=gift", "category=None", "q=%00",
     "q=%25", "q=_", "q=\\", "q=" + "x" * 5_000, "q=" + "a+" * 40, "q=%ff%fe"],
)  # fmt: skip
def test_a_strange_query_is_survived(ada: Visitor, query: str) -> None:
    assert ada.get(f"/?{query}").status_code == 200


def titles(page: str) -> list[str]:
    return [part.split("</h3>")[0] for part in page.split("<h3>")[1:]]


def test_browsing_finds_what_is_asked_for(
    visitor: New, connection: Connection, people: Callable[[int], list[int]], list_item: Callable[..., int]
) -> None:
    (seller,), now = people(1), clock.now()
    list_item(seller, title="Lamp with 100% brass")
    list_item(seller, title="Lamp auction", lasts=clock.HOUR, now=now)
    list_item(seller, title="Soonest", lasts=clock.MINUTE, now=now)
    list_item(seller, title="Over", lasts=10, now=0)
    found = {query: titles(visitor().get(f"/?{query}").text) for query in
             ("", "q=lamp", "q=lamp+brass", "q=100%25", "q=_", "kind=auction", "kind=fixed", "show=ended",
              "show=all&q=over", "category=Art")}  # fmt: skip
    assert found == {
        "": ["Soonest", "Lamp auction", "Lamp with 100% brass"],
        "q=lamp": ["Lamp auction", "Lamp with 100% brass"],
        "q=lamp+brass": ["Lamp with 100% brass"],
        "q=100%25": ["Lamp with 100% brass"],
        "q=_": [],
        "kind=auction": ["Soonest", "Lamp auction"],
        "kind=fixed": ["Lamp with 100% brass"],
        "show=ended": ["Over"],
        "show=all&q=over": ["Over"],
        "category=Art": [],
    }


def test_pages_follow_each_other(
    visitor: New, people: Callable[[int], list[int]], list_item: Callable[..., int]
) -> None:
    (seller,) = people(1)
    for number in range(items.PAGE_SIZE + 1):
        list_item(seller, title=f"Thing {number}")
    first, second = visitor().get("/"), visitor().get("/?page=2")
    assert len(titles(first.text)) == items.PAGE_SIZE
    assert 'rel="next"' in first.text
    assert titles(second.text) == ["Thing 0"]
    assert 'rel="next"' not in second.text


def test_cart_checkout_and_history(visitor: New, sold_by_ada: Callable[..., str]) -> None:
    grace = visitor().sign_up("grace")
    sold_by_ada(title="Lamp", kind="fixed", price="12.50")
    sold_by_ada(title="Vase", kind="fixed", price="7.50")
    for number in (1, 2, 1):
        assert grace.post(f"/cart/{number}/add").headers["Location"] == "/cart"
    assert "€20.00" in grace.get("/cart").text
    grace.post("/cart/2/remove")
    assert "€12.50" in grace.get("/cart").text
    assert grace.post("/cart/checkout", total="1250").headers["Location"] == "/purchases"
    history = grace.get("/purchases").text
    assert "Lamp" in history
    assert "Vase" not in history
    assert "Your cart is empty" in grace.get("/cart").text


def test_a_checkout_buys_only_what_the_buyer_saw(visitor: New, sold_by_ada: Callable[..., str]) -> None:
    grace, bob = visitor().sign_up("grace"), visitor().sign_up("bob")
    sold_by_ada(title="Lamp", kind="fixed", price="12.50")
    sold_by_ada(title="Vase", kind="fixed", price="7.50")
    grace.post("/cart/1/add")
    for total in ("1", "-1250", "nonsense", ""):
        assert grace.post("/cart/checkout", total=total).headers["Location"] == "/cart"
        assert "The cart has changed" in grace.get("/cart").text
    grace.post("/cart/2/add")
    bob.post("/cart/1/add")
    bob.post("/cart/checkout", total="1250")
    grace.post("/cart/checkout", total="2000")
    assert "Sold to somebody else: Lamp." in grace.get("/cart").text
    assert "Nothing yet" in grace.get("/purchases").text
    grace.post("/cart/checkout", total="750")
    assert "Vase" in grace.get("/purchases").text


def test_what_cannot_go_into_the_cart(ada: Visitor, visitor: New, sold_by_ada: Callable[..., str]) -> None:
    grace = visitor().sign_up("grace")
    sold_by_ada(title="Lamp", kind="fixed")
    sold_by_ada(title="Vase", kind="auction")
    ada.post("/cart/1/add")
    assert "This is your own item." in ada.get("/").text
    grace.post("/cart/2/add")
    assert "This item is sold by auction." in grace.get("/").text
    assert visitor().post("/cart/1/add").headers["Location"].startswith("/login")


def test_bidding_by_a_plain_form(ada: Visitor, visitor: New, sold_by_ada: Callable[..., str]) -> None:
    address = sold_by_ada(price="10")
    grace = visitor().sign_up("grace")
    said = {}
    for somebody, price in ((grace, "9.99"), (grace, "-1"), (grace, "1e9"), (ada, "50"), (grace, "10"), (grace, "99")):
        assert somebody.post(f"{address}/bid", price=price).headers["Location"] == address
        said[price] = somebody.get(address).text
    for price, sentence in {
        "9.99": "Too low: the next bid is €10.00 or more.", "-1": "Write an amount", "1e9": "Write an amount",
        "50": "This is your own item.", "10": "Your bid is the highest.", "99": "Yours is the highest bid already.",
    }.items():  # fmt: skip
        assert sentence in said[price]
    nobody = visitor().post(f"{address}/bid", price="20", next=address)
    assert nobody.headers["Location"] == f"/login?next={address}"


def test_without_the_socketio_client_the_page_works_and_says_so(config: dict[str, object], tmp_path: Path) -> None:
    client = create_app(config | {"SOCKETIO_JS": str(tmp_path / "missing.js")}).test_client()
    page = client.get("/")
    assert "Live updates are off" in page.text
    assert "socket.io.min.js" not in page.text
    assert client.get("/static/socket.io.min.js").status_code == 404


def test_the_socketio_client_is_served_from_where_it_is(config: dict[str, object], tmp_path: Path) -> None:
    script = tmp_path / "client.js"
    script.write_text("// io", "utf-8")
    client = create_app(config | {"SOCKETIO_JS": str(script)}).test_client()
    assert "Live updates are off" not in client.get("/").text
    answer = client.get("/static/socket.io.min.js", buffered=True)
    assert (answer.text, answer.mimetype) == ("// io", "text/javascript")


def test_the_demo_fills_an_empty_house_once(config: dict[str, object]) -> None:
    demo = config | {"AUCTION_DEMO": "1"}
    for _start in range(2):
        app = create_app(demo)
        with app.app_context():
            assert db.get().execute("SELECT count(*) FROM items").fetchone()[0] == 9
            assert seed.accounts_left(db.get()) == list(seed.ACCOUNTS)
    name, password = seed.ACCOUNTS[0]
    visitor = Visitor(app.test_client())
    visitor.post("/login", name=name, password=password)
    assert "Harbour at dusk" in visitor.get("/purchases").text  # ended before the house opened, and settled
