"""Real engines for tests: started when the first test asks for them, ended with the test run.

Their data lies in pytest's temporary folder. A guard outside of pytest ends them also where pytest
cannot: where it was killed. Whatever uses a fixture of these is marked `engines` by conftest.py.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from ledger.app.engines import Cassandra, Cluster, Kafka

FIXTURES = ("one_kafka", "three_kafka", "one_cassandra", "three_cassandra")
"""A test that has one of these needs engines."""

AnyCluster = TypeVar("AnyCluster", bound=Cluster)


@pytest.fixture(scope="session")
def one_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One broker. Nobody may leave it stopped."""
    with running(Kafka(tmp_path_factory.mktemp("one-kafka"))) as kafka:
        warm_up(kafka)
        yield kafka


@pytest.fixture(scope="session")
def three_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Three brokers. Nobody may leave one of them stopped."""
    with running(Kafka(tmp_path_factory.mktemp("three-kafka"), nodes=3)) as kafka:
        warm_up(kafka)
        yield kafka


@pytest.fixture(scope="session")
def one_cassandra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cassandra]:
    """One node. Nobody may leave it stopped."""
    with running(Cassandra(tmp_path_factory.mktemp("one-cassandra"))) as cassandra:
        warm_up(cassandra)
        yield cassandra


@pytest.fixture(scope="session")
def three_cassandra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cassandra]:
    """Three nodes. Nobody may leave one of them stopped."""
    with running(Cassandra(tmp_path_factory.mktemp("three-cassandra"), nodes=3)) as cassandra:
        warm_up(cassandra)
        yield cassandra


@contextmanager
def running(cluster: AnyCluster) -> Iterator[AnyCluster]:
    """Start a cluster; at the end, however it comes, it and its data are gone."""
    guard = subprocess.Popen(
        [sys.executable, "-m", "tests.engine_guard", str(cluster.folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is not for it.
    )
    assert guard.stdin is not None
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()
        guard.stdin.close()
        guard.wait()
        shutil.rmtree(cluster.folder, ignore_errors=True)


def warm_up(cluster: Cluster) -> None:
    """See that the cluster does its first work, which takes longer, before a test asks for it."""
    from tests.engines_first_work import first_work  # noqa: PLC0415 - other tests need no drivers.

    first_work(cluster)
