"""Who is believed when he says for whom he speaks: the proxies in front, by address. Pure.

===================  ===========================================================================
written              whose word counts
===================  ===========================================================================
``10.0.0.7``         this address
``10.0.0.0/8``       every address of the network; IPv6 likewise
``unix:``            whoever connects to a Unix socket: the file's permissions decide who can
``*``                whoever connects, for one hop: what *he* appended, nothing that he passed on
===================  ===========================================================================

Several are a list, or one text with commas. An IPv4 client of a dual-stack socket (``::ffff:192.0.2.1``) is an
IPv4 client.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from ..errors import ConfigurationError

_KEPT = 1_024  # addresses that have been judged; a proxy comes back again and again


class Trusted:
    """The believed ones. False when there are none."""

    def __init__(self, names: str | Iterable[str] | None, option: str = "forwarded_allow_ips") -> None:
        self.anybody = False
        self._unix = False
        self._networks: list[IPv4Network | IPv6Network] = []
        self._judged: dict[str, bool] = {}
        listed = names.split(",") if isinstance(names, str) else (names or ())
        for name in listed:
            self._add(name.strip() if isinstance(name, str) else name, option)

    def _add(self, name: Any, option: str) -> None:
        if name == "*":
            self.anybody = True
        elif name == "unix:":
            self._unix = True
        elif name:
            try:
                self._networks.append(ip_network(name))
            except (ValueError, TypeError) as error:
                raise ConfigurationError(
                    f"{option}: {name!r} is no address ({error}); write 10.0.0.7, 10.0.0.0/8, unix: or *"
                ) from None

    def __bool__(self) -> bool:
        return self.anybody or self._unix or bool(self._networks)

    def believes(self, peer: Any) -> bool:
        """Whether the word of *peer*, a socket address, counts."""
        if self.anybody:
            return True
        if not isinstance(peer, tuple):
            return self._unix
        return self.names(str(peer[0]))

    def names(self, address: str) -> bool:
        """Whether *address* is one of those named. ``*`` names nobody."""
        known = self._judged.get(address)
        if known is None:
            known = self._look_up(address)
            if len(self._judged) >= _KEPT:
                self._judged.clear()
            self._judged[address] = known
        return known

    def _look_up(self, address: str) -> bool:
        found = plain_ip(address)
        return found is not None and any(found in network for network in self._networks)


def plain_ip(text: str) -> IPv4Address | IPv6Address | None:
    """*text* as an address, without an interface, and IPv4 as such; None for anything else."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
