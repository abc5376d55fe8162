"""Real engines for tests: started when the first test asks for them, ended with the test run.

Tests with a fixture of these are marked `engines` by conftest.py, and sorted so that few clusters
run at once: each ends after the last test that names it (no session fixture may stand on one).
Their data lies in the temporary folder of pytest. A guard ends them where pytest itself is killed.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from ledger.app.engines import Cassandra, Cluster, Kafka

FIXTURES = ("one_kafka", "one_cassandra", "three_kafka", "three_cassandra")
"""A test that has one of these needs engines. What is heavier comes later."""

ROOT = Path(__file__).resolve().parent.parent

os.environ["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For every engine that a test starts: it lives for minutes, and the compiler for servers that run
for days takes more time than it saves (a node of Cassandra is up after 5 s of CPU, not 10).
"""

AnyCluster = TypeVar("AnyCluster", bound=Cluster)

_running: dict[str, Cluster] = {}


@pytest.fixture(scope="session")
def one_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One broker. Nobody may leave it stopped."""
    with of_session("one_kafka", Kafka(tmp_path_factory.mktemp("one-kafka"))) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def three_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Three brokers. Nobody may leave one of them stopped."""
    with of_session("three_kafka", Kafka(tmp_path_factory.mktemp("three-kafka"), nodes=3)) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def one_cassandra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cassandra]:
    """One node. Nobody may leave it stopped."""
    with of_session(
        "one_cassandra", Cassandra(tmp_path_factory.mktemp("one-cassandra"))
    ) as cassandra:
        yield cassandra


@pytest.fixture(scope="session")
def three_cassandra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cassandra]:
    """Three nodes. Nobody may leave one of them stopped."""
    with of_session(
        "three_cassandra", Cassandra(tmp_path_factory.mktemp("three-cassandra"), nodes=3)
    ) as cassandra:
        yield cassandra


def order(item: pytest.Item) -> tuple[bool, ...]:
    """Give the place of a test: behind those that need less."""
    names = getattr(item, "fixturenames", ())
    return tuple(name in names for name in reversed(FIXTURES))


def is_of_three(item: pytest.Item) -> bool:
    """Say whether a test needs three brokers or three nodes."""
    return any(name.startswith("three_") for name in getattr(item, "fixturenames", ()))


def last_uses(items: Sequence[pytest.Item]) -> dict[str, list[str]]:
    """Say which clusters nobody needs any more after a test, by the test's id."""
    last = {
        name: item.nodeid
        for item in items
        for name in FIXTURES
        if name in getattr(item, "fixturenames", ())
    }
    return {nodeid: [name for name in last if last[name] == nodeid] for nodeid in last.values()}


def end(name: str) -> None:
    """End the cluster of a fixture, which nobody needs any more."""
    if cluster := _running.pop(name, None):
        cluster.kill()


@contextmanager
def of_session(name: str, cluster: AnyCluster) -> Iterator[AnyCluster]:
    """Run the cluster of a fixture."""
    with running(cluster):
        warm_up(cluster)
        _running[name] = cluster
        yield cluster


@contextmanager
def running(cluster: AnyCluster) -> Iterator[AnyCluster]:
    """Start a cluster; at the end, however it comes, it and its data are gone."""
    with guarded(cluster.folder):
        cluster.start()
        yield cluster


@contextmanager
def guarded(folder: Path) -> Iterator[Path]:
    """See that at the end, however it comes, the engines of a folder and the folder are gone."""
    guard = subprocess.Popen(
        [sys.executable, "-m", "tests.engine_guard", str(folder)],
        stdin=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,  # Ctrl-C is not for it.
    )
    assert guard.stdin is not None
    try:
        yield folder
    finally:
        guard.stdin.close()
        guard.wait()


def warm_up(cluster: Cluster) -> None:
    """See that the cluster does its first work, which takes longer, before a test asks for it."""
    from tests.engines_first_work import first_work  # noqa: PLC0415 - other tests need no drivers.

    first_work(cluster)
