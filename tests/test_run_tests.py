"""The tool that runs all tests fails where it should: continuous integration believes it."""

import sys
from pathlib import Path

import pytest

from tools import run_tests
from tools.run_tests import BACKENDS, PARTS, Outcome, close, run

pytestmark = pytest.mark.slow

PASSES = "def test_it():\n    pass\n"
FAILS = "def test_it():\n    raise AssertionError\n"
SKIPS = "import pytest\n@pytest.mark.skip\ndef test_it():\n    pass\n"
IN_A_CLASS = "class TestIt:\n    def test_it(self):\n        pass\n    test_too = test_it\n"


@pytest.fixture(autouse=True)
def bare_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run of pytest would load all plugins, which takes most of its time."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def outcome_of(folder: Path, texts: dict[str, str], *more: str) -> Outcome:
    """Run pytest, as the tool does, on files of its own."""
    contracts = folder / "tests" / "contracts"
    contracts.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    for name, text in texts.items():
        (contracts / f"{name}.py").write_text(text)
    # A file of the same name elsewhere is not the contract's.
    for backend in BACKENDS:
        (folder / "tests" / f"test_{backend}.py").write_text(PASSES)
    pytest_alone = [*run_tests.PYTEST, "-q", "-c", str(folder / "pytest.ini")]
    return run("part", [*pytest_alone, f"--rootdir={folder}", str(folder), *more])


def suites(**other: str) -> dict[str, str]:
    """A file for each backend; `other` says which differ."""
    return {f"test_{backend}": other.get(backend, PASSES) for backend in BACKENDS}


def test_a_run_with_all_backends_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says how many contract tests each backend passed, whatever class they are in."""
    outcome = outcome_of(tmp_path, suites(log_kafka=IN_A_CLASS) | {"test_log_kafka_more": PASSES})

    assert close([outcome]) == 0
    said = capsys.readouterr().out.splitlines()
    assert outcome.by_backend == {backend: 1 + (backend == "log_kafka") for backend in BACKENDS}
    assert "log_kafka                     2" in said
    assert said[-1] == "10 passed, 0 failed"


@pytest.mark.parametrize(
    ("backend", "text"),
    [*((backend, "") for backend in BACKENDS), ("log_kafka", FAILS), ("store_cassandra", SKIPS)],
    ids=[*BACKENDS, "failing", "skipping"],
)
def test_a_run_without_a_backend_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], backend: str, text: str
) -> None:
    """Whether its file is empty, its tests fail, or they are skipped."""
    outcome = outcome_of(tmp_path, suites(**{backend: text}))

    assert close([outcome]) == 1
    said = capsys.readouterr().out
    assert f"no contract test passed on {backend}: that is a failure" in said
    if text:
        kind = "failure" if text == FAILS else "skipped"
        assert f"part: {kind} in tests.contracts.test_{backend}::test_it after" in said


def test_a_backend_that_is_deselected_fails_the_run(tmp_path: Path) -> None:
    """A marker that selects too little must not read like success."""
    outcome = outcome_of(tmp_path, suites(), "-k", "not store_cassandra")

    assert outcome.failed == 0
    assert close([outcome]) == 1


def test_backends_may_be_tested_in_different_parts(tmp_path: Path) -> None:
    """The embedded ones in the fast part, the others in their own."""
    outcomes = [outcome_of(tmp_path / backend, {f"test_{backend}": PASSES}) for backend in BACKENDS]

    assert close(outcomes) == 0
    assert close(outcomes[1:]) == 1


def test_a_part_that_crashes_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where it has no tests that could fail."""
    outcomes = [run("part", [sys.executable, "-c", "raise SystemExit(3)"])]

    assert outcomes[0].failed == 1
    assert close([*outcomes, Outcome("rest", 0, 9, 0, dict.fromkeys(BACKENDS, 1))]) == 1
    assert capsys.readouterr().out.endswith("9 passed, 1 failed\n")


def test_no_test_is_in_two_parts_or_in_none() -> None:
    """A test is fast, or slow, or needs engines, one node or three, or is the wheel's."""
    choices = [
        command[command.index("-m", 3) + 1] for command in PARTS.values() if "-m" in command[3:]
    ]

    assert choices == ["not slow", "slow and not engines", "engines and not clusters", "clusters"]
