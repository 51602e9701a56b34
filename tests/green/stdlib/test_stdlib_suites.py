"""CPython's own tests hold under ``patch()``, but for those in ``expected.toml``."""

import importlib.util
import sys
import tomllib

import pytest

from green.stdlib.run import EXPECTED, TIMEOUT_S, Outcome, Run, expected, fails_again, judge

MODULES = [
    *("test_thread", "test_threading", "test_threading_local", "test_queue", "test_time"),
    *("test_socket", "test_ssl", "test_select", "test_selectors", "test_poll", "test_epoll"),
    *("test_subprocess", "test_socketserver", "test_os", "test_fork1"),
    *("test_timeout", "test_httplib", "test_httpservers", "test_urllib2_localnet", "test_smtplib", "test_wsgiref"),
]
LINUX = {"test_epoll"}
MOST = 40  # entries of the list: it only shrinks


@pytest.fixture(autouse=True)
def hub():
    """Each module has a process of its own, and no hub here."""


def skip_without(module):
    if sys.version_info[:2] > (3, 12):
        pytest.skip("the list of what is expected is for the tests of Python 3.11 and 3.12")
    if importlib.util.find_spec("test") is None or importlib.util.find_spec(f"test.{module}") is None:
        pytest.skip("this interpreter comes without its tests")


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_what_holds_without_patch_holds_under_it(module):
    skip_without(module)
    if module in LINUX and sys.platform != "linux":
        pytest.skip("for Linux")
    run = Run(module, plain=False)
    verdict = judge(module, run.go(), run.timeout_s)
    assert len(verdict.outcomes) > 1
    assert {test: outcome.detail for test, outcome in verdict.unexpected.items()} == {}
    assert verdict.cured == [], "they pass: take them off the list"


@pytest.mark.slow
def test_what_has_failed_by_chance_passes_the_second_time_and_no_other():
    skip_without("test_threading")
    always, once = (f"test_threading.ThreadTests.{name}" for name in ("test_various_ops", "test_main_thread"))
    failures = {test: Outcome("failed") for test in (always, once)}
    assert always in expected("test_threading")
    assert set(fails_again("test_threading", failures, TIMEOUT_S)) == {always}


def test_the_list_is_short_and_has_reasons():
    tables = tomllib.loads(EXPECTED.read_text())
    assert set(tables) <= set(MODULES)
    reasons = [reason for module in tables for reason in expected(module).values()]
    assert len(reasons) < MOST
    assert all(len(reason) > 10 for reason in reasons)
