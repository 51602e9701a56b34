"""Runs one of CPython's own test modules in this process, patched or plain, and writes one JSON line for each event.

Started by ``run.py``, which knows what the events mean. A test that stands still ends the process: the last line then
says which one it was, and the file of tracebacks where every thread stood.

Usage: child.py PLAN, a JSON file with ``module``, ``plain``, ``only``, ``done``, ``timeout_s``, ``events``, ``stacks``.
"""

import sys

if __name__ == "__main__":
    import json
    from pathlib import Path

    PLAN = json.loads(Path(sys.argv[1]).read_text())
    if not PLAN["plain"]:
        from greenwire.green import patch

        patch()

import faulthandler
import importlib
import traceback
import unittest
from collections.abc import Iterator
from typing import IO, Any

LOOPBACK_ONLY = ("test_socketserver", "test_timeout")  # they ask for a network, and hardly use it


class Reporter(unittest.TestResult):
    """Tells the parent what happens."""

    def __init__(self, events: IO[str], stacks: IO[str], timeout_s: float) -> None:
        super().__init__()
        self._events = events
        self._stacks = stacks
        self._timeout_s = timeout_s
        self._told: set[str] = set()

    def tell(self, event: str, test: unittest.TestCase, detail: str = "") -> None:
        self._events.write(json.dumps({"event": event, "test": name_of(test), "detail": detail}) + "\n")
        self._events.flush()

    def watch(self) -> None:
        """End the process when nothing ends for too long."""
        faulthandler.dump_traceback_later(self._timeout_s, exit=True, file=self._stacks)

    def startTest(self, test: unittest.TestCase) -> None:
        self.watch()
        self._told.clear()
        self.tell("start", test)

    def stopTest(self, test: unittest.TestCase) -> None:
        self.watch()  # what comes between two tests may hang, too

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.tell("ok", test)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.tell("ok", test)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.tell("failed", test, "unexpected success")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.tell("skipped", test, reason)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self.tell("failed", test, "".join(traceback.format_exception(*err)))

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.tell("failed", test, "".join(traceback.format_exception(*err)))

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.tell("failed", test, f"{subtest}\n" + "".join(traceback.format_exception(*err)))


def name_of(test: unittest.TestCase) -> str:
    """``test_socket.BasicTCPTest.testRecv``; for a class that could not be set up ``setUpClass (…)``."""
    return test.id().removeprefix("test.").replace("(test.", "(")


def every_test(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from every_test(item)
        else:
            yield item


def chosen(module: Any, only: list[str] | None, done: list[str]) -> unittest.TestSuite:
    tests = every_test(unittest.defaultTestLoader.loadTestsFromModule(module))
    finished, wanted = set(done), None if only is None else set(only)
    return unittest.TestSuite(
        test
        for test in tests
        if name_of(test) not in finished and (wanted is None or wanted & {name_of(test), class_name(test)})
    )


def class_name(test: unittest.TestCase) -> str:
    """How an error in ``setUpClass`` is named."""
    cls = type(test)
    return f"setUpClass ({cls.__module__.removeprefix('test.')}.{cls.__qualname__})"


def main() -> None:
    from test import support

    support.use_resources = ["cpu", "subprocess"]  # no network, nothing large
    if PLAN["module"] in LOOPBACK_ONLY:
        support.use_resources.append("network")
    with open(PLAN["events"], "a") as events, open(PLAN["stacks"], "w") as stacks:
        reporter = Reporter(events, stacks, PLAN["timeout_s"])
        reporter.watch()
        module = importlib.import_module(f"test.{PLAN['module']}")
        chosen(module, PLAN["only"], PLAN["done"]).run(reporter)
        faulthandler.cancel_dump_traceback_later()
        events.write(json.dumps({"event": "end", "test": "", "detail": ""}) + "\n")


if __name__ == "__main__":
    main()
