"""The events of the shop."""

from flask import current_app, url_for
from flask_socketio import emit, join_room

from . import socketio


@socketio.on("watch", namespace="/orders")
def watch(customer):
    join_room(customer)
    emit("watching", {"app": current_app.name, "customer": customer}, to=customer)
    return url_for("main.order", number=1)


@socketio.on_error(namespace="/orders")
def failed(error):
    emit("failed", str(error))
