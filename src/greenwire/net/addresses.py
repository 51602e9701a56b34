"""How many connections each client address has. Pure.

An IPv6 client is its /64: that is what one customer gets at least (RFC 6177), so that single addresses of it are
free of charge. Unix clients are not counted: they are on this machine.
"""

from .trust import plain_ip

Key = str | bytes


class Addresses:
    """Counts connections. What :meth:`enter` gives is to be handed back to :meth:`leave`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._counts: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def enter(self, address: str) -> Key | None:
        """Count one more for *address*; None where it has as many as it may."""
        key = key_of(address)
        count = self._counts.get(key, 0)
        if count >= self.limit:
            return None
        self._counts[key] = count + 1
        return key

    def leave(self, key: Key) -> None:
        """One less."""
        count = self._counts[key] - 1
        if count:
            self._counts[key] = count
        else:
            del self._counts[key]


def key_of(address: str) -> Key:
    """What is counted as one client."""
    if ":" not in address:
        return address
    found = plain_ip(address)
    if found is None:
        return address
    return found.packed[:8] if found.version == 6 else str(found)
