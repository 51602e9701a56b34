"""docs/reference/api.md is what the docstrings say, and names every option."""

import runpy
from dataclasses import fields
from pathlib import Path

import pytest

import greenwire.flask
from greenwire.flask import options
from greenwire.run_options import RunOptions

ROOT = Path(__file__).parent.parent
BUILD = runpy.run_path(str(ROOT / "docs" / "build_reference.py"))
PAGE = (ROOT / "docs" / "reference" / "api.md").read_text()


def test_the_page_is_current():
    assert BUILD["page"]() == PAGE, "run python docs/build_reference.py"


def test_every_option_is_on_it():
    assert set(BUILD["OPTIONS"]) == options._KNOWN | options._ENGINE
    assert set(BUILD["RUN_OPTIONS"]) == {field.name for field in fields(RunOptions)}


@pytest.mark.parametrize("name", sorted(greenwire.flask.__all__))
def test_every_name_is_on_it(name: str):
    assert f"### `{name}`" in PAGE or f"- **`{name}`**" in PAGE
