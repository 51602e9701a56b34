"""The blueprint, which imports its events."""

from flask import Blueprint, current_app, url_for

main = Blueprint("main", __name__)

from . import events  # noqa: E402, F401 - at the end, as events need what is above


@main.route("/orders/<int:number>", methods=["PUT"])
def order(number):
    from . import socketio

    socketio.emit("order", {"number": number, "url": url_for(".order", number=number)}, namespace="/orders")
    return current_app.name
