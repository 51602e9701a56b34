"""The auction house as people see it: the real server, two Chromiums, and what each shows of the other's bids.

What the browsers do is in browser.mjs; screenshots go to tests/artifacts.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from auction_house import REPOSITORY, House, Program

from auction import seed

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ARTIFACTS = HERE.parent / "artifacts"

_RUN_SECONDS = 180.0


def _missing(what: str) -> None:
    """Without a browser there is nothing to see; where everything must be there, that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def chromium() -> str:
    """The path of Chromium, once everything that the browser test needs is known to be there."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or ""
    if not path:
        _missing("Chromium is not installed")
    if shutil.which("node") is None:
        _missing("Node is not installed")
    for package in ("playwright-core", "socket.io-client"):
        find = ["node", "-e", f"require.resolve('{package}')"]
        if subprocess.run(find, cwd=REPOSITORY, capture_output=True, timeout=30).returncode:
            _missing(f"{package} is not installed: run npm ci")
    ARTIFACTS.mkdir(exist_ok=True)
    return path


@pytest.fixture
def house(tmp_path: Path, chromium: str, scratch: str) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.stop()


@pytest.fixture
def scratch() -> Iterator[str]:
    """What a browser forgets to remove. A short path: there are sockets in it."""
    with TemporaryDirectory(prefix="visit-", ignore_cleanup_errors=True) as path:
        yield path


def visit(house: House, scenario: str, chromium: str, scratch: str) -> Program:
    accounts = json.dumps(dict(seed.ACCOUNTS))
    script = str(HERE / "browser.mjs")
    return Program(["node", script, house.address, scenario, str(ARTIFACTS), chromium, accounts], TMPDIR=scratch)


@pytest.mark.parametrize("scenario", ["desktop", "polling", "phone"])
def test_two_people_bid_against_each_other(house: House, chromium: str, scratch: str, scenario: str) -> None:
    visitors = visit(house, scenario, chromium, scratch)
    try:
        visitors.wait_for(f"^{scenario}: ok$", _RUN_SECONDS)
    finally:
        visitors.stop()


def test_pages_come_back_to_life_after_a_restart(tmp_path: Path, chromium: str, scratch: str) -> None:
    house = House(tmp_path)
    visitors = visit(house, "restart", chromium, scratch)
    try:
        visitors.wait_for("^stop the server$", _RUN_SECONDS)
        house.stop()
        visitors.wait_for("^start the server$", _RUN_SECONDS)
        house = House(tmp_path, house.port)
        visitors.tell("it is back")
        visitors.wait_for("^restart: ok$", _RUN_SECONDS)
    finally:
        visitors.stop()
        house.stop()
