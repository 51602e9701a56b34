"""The socket handlers, through the test client that belongs to the API."""

from collections.abc import Callable
from typing import Any

import pytest
from auction.bids import BidRefused
from auction_visitor import Visitor
from flask import Flask

from auction import clock, live, settle

New = Callable[[], Visitor]
GARBAGE = [None, 1, "x", [], [1], {}, {"id": None}, {"id": "1"}, {"id": 1.0}, {"id": True}, {"id": -1}, {"id": 0},
           {"id": 2**63}, {"id": 10**400}, {"id": {"id": 1}}, {"id": [1]}]  # fmt: skip


@pytest.fixture
def address(ada: Visitor, png: bytes) -> str:
    return ada.sell(png, price="10").headers["Location"]


@pytest.fixture
def plug(app: Flask) -> Callable[[Visitor], Any]:
    """Open a socket with the visitor's cookies."""
    return lambda visitor: app.extensions["socketio"].test_client(app, flask_test_client=visitor.client)


def ask(socket: Any, event: str, *data: object) -> Any:
    return socket.emit(event, *data, callback=True)


def heard(socket: Any, name: str) -> list[Any]:
    return [event["args"][0] for event in socket.get_received() if event["name"] == name]


@pytest.mark.parametrize("data", GARBAGE)
def test_garbage_for_an_id_is_refused(data: object) -> None:
    with pytest.raises(BidRefused, match="number"):
        live.read_item_id(data)


def test_a_bid_reaches_everybody_who_watches(address: str, visitor: New, plug: Callable[[Visitor], Any]) -> None:
    grace = plug(visitor().sign_up("grace"))
    watcher, passer_by = plug(visitor()), plug(visitor())
    answer = ask(watcher, "watch", {"id": 1})
    assert answer["ok"]
    assert (answer["state"]["price"], answer["state"]["version"]) == ("€10.00", 0)
    assert answer["count"]["watchers"] == 1
    watcher.get_received()
    placed = ask(grace, "bid", {"id": 1, "price": "12.00"})
    assert placed["ok"]
    (state,) = heard(watcher, "state")
    assert (state["price"], state["bidder"], state["bids"], state["version"]) == ("€12.00", "grace", 1, 1)
    assert state["minimum"] == "€13.00"
    assert abs(state["server_now"] - clock.now()) < 60_000
    assert heard(passer_by, "state") == []


def test_refusals_are_answered_with_the_reason(
    ada: Visitor, address: str, visitor: New, plug: Callable[[Visitor], Any]
) -> None:
    grace, seller, nobody = plug(visitor().sign_up("grace")), plug(ada), plug(visitor())
    watcher = plug(visitor())
    ask(watcher, "watch", {"id": 1})
    watcher.get_received()
    expected = [
        (grace, {"id": 1, "price": "9.99"}, "too_low"),
        (grace, {"id": 1, "price": "-12"}, "bad_request"),
        (grace, {"id": 1, "price": "9" * 300}, "bad_request"),
        (grace, {"id": 1, "price": 12}, "bad_request"),
        (grace, {"id": 1}, "bad_request"),
        (grace, {"id": 404, "price": "12"}, "unknown_item"),
        (seller, {"id": 1, "price": "12"}, "own_item"),
        (nobody, {"id": 1, "price": "12"}, "not_logged_in"),
    ]
    for socket, data, code in expected:
        answer = ask(socket, "bid", data)
        assert (answer["ok"], answer["code"]) == (False, code)
        assert answer["reason"].endswith(".")
    for data in GARBAGE[:-3]:
        assert ask(grace, "bid", data)["code"] == "bad_request"
        assert ask(grace, "watch", data)["code"] == "bad_request"
    assert ask(grace, "bid")["code"] == "bad_request"
    assert ask(grace, "bid", {"id": 1, "price": "5"}, "more", "still more")["code"] == "too_low"
    assert heard(watcher, "state") == []


def test_a_bid_after_the_end_is_too_late(
    address: str, visitor: New, plug: Callable[[Visitor], Any], connection: Any
) -> None:
    grace = plug(visitor().sign_up("grace"))
    connection.execute("UPDATE items SET ends_at = ? WHERE id = 1", (clock.now(),))
    assert ask(grace, "bid", {"id": 1, "price": "12"})["code"] == "too_late"
    settle.due(connection, clock.now())
    answer = ask(grace, "watch", {"id": 1})
    assert (answer["state"]["status"], answer["state"]["result"]) == ("unsold", "Ended without a bid.")


def test_a_socket_does_not_outlive_its_login(address: str, visitor: New, plug: Callable[[Visitor], Any]) -> None:
    grace = visitor().sign_up("grace")
    socket = plug(grace)
    grace.post("/logout")
    assert ask(socket, "bid", {"id": 1, "price": "12"})["code"] == "not_logged_in"


def test_watchers_come_and_go(address: str, visitor: New, plug: Callable[[Visitor], Any]) -> None:
    first, second = plug(visitor()), plug(visitor())
    ask(first, "watch", {"id": 1})
    ask(first, "watch", {"id": 1})
    ask(second, "watch", {"id": 1})
    ask(second, "unwatch", {"id": 1})
    ask(second, "watch", {"id": 1})
    second.disconnect()
    counts = heard(first, "watchers")
    assert [count["watchers"] for count in counts] == [1, 1, 2, 1, 2, 1]
    revisions = [count["revision"] for count in counts]
    assert revisions == sorted(set(revisions))


def test_the_front_page_hears_of_bids_and_of_new_items(
    ada: Visitor, address: str, png: bytes, visitor: New, plug: Callable[[Visitor], Any]
) -> None:
    floor = plug(visitor())
    ask(floor, "floor")
    grace = visitor().sign_up("grace")
    grace.post(f"{address}/bid", price="15")
    ada.sell(png, kind="fixed")
    glances = heard(floor, "glance")
    assert [(glance["id"], glance["price"], glance["version"]) for glance in glances] == [
        (1, "€15.00", 1),
        (2, "€10.00", 0),
    ]
