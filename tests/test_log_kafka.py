"""The log in Kafka: what it does where the topic is not what was appended to it, and under load."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ledger.app.engines import Kafka
from ledger.backends import kafka_fetching, kafka_sender
from ledger.backends.kafka_cluster import KafkaCluster
from ledger.backends.log_kafka import KafkaScanLog, open_kafka_log
from ledger.errors import Busy, Closed, Diverged
from ledger.insist import insist
from ledger.marks import check_mark, encode_mark
from ledger.scan_log import APPEND_BYTES_MAX, RECORD_BYTES_MAX
from tests.contracts.patience import PATIENCE_S, Starting, append, ends, follow_until, records
from tests.kafka_logs import PARTITIONS, administering, cluster_of, make_topic, opened_on

CHANGED_S = 1.5
"""After so long a broker acts by a topic's new setting."""


@pytest.fixture
def cluster(one_kafka: Kafka, tmp_path: Path) -> KafkaCluster:
    """A cluster on which this test has topics of its own."""
    return cluster_of(one_kafka.bootstrap, tmp_path)


@pytest.fixture
async def log(cluster: KafkaCluster) -> AsyncIterator[KafkaScanLog]:
    """An empty log."""
    async with opened_on(cluster) as log:
        yield log


async def diverges(log: KafkaScanLog, start: dict[int, int]) -> Diverged:
    """What a follower finds that starts there."""
    whole = dict.fromkeys(range(PARTITIONS), 0) | start
    async with log.follow("reader", Starting(whole)) as follower:
        with pytest.raises(Diverged) as error:
            await follow_until(follower, 1_000_000)
    return error.value


# --- a topic that is not what was appended --------------------------------------------------------


async def test_a_hole_stops_readers(cluster: KafkaCluster, log: KafkaScanLog) -> None:
    """Another program's transaction leaves a mark that takes an index: readers stop there, after
    what is before it.
    """
    await append(log, 1, records(3))
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, transactional_id="other")
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(cluster.topic("scans", 1), b"four", b"key", partition=1)
    await producer.stop()
    async with asyncio.timeout(PATIENCE_S):
        while (await log.bounds(1)).next < 5:
            pass  # The mark comes by itself.
    await append(log, 1, [b"five"])

    async with log.follow("reader", Starting(dict.fromkeys(range(4), 0))) as follower:
        before = await follow_until(follower, 4)
        with pytest.raises(Diverged, match="partition 1 has no records 4 to 4") as error:
            await follow_until(follower, 1)

    assert list(before[1].values())[3] == b"four"
    assert error.value.reason == "LOG_HAS_HOLE"
    assert list(await log.read(1, 5, 1)) == [b"five"]
    with pytest.raises(Diverged):
        await log.read(1, 4, 1)


async def test_records_that_were_deleted_are_missed(
    cluster: KafkaCluster, log: KafkaScanLog
) -> None:
    """Whoever wants records that something deleted is told which are gone."""
    await append(log, 2, records(10))
    async with administering(cluster) as admin:
        place = TopicPartition(cluster.topic("scans", 1), 2)
        await admin.delete_records({place: RecordsToDelete(before_offset=6)})

    assert await log.bounds(2) == (6, 10)
    assert len(await log.read(2, 6, 10)) == 4
    with pytest.raises(Diverged, match="records 5 to 5 are gone"):
        await log.read(2, 5, 1)
    error = await diverges(log, {2: 3})
    assert error.reason == "RECORDS_GONE"
    assert "records 3 to 5 are gone" in error.message


async def test_a_log_that_was_cut_is_noticed(cluster: KafkaCluster, log: KafkaScanLog) -> None:
    """A topic that was made again, shorter, acknowledges nothing and gives nothing: neither where
    appends come too early, nor where readers would go on behind its end.
    """
    await append(log, 0, records(20))
    await make_again(cluster)
    with pytest.raises(Diverged, match="gave index 0 to a new record, but records up to 19"):
        await insist(lambda: append(log, 0, records(5)))
    with pytest.raises(Diverged):
        await append(log, 1, records(1))

    error = await diverges(log, {0: 20})
    assert "it holds 0 to 4" in error.message


async def test_a_log_that_grew_again_is_another_one(
    cluster: KafkaCluster, log: KafkaScanLog
) -> None:
    """A topic that was made again and is as long as before looks healthy; the mark finds it."""
    values = records(20)
    await append(log, 0, values)
    mark = encode_mark(
        log.identity, 0, next_index=20, last_record=values[-1], last_record_time_ns=1
    )
    await check_mark(log, mark)

    await make_again(cluster)
    async with open_kafka_log(cluster, generation=1, partitions=PARTITIONS) as other:
        await append(other, 0, records(25))
        with pytest.raises(Diverged, match="record 19 of partition 0"):
            await check_mark(other, mark)


@pytest.mark.parametrize("begins_at", [0, 20], ids=["it has read", "it has waited"])
async def test_a_log_that_is_cut_and_grows_again_below_a_reader_stops_it(
    cluster: KafkaCluster, log: KafkaScanLog, begins_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is running gives nothing of the other history: what it read last is looked at
    again after every silence, and when it has not asked for a while.
    """
    monkeypatch.setattr(kafka_fetching, "UNWATCHED_S", 0.2)
    await append(log, 0, records(20))
    starting = Starting({**dict.fromkeys(range(PARTITIONS), 0), 0: begins_at})
    async with log.follow("reader", starting) as follower:
        if begins_at:
            with suppress(TimeoutError):
                async with asyncio.timeout(6):
                    await follower.next(100)
        else:
            await follow_until(follower, 20)
        await make_again(cluster)
        async with open_kafka_log(cluster, generation=1, partitions=PARTITIONS) as other:
            await append(other, 0, records(25))
        with pytest.raises(Diverged, match="record 19 of partition 0") as error:
            await follow_until(follower, 1)

    assert error.value.reason == "LOG_DIFFERS"


async def make_again(cluster: KafkaCluster) -> None:
    """Deletes the topic, and makes it anew."""
    async with administering(cluster) as admin:
        await admin.delete_topics([cluster.topic("scans", 1)])
    await asyncio.sleep(0.5)
    await make_topic(cluster)


@pytest.mark.parametrize(
    "value", [None, bytes(RECORD_BYTES_MAX + 1)], ids=["deletion mark", "too long"]
)
async def test_a_record_of_another_program_stops_nobody(
    cluster: KafkaCluster, log: KafkaScanLog, value: bytes | None
) -> None:
    """A deletion mark, or a record longer than any of ours, is read as it is, and so are those
    around it.
    """
    before, behind = records(2), records(1)
    await append(log, 3, before)
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap)
    await producer.start()
    await producer.send_and_wait(cluster.topic("scans", 1), value, b"key", partition=3)
    await producer.stop()

    await append(log, 3, behind)
    starting = Starting(dict.fromkeys(range(PARTITIONS), 0))
    async with log.follow("r", starting) as follower:
        found = await follow_until(follower, 4)

    assert list(found[3].values()) == [*before, value or b"", *behind]
    assert await log.read(3, 2, 1) == [value or b""]


# --- appends --------------------------------------------------------------------------------------


async def test_a_refused_batch_does_not_stop_the_others(
    cluster: KafkaCluster, log: KafkaScanLog
) -> None:
    """A batch that the broker refuses is told so, and the same partition goes on afterwards."""
    await append(log, 0, records(3))
    await change(cluster, {"max.message.bytes": "20000"})

    with pytest.raises(Busy, match="MessageSizeTooLarge"):
        await append(log, 0, records(10, 4_000))
    assert await append(log, 0, records(2)) == 3
    assert await append(log, 1, records(2)) == 0

    await change(cluster, {"max.message.bytes": "2097152"})
    assert await append(log, 0, records(10, 4_000)) == 5


async def change(cluster: KafkaCluster, settings: dict[str, str]) -> None:
    """Changes settings of a topic under the log's feet."""
    async with administering(cluster) as admin:
        topic = ConfigResource(
            ConfigResourceType.TOPIC, cluster.topic("scans", 1), configs=settings
        )
        await admin.alter_configs([topic])
    # The controller has it; when a broker acts by it nobody tells.
    await asyncio.sleep(CHANGED_S)


async def test_many_appenders_at_once(log: KafkaScanLog) -> None:
    """Appends of all sizes to all partitions at once are each whole, where it was said."""
    sizes = [1 + n * 37 % 90 for n in range(400)]
    batches = [[os.urandom(8) * 20 for _ in range(size)] for size in sizes]

    firsts = await asyncio.gather(
        *(append(log, n % PARTITIONS, batch) for n, batch in enumerate(batches))
    )

    end = await ends(log)
    assert sum(end.values()) == sum(sizes)
    for n, (first, batch) in enumerate(zip(firsts, batches, strict=True)):
        assert list(await log.read(n % PARTITIONS, first, len(batch))) == batch


async def test_cancelled_appends_leave_no_trace_or_all(log: KafkaScanLog) -> None:
    """Of appends that are cancelled at any moment each is in the log whole, or not at all."""
    batches = [[b"%d:%d" % (n, k) for k in range(5)] for n in range(60)]
    tasks = [asyncio.create_task(append(log, n % 2, batch)) for n, batch in enumerate(batches)]
    for n, task in enumerate(tasks):
        if n % 3 == 0:
            await asyncio.sleep(0.0005 * (n % 5))
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await append(log, 0, [b"the"])
    await append(log, 1, [b"end"])

    in_log = [
        value
        for partition, end in (await ends(log)).items()
        for value in (await log.read(partition, 0, end) if end else ())
    ]
    for n, (task, batch) in enumerate(zip(tasks, batches, strict=True)):
        found = [value for value in in_log if value.startswith(b"%d:" % n)]
        assert found in ([], batch)
        assert task.cancelled() or found == batch


async def test_a_log_is_closed_with_appends_on_their_way(cluster: KafkaCluster) -> None:
    """Closing waits for what is on its way; each append has an outcome, and what was acknowledged
    is there.
    """
    async with opened_on(cluster) as log:
        batches = [records(20) for _ in range(200)]
        tasks = [asyncio.create_task(append(log, n % 4, b)) for n, b in enumerate(batches)]
        await asyncio.sleep(0.002)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(isinstance(one, int | Closed) for one in outcomes)
    assert any(isinstance(one, int) for one in outcomes)
    async with opened_on(cluster) as log:
        for n, (outcome, batch) in enumerate(zip(outcomes, batches, strict=True)):
            if isinstance(outcome, int):
                assert list(await log.read(n % 4, outcome, len(batch))) == batch


async def test_too_much_at_once_is_turned_away(
    log: KafkaScanLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bytes that may wait an append is Busy, and takes nothing with it."""
    monkeypatch.setattr(kafka_sender, "PENDING_BYTES_MAX", 3 * APPEND_BYTES_MAX)
    large = records(60, RECORD_BYTES_MAX)

    outcomes = await asyncio.gather(
        *(append(log, n % 4, large) for n in range(8)), return_exceptions=True
    )

    kept = [one for one in outcomes if isinstance(one, int)]
    assert all(isinstance(one, int | Busy) for one in outcomes)
    assert len(kept) == 3
    assert sum((await ends(log)).values()) == 60 * len(kept)
