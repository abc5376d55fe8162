"""The log on three brokers: what is acknowledged is on two, and the loss of one costs nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ledger.app.engines import Kafka
from ledger.backends import kafka_sender
from ledger.backends.kafka_cluster import KafkaCluster
from ledger.backends.kafka_topics import check_topics
from ledger.backends.log_kafka import KafkaScanLog, open_kafka_log
from ledger.errors import Busy, LedgerError, Uncertain
from ledger.insist import insist
from ledger.v1.ingest_service_pb2 import Durability
from tests.contracts.patience import Starting, append, ends, follow_until, records
from tests.kafka_logs import PARTITIONS, cluster_of, opened_on, until

FROM_THE_START = dict.fromkeys(range(PARTITIONS), 0)


@pytest.fixture
def kafka(three_kafka: Kafka) -> Iterator[Kafka]:
    """Brokers that are all there again after the test."""
    yield three_kafka
    three_kafka.start()


@pytest.fixture
def cluster(kafka: Kafka, tmp_path: Path) -> KafkaCluster:
    """A cluster on which this test has topics of its own."""
    return cluster_of(kafka.bootstrap, tmp_path, single_broker=False, replication=3)


@pytest.fixture
async def log(cluster: KafkaCluster) -> AsyncIterator[KafkaScanLog]:
    """An empty log."""
    async with opened_on(cluster) as log:
        yield log


async def test_a_broker_may_die_under_load(
    kafka: Kafka, cluster: KafkaCluster, log: KafkaScanLog
) -> None:
    """While many append and one follows, a broker is killed: no append fails, and every record is
    in the log where it was said, once, and comes to the follower, once. Without that broker the
    log is opened as always.
    """
    acknowledged: dict[tuple[int, int], bytes] = {}
    errors: list[LedgerError] = []
    halt = asyncio.Event()

    async def scan(partition: int) -> None:
        while not halt.is_set():
            values = records(5)
            try:
                first = await append(log, partition, values)
            except LedgerError as error:
                errors.append(error)
                return
            acknowledged.update(((partition, first + n), value) for n, value in enumerate(values))
            await asyncio.sleep(0.005)

    seen: dict[tuple[int, int], bytes] = {}

    async def read() -> None:
        async with log.follow("reader", Starting(FROM_THE_START)) as follower:
            while True:
                for run in await insist(lambda: follower.next(500)):
                    for index, value in enumerate(run.values, run.first_index):
                        assert (run.partition, index) not in seen
                        seen[run.partition, index] = value

    reading = asyncio.create_task(read())
    scanning = [asyncio.create_task(scan(n % PARTITIONS)) for n in range(8)]
    await until(lambda: len(acknowledged) >= 500)
    await asyncio.to_thread(kafka.nodes[1].kill)
    after = Counter(partition for partition, _ in acknowledged)

    def all_go_on() -> bool:
        now = Counter(partition for partition, _ in acknowledged)
        return all(now[partition] >= after[partition] + 100 for partition in range(PARTITIONS))

    await until(lambda: bool(errors) or all_go_on())
    halt.set()
    await asyncio.gather(*scanning)
    await until(lambda: reading.done() or len(seen) >= len(acknowledged))
    reading.cancel()
    await asyncio.wait([reading])

    assert log.identity.durability == Durability.DURABILITY_REPLICATED
    assert errors == []
    assert seen == acknowledged
    for _ in range(3):
        assert await check_topics(cluster, generation=1, partitions=PARTITIONS) == []
        async with open_kafka_log(cluster, generation=1, partitions=PARTITIONS) as other:
            await append(other, 0, records(1))


async def test_one_broker_alone_acknowledges_nothing(
    kafka: Kafka, log: KafkaScanLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two of three brokers gone nothing is acknowledged, since one copy is less than was
    promised; when they are back it goes on, and nothing that was acknowledged is missing.
    """
    monkeypatch.setattr(kafka_sender, "APPEND_S", 3.0)
    before = await append(log, 0, [b"before"])
    for node in kafka.nodes[1:]:
        await asyncio.to_thread(node.kill)

    outcomes = await asyncio.gather(
        *(append(log, n, [b"alone"]) for n in range(PARTITIONS)), return_exceptions=True
    )
    await asyncio.to_thread(kafka.start)
    after = await insist(lambda: append(log, 0, [b"after"]))

    assert all(isinstance(outcome, Busy | Uncertain) for outcome in outcomes)
    assert list(await insist(lambda: log.read(0, before, 1))) == [b"before"]
    assert list(await insist(lambda: log.read(0, after, 1))) == [b"after"]
    end = await ends(log)
    async with log.follow("reader", Starting(FROM_THE_START)) as follower:
        seen = await follow_until(follower, sum(end.values()))
    assert Counter(value for run in seen.values() for value in run.values())[b"after"] == 1
