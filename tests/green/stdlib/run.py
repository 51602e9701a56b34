"""CPython's own tests as the measure of ``green.patch()``: what holds without it must hold under it.

Each module runs in a process of its own, as it is. A test that stands still is a hang: its process is ended, and
another goes on behind it. A test that fails is run again, as CPython's own runner does (``--rerun``): some of them race
against the clock, and lose on a busy machine. One that fails twice is run without ``patch()``; where it fails there too
it says nothing about us. What is left must be in ``expected.toml``, and what stands there must still fail: the list
only shrinks.

Usage: run.py MODULE [-m PATTERN] [--plain] [--timeout SECONDS] [-v]
"""

import argparse
import fnmatch
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
EXPECTED = HERE / "expected.toml"
TIMEOUT_S = 30.0  # of one test
_GRACE_S = 15.0  # more, where even the watch in the process stands still
_RESTARTS = 60


@dataclass
class Outcome:
    """What became of one test."""

    result: str  # ok, skipped, failed, hang, crash
    detail: str = ""

    @property
    def good(self) -> bool:
        return self.result in ("ok", "skipped")


@dataclass
class Run:
    """One module, or some of its tests."""

    module: str
    plain: bool
    only: list[str] | None = None
    timeout_s: float = TIMEOUT_S
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    output: str = ""

    def go(self) -> dict[str, Outcome]:
        for _ in range(_RESTARTS):
            if self._once():
                return self.outcomes
        raise RuntimeError(f"{self.module}: more than {_RESTARTS} tests ended the process")

    def _once(self) -> bool:
        """One process; whether it came to the end."""
        with tempfile.TemporaryDirectory(prefix="greenwire-stdlib-") as folder:
            place = Path(folder)
            plan = {
                "module": self.module,
                "plain": self.plain,
                "only": self.only,
                "done": sorted(self.outcomes),
                "timeout_s": self.timeout_s,
                "events": str(place / "events"),
                "stacks": str(place / "stacks"),
            }
            (place / "plan").write_text(json.dumps(plan))
            (place / "events").touch()
            (place / "work").mkdir()
            status = self._child(place)
            return self._read(place, status)

    def _child(self, place: Path) -> int:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        with open(place / "output", "wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(HERE / "child.py"), str(place / "plan")],
                cwd=place / "work",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                return self._wait(process, place / "events")
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)  # and what its tests have left behind
                except ProcessLookupError:
                    pass
                process.wait()

    def _wait(self, process: "subprocess.Popen[bytes]", events: Path) -> int:
        size, since = 0, time.monotonic()
        while True:
            try:
                return process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                now = time.monotonic()
                if events.stat().st_size != size:
                    size, since = events.stat().st_size, now
                elif now - since > self.timeout_s + _GRACE_S:
                    return -signal.SIGKILL

    def _read(self, place: Path, status: int) -> bool:
        self.output = (place / "output").read_text(errors="replace")
        running = ""
        ended = False
        for line in (place / "events").read_text().splitlines():
            entry = json.loads(line)
            if entry["event"] == "start":
                running = entry["test"]
            elif entry["event"] == "end":
                ended = True
            else:
                self._note(entry["test"], Outcome(entry["event"], entry["detail"]))
                if entry["test"] == running and entry["event"] != "failed":
                    running = ""
        if ended:
            self._note_end(status)
            return True
        if not (place / "stacks").exists():
            raise RuntimeError(f"{self.module}: the process did not get as far as its tests\n{self.output}")
        stacks = (place / "stacks").read_text(errors="replace")
        hangs = "Timeout (" in stacks or status == -signal.SIGKILL
        where = running or f"({self.module} between two tests)"
        lost = Outcome("hang" if hangs else "crash", f"status {status}\n{stacks}\n{self.output[-4000:]}")
        stuck = where in self.outcomes
        self._note(where, lost)
        return stuck  # the same twice: there is no way past it

    def _note(self, test: str, outcome: Outcome) -> None:
        known = self.outcomes.get(test)
        if known is None or known.good:  # a failure in tearDown comes after an "ok", one in a subtest before
            self.outcomes[test] = outcome

    def _note_end(self, status: int) -> None:
        """The tests are through; the interpreter must end, too."""
        if status != 0:
            result = "hang" if status == -signal.SIGKILL else "crash"
            self._note(f"({self.module} at exit)", Outcome(result, f"status {status}\n{self.output[-4000:]}"))


@dataclass
class Verdict:
    """What a run says, beside the list."""

    outcomes: dict[str, Outcome]
    forgiven: dict[str, Outcome]  # they fail without patch() too
    unexpected: dict[str, Outcome]
    expected: dict[str, str]
    cured: list[str]  # they are in the list, and pass

    @property
    def good(self) -> bool:
        return not self.unexpected and not self.cured

    def summary(self) -> str:
        count = Counter(outcome.result for outcome in self.outcomes.values())
        results = ", ".join(f"{number} {result}" for result, number in sorted(count.items(), key=lambda item: -item[1]))
        return (
            f"{results}; of the failures {len(self.forgiven)} fail without patch() too, {len(self.expected)} are"
            f" expected, {len(self.unexpected)} are not; {len(self.cured)} of the list pass"
        )


def expected(module: str) -> dict[str, str]:
    """What may fail, and why. ``sometimes: …`` is for one that may also pass, ``up to 3.11: …`` for these versions."""
    with open(EXPECTED, "rb") as file:
        tables = tomllib.load(file)
    found: dict[str, str] = tables.get(module, {})
    return {f"{module}.{name}": reason for name, reason in found.items() if _is_about_us(reason)}


def _is_about_us(reason: str) -> bool:
    limit = re.match(r"up to (\d+)\.(\d+): ", reason)
    return limit is None or sys.version_info[:2] <= tuple(map(int, limit.groups()))


def judge(module: str, outcomes: dict[str, Outcome], timeout_s: float, complete: bool = True) -> Verdict:
    """Compare with the list, and with a plain run of what fails."""
    reasons = expected(module)
    failures = {test: outcome for test, outcome in outcomes.items() if not outcome.good}
    new = {test: outcome for test, outcome in failures.items() if test not in reasons}
    new = fails_again(module, new, timeout_s)
    skipped = [test for test, outcome in outcomes.items() if outcome.result == "skipped"]
    plain: dict[str, Outcome] = {}
    if new or skipped:
        plain = Run(module, plain=True, only=[*new, *skipped], timeout_s=timeout_s).go()
    forgiven = {test: outcome for test, outcome in new.items() if test in plain and not plain[test].good}
    gone = [test for test in skipped if test in plain and plain[test].result == "ok" and test not in reasons]
    if complete:
        gone += set(names_like(module, "")) - set(outcomes)
    new |= {test: Outcome("failed", "runs without patch(), but not under it") for test in gone}
    cured = [
        test
        for test, reason in reasons.items()
        if not reason.startswith("sometimes") and test not in failures and (complete or test in outcomes)
    ]
    return Verdict(
        outcomes,
        forgiven,
        {test: outcome for test, outcome in new.items() if test not in forgiven},
        {test: reasons[test] for test in failures if test in reasons},
        cured,
    )


def fails_again(module: str, failures: dict[str, Outcome], timeout_s: float) -> dict[str, Outcome]:
    """Those of *failures* that do not pass the second time, under ``patch()`` as before."""
    if not failures:
        return failures
    again = Run(module, plain=False, only=list(failures), timeout_s=timeout_s).go()
    return {test: outcome for test, outcome in failures.items() if test not in again or not again[test].good}


def names_like(module: str, pattern: str) -> list[str]:
    """The tests whose name contains *pattern*, or matches it."""
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import unittest, importlib, child;"
        f" module = importlib.import_module('test.{module}');"
        " suite = unittest.defaultTestLoader.loadTestsFromModule(module);"
        " print('\\n'.join(map(child.name_of, child.every_test(suite))))"
    )
    listed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    return [name for name in listed.stdout.split() if pattern in name or fnmatch.fnmatch(name, pattern)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module")
    parser.add_argument("-m", "--match", help="only tests whose name contains this, or matches it")
    parser.add_argument("--plain", action="store_true", help="without patch()")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="seconds for one test")
    parser.add_argument("-v", "--verbose", action="store_true", help="every test, with what the process wrote")
    options = parser.parse_args()
    only = names_like(options.module, options.match) if options.match else None
    run = Run(options.module, options.plain, only, options.timeout)
    started = time.monotonic()
    outcomes = run.go()
    if options.verbose:
        print(run.output)
        for test, outcome in outcomes.items():
            print(f"{outcome.result:8} {test}")
    if options.plain:
        verdict = Verdict(outcomes, {}, {test: one for test, one in outcomes.items() if not one.good}, {}, [])
    else:
        verdict = judge(options.module, outcomes, options.timeout, complete=only is None)
    for test, outcome in verdict.unexpected.items():
        print(f"\n=== {outcome.result.upper()} {test}\n{outcome.detail.rstrip()}")
    for test in verdict.forgiven:
        print(f"fails without patch() too: {test}")
    for test, reason in verdict.expected.items():
        print(f"expected: {test}: {reason}")
    for test in verdict.cured:
        print(f"passes: take it off the list: {test}")
    print(f"{options.module}: {verdict.summary()} ({time.monotonic() - started:.0f} s)")
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
