"""Runs all parts of `make test`, even after one has failed, and closes with a table of their times.

What waits for engines most of its time runs beside what does not. A part's output is shown as a
whole when the part has ended. The last line is the sum over all parts, `N passed, M failed`.
A part that fails without a failing test of its own (lint, a crash) counts as one failure, and so
does a backend whose contract suite did not run: it must not be possible that one is left out and
nobody sees it.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

PYTEST = [sys.executable, "-m", "pytest"]
NO_TESTS = 5  # pytest's exit status; a run without any test fails, a part may be empty.
TWO = ["--numprocesses=2", "--dist=loadfile"]  # Many tests wait; those of a file may share much.
PARTS = {
    "lint": ["make", "lint"],
    "fast": [*PYTEST, *TWO, "-m", "not slow"],
    "slow": [*PYTEST, "-m", "slow and not engines", "--ignore=tests/test_wheel.py"],
    "engines": [*PYTEST, "-m", "engines and not clusters"],
    "clusters": [*PYTEST, "-m", "clusters"],
    "wheel": [*PYTEST, "tests/test_wheel.py"],
    "bench": ["make", "bench", "QUICK=1"],  # Fails on losses, doubles and crashes, never on speed.
}
LANES = (("lint", "fast", "slow", "wheel", "clusters"), ("engines",))
"""Parts that run one after the other; the lanes run side by side. What is in none runs alone."""

REASON_CHARACTERS_MAX = 300  # Enough of an assertion to know it again; one line stays one line.

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

    failures: Sequence[str] = ()
    """A line for each test that did not pass."""


def main() -> int:
    """Runs the parts in order; 0 only if nothing failed and every backend was tested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--started", type=float, default=time.time(), help="when set-up began")
    started = parser.parse_args().started
    outcomes = [Outcome("set-up", time.time() - started)]
    with ThreadPoolExecutor(len(LANES)) as lanes:
        for lane in lanes.map(run_lane, LANES):
            outcomes += lane
    alone = [part for part in PARTS if not any(part in lane for lane in LANES)]
    outcomes += run_lane(alone)
    return close(outcomes, elapsed_s=time.time() - started)


def run_lane(parts: Sequence[str]) -> list[Outcome]:
    """Runs parts one after the other."""
    return [run(part, PARTS[part]) for part in parts]


def close(outcomes: Sequence[Outcome], *, elapsed_s: float = 0.0) -> int:
    """Prints the tables and the sum; returns the exit status. `elapsed_s` is what all took."""
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
    print(f"{'all':8} {elapsed_s:8.1f}")
    print("\nbackend          contract tests")
    for backend in BACKENDS:
        print(f"{backend:16} {by_backend[backend]:14}")
    for backend in left_out:
        print(f"no contract test passed on {backend}: that is a failure")
    # Here, too: of a long run's output people and machines often keep the end alone.
    for outcome in outcomes:
        for failure in outcome.failures:
            print(f"{outcome.part}: {failure}")
    print(f"\n{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


def run(part: str, command: list[str]) -> Outcome:
    """Runs one part, shows what it said, and counts its tests."""
    title = f"=== {part}: {' '.join(command).removeprefix(sys.executable + ' -m ')}"
    print(f"{title} …", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report, output = Path(folder) / "report.xml", Path(folder) / "output.txt"
        is_pytest = command[: len(PYTEST)] == PYTEST
        extra = [f"--junitxml={report}"] if is_pytest else []
        with output.open("wb") as file:
            status = subprocess.run(
                [*command, *extra], check=False, stdout=file, stderr=subprocess.STDOUT
            ).returncode
        with _ONE_SPEAKS:
            print(f"\n{title}\n{output.read_text(errors='replace')}", flush=True)
        passed, failed = count(report) if report.exists() else (0, 0)
        by_backend = count_by_backend(report) if report.exists() else {}
        failures = list_failures(report) if report.exists() else []
    if status not in (0, NO_TESTS) and not failed:
        failed = 1
    return Outcome(part, time.monotonic() - began, passed, failed, by_backend, failures)


_ONE_SPEAKS = threading.Lock()


def count(report: Path) -> tuple[int, int]:
    """Passed and failed tests by pytest's report; errors and skipped tests are failures here."""
    passed = failed = 0
    for suite in ET.parse(report).getroot().iter("testsuite"):
        bad = sum(int(suite.get(name, "0")) for name in ("failures", "errors", "skipped"))
        passed += int(suite.get("tests", "0")) - bad
        failed += bad
    return passed, failed


def list_failures(report: Path) -> list[str]:
    """Name the tests that did not pass, each with how and the first line of why."""
    lines = []
    for case in ET.parse(report).getroot().iter("testcase"):
        for child in case:
            if child.tag in {"failure", "error", "skipped"}:
                reason = child.get("message", "").partition("\n")[0][:REASON_CHARACTERS_MAX]
                name = f"{case.get('classname', '')}::{case.get('name', '')}"
                lines.append(f"{child.tag} in {name} after {case.get('time', '?')} s: {reason}")
    return lines


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
