"""What all tests share: the size of a run (`--soak`), Hypothesis profiles, engines, and no skips.

A skipped test reads like a passing one, so a run with a skip or an expected
failure fails.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests import engines
from tests.doors import clock, door
from tests.engines import one_cassandra, one_kafka, three_cassandra, three_kafka
from tests.scale import SOAK_VARIABLE, is_soak

# Fixtures for every test.
__all__ = ["clock", "door", "one_cassandra", "one_kafka", "three_cassandra", "three_kafka"]

UNFINISHED = ("skipped", "xfailed", "xpassed")
ENGINES_TIMEOUT_S = 600  # The first test of an engine waits for it, on a machine that does more.
LAST_USES = pytest.StashKey[dict[str, list[str]]]()

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


@pytest.hookimpl(tryfirst=True)  # Before -m chooses.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs engines, so that nobody can forget it; all of that is slow."""
    for item in items:
        if any(engines.order(item)):
            item.add_marker("engines")
        if engines.is_of_three(item):
            item.add_marker("clusters")
        if item.get_closest_marker("engines"):
            item.add_marker("slow")
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(ENGINES_TIMEOUT_S))
    items.sort(key=engines.order)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Finds out which test is the last one of each cluster."""
    session.config.stash[LAST_USES] = engines.last_uses(session.items)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Ends clusters that no later test needs; this test's own fixtures are gone by now."""
    del nextitem
    for name in item.config.stash[LAST_USES].get(item.nodeid, ()):
        engines.end(name)


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
