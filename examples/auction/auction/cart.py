"""The cart, paying for it, and what a user has bought."""

import sqlite3

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from . import clock, db, items, live, money
from .accounts import User, login_required
from .items import Item, Status
from .shop import find_or_404

pages = Blueprint("cart", __name__)


class CartRefused(Exception):
    """The cart cannot be changed or paid for as asked; the message is for its owner."""


def add(connection: sqlite3.Connection, user_id: int, item: Item) -> None:
    """Put an item into the cart; it stays for sale to others. Raises `CartRefused`."""
    if item.is_auction:
        raise CartRefused("This item is sold by auction.")
    if item.seller_id == user_id:
        raise CartRefused("This is your own item.")
    if item.status is not Status.OPEN:
        raise CartRefused("This item is sold.")
    connection.execute("INSERT OR IGNORE INTO cart VALUES (?, ?, ?)", (user_id, item.id, clock.now()))


def remove(connection: sqlite3.Connection, user_id: int, item_id: int) -> None:
    """Take an item out of the cart."""
    connection.execute("DELETE FROM cart WHERE user_id = ? AND item_id = ?", (user_id, item_id))


def count(connection: sqlite3.Connection, user_id: int) -> int:
    """How many items are in the cart."""
    row = connection.execute("SELECT count(*) AS n FROM cart WHERE user_id = ?", (user_id,)).fetchone()
    return int(row["n"])


def check_out(connection: sqlite3.Connection, user_id: int, total_cents: int) -> list[Item]:
    """Buy all that is in the cart, for the total that the buyer was shown. Raises `CartRefused`.

    If somebody else was faster, nothing is bought: what is gone leaves the cart, and the buyer decides again.
    """
    with db.transaction(connection):
        wanted = items.in_cart(connection, user_id)
        gone = [item for item in wanted if item.status is not Status.OPEN]
        for item in gone:
            remove(connection, user_id, item.id)
        left = [item for item in wanted if item.status is Status.OPEN]
        if not gone and left and sum(item.price_cents for item in left) == total_cents:
            _buy(connection, user_id, left)
            return left
    if gone:
        raise CartRefused(f"Sold to somebody else: {', '.join(item.title for item in gone)}.")
    raise CartRefused("The cart has changed. Look it over and buy again." if left else "The cart is empty.")


def _buy(connection: sqlite3.Connection, user_id: int, wanted: list[Item]) -> None:
    now = clock.now()
    for item in wanted:
        sale = (item.id, user_id, item.price_cents, now)
        connection.execute("INSERT INTO purchases VALUES (?, ?, ?, ?)", sale)
        connection.execute("UPDATE items SET status = ? WHERE id = ?", (Status.SOLD.value, item.id))
        remove(connection, user_id, item.id)


@pages.get("/cart")
@login_required
def show(user: User) -> ResponseReturnValue:
    """The cart."""
    wanted = items.in_cart(db.get(), user.id)
    total = sum(item.price_cents for item in wanted if item.status is Status.OPEN)
    return render_template("cart.html", items=wanted, total=total)


@pages.post("/cart/<item:item_id>/add")
@login_required
def add_item(user: User, item_id: int) -> ResponseReturnValue:
    """Put an item into the cart."""
    item = find_or_404(item_id)
    try:
        add(db.get(), user.id, item)
    except CartRefused as refusal:
        flash(str(refusal), "error")
        return redirect(url_for("shop.item", item_id=item_id))
    flash(f"{item.title} is in your cart.", "good")
    return redirect(url_for("cart.show"))


@pages.post("/cart/<item:item_id>/remove")
@login_required
def remove_item(user: User, item_id: int) -> ResponseReturnValue:
    """Take an item out of the cart."""
    remove(db.get(), user.id, item_id)
    return redirect(url_for("cart.show"))


@pages.post("/cart/checkout")
@login_required
def checkout(user: User) -> ResponseReturnValue:
    """Buy what is in the cart."""
    total = request.form.get("total", 0, type=int)
    try:
        bought = check_out(db.get(), user.id, total)
    except CartRefused as refusal:
        flash(str(refusal), "error")
        return redirect(url_for("cart.show"))
    for item in bought:
        live.of(current_app).announce(item.id)
    flash(f"Bought for {money.show(total)}. Thank you, {user.name}.", "good")
    return redirect(url_for("cart.purchases"))


@pages.get("/purchases")
@login_required
def purchases(user: User) -> ResponseReturnValue:
    """What the user has bought and won, the latest first."""
    rows = db.get().execute(
        "SELECT items.id, title, kind, photo, users.name AS seller, purchases.price_cents, bought_at"
        "  FROM purchases JOIN items ON items.id = item_id JOIN users ON users.id = seller_id"
        " WHERE buyer_id = ? ORDER BY bought_at DESC, items.id DESC",
        (user.id,),
    )
    return render_template("purchases.html", purchases=rows.fetchall())
