"""Batching: records of many batches become few appends, and each batch learns its own outcome."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest.admission import Group
from ingest.batcher import Batcher
from ingest.chunks import Outcome
from ingest.limits import IngestLimits
from ledger.errors import Busy, Diverged, Uncertain
from ledger.scan_log import APPEND_BYTES_MAX, APPEND_RECORDS_MAX
from tests.faulty_log import BUSY, UNCERTAIN, FaultyLog
from tests.ingest_server import PARTITIONS, faulty_log, values_of

DIVERGED = Diverged("The log is cut.", reason="TEST_DIVERGED")


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log whose appends can be held up and made to fail."""
    async with faulty_log(tmp_path) as log:
        yield log


def a_batcher(log: FaultyLog, **limits: float) -> Batcher:
    """A batcher on that log."""
    return Batcher(log, IngestLimits(**limits), monotonic=time.monotonic)  # type: ignore[arg-type]


def groups_of(*partitions: int, size: int = 3) -> dict[int, Group]:
    """A batch of three scans for each partition; its records are told apart by their index."""
    return {
        partition: Group(
            [place * 3 + number for number in range(3)],
            [b"KEY"] * 3,
            [b"%d" % (place * 3 + number) + b"." * size for number in range(3)],
        )
        for place, partition in enumerate(partitions)
    }


def told(outcomes: list[Outcome]) -> list[tuple[int, list[int], int]]:
    """Partition, indexes, and index of the last record of each outcome."""
    assert not any(outcome.error for outcome in outcomes)
    return sorted((one.partition, one.indexes, one.last_index) for one in outcomes)


class TestAppends:
    async def test_each_batch_learns_where_its_records_are(self, log: FaultyLog) -> None:
        """The outcomes name partition and last index, and the records lie there."""
        batcher = a_batcher(log)
        first = batcher.submit(groups_of(0, 2), 1)
        second = batcher.submit(groups_of(2), 1)
        running = asyncio.create_task(batcher.run())

        assert told(await first) == [(0, [0, 1, 2], 2), (2, [3, 4, 5], 2)]
        assert told(await second) == [(2, [0, 1, 2], 5)]
        assert await values_of(log, 2) == [b"3...", b"4...", b"5...", b"0...", b"1...", b"2..."]
        running.cancel()

    async def test_batches_that_wait_share_an_append(self, log: FaultyLog) -> None:
        """A hundred batches that came during one append become one append for each partition."""
        batcher = a_batcher(log)
        log.gate.clear()
        futures = [batcher.submit(groups_of(0), 1)]
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(batcher.run())
            await log.wait_for_appends(1)
            futures += [batcher.submit(groups_of(0, 1), 1) for _ in range(100)]
            log.gate.set()
            await asyncio.gather(*futures)
            running.cancel()

        assert sorted(log.appends) == [(0, 3), (0, 300), (1, 300)]

    async def test_a_lone_record_does_not_wait(self, log: FaultyLog) -> None:
        """With nothing on its way there is no linger, however long it is."""
        batcher = a_batcher(log, linger_s=3_600.0)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(batcher.run())
            for _ in range(3):
                await batcher.submit(groups_of(1), 1)
            running.cancel()

        assert log.appends == [(1, 3)] * 3

    async def test_enough_records_do_not_wait(self, log: FaultyLog) -> None:
        """Behind a flush that is stuck, the next one starts as soon as enough is there."""
        batcher = a_batcher(log, linger_s=3_600.0, flush_records_enough=9)
        log.gate.clear()
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(batcher.run())
            batcher.submit(groups_of(0), 1)
            await log.wait_for_appends(1)
            for _ in range(3):
                assert len(log.appends) == 1
                batcher.submit(groups_of(1), 1)
                await asyncio.sleep(0.01)
            assert log.appends == [(0, 3), (1, 9)]
            log.gate.set()
            await batcher.wait_until_idle()
            running.cancel()

    async def test_appends_keep_to_the_limits_of_the_log(self, log: FaultyLog) -> None:
        """Too many records and too many bytes are split; every batch still learns all its places.

        The log's double checks each append against the limits.
        """
        batcher = a_batcher(log)
        many = Group(list(range(2_000)), [b"K"] * 2_000, [b"r" * 40] * 2_000)
        large = Group(list(range(300)), [b"K"] * 300, [b"r" * 8_000] * 300)
        futures = [batcher.submit({0: many}, 1) for _ in range(3)]
        futures += [batcher.submit({1: large}, 1)]
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(batcher.run())
            outcomes = await asyncio.gather(*futures)
            running.cancel()

        assert APPEND_RECORDS_MAX < 3 * 2_000
        assert 2 * APPEND_BYTES_MAX < 300 * 8_000
        for group, parts in zip((many, many, many, large), outcomes, strict=True):
            assert [i for part in parts for i in part.indexes] == group.indexes
        assert [(await log.bounds(p)).next for p in (0, 1)] == [6_000, 300]

    async def test_flushes_on_their_way_are_bounded(self, log: FaultyLog) -> None:
        """While the log does not answer, no more than so many appends wait for it."""
        batcher = a_batcher(log, flushes_in_flight_max=2, linger_s=0.0)
        log.gate.clear()
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(batcher.run())
            for _ in range(20):
                batcher.submit(groups_of(0), 1)
                await asyncio.sleep(0.002)
            assert log.running == 2
            log.gate.set()
            await batcher.wait_until_idle()
            running.cancel()

        assert log.most_running == 2
        assert (await log.bounds(0)).next == 60

    async def test_a_flush_is_bounded_in_bytes(self, log: FaultyLog) -> None:
        """What waits for many partitions goes in several flushes, each partition in its turn."""
        batcher = a_batcher(log, flushes_in_flight_max=1, flush_bytes_max=1_500_000)
        large = Group(list(range(100)), [b"K"] * 100, [b"r" * 8_000] * 100)
        futures = [batcher.submit(dict.fromkeys(range(PARTITIONS), large), 1) for _ in range(2)]
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(batcher.run())
            await asyncio.gather(*futures)
            running.cancel()

        assert log.appends == [(0, 100), (1, 100), (2, 100), (3, 100)] * 2
        assert log.most_running == 2


class TestFaults:
    @pytest.mark.parametrize("error", [BUSY, UNCERTAIN], ids=["busy", "uncertain"])
    async def test_a_failed_partition_fails_alone(
        self, log: FaultyLog, error: Busy | Uncertain
    ) -> None:
        """Its scans say why; the scans of the other partition are durable."""
        batcher = a_batcher(log)
        log.fails_unwritten = lambda partition: error if partition == 1 else None
        running = asyncio.create_task(batcher.run())
        outcomes = {one.partition: one for one in await batcher.submit(groups_of(0, 1), 1)}

        assert outcomes[0].error is None
        assert outcomes[1].error is error
        assert outcomes[1].indexes == [3, 4, 5]
        running.cancel()

    @pytest.mark.parametrize("written", [False, True], ids=["unwritten", "written"])
    async def test_a_log_that_fails_for_good_ends_the_run(
        self, log: FaultyLog, *, written: bool
    ) -> None:
        """Its error comes out; what was on its way is uncertain, what comes later is not taken."""
        batcher = a_batcher(log)
        if written:
            log.fails_written = lambda _: DIVERGED
        else:
            log.fails_unwritten = lambda _: DIVERGED
        on_its_way = batcher.submit(groups_of(0), 1)
        with pytest.raises(Diverged):
            await batcher.run()
        later = batcher.submit(groups_of(0), 1)

        assert isinstance((await on_its_way)[0].error, Uncertain)
        assert isinstance((await later)[0].error, Busy)
        await batcher.wait_until_idle()

    async def test_what_waits_at_the_end_is_not_taken(self, log: FaultyLog) -> None:
        """A cancelled run leaves nobody without an outcome."""
        batcher = a_batcher(log, flushes_in_flight_max=1)
        log.gate.clear()
        running = asyncio.create_task(batcher.run())
        on_its_way = batcher.submit(groups_of(0), 1)
        await log.wait_for_appends(1)
        waiting = batcher.submit(groups_of(0), 1)
        running.cancel()
        await asyncio.wait([running])

        assert isinstance((await on_its_way)[0].error, Uncertain)
        assert isinstance((await waiting)[0].error, Busy)

    async def test_a_sender_that_is_gone_harms_nobody(self, log: FaultyLog) -> None:
        """Its records are kept, and the others of the append learn their outcome."""
        batcher = a_batcher(log)
        gone, there = batcher.submit(groups_of(0), 1), batcher.submit(groups_of(0), 1)
        gone.cancel()
        running = asyncio.create_task(batcher.run())

        assert told(await there) == [(0, [0, 1, 2], 5)]
        await batcher.wait_until_idle()
        running.cancel()


class TestRoom:
    async def test_room_closes_at_the_bound_and_opens_at_half(self, log: FaultyLog) -> None:
        """The bound is on what is submitted and has no outcome."""
        batcher = a_batcher(log, pending_bytes_max=100, flushes_in_flight_max=1)
        log.gate.clear()
        running = asyncio.create_task(batcher.run())
        rooms, futures = [], []
        for _ in range(2):
            futures.append(batcher.submit(groups_of(0), 60))
            rooms.append(batcher.has_room)
        log.gate.set()
        await batcher.wait_for_room(30)
        rooms.append(batcher.has_room)

        assert rooms == [True, False, True]
        assert len(await asyncio.gather(*futures)) == 2
        running.cancel()
