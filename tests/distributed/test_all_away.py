"""All brokers, or all nodes, are gone for a while: everybody waits, and then all is there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.distributed.ledger import Ledger
from tests.distributed.load import Load
from tests.scale import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.app.engines import Cassandra, Kafka
    from tests.roles import RoleProcess

pytestmark = pytest.mark.timeout(scaled(600, soak=7_200))

AWAY_S = scaled(3, soak=30)
GROWTH_MAX = 1.3
"""Memory of a role that waits, beside that of one that works: buffers that were never full."""


@pytest.fixture(scope="module")
def ledger(
    tmp_path_factory: pytest.TempPathFactory, one_kafka: Kafka, one_cassandra: Cassandra
) -> Iterator[Ledger]:
    """A ledger without a writer."""
    folder = tmp_path_factory.mktemp("all-away")
    with Ledger(folder, one_kafka, one_cassandra, name="all_away") as ledger:
        yield ledger


@pytest.fixture(scope="module")
def writer(ledger: Ledger) -> RoleProcess:
    """Its one writer."""
    return ledger.start("writer")


@pytest.mark.usefixtures("writer")
def test_all_brokers_are_away(ledger: Ledger, one_kafka: Kafka) -> None:
    """Scanners wait or are told to; nothing acknowledged is lost when the broker is back."""
    with Load(ledger.ingest.address) as load:
        load.wait_for(3_000)
        before = ledger.ingest.metric("process_resident_memory_bytes")
        one_kafka.nodes[0].kill()
        time.sleep(AWAY_S)
        away = ledger.ingest.metric("process_resident_memory_bytes")
        one_kafka.nodes[0].start()
        load.wait_for_more(3_000)
    ledger.check(load.said.acknowledged)

    assert away < GROWTH_MAX * before


def test_what_a_killed_node_forgot_is_written_again(
    ledger: Ledger, writer: RoleProcess, one_cassandra: Cassandra
) -> None:
    """The only node is killed under puts and forgets its last second; the writer that lives on
    writes it again, and every scan is settled and in its trail.
    """
    node = one_cassandra.nodes[0]
    for _ in range(scaled(2, soak=20)):
        rewinds = writer.metric("ledger_writer_rewinds_total")
        settled = ledger.settled()
        with Load(ledger.ingest.address) as load:
            load.wait_for(3_000)
            before = writer.metric("process_resident_memory_bytes")
            node.kill()
            time.sleep(AWAY_S)
            away = writer.metric("process_resident_memory_bytes")
            node.start()
            load.wait_for_more(3_000)
        ledger.check(load.said.acknowledged)
        ledger.wait_settled(settled + len(load.said.acknowledged))

        assert away < GROWTH_MAX * before
        assert writer.metric("ledger_writer_rewinds_total") > rewinds
