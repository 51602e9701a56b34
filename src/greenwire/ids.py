"""Session ids: 20 characters of the URL-safe base64 alphabet, as Socket.IO's peers expect them. Leaf.

96 random bits make them unguessable. The 24 bits behind them are the number of the worker process that made the id,
so that a request finds its owner without a look-up, and a counter.
"""

from base64 import urlsafe_b64encode
from itertools import count
from os import urandom

MAX_WORKERS = 4096  # 12 bits; with a number beyond them an id is nobody's

_ALPHABET = {letter: n for n, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")}
_serial = count(int.from_bytes(urandom(2), "big"))
_worker_bits = 0


def set_worker(number: int) -> None:
    """This process is the worker of this *number*; without workers it is 0."""
    global _worker_bits
    _worker_bits = (number % MAX_WORKERS) << 12


def new_id() -> str:
    """A fresh id, for an Engine.IO session or a client of a namespace."""
    return urlsafe_b64encode(urandom(12) + (_worker_bits | next(_serial) & 0xFFF).to_bytes(3, "big")).decode()


def owner(sid: str) -> int:
    """The number of the worker that made *sid*; -1 for what is no id."""
    if len(sid) != 20:
        return -1
    high, low = _ALPHABET.get(sid[16]), _ALPHABET.get(sid[17])
    return -1 if high is None or low is None else high << 6 | low
