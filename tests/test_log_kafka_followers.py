"""Followers of one name on Kafka: partitions change hands, and nothing is left out on the way."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
from aiokafka.admin import NewPartitions

from ledger.app.engines import Kafka
from ledger.app.wiring.asking import unread_records
from ledger.backends import kafka_follower, kafka_membership
from ledger.backends.kafka_cluster import KafkaCluster
from ledger.backends.kafka_lag import open_kafka_lag
from ledger.backends.kafka_membership import Membership
from ledger.backends.log_kafka import KafkaScanLog
from ledger.errors import Diverged
from ledger.scan_log import Follower
from tests.contracts.patience import PATIENCE_S, Starting, append, follow_until, records
from tests.kafka_logs import PARTITIONS, administering, cluster_of, opened_on, until

FROM_THE_START = dict.fromkeys(range(PARTITIONS), 0)


@pytest.fixture
def cluster(one_kafka: Kafka, tmp_path: Path) -> KafkaCluster:
    """A cluster on which this test has topics of its own."""
    return cluster_of(one_kafka.bootstrap, tmp_path)


@pytest.fixture
async def log(cluster: KafkaCluster) -> AsyncIterator[KafkaScanLog]:
    """An empty log."""
    async with opened_on(cluster) as log:
        yield log


class Marking:
    """A reader that marks what it has when its partitions go, and goes on from the marks."""

    def __init__(self, marks: dict[int, int]) -> None:
        """The marks are shared by all readers of a name."""
        self.marks = marks
        self.reached: dict[int, int] = {}
        self.owned: set[int] = set()
        self.seen: list[tuple[int, int, bytes]] = []

    async def taken(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Go on from the marks."""
        self.owned = set(partitions)
        self.reached = {partition: self.marks.get(partition, 0) for partition in partitions}
        return dict(self.reached)

    async def given_up(self, partitions: Sequence[int]) -> None:
        """Mark, a little late."""
        await asyncio.sleep(0.05)
        for partition in partitions:
            self.marks[partition] = max(self.reached[partition], self.marks.get(partition, 0))
        self.owned = set()

    async def read(self, follower: Follower) -> None:
        """Take whatever comes, until cancelled."""
        while True:
            for run in await follower.next(50):
                assert run.partition in self.owned
                assert run.first_index == self.reached[run.partition]
                self.reached[run.partition] += len(run.values)
                self.seen += [
                    (run.partition, index, value)
                    for index, value in enumerate(run.values, run.first_index)
                ]


async def test_partitions_change_hands_without_a_gap(log: KafkaScanLog) -> None:
    """While followers join and leave under a steady stream, every record comes once, in order, to
    the one that owns its partition.
    """
    marks: dict[int, int] = {}
    readers = [Marking(marks) for _ in range(3)]
    appended: set[tuple[int, int, bytes]] = set()
    halt = asyncio.Event()

    async def feed() -> None:
        while not halt.is_set():
            for partition in range(PARTITIONS):
                values = records(7)
                first = await append(log, partition, values)
                appended.update((partition, first + n, value) for n, value in enumerate(values))
            await asyncio.sleep(0.01)

    async def follow(reader: Marking, seconds: float) -> None:
        async with log.follow("reader", reader) as follower:
            try:
                async with asyncio.timeout(seconds):
                    await reader.read(follower)
            except TimeoutError:
                pass

    feeding = asyncio.create_task(feed())
    first = asyncio.create_task(follow(readers[0], 9))
    await asyncio.sleep(2)
    second = asyncio.create_task(follow(readers[1], 5))
    await asyncio.gather(first, second)
    halt.set()
    await feeding
    async with log.follow("reader", readers[2]) as follower:
        reading = asyncio.create_task(readers[2].read(follower))
        await until(lambda: sum(len(reader.seen) for reader in readers) >= len(appended))
        reading.cancel()

    seen = [record for reader in readers for record in reader.seen]
    assert len(seen) == len(appended)
    assert set(seen) == appended
    assert len(readers[1].seen) > 0, "the second one had a share"


async def test_both_of_two_followers_have_a_share(log: KafkaScanLog) -> None:
    """Two followers of a name own half of the partitions each, and a third that there are none
    left for waits without one.
    """
    readers = [Marking({}) for _ in range(5)]
    followers = [log.follow("reader", reader) for reader in readers]
    tasks = [
        asyncio.create_task(reader.read(await follower.__aenter__()))
        for reader, follower in zip(readers, followers, strict=True)
    ]
    await until(lambda: sorted(len(reader.owned) for reader in readers) == [0, 1, 1, 1, 1])
    owned = [partition for reader in readers for partition in reader.owned]
    assert sorted(owned) == list(range(PARTITIONS))

    for task, follower in zip(tasks, followers, strict=True):
        task.cancel()
        await asyncio.wait([task])
        await follower.__aexit__(None, None, None)


async def test_a_follower_goes_on_when_the_other_one_left(log: KafkaScanLog) -> None:
    """Whoever is left alone gets all partitions, from where the other one marked."""
    marks: dict[int, int] = {}
    stays, goes = Marking(marks), Marking(marks)
    async with log.follow("reader", stays) as follower:
        staying = asyncio.create_task(stays.read(follower))
        async with log.follow("reader", goes) as other:
            going = asyncio.create_task(goes.read(other))
            await until(lambda: len(stays.owned) == len(goes.owned) == PARTITIONS // 2)
            for partition in range(PARTITIONS):
                await append(log, partition, records(10))
            await until(lambda: len(stays.seen) + len(goes.seen) >= 10 * PARTITIONS)
            going.cancel()
        for partition in range(PARTITIONS):
            await append(log, partition, records(10))
        await until(lambda: len(stays.seen) + len(goes.seen) >= 20 * PARTITIONS)
        staying.cancel()

    assert len(set(stays.seen) | set(goes.seen)) == 20 * PARTITIONS
    assert len(goes.seen) == 10 * PARTITIONS // 2


async def test_a_hand_over_does_not_wait_for_ever(
    log: KafkaScanLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that does not finish in time loses its partitions all the same; when it is done
    it comes back as a member like any other.
    """
    monkeypatch.setattr(kafka_membership, "REBALANCE_S", 2.0)

    class Stuck(Marking):
        gate = asyncio.Event()

        async def given_up(self, partitions: Sequence[int]) -> None:
            await self.gate.wait()
            await super().given_up(partitions)

    stuck, other = Stuck({}), Marking({})
    async with log.follow("reader", stuck) as first, log.follow("reader", other) as second:
        tasks = [asyncio.create_task(stuck.read(first))]
        await until(lambda: len(stuck.owned) == PARTITIONS)
        tasks.append(asyncio.create_task(other.read(second)))
        await until(lambda: len(other.owned) == PARTITIONS)
        assert len(stuck.owned) == PARTITIONS, "it still believes to own them"
        stuck.gate.set()
        await until(lambda: len(stuck.owned) == len(other.owned) == PARTITIONS // 2)
        for task in tasks:
            task.cancel()


async def test_an_error_on_giving_up_ends_the_reading(log: KafkaScanLog) -> None:
    """What `given_up` raises while partitions change hands comes out of `next`."""

    class Failing(Marking):
        async def given_up(self, partitions: Sequence[int]) -> None:
            raise Diverged(f"cannot mark {len(partitions)}", reason="TEST")

    failing, other = Failing({}), Marking({})
    left = log.follow("reader", failing)
    first = await left.__aenter__()
    async with log.follow("reader", other) as second:
        reading = asyncio.create_task(failing.read(first))
        await until(lambda: bool(failing.owned))
        joining = asyncio.create_task(other.read(second))
        with pytest.raises(Diverged, match="cannot mark 4"):
            await reading
        joining.cancel()
        with pytest.raises(Diverged, match="cannot mark"):
            await left.__aexit__(None, None, None)


async def test_a_busy_partition_does_not_crowd_out_the_others(log: KafkaScanLog) -> None:
    """With far more in one partition than in others, these come early all the same."""
    for _ in range(60):
        await append(log, 0, records(1_000))
    for partition in range(1, PARTITIONS):
        await append(log, partition, records(1))

    async with log.follow("reader", Starting(FROM_THE_START)) as follower:
        first: dict[int, int] = {}
        count = 0
        async with asyncio.timeout(PATIENCE_S):
            while len(first) < PARTITIONS:
                for run in await follower.next(1_000):
                    first.setdefault(run.partition, count)
                    count += len(run.values)

    assert max(first.values()) <= 20_000


async def test_lag_tools_see_how_far_a_reader_is(cluster: KafkaCluster, log: KafkaScanLog) -> None:
    """The group's committed offsets follow what was returned; no reader begins by them."""
    for partition in range(PARTITIONS):
        await append(log, partition, records(10 + partition))
    async with log.follow("reader", Starting(FROM_THE_START)) as follower:
        await follow_until(follower, 4 * 10 + 6)

    async with administering(cluster) as admin:
        offsets = await admin.list_consumer_group_offsets(cluster.group("reader", "scans"))
    assert {place.partition: each.offset for place, each in offsets.items()} == {
        partition: 10 + partition for partition in range(PARTITIONS)
    }
    async with log.follow("reader", Starting(FROM_THE_START)) as follower:
        assert len((await follow_until(follower, 46))[0]) == 10


async def test_others_learn_how_far_a_reader_is(
    cluster: KafkaCluster, log: KafkaScanLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a group that was never there nothing is known, and all counts. Then the lag comes to
    nothing while the reader waits for records, also after a word of it was lost.
    """
    monkeypatch.setattr(kafka_follower, "COMMIT_EVERY_S", 1.0)
    monkeypatch.setattr(kafka_follower, "COMMIT_AGAIN_S", 2.0)
    commit = Membership.commit
    all_of_it = {0: 5, 1: 1, 2: 2, 3: 3}
    words: list[Mapping[int, int]] = []

    async def lose_the_last_word(self: Membership, places: Mapping[int, int]) -> None:
        words.append(places)
        if words.count(all_of_it) != 1:
            await commit(self, places)

    monkeypatch.setattr(Membership, "commit", lose_the_last_word)
    reader = Marking({})
    for partition in range(1, PARTITIONS):
        await append(log, partition, records(partition))
    async with open_kafka_lag(cluster, reader="reader", log=log.identity) as lag:

        async def no_lag() -> None:
            async with asyncio.timeout(PATIENCE_S):
                while await unread_records(log, lag.reached):  # noqa: ASYNC110 - asks brokers.
                    await asyncio.sleep(0.1)

        assert await lag.reached() == {}
        assert await unread_records(log, lag.reached) == 1 + 2 + 3
        async with log.follow("reader", reader) as follower:
            reading = asyncio.create_task(reader.read(follower))
            await no_lag()
            await append(log, 0, records(5))
            assert await unread_records(log, lag.reached) == 5
            await no_lag()
            reading.cancel()

    assert words.count(all_of_it) > 1


async def test_added_partitions_stop_readers(cluster: KafkaCluster, log: KafkaScanLog) -> None:
    """A topic that was given more partitions than the log has stops its readers: records would be
    filed under other partitions.
    """
    async with administering(cluster) as admin:
        await admin.create_partitions({cluster.topic("scans", 1): NewPartitions(PARTITIONS + 1)})

    async with log.follow("reader", Starting(FROM_THE_START)) as follower:
        with pytest.raises(Diverged, match="partitions beyond the 4"):
            await follow_until(follower, 1)
