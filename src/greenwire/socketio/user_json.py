"""``json=``: a JSON module of the user's, with ``dumps`` and ``loads``, as codec of packets.

Such a module knows nothing of binary data, so bytes are taken out before it sees a value.
"""

from collections.abc import Callable
from typing import Any

from ..errors import ConfigurationError


class UserJson:
    """*module* is anything with ``dumps(value, separators=…)``, or ``dumps(value)``, and ``loads(text)``."""

    def __init__(self, module: Any) -> None:
        for name in ("dumps", "loads"):
            if not callable(getattr(module, name, None)):
                raise ConfigurationError(f"json={module!r}: it has no {name}(); give a module such as flask.json")
        self._dumps: Callable[..., str | bytes] = module.dumps
        self._loads: Callable[[str], Any] = module.loads
        self._compact: dict[str, Any] | None = None  # found out at the first packet: a module may need an app

    def plain(self, value: Any) -> bytes:
        return self.dumps(value, _refuse)

    def dumps(self, value: Any, default: Callable[[Any], Any]) -> bytes:
        text = self._write(without_bytes(value, default))
        return text.encode() if isinstance(text, str) else bytes(text)

    def loads(self, text: str) -> Any:
        return self._loads(text)

    def _write(self, value: Any) -> str | bytes:
        if self._compact is None:
            self._compact = {"separators": (",", ":")}
            try:
                self._dumps([], **self._compact)
            except TypeError:  # not every module takes it; it only saves bytes
                self._compact = {}
        return self._dumps(value, **self._compact)


def _refuse(value: Any) -> Any:
    raise TypeError("binary data has no JSON form")


def without_bytes(value: Any, default: Callable[[Any], Any]) -> Any:
    """A copy of *value* in which *default* has replaced binary data; *value* itself where there is none."""
    if isinstance(value, bytes | bytearray | memoryview):
        return default(value)
    if isinstance(value, dict):
        return {key: without_bytes(item, default) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_bytes(item, default) for item in value]
    return value
