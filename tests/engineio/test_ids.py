"""Session ids."""

import re
from base64 import urlsafe_b64decode

from greenwire.ids import new_id


def test_an_id_is_what_peers_expect():
    for _ in range(1000):
        assert re.fullmatch(r"[\w-]{20}", new_id(), re.ASCII)


def test_ids_are_unique():
    assert len({new_id() for _ in range(50_000)}) == 50_000


def test_the_counter_goes_up_behind_the_random_bits():
    first, second = (urlsafe_b64decode(new_id()) for _ in range(2))
    assert first[:12] != second[:12]
    assert (int.from_bytes(second[12:], "big") - int.from_bytes(first[12:], "big")) % 2**24 == 1
