"""The pages that are made from the source are current, and the links of all pages lead somewhere."""

import re
import runpy
from dataclasses import fields
from pathlib import Path

import pytest

from greenwire.limits import Limits

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")])


def test_the_page_of_limits_is_current() -> None:
    page: str = runpy.run_path(str(ROOT / "docs" / "build_limits.py"))["page"]()
    assert (ROOT / "docs" / "limits.md").read_text() == page, "run python docs/build_limits.py"


def test_every_limit_says_what_happens() -> None:
    page = (ROOT / "docs" / "limits.md").read_text()
    for limit in fields(Limits):
        row = next((line for line in page.splitlines() if line.startswith(f"| `{limit.name}` |")), None)
        assert row is not None, f"{limit.name} is not on the page"
        assert row.split("|")[-2].strip(), f"{limit.name}: no outcome"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_design_has_a_line_for_each_file() -> None:
    design = (ROOT / "docs" / "design.md").read_text()
    named = set()
    for row in re.findall(r"^\| (.*) \| (.*) \|$", design[design.index("## 6.") : design.index("## 7.")], re.MULTILINE):
        folder = re.match(r"\*\*(\w+/)\*\*", row[0])
        named |= {(folder[1] if folder else "") + name for name in re.findall(r"`(\w+\.py)`", row[1 if folder else 0])}
    source = ROOT / "src" / "greenwire"
    files = {str(path.relative_to(source)) for path in source.rglob("*.py") if path.name != "__init__.py"}
    assert named - {"__init__.py"} == {name for name in files if not name.startswith("compat/")}  # one line for all
