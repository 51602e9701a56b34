"""SQLite: one connection for each request or event, and one writer at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask, current_app, g

BUSY_SECONDS = 10.0
"""How long a writer waits for another one before it gives up; a write here takes about a millisecond."""


def connect(path: str | Path) -> sqlite3.Connection:
    """Open the house's database. Transactions are explicit: see `transaction`."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Hold the write lock from the first read to the commit.

    IMMEDIATE, because a deferred transaction reads first and asks for the lock later: two bids could then
    both read the same highest bid (https://sqlite.org/lang_transaction.html).
    """
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        yield connection


def get() -> sqlite3.Connection:
    """The connection of the current request or event; closed when it ends."""
    if "connection" not in g:
        g.connection = connect(current_app.config["DATABASE"])
    connection: sqlite3.Connection = g.connection
    return connection


def _close(_error: BaseException | None) -> None:
    connection = g.pop("connection", None)
    if connection is not None:
        connection.close()


def init_app(app: Flask) -> None:
    """Create what is missing in the database, and close each context's connection at its end."""
    schema = Path(__file__).with_name("schema.sql").read_text("utf-8")
    connection = connect(app.config["DATABASE"])
    # Readers go on while somebody writes; the setting stays with the file.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(schema)
    connection.close()
    app.teardown_appcontext(_close)
