"""Who is believed, and who counts as one client."""

import pytest

from greenwire.errors import ConfigurationError
from greenwire.net.addresses import Addresses, key_of
from greenwire.net.trust import Trusted

V4, V6 = ("192.0.2.1", 1), ("2001:db8::1", 1, 0, 0)


@pytest.mark.parametrize(
    ("names", "believed", "not_believed"),
    [
        (None, [], [V4, V6, ""]),
        ("", [], [V4, ""]),
        ("192.0.2.1", [V4, ("::ffff:192.0.2.1", 1, 0, 0)], [("192.0.2.2", 1), V6, ""]),
        ("192.0.2.0/24, 2001:db8::/32", [V4, V6], [("192.0.3.1", 1), ("2001:db9::1", 1, 0, 0), ""]),
        (["fe80::/10"], [("fe80::1%lo", 1, 0, 2)], [V4]),
        ("unix:", ["", "/run/x"], [V4, V6]),
        ("*", [V4, V6, ""], []),
        (["unix:", "192.0.2.1"], ["", V4], [V6]),
    ],
)
def test_believes(names, believed, not_believed):
    trusted = Trusted(names)
    for _ in range(2):
        assert all(trusted.believes(peer) for peer in believed)
        assert not any(trusted.believes(peer) for peer in not_believed)
    assert bool(trusted) is bool(believed)


def test_everybody_is_nobody_by_name():
    assert not Trusted("*").names("192.0.2.1")


@pytest.mark.parametrize("name", ["localhost", "192.0.2.1/24", "192.0.2", "10.0.0.0/33", "unix:/run/x", 5.5, "**"])
def test_what_is_no_address_is_named(name):
    with pytest.raises(ConfigurationError, match="forwarded_allow_ips"):
        Trusted([name])


def test_what_was_judged_is_not_kept_without_end():
    trusted = Trusted("10.0.0.0/8")
    for n in range(3_000):
        assert not trusted.names(f"192.0.{n // 250}.{n % 250}")
    assert len(trusted._judged) <= 1_024


def test_counting_up_to_the_limit_and_one_past():
    addresses = Addresses(2)
    one, two = addresses.enter("192.0.2.1"), addresses.enter("192.0.2.1")
    assert addresses.enter("192.0.2.1") is None
    assert addresses.enter("192.0.2.2") is not None
    addresses.leave(one)
    assert addresses.enter("192.0.2.1") == two
    for key in (two, one, key_of("192.0.2.2")):
        addresses.leave(key)
    assert len(addresses) == 0


def test_an_ipv6_client_is_its_network():
    assert key_of("2001:db8::1") == key_of("2001:db8::ffff:1")
    assert key_of("2001:db8::1") != key_of("2001:db8:0:1::1")
    assert key_of("::ffff:192.0.2.1") == key_of("192.0.2.1")
    assert key_of("fe80::1%lo") == key_of("fe80::2%lo")
    assert key_of("no:address") == "no:address"
