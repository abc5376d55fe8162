"""Runs all parts of `make test`, even after one has failed, and closes with a table of their times.

The last line is the sum over all parts, `N passed, M failed`. A part that fails without a failing
test of its own (lint, a crash) counts as one failure, and so does a backend whose contract suite
did not run: it must not be possible that one is left out and nobody sees it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

PYTEST = [sys.executable, "-m", "pytest"]
NO_TESTS = 5  # pytest's exit status; a run without any test fails, a part may be empty.
PARTS = {
    "lint": ["make", "lint"],
    "fast": [*PYTEST, "-m", "not slow"],
    "slow": [*PYTEST, "-m", "slow and not engines", "--ignore=tests/test_wheel.py"],
    "engines": [*PYTEST, "-m", "engines"],
    "wheel": [*PYTEST, "tests/test_wheel.py"],
    "bench": ["make", "bench", "QUICK=1"],  # Fails on losses, doubles and crashes, never on speed.
}
BACKENDS = ("log_rocksdb", "log_kafka", "store_rocksdb", "store_cassandra")
"""Each has a file of its name in tests/contracts, with the contract suite of its port."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one part."""

    part: str
    elapsed_s: float
    passed: int = 0
    failed: int = 0
    by_backend: Mapping[str, int] = field(default_factory=dict)
    """Contract tests that passed."""


def main() -> int:
    """Runs the parts in order; 0 only if nothing failed and every backend was tested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--started", type=float, default=time.time(), help="when set-up began")
    outcomes = [Outcome("set-up", time.time() - parser.parse_args().started)]
    outcomes += [run(part, command) for part, command in PARTS.items()]
    return close(outcomes)


def close(outcomes: Sequence[Outcome]) -> int:
    """Prints the tables and the sum; returns the exit status."""
    by_backend = Counter[str]()
    for outcome in outcomes:
        by_backend.update(outcome.by_backend)
    left_out = [backend for backend in BACKENDS if not by_backend[backend]]
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes) + len(left_out)
    print("\npart      seconds  passed  failed")
    for outcome in outcomes:
        counts = f"{outcome.passed:6}  {outcome.failed:6}"
        print(f"{outcome.part:8} {outcome.elapsed_s:8.1f}  {counts}")
    print(f"{'all':8} {sum(outcome.elapsed_s for outcome in outcomes):8.1f}")
    print("\nbackend          contract tests")
    for backend in BACKENDS:
        print(f"{backend:16} {by_backend[backend]:14}")
    for backend in left_out:
        print(f"no contract test passed on {backend}: that is a failure")
    print(f"\n{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


def run(part: str, command: list[str]) -> Outcome:
    """Runs one part and counts its tests."""
    print(f"\n=== {part}: {' '.join(command).removeprefix(sys.executable + ' -m ')}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        is_pytest = command[: len(PYTEST)] == PYTEST
        extra = [f"--junitxml={report}"] if is_pytest else []
        status = subprocess.run([*command, *extra], check=False).returncode
        passed, failed = count(report) if report.exists() else (0, 0)
        by_backend = count_by_backend(report) if report.exists() else {}
    if status not in (0, NO_TESTS) and not failed:
        failed = 1
    return Outcome(part, time.monotonic() - began, passed, failed, by_backend)


def count(report: Path) -> tuple[int, int]:
    """Passed and failed tests by pytest's report; errors and skipped tests are failures here."""
    passed = failed = 0
    for suite in ET.parse(report).getroot().iter("testsuite"):
        bad = sum(int(suite.get(name, "0")) for name in ("failures", "errors", "skipped"))
        passed += int(suite.get("tests", "0")) - bad
        failed += bad
    return passed, failed


def count_by_backend(report: Path) -> Counter[str]:
    """Passed tests in the file of each backend; a test that did not say yes has a child element."""
    found = Counter[str]()
    for case in ET.parse(report).getroot().iter("testcase"):
        name = case.get("classname", "") + "."
        if not {child.tag for child in case} & {"failure", "error", "skipped"}:
            found.update(one for one in BACKENDS if f"contracts.test_{one}." in name)
    return found


if __name__ == "__main__":
    sys.exit(main())
