"""docs/migrate.md names limits that exist, with their defaults. Its differences: test_compat_differences.py."""

import re
from pathlib import Path

import pytest

from greenwire.limits import DEFAULT

PAGE = (Path(__file__).parents[2] / "docs" / "migrate.md").read_text()
BOUNDED = [
    (name, text)
    for text, names in re.findall(r"^\| (.+) \| (`[a-z_`, ]+`) \|$", PAGE.partition("### Bounded")[2], re.MULTILINE)
    for name in re.findall(r"`(\w+)`", names)
]


@pytest.mark.parametrize(("name", "text"), BOUNDED, ids=lambda value: value if " " not in value else "")
def test_the_limits_are_as_the_page_says(name: str, text: str):
    default = getattr(DEFAULT, name)
    written = f"{default // 1_048_576} MiB" if default > 1_000_000 else f"{default:,}".removesuffix(".0")
    assert re.search(rf"\b{written}\b", text), f"{name} is {default}"


def test_the_table_was_found():
    assert len(BOUNDED) >= 9
