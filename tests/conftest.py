"""What all tests share: the size of a run (`--soak`), Hypothesis profiles, and no skipped tests.

A skipped test reads like a passing one, so a run with a skip or an expected
failure fails.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.scale import SOAK_VARIABLE, is_soak

UNFINISHED = ("skipped", "xfailed", "xpassed")

# The normal run is the same every time; the soak looks further each time, and prints what it found.
settings.register_profile("normal", deadline=None, derandomize=True, database=None)
settings.register_profile(
    "soak",
    deadline=None,
    max_examples=5_000,
    stateful_step_count=200,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--soak`."""
    parser.addoption("--soak", action="store_true", help="run the tests with far larger numbers")


def pytest_configure(config: pytest.Config) -> None:
    """Sets the size of the run before any test file is read."""
    if config.getoption("--soak"):
        os.environ[SOAK_VARIABLE] = "1"
    settings.load_profile("soak" if is_soak() else "normal")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the run when a test was skipped or was expected to fail."""
    if unfinished(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Says why a run without a failed test has failed."""
    if count := unfinished(config):
        terminalreporter.write_line(f"{count} skipped or expected to fail: the run fails", red=True)


def unfinished(config: pytest.Config) -> int:
    """How many tests did not say yes or no."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return sum(len(reporter.stats.get(kind, [])) for kind in UNFINISHED) if reporter else 0
