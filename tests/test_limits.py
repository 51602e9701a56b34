"""The limits: every one documented, positive, and changed one at a time."""

import inspect
import re
from dataclasses import FrozenInstanceError, fields

import pytest

from greenwire import limits
from greenwire.errors import ConfigurationError
from greenwire.limits import Limits

NAMES = [field.name for field in fields(Limits)]
SECONDS = [name for name in NAMES if name.endswith("_s") and not name.endswith("bytes_s")]
WHOLE = sorted(set(NAMES) - set(SECONDS))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, float("nan"), None, "100", True, [1]])
def test_a_limit_is_a_positive_number(name, value):
    with pytest.raises(ConfigurationError, match=name):
        Limits(**{name: value})


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", [0.5, 1e6, float("inf")])
def test_bytes_and_counts_are_whole(name, value):
    with pytest.raises(ConfigurationError, match=name):
        Limits(**{name: value})


@pytest.mark.parametrize("name", SECONDS)
def test_no_timer_can_wait_for_ever(name):
    with pytest.raises(ConfigurationError, match=name):
        Limits(**{name: float("inf")})


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [1, 0.001])
def test_seconds_may_have_fractions(name, value):
    assert getattr(Limits(**{name: value}), name) == value


def test_one_is_changed_and_the_others_stay():
    changed = Limits(fragments=7)
    assert {n for n in NAMES if getattr(changed, n) != getattr(limits.DEFAULT, n)} == {"fragments"}


def test_limits_do_not_change_under_way():
    with pytest.raises(FrozenInstanceError):
        limits.DEFAULT.fragments = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_says_its_outcome(name):
    line = re.search(rf"^    {name}: \w+ = .*$", inspect.getsource(Limits), re.MULTILINE)
    assert line is not None
    assert re.search(r"  # .* → \w|  # → \w|; bounds what ", line[0]), line[0]
