"""Session ids."""

import re
from base64 import urlsafe_b64decode

import pytest

from greenwire import ids
from greenwire.ids import new_id, owner, set_worker


def test_an_id_is_what_peers_expect():
    for _ in range(1000):
        assert re.fullmatch(r"[\w-]{20}", new_id(), re.ASCII)


def test_ids_are_unique():
    assert len({new_id() for _ in range(50_000)}) == 50_000


def test_the_counter_goes_up_behind_the_random_bits():
    first, second = (urlsafe_b64decode(new_id()) for _ in range(2))
    assert first[:12] != second[:12]
    assert (int.from_bytes(second[12:], "big") - int.from_bytes(first[12:], "big")) % 2**12 == 1


@pytest.fixture
def worker():
    yield set_worker
    set_worker(0)


@pytest.mark.parametrize("number", [0, 1, 63, 64, ids.MAX_WORKERS - 1])
def test_an_id_says_whose_it_is(worker, number):
    worker(number)
    made = [new_id() for _ in range(5_000)]  # the counter goes round, and does not touch the number
    assert {owner(sid) for sid in made} == {number}
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("sid", ["", "short", "x" * 19, "x" * 21, "x" * 16 + "!!xx", "x" * 16 + "é/xx"])
def test_what_is_no_id_is_nobodys(sid):
    assert owner(sid) == -1
