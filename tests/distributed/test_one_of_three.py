"""Three brokers and three nodes: one of them is killed in mid-load, and no client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.distributed.ledger import Ledger, Reading
from tests.distributed.load import SCANNERS, Load
from tests.scale import scaled

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.app.engines import Cassandra, Kafka

pytestmark = pytest.mark.timeout(scaled(600, soak=7_200))

SCANS = 4_000
"""Acknowledged before, during and after a fault: two seconds of load each."""

FEW, FEW_PER_S = 1_500, 1_000
"""The same where six servers share a small machine."""

TIMES = scaled(1, soak=10)


def test_a_node_of_three_is_killed(
    tmp_path: Path, one_kafka: Kafka, three_cassandra: Cassandra
) -> None:
    """Scanners and readers see no error; trails and settled marks go on without it, and when it is
    back every scan is there once.
    """
    with Ledger(tmp_path, one_kafka, three_cassandra, name="node_of_three") as ledger:
        writer = ledger.start("writer")
        for time in range(TIMES):
            with Load(ledger.ingest.address) as load:
                said = load.said
                load.wait_for(SCANS)
                numbers = iter([scan.tracking_number for scan in said.acknowledged[:SCANS]] * 99)
                with Reading(ledger.query.address, lambda: next(numbers)) as reading:  # noqa: B023
                    node = three_cassandra.nodes[time % 3]
                    node.kill()
                    load.wait_for_more(SCANS)
                    ledger.wait_settled(ledger.settled() + SCANS)
                    node.start()
                    load.wait_for_more(SCANS)
            ledger.check(said.acknowledged)

            assert reading.errors == []
            assert reading.answers > 50
            assert said.streams == SCANNERS
        assert writer.metric("ledger_writer_rewinds_total") >= TIMES


def test_a_broker_of_three_is_killed(
    tmp_path: Path, three_kafka: Kafka, one_cassandra: Cassandra
) -> None:
    """Scanners wait and see no error; when it is back every scan is there once."""
    with Ledger(tmp_path, three_kafka, one_cassandra, name="broker_of_three") as ledger:
        ledger.start("writer")
        for time in range(TIMES):
            with Load(ledger.ingest.address) as load:
                said = load.said
                load.wait_for(SCANS)
                broker = three_kafka.nodes[time % 3]
                broker.kill()
                load.wait_for_more(SCANS)
                broker.start()
                load.wait_for_more(SCANS)
            ledger.check(said.acknowledged)

            assert said.streams == SCANNERS
            assert said.longest_s < 30
            print(f"longest ack {said.longest_s:.1f} s, sent again {said.sent_again}")  # noqa: T201


def test_a_broker_and_a_node_of_three_are_killed(
    tmp_path: Path, three_kafka: Kafka, three_cassandra: Cassandra
) -> None:
    """Both at once: scanners wait, readers read on, and nobody sees an error; trails and settled
    marks go on without them, and when they are back every scan is there once.
    """
    with Ledger(tmp_path, three_kafka, three_cassandra, name="both_of_three") as ledger:
        ledger.start("writer")
        for time in range(TIMES):
            with Load(ledger.ingest.address, scans_per_s=FEW_PER_S) as load:
                said = load.said
                load.wait_for(FEW)
                numbers = iter([scan.tracking_number for scan in said.acknowledged[:FEW]] * 99)
                with Reading(ledger.query.address, lambda: next(numbers)) as reading:  # noqa: B023
                    nodes = three_kafka.nodes[time % 3], three_cassandra.nodes[(time + 1) % 3]
                    for node in nodes:
                        node.kill()
                    load.wait_for_more(FEW)
                    ledger.wait_settled(ledger.settled() + FEW)
                    for node in nodes:
                        node.start()
                    load.wait_for_more(FEW)
            ledger.check(said.acknowledged)

            assert reading.errors == []
            assert reading.answers > 50
            assert said.streams == SCANNERS
