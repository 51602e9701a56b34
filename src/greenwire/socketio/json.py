"""JSON for packets: orjson, and what it is stricter about than applications are. Pure.

orjson writes datetimes, UUIDs, enums and dataclasses, and ``null`` for NaN and the infinities, which is what
``JSON.stringify`` does and all that a browser can read. It refuses three things that the standard library
writes: keys that are no strings, integers beyond 64 bits, and lone surrogates. The first is asked for again
with an option, the others go to the standard library. It also refuses to read a lone surrogate, which is what a
browser sends of an emoji that was cut in two, and the ``NaN`` and ``Infinity`` that Python's own ``json`` writes. Each
costs only those who use it.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson

_LENIENT = ("\\ud", "\\uD", "NaN", "Infinity")  # what only the standard library reads


def loads(text: str) -> Any:
    """The value that *text* stands for. Raises ``ValueError``."""
    try:
        return orjson.loads(text)
    except ValueError:
        if not any(sign in text for sign in _LENIENT):
            raise
    return json.loads(text)


plain: Callable[[Any], bytes] = orjson.dumps  # what it refuses is tried again by dumps()


def dumps(value: Any, default: Callable[[Any], Any]) -> bytes:
    """*value* as JSON. *default* is asked for a form of what JSON has none for; it raises ``TypeError``."""
    failed: list[TypeError] = []

    def ask(item: Any) -> Any:
        try:
            return _plain(item, default)
        except TypeError as error:
            failed.append(error)  # orjson replaces it by one of its own
            raise

    try:
        return orjson.dumps(value, ask, orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        if failed:
            raise failed[0] from None
        if "64-bit" not in str(error) and "surrogate" not in str(error):
            raise

    def leaf(item: Any) -> Any:
        """What the standard library knows nothing of, as orjson writes it."""
        return json.loads(orjson.dumps(item, ask, orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY))

    plain = json.loads(json.dumps(value, default=leaf), parse_constant=_null)
    return json.dumps(plain, separators=(",", ":")).encode()


def _null(constant: str) -> None:
    """For NaN and the infinities."""


def _plain(item: Any, default: Callable[[Any], Any]) -> Any:
    if isinstance(item, tuple | set | frozenset):  # a named tuple, too
        return list(item)
    if isinstance(item, Decimal):
        return str(item)  # as Flask's JSON provider does: a float would lose digits
    return default(item)
