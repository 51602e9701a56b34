"""Many at one instant: threads with a connection each, let go together."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from sqlite3 import Connection
from threading import Barrier

import pytest
from auction.bids import BidRefused
from auction.cart import CartRefused
from auction.watchers import Watchers
from flask import Flask

from auction import bids, cart, clock, db, items, settle

CROWD = 20


def together(app: Flask, actions: list[Callable[[Connection], str]]) -> Counter[str]:
    """Run each action in its own thread and connection, all at once; count what they return."""
    gate = Barrier(len(actions))

    def run(action: Callable[[Connection], str]) -> str:
        connection = db.connect(app.config["DATABASE"])
        try:
            gate.wait(timeout=30)
            return action(connection)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as pool:
        return Counter(pool.map(run, actions))


def bidding(item_id: int, bidder: int, cents: int) -> Callable[[Connection], str]:
    def action(connection: Connection) -> str:
        try:
            bids.place(connection, item_id, bidder, cents)
        except BidRefused as refusal:
            return refusal.reason.value
        return "accepted"

    return action


@pytest.fixture
def auction(people: Callable[[int], list[int]], list_item: Callable[..., int]) -> tuple[int, list[int]]:
    seller, *bidders = people(CROWD + 1)
    return list_item(seller, lasts=clock.HOUR, now=clock.now()), bidders


def test_of_equal_bids_at_one_instant_one_is_accepted(
    app: Flask, connection: Connection, auction: tuple[int, list[int]]
) -> None:
    item_id, bidders = auction
    outcome = together(app, [bidding(item_id, bidder, 5_000) for bidder in bidders])
    assert outcome == {"accepted": 1, "too_low": CROWD - 1}
    found = items.find(connection, item_id)
    assert found is not None
    assert (found.bid_count, found.high_cents) == (1, 5_000)


def test_accepted_bids_climb_by_the_step_whatever_their_order(
    app: Flask, connection: Connection, auction: tuple[int, list[int]]
) -> None:
    item_id, bidders = auction
    offers = [*(1_000 + 60 * n for n in range(CROWD - 1)), 9_900]
    outcome = together(app, [bidding(item_id, *pair) for pair in zip(bidders, offers, strict=True)])
    assert set(outcome) <= {"accepted", "too_low"}
    rows = connection.execute("SELECT amount_cents FROM bids WHERE item_id = ? ORDER BY id", (item_id,))
    amounts = [row["amount_cents"] for row in rows]
    assert len(amounts) == outcome["accepted"]
    assert amounts[-1] == 9_900
    assert all(later - earlier >= 100 for earlier, later in pairwise(amounts))


def test_a_fixed_price_item_is_bought_once(
    app: Flask, connection: Connection, people: Callable[[int], list[int]], list_item: Callable[..., int]
) -> None:
    seller, *buyers = people(9)
    item_id = list_item(seller, price=700)
    wanted = items.find(connection, item_id)
    assert wanted is not None
    for buyer in buyers:
        cart.add(connection, buyer, wanted)

    def buying(buyer: int) -> Callable[[Connection], str]:
        def action(own: Connection) -> str:
            try:
                return f"bought {len(cart.check_out(own, buyer, 700))}"
            except CartRefused:
                return "refused"

        return action

    assert together(app, [buying(buyer) for buyer in buyers]) == {"bought 1": 1, "refused": 7}
    assert connection.execute("SELECT count(*) FROM purchases").fetchone()[0] == 1


def test_an_auction_is_settled_once(app: Flask, connection: Connection, auction: tuple[int, list[int]]) -> None:
    item_id, bidders = auction
    bids.place(connection, item_id, bidders[0], 2_000)
    after = clock.now() + 2 * clock.HOUR
    outcome = together(app, [lambda own: str(settle.due(own, after)) for _ in range(8)])
    assert outcome == {f"[{item_id}]": 1, "[]": 7}
    assert connection.execute("SELECT count(*) FROM purchases").fetchone()[0] == 1


def test_a_bid_that_waited_past_the_end_is_too_late(
    connection: Connection, people: Callable[[int], list[int]], list_item: Callable[..., int]
) -> None:
    seller, bidder = people(2)
    item_id = list_item(seller, lasts=1_000, now=0)

    def read_clock() -> int:
        assert connection.in_transaction  # the clock is read with the lock held, not before
        return 1_000

    with pytest.raises(BidRefused, match="Too late"):
        bids.place(connection, item_id, bidder, 2_000, read_clock)
    assert not connection.in_transaction


def test_watchers_count_sockets_and_forget_those_that_left() -> None:
    watchers = Watchers()
    for sid in ("a", "b"):
        watchers.arrive(sid)
    counts = [watchers.watch("a", 1), watchers.watch("a", 1), watchers.watch("b", 1)]
    assert [count and count.watchers for count in counts] == [1, 1, 2]
    assert watchers.leave("b", 2) is None
    assert [(count.item_id, count.watchers) for count in watchers.depart("a")] == [(1, 1)]
    assert watchers.watch("a", 1) is None  # an event that is handled after its socket has gone
    assert watchers.depart("a") == []
    last = watchers.leave("b", 1)
    assert last is not None
    assert (last.watchers, last.revision) == (0, 5)
