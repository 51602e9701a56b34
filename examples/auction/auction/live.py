"""The socket side of the house: who watches, who bids, and what everybody is told.

From a browser, each with an acknowledgement:  `watch` {id} · `unwatch` {id} · `floor` · `bid` {id, price}
To a browser:  `state` to the watchers of an auction · `watchers` likewise · `glance` to the front page
"""

import sqlite3
from typing import Any, TypedDict, cast

from flask import Flask, request

from greenwire.flask import SocketIO, join_room, leave_room

from . import accounts, bids, clock, db, items, money, settle, snapshot
from .bids import BidRefused, Reason
from .watchers import Count, Watchers

FLOOR = "floor"
MAX_ITEM_ID = 2**63 - 1  # SQLite's largest integer

_LONGEST_NAP = 1.0
_SHORTEST_NAP = 0.02


class WatcherCount(TypedDict):
    """The `watchers` event."""

    id: int
    watchers: int
    revision: int
    server_now: int


Answer = dict[str, Any]


def room(item_id: int) -> str:
    """The room of those who watch this auction."""
    return f"auction:{item_id}"


def read_item_id(data: object) -> int:
    """The `id` of an event's payload, which may be anything at all. Raises `BidRefused`."""
    item_id = data.get("id") if isinstance(data, dict) else None
    if type(item_id) is not int or not 0 < item_id <= MAX_ITEM_ID:
        raise BidRefused(Reason.BAD_REQUEST, "Name an item by its number.")
    return item_id


def read_price(data: object) -> int:
    """The `price` of an event's payload. Raises `BidRefused`."""
    try:
        return money.parse(data.get("price") if isinstance(data, dict) else None)
    except money.BadAmount as error:
        raise BidRefused(Reason.BAD_REQUEST, str(error)) from None


def refused(refusal: BidRefused) -> Answer:
    """The acknowledgement of an event that came to nothing."""
    return {"ok": False, "code": refusal.reason.value, "reason": str(refusal), "server_now": clock.now()}


class Live:
    """The handlers, and the list of watchers that they share."""

    def __init__(self, socketio: SocketIO) -> None:
        self._socketio = socketio
        self._watchers = Watchers()
        for event in ("connect", "disconnect", "watch", "unwatch", "floor", "bid"):
            socketio.on(event)(getattr(self, event))

    def connect(self, _auth: object = None) -> None:
        """Everybody may watch; only bids ask for a name."""
        self._watchers.arrive(_sid())

    def disconnect(self, _reason: object = None) -> None:
        """Rooms are left by themselves; the counts are ours."""
        for count in self._watchers.depart(_sid()):
            self._tell_count(count)

    def watch(self, data: object = None, *_more: object) -> Answer:
        """Join the auction's room; the answer is its state at this moment."""
        try:
            item_id = read_item_id(data)
            item = items.find(db.get(), item_id)
            if item is None or not item.is_auction:
                raise BidRefused(Reason.UNKNOWN_ITEM, "There is no such auction.")
            count = self._watchers.watch(_sid(), item_id)
            if count is None:
                raise BidRefused(Reason.BAD_REQUEST, "You watch too many auctions.")
        except BidRefused as refusal:
            return refused(refusal)
        join_room(room(item_id))
        self._tell_count(count)
        # Read again after joining: a bid in between would otherwise be in neither the answer nor an event.
        return {"ok": True, "state": _state(db.get(), item_id), "count": _count_event(count)}

    def unwatch(self, data: object = None, *_more: object) -> Answer:
        """Leave the auction's room."""
        try:
            item_id = read_item_id(data)
        except BidRefused as refusal:
            return refused(refusal)
        leave_room(room(item_id))
        count = self._watchers.leave(_sid(), item_id)
        if count is not None:
            self._tell_count(count)
        return {"ok": True, "server_now": clock.now()}

    def floor(self, *_more: object) -> Answer:
        """Hear about every auction at a glance, as the front page does."""
        join_room(FLOOR)
        return {"ok": True, "server_now": clock.now()}

    def bid(self, data: object = None, *_more: object) -> Answer:
        """Bid. The bidder learns from the answer whether it counts and if not, why."""
        try:
            user = accounts.current_user()
            if user is None:
                raise BidRefused(Reason.NOT_LOGGED_IN, "Log in to bid.")
            item_id = read_item_id(data)
            self.place(item_id, user.id, read_price(data))
        except BidRefused as refusal:
            return refused(refusal)
        return {"ok": True, "state": _state(db.get(), item_id)}

    def place(self, item_id: int, bidder_id: int, cents: int) -> None:
        """Place a bid and tell everybody. Raises `BidRefused`. Also for bids that come by a plain form."""
        bids.place(db.get(), item_id, bidder_id, cents)
        self.announce(item_id)

    def announce(self, item_id: int) -> None:
        """Tell the watchers of the item, and the front page, how it stands now."""
        connection = db.get()
        item = items.find(connection, item_id)
        if item is None:
            return
        self._socketio.emit("glance", snapshot.glance(item), to=FLOOR)
        if item.is_auction:
            self._socketio.emit("state", snapshot.state(connection, item), to=room(item_id))

    def _tell_count(self, count: Count) -> None:
        self._socketio.emit("watchers", _count_event(count), to=room(count.item_id))

    def keep_settling(self, app: Flask) -> None:
        """Settle each auction as its time runs out, for ever; the background task of the house."""
        while True:
            self._socketio.sleep(self._settle_once(app))

    def _settle_once(self, app: Flask) -> float:
        """Settle what is due; return how long nothing else will be. The task outlives a failed attempt."""
        with app.app_context():
            try:
                for item_id in settle.due(db.get(), clock.now()):
                    self.announce(item_id)
                return _nap(settle.next_end(db.get()), clock.now())
            except sqlite3.Error:
                app.logger.exception("settling failed; trying again")
                return _LONGEST_NAP


def of(app: Flask) -> Live:
    """The `Live` of an application, such as `current_app`."""
    return cast(Live, app.extensions["auction.live"])


def _nap(next_end: int | None, now: int) -> float:
    if next_end is None:
        return _LONGEST_NAP
    return min(max((next_end - now) / clock.SECOND, _SHORTEST_NAP), _LONGEST_NAP)


def _sid() -> str:
    return cast(str, request.sid)  # type: ignore[attr-defined]  # Socket.IO's addition to the request


def _state(connection: sqlite3.Connection, item_id: int) -> snapshot.State | None:
    item = items.find(connection, item_id)
    return None if item is None else snapshot.state(connection, item)


def _count_event(count: Count) -> WatcherCount:
    return WatcherCount(id=count.item_id, watchers=count.watchers, revision=count.revision, server_now=clock.now())
