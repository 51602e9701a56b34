"""Session ids: 20 characters of the URL-safe base64 alphabet, as Socket.IO's peers expect them. Leaf.

96 random bits make them unguessable; the 24 bits of a counter behind them make them unique in the process.
"""

from base64 import urlsafe_b64encode
from itertools import count
from os import urandom

_serial = count(int.from_bytes(urandom(3), "big"))


def new_id() -> str:
    """A fresh id, for an Engine.IO session or a client of a namespace."""
    return urlsafe_b64encode(urandom(12) + (next(_serial) & 0xFFFFFF).to_bytes(3, "big")).decode()
