"""Runs all parts of `make test`, even after one has failed, and closes with a table of their times.

The last line is the sum over all parts, `N passed, M failed`; a part that
fails without a failing test of its own (lint, a crash) counts as one failure.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

PYTEST = [sys.executable, "-m", "pytest"]
NO_TESTS = 5  # pytest's exit status; a run without any test fails, a part may be empty.
PARTS = {
    "lint": ["make", "lint"],
    "fast": [*PYTEST, "-m", "not slow"],
    "slow": [*PYTEST, "-m", "slow", "--ignore=tests/test_wheel.py"],
    "wheel": [*PYTEST, "tests/test_wheel.py"],
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one part."""

    part: str
    elapsed_s: float
    passed: int = 0
    failed: int = 0


def main() -> int:
    """Runs the parts in order; 0 only if nothing failed and some test ran."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--started", type=float, default=time.time(), help="when set-up began")
    outcomes = [Outcome("set-up", time.time() - parser.parse_args().started)]
    outcomes += [run(part, command) for part, command in PARTS.items()]
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    print("\npart      seconds  passed  failed")
    for outcome in outcomes:
        counts = f"{outcome.passed:6}  {outcome.failed:6}"
        print(f"{outcome.part:8} {outcome.elapsed_s:8.1f}  {counts}")
    print(f"{'all':8} {sum(outcome.elapsed_s for outcome in outcomes):8.1f}")
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
    if status not in (0, NO_TESTS) and not failed:
        failed = 1
    return Outcome(part, time.monotonic() - began, passed, failed)


def count(report: Path) -> tuple[int, int]:
    """Passed and failed tests by pytest's report; errors and skipped tests are failures here."""
    passed = failed = 0
    for suite in ET.parse(report).getroot().iter("testsuite"):
        bad = sum(int(suite.get(name, "0")) for name in ("failures", "errors", "skipped"))
        passed += int(suite.get("tests", "0")) - bad
        failed += bad
    return passed, failed


if __name__ == "__main__":
    sys.exit(main())
