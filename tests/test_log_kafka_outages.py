"""The log in Kafka while its broker is killed, held up, or not there at all."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ledger.app.engines import Kafka
from ledger.backends import kafka_fetching, kafka_reader, kafka_sender
from ledger.backends.kafka_cluster import KafkaCluster
from ledger.backends.log_kafka import KafkaScanLog, open_kafka_log
from ledger.errors import Busy, Uncertain
from ledger.insist import insist
from tests.contracts.patience import Starting, append, ends, follow_until, records
from tests.kafka_logs import PARTITIONS, cluster_of, opened_on, until

FROM_THE_START = dict.fromkeys(range(PARTITIONS), 0)


@pytest.fixture
def kafka(one_kafka: Kafka) -> Iterator[Kafka]:
    """A broker that is there again after the test."""
    yield one_kafka
    one_kafka.nodes[0].resume()
    one_kafka.start()


@pytest.fixture
def cluster(kafka: Kafka, tmp_path: Path) -> KafkaCluster:
    """A cluster on which this test has topics of its own."""
    return cluster_of(kafka.bootstrap, tmp_path)


@pytest.fixture
async def log(cluster: KafkaCluster) -> AsyncIterator[KafkaScanLog]:
    """An empty log."""
    async with opened_on(cluster) as log:
        yield log


async def everything(log: KafkaScanLog) -> dict[tuple[int, int], bytes]:
    """All records of a log, by partition and index."""
    end = await ends(log)
    if not any(end.values()):
        return {}
    async with log.follow("everything", Starting(FROM_THE_START)) as follower:
        seen = await follow_until(follower, sum(end.values()))
    return {(p, index): value for p, run in seen.items() for index, value in run.items()}


async def test_a_killed_broker_loses_nothing_that_was_acknowledged(
    kafka: Kafka, log: KafkaScanLog
) -> None:
    """Under many appends the broker is killed and comes back: every acknowledged record is where
    it was said, once.
    """
    acknowledged: dict[tuple[int, int], bytes] = {}
    unsure: list[bytes] = []
    halt = asyncio.Event()

    async def scan(partition: int) -> None:
        while not halt.is_set():
            values = records(5)
            try:
                first = await append(log, partition, values)
            except (Busy, Uncertain):
                unsure.extend(values)
                await asyncio.sleep(0.1)
                continue
            acknowledged.update(((partition, first + n), value) for n, value in enumerate(values))

    scanning = [asyncio.create_task(scan(n % PARTITIONS)) for n in range(12)]
    await until(lambda: len(acknowledged) >= 500)
    kafka.nodes[0].kill()
    await asyncio.to_thread(kafka.start)
    after = len(acknowledged)
    await until(lambda: len(acknowledged) >= after + 500)
    halt.set()
    await asyncio.gather(*scanning)

    in_log = await everything(log)
    assert acknowledged.items() <= in_log.items()
    copies = Counter(in_log.values())
    assert max(copies[value] for value in acknowledged.values()) == 1
    assert set(copies) <= set(acknowledged.values()) | set(unsure)


async def test_a_broker_that_hangs_makes_appends_busy_or_uncertain(
    kafka: Kafka, log: KafkaScanLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent to a broker that says nothing is uncertain; what had to wait behind it is
    surely not in the log; others are turned away at once; and when it answers again all goes on.
    """
    monkeypatch.setattr(kafka_sender, "APPEND_S", 1.5)
    await append(log, 0, [b"before"])
    kafka.nodes[0].pause()
    sent = asyncio.create_task(append(log, 0, [b"sent"]))
    await asyncio.sleep(0.2)
    waiting = asyncio.create_task(append(log, 0, [b"waiting"]))
    with pytest.raises(Uncertain, match="partition 0"):
        await sent
    with pytest.raises(Busy, match="Partition 0 of the log takes nothing"):
        await waiting
    probe = asyncio.create_task(append(log, 0, [b"probe"]))
    await asyncio.sleep(0)
    began = time.monotonic()
    with pytest.raises(Busy):
        await append(log, 0, [b"turned away"])
    assert time.monotonic() - began < 0.5
    kafka.nodes[0].resume()

    outcome = (await asyncio.gather(probe, return_exceptions=True))[0]
    await insist(lambda: append(log, 0, [b"after"]))

    copies = Counter((await everything(log)).values())
    assert copies[b"before"] == copies[b"after"] == 1
    assert copies[b"sent"] <= 1
    assert copies[b"waiting"] == copies[b"turned away"] == 0
    assert copies[b"probe"] == (0 if isinstance(outcome, Busy) else 1)


async def test_a_follower_says_that_nobody_answers(
    kafka: Kafka, log: KafkaScanLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the broker is away `next` is Busy now and then; when it is back the follower goes on
    where it was.
    """
    monkeypatch.setattr(kafka_fetching, "UNREACHABLE_S", 1.0)
    first = records(5)
    await append(log, 0, first)
    async with log.follow("reader", Starting(FROM_THE_START)) as follower:
        assert list((await follow_until(follower, 5))[0].values()) == first
        kafka.nodes[0].kill()
        for _ in range(2):
            with pytest.raises(Busy, match="cannot be reached"):
                await follow_until(follower, 1)
        await asyncio.to_thread(kafka.start)
        second = records(5)
        index = await insist(lambda: append(log, 0, second))
        seen: list[bytes] = []
        async with asyncio.timeout(45):
            while len(seen) < 5:
                for run in await insist(lambda: follower.next(100)):
                    seen += run.values

    assert index == 5
    assert seen == second


async def test_reads_are_busy_while_nobody_answers(
    kafka: Kafka, log: KafkaScanLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading, and asking for bounds, is Busy while the broker is away, and right afterwards."""
    monkeypatch.setattr(kafka_reader, "READ_S", 1.0)
    await append(log, 0, [b"one"])
    kafka.nodes[0].kill()
    with pytest.raises(Busy, match="cannot be reached"):
        await log.read(0, 0, 1)
    with pytest.raises(Busy):
        await log.bounds(0)
    await asyncio.to_thread(kafka.start)

    assert list(await insist(lambda: log.read(0, 0, 1))) == [b"one"]
    assert await insist(lambda: log.bounds(0)) == (0, 1)


async def test_all_is_closed_while_nobody_answers(
    kafka: Kafka, cluster: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaving and closing end in time though the broker is away; what is on its way is told."""
    monkeypatch.setattr(kafka_sender, "CLOSE_S", 0.5)
    assignment = Starting(FROM_THE_START)
    async with opened_on(cluster) as log:
        async with log.follow("reader", assignment) as follower:
            await append(log, 0, [b"one"])
            await follow_until(follower, 1)
            kafka.nodes[0].pause()
            task = asyncio.create_task(append(log, 0, [b"two"]))
            await asyncio.sleep(0.1)
            began = time.monotonic()
        assert sorted(assignment.given_up_partitions) == list(range(PARTITIONS))
    took = time.monotonic() - began
    with pytest.raises(Uncertain):
        await task

    assert took < 20


async def test_a_log_is_busy_where_there_is_no_broker(tmp_path: Path) -> None:
    """Opening where nobody listens is Busy, and names the address and why."""
    cluster = cluster_of("127.0.0.1:1", tmp_path)

    with pytest.raises(Busy, match=r"127\.0\.0\.1:1: .*[Cc]onnect"):
        async with open_kafka_log(cluster, generation=1, partitions=PARTITIONS):
            pass
