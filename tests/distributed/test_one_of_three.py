"""Three brokers and three nodes: one of them is killed in mid-load, and no client sees it."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from tests.distributed.ledger import Ledger, Reading
from tests.distributed.load import SCANNERS, Load
from tests.scale import scaled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ledger.app.engines import Cassandra, Kafka
    from ledger.app.engines.node import Node
    from tests.distributed.load import Said

pytestmark = pytest.mark.timeout(scaled(600, soak=7_200))

SCANS, SCANS_PER_S = 4_000, 2_000
"""Acknowledged before, during and after a fault: two seconds of load each."""

FEW, FEW_PER_S = 1_500, 1_000
"""The same where six servers share a small machine."""

TIMES = scaled(1, soak=10)


def killed(
    ledger: Ledger,
    nodes: Sequence[Node],
    *,
    scans: int = SCANS,
    scans_per_s: int = SCANS_PER_S,
    is_read: bool = True,
) -> Said:
    """Kill nodes in mid-load, and start them again: scanners and readers see no error, and in the
    end every scan is there once. Where it `is_read`, trails and settled marks go on meanwhile.
    """
    with Load(ledger.ingest.address, scans_per_s=scans_per_s) as load, ExitStack() as readers:
        said = load.said
        load.wait_for(scans)
        numbers = cycle([scan.tracking_number for scan in said.acknowledged[:scans]])
        reading = Reading(ledger.query.address, lambda: next(numbers))
        if is_read:
            readers.enter_context(reading)
        for node in nodes:
            node.kill()
        load.wait_for_more(scans)
        if is_read:
            ledger.wait_settled(ledger.settled() + scans)
        for node in nodes:
            node.start()
        load.wait_for_more(scans)
    ledger.check(said.acknowledged)
    assert said.streams == SCANNERS
    assert reading.errors == []
    assert reading.answers > 50 or not is_read
    return said


def test_a_node_of_three_is_killed(
    tmp_path: Path, one_kafka: Kafka, three_cassandra: Cassandra
) -> None:
    """Scanners and readers see no error; trails and settled marks go on without it, and when it is
    back every scan is there once.
    """
    with Ledger(tmp_path, one_kafka, three_cassandra, name="node_of_three") as ledger:
        writer = ledger.start("writer")
        for time in range(TIMES):
            killed(ledger, [three_cassandra.nodes[time % 3]])
        assert writer.metric("ledger_writer_rewinds_total") >= TIMES


def test_a_broker_of_three_is_killed(
    tmp_path: Path, three_kafka: Kafka, one_cassandra: Cassandra
) -> None:
    """Scanners wait and see no error; when it is back every scan is there once."""
    with Ledger(tmp_path, three_kafka, one_cassandra, name="broker_of_three") as ledger:
        ledger.start("writer")
        for time in range(TIMES):
            said = killed(ledger, [three_kafka.nodes[time % 3]], is_read=False)

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
            nodes = three_kafka.nodes[time % 3], three_cassandra.nodes[(time + 1) % 3]
            killed(ledger, nodes, scans=FEW, scans_per_s=FEW_PER_S)
