"""The pages of the shop: browse, look at an item, bid without a script, list an item."""

from enum import StrEnum
from typing import Any, TypeVar

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.routing import BaseConverter

from . import clock, db, items, listing, live, money, photos, snapshot
from .accounts import User, current_user, login_required
from .bids import BidRefused
from .items import Filter, Item, Show
from .listing import CATEGORIES, Kind

pages = Blueprint("shop", __name__)

MAX_PAGE = 10_000
SEARCH_CHARACTERS = 100

_Choice = TypeVar("_Choice", bound=StrEnum)


class ItemNumber(BaseConverter):
    """An item's number in an address: eighteen digits at most, so it always fits SQLite's integer."""

    regex = r"[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> int:
        """The number itself."""
        return int(value)


def find_or_404(item_id: int) -> Item:
    """The item, or the page that says there is none."""
    item = items.find(db.get(), item_id)
    if item is None:
        abort(404, "There is no such item.")
    return item


def _choice(name: str, choices: type[_Choice]) -> _Choice | None:
    try:
        return choices(request.args.get(name, ""))
    except ValueError:
        return None


def _filter() -> Filter:
    """What the address asks for; whatever in it makes no sense counts as not asked."""
    category = request.args.get("category", "")
    return Filter(
        text=request.args.get("q", "")[:SEARCH_CHARACTERS].replace("\0", "").strip(),
        category=category if category in CATEGORIES else "",
        kind=_choice("kind", Kind),
        show=_choice("show", Show) or Show.OPEN,
        page=min(max(request.args.get("page", 1, type=int), 1), MAX_PAGE),
    )


@pages.get("/")
def browse() -> ResponseReturnValue:
    """The front page: a search, a few filters, and the items."""
    wanted = _filter()
    found, more = items.browse(db.get(), wanted, clock.now())
    asked = {
        "q": wanted.text,
        "category": wanted.category,
        "kind": wanted.kind,
        "show": request.args.get("show"),
    }
    asked = {name: value for name, value in asked.items() if value}

    def link(**changes: Any) -> str:
        """The address of this page with one thing asked differently; None asks for it no longer."""
        return url_for("shop.browse", **asked | changes)

    return render_template(
        "browse.html", items=found, wanted=wanted, more=more, categories=CATEGORIES, asked=asked, link=link
    )


@pages.get("/items/<item:item_id>")
def item(item_id: int) -> ResponseReturnValue:
    """One item: an auction with its bids, or something to put into the cart."""
    found, user = find_or_404(item_id), current_user()
    state = snapshot.state(db.get(), found) if found.is_auction else None
    in_cart = user is not None and any(other.id == item_id for other in items.in_cart(db.get(), user.id))
    return render_template("item.html", item=found, state=state, in_cart=in_cart)


@pages.post("/items/<item:item_id>/bid")
@login_required
def bid(user: User, item_id: int) -> ResponseReturnValue:
    """Bid by a plain form, for a browser without the script or without live updates."""
    try:
        live.of(current_app).place(item_id, user.id, money.parse(request.form.get("price")))
    except (BidRefused, money.BadAmount) as refusal:
        flash(str(refusal), "error")
    else:
        flash("Your bid is the highest.", "good")
    return redirect(url_for("shop.item", item_id=item_id))


def _sell_form(status: int = 200) -> ResponseReturnValue:
    page = render_template("sell.html", categories=CATEGORIES, units=listing.UNITS, form=request.form)
    return page, status


@pages.get("/sell")
@login_required
def sell(_user: User) -> ResponseReturnValue:
    """The form that lists an item."""
    return _sell_form()


@pages.post("/sell")
@login_required
def list_item(user: User) -> ResponseReturnValue:
    """List the item, or show the form again with what is wrong with it."""
    limit = current_app.config["MAX_PHOTO_BYTES"]
    upload = request.files.get("photo")
    data = upload.read(limit + 1) if upload else b""
    try:
        wanted = listing.read(request.form)
        photo = photos.inspect(data, limit)
    except (listing.ListingRefused, photos.PhotoRefused) as refusal:
        flash(str(refusal), "error")
        return _sell_form(400)
    name = photos.store(data, photo, current_app.config["PHOTOS"])
    item_id = items.insert(db.get(), user.id, wanted, name, clock.now())
    live.of(current_app).announce(item_id)
    return redirect(url_for("shop.item", item_id=item_id))


@pages.get("/mine")
@login_required
def mine(user: User) -> ResponseReturnValue:
    """What the user bids on and what the user sells."""
    bidding, selling = items.bid_on_by(db.get(), user.id), items.of_seller(db.get(), user.id)
    return render_template("mine.html", bidding=bidding, selling=selling)
