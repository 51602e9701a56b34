"""The auction house of `examples/auction`, empty, in a directory of its own for each test."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from sqlite3 import Connection

import pytest
from flask import Flask

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "auction"))

from auction.canvas import Canvas
from auction.listing import Kind, Listing
from auction_visitor import Visitor

from auction import create_app, db, items


@pytest.fixture
def config(tmp_path: Path) -> dict[str, object]:
    return {"AUCTION_DATA": str(tmp_path / "data"), "AUCTION_DEMO": "", "TESTING": True}


@pytest.fixture
def app(config: dict[str, object]) -> Flask:
    return create_app(config)


@pytest.fixture
def visitor(app: Flask) -> Callable[[], Visitor]:
    return lambda: Visitor(app.test_client())


@pytest.fixture
def ada(visitor: Callable[[], Visitor]) -> Visitor:
    return visitor().sign_up("ada")


@pytest.fixture
def connection(app: Flask) -> Iterator[Connection]:
    connection = db.connect(app.config["DATABASE"])
    yield connection
    connection.close()


@pytest.fixture
def people(connection: Connection) -> Callable[[int], list[int]]:
    """Make accounts that nobody logs in to; hashing passwords would be most of a race's time."""

    def make(count: int) -> list[int]:
        rows = [
            connection.execute(
                "INSERT INTO users (name, password_hash, joined_at) VALUES (?, '', 0) RETURNING id", (f"p{n}",)
            ).fetchone()
            for n in range(count)
        ]
        return [row["id"] for row in rows]

    return make


@pytest.fixture
def list_item(connection: Connection) -> Callable[..., int]:
    """List an item at moment `now`; an auction if `lasts` is given."""

    def make(seller: int, price: int = 1_000, lasts: int | None = None, now: int = 0, title: str = "A thing") -> int:
        kind = Kind.FIXED if lasts is None else Kind.AUCTION
        return items.insert(connection, seller, Listing(title, "", "Other", kind, price, lasts), "none.png", now)

    return make


@pytest.fixture(scope="session")
def png() -> bytes:
    return Canvas(8, 6, "#ffffff", "#000000").png()
