"""Poison on a real topic: a foreign producer's records go into quarantine, and all behind them is
kept; a store that is down is no reason.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer

from ledger.app.exits import DONE
from ledger.numbers import partition_of
from ledger.position import Position
from ledger.scan_log import RECORD_BYTES_MAX
from tests.distributed.ledger import PARTITIONS, Ledger
from tests.distributed.load import Load
from tests.roles import RoleProcess
from tests.shells import free_address, typed
from tests.trails import NUMBER, Arrival, row, scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.app.engines import Cassandra, Kafka

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def ledger(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    one_kafka: Kafka,
    one_cassandra: Cassandra,
) -> Iterator[Ledger]:
    """A ledger without a writer, for one test."""
    name = request.node.name.removeprefix("test_")[:20]
    folder = tmp_path_factory.mktemp("quarantine")
    with Ledger(folder, one_kafka, one_cassandra, name=name) as ledger:
        yield ledger


def produce(kafka: Kafka, records: Sequence[tuple[int, bytes | None]]) -> None:
    """Write records as any other program would, past ingest."""

    async def write() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
        await producer.start()
        try:
            for partition, value in records:
                await producer.send_and_wait(
                    "poison_stops_nobody-scans-g1", value, b"key", partition=partition
                )
        finally:
            await producer.stop()

    asyncio.run(write())


def listed(writer: str) -> list[dict[str, str]]:
    """What is open in quarantine."""
    said = typed("quarantine", "list", "--json", "--server", writer)
    assert said.code == DONE, said
    return [json.loads(line) for line in said.answer.splitlines()]


def test_poison_stops_nobody(ledger: Ledger, one_kafka: Kafka) -> None:
    """Garbage, a deletion mark, a record too long and one gone astray, in the middle of good ones:
    what was acknowledged before and after is in its trail, each bad record is in quarantine once,
    also after another writer took over; and what was astray is replayed into its trail.
    """
    home = partition_of(NUMBER.encode(), PARTITIONS)
    astray = row(Arrival(scan("astray")), Position(1, 0, 0), record_time_ns=1).record
    poison: list[tuple[int, bytes | None]] = [
        (0, b"\xff garbage"),
        (1, None),
        (2, bytes(RECORD_BYTES_MAX + 1)),
        ((home + 1) % PARTITIONS, astray),
    ]
    operator = free_address()
    with RoleProcess("writer", ledger.config, "--operator-listen", operator) as writer:
        writer.wait_ready()
        with Load(ledger.ingest.address) as load:
            load.wait_for(500)
            produce(one_kafka, poison)
            load.wait_for_more(500)
        ledger.check(load.said.acknowledged)
        items = listed(operator)
        counted = writer.metric("ledger_quarantine_open_records")
        writer.end()
    with RoleProcess("writer", ledger.config, "--operator-listen", operator) as writer:
        writer.wait_ready()
        writer.wait(lambda: writer.metric("ledger_log_unread_records") == 0, "all read")
        again = listed(operator)
        said = typed("quarantine", "replay", "--all", "--json", "--server", operator)
        writer.wait(lambda: _scans(ledger) == 1, "the scan in its trail")
        left = listed(operator)

    assert sorted(item["reason"].removeprefix("QUARANTINE_REASON_") for item in items) == [
        "INCOMPLETE",
        "UNREADABLE",
        "UNREADABLE",
        "WRONG_PARTITION",
    ]
    assert again == items
    assert counted in {0.0, 4.0}  # It is counted every few seconds.
    assert json.loads(said.answer)["message"] == "1 replayed, 3 still unfit"
    assert len(left) == 3


def test_a_store_that_is_down_is_no_reason(ledger: Ledger, one_cassandra: Cassandra) -> None:
    """While Cassandra is away nothing is quarantined; when it is back all is in its trail."""
    operator = free_address()
    with RoleProcess("writer", ledger.config, "--operator-listen", operator) as writer:
        writer.wait_ready()
        with Load(ledger.ingest.address) as load:
            load.wait_for(300)
            one_cassandra.nodes[0].kill()
            load.wait_for_more(500)
            assert listed(operator) == []
            one_cassandra.nodes[0].start()
            load.wait_for_more(200)
        ledger.query.wait_ready()
        ledger.check(load.said.acknowledged)
        assert listed(operator) == []


def _scans(ledger: Ledger) -> int:
    said = typed("trail", NUMBER, "--json", "--server", ledger.query.address)
    return sum("event" in entry for entry in json.loads(said.answer)["entries"])
