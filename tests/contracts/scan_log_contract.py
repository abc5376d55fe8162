"""What every scan log does: the contract in `ledger.scan_log`, sentence by sentence.

A log may be shared and is never assumed to be empty: tests look at its bounds first.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from ledger.errors import Closed, Diverged, Refused
from ledger.scan_log import (
    APPEND_BYTES_MAX,
    APPEND_RECORDS_MAX,
    RECORD_BYTES_MAX,
    Follower,
    Run,
    ScanLog,
)
from ledger.v1.ingest_service_pb2 import Durability
from tests.contracts.patience import (
    PATIENCE_S,
    SHORT_S,
    Starting,
    append,
    ends,
    follow_until,
    records,
    unique,
)


class ScanLogContract(ABC):
    """A subclass says how its log is opened; opening twice with one folder opens the same log."""

    @abstractmethod
    def open_log(self, folder: Path) -> AbstractAsyncContextManager[ScanLog]:
        """Open the log; `folder` is an empty one, or was used for it before."""

    @pytest.fixture
    async def log(self, tmp_path: Path) -> AsyncIterator[ScanLog]:
        """The log under test."""
        async with self.open_log(tmp_path) as log:
            yield log

    async def test_identity_says_what_it_promises(self, log: ScanLog) -> None:
        """A log has a name, a generation, partitions, and promises something."""
        name, generation, partitions, durability = log.identity

        assert name
        assert generation >= 1
        assert partitions >= 2, "the suite needs two of them"
        assert durability != Durability.DURABILITY_UNSPECIFIED

    async def test_records_are_read_as_they_were_appended(self, log: ScanLog) -> None:
        """What was appended is read from the index that was returned, in order."""
        values = records(20)

        first = await append(log, 1, values)

        assert list(await log.read(1, first, 20)) == values
        assert list(await log.read(1, first + 7, 3)) == values[7:10]

    async def test_indexes_follow_one_another(self, log: ScanLog) -> None:
        """Each append of a partition begins where the one before ended."""
        end = (await log.bounds(0)).next

        firsts = [await append(log, 0, records(n)) for n in (1, 5, 2)]

        assert firsts == [end, end + 1, end + 6]
        assert (await log.bounds(0)).next == end + 8

    async def test_partitions_count_for_themselves(self, log: ScanLog) -> None:
        """An append to one partition leaves the others as they are."""
        before = await ends(log)

        await append(log, 1, records(3))

        assert await ends(log) == {**before, 1: before[1] + 3}

    async def test_appends_at_once_are_each_whole(self, log: ScanLog) -> None:
        """Of many appends at once each lies in one piece, and none lies over another."""
        end = (await log.bounds(0)).next
        batches = [records(1 + n % 7) for n in range(60)]

        firsts = await asyncio.gather(*(append(log, 0, batch) for batch in batches))

        by_first = sorted(zip(firsts, batches, strict=True), key=lambda pair: pair[0])
        expected = end
        for first, batch in by_first:
            assert first == expected
            assert list(await log.read(0, first, len(batch))) == batch
            expected += len(batch)

    async def test_bounds_hold_what_was_acknowledged(self, log: ScanLog) -> None:
        """A partition's bounds contain every record that was acknowledged before."""
        first = await append(log, 1, records(4))

        bounds = await log.bounds(1)

        assert bounds.first <= first
        assert bounds.next >= first + 4

    async def test_a_read_ends_at_a_megabyte(self, log: ScanLog) -> None:
        """A read of many large records comes in parts, each at least one record."""
        values = records(200, RECORD_BYTES_MAX)
        size = APPEND_BYTES_MAX // RECORD_BYTES_MAX - 1
        first = await append(log, 1, values[:size])
        for start in range(size, len(values), size):
            await append(log, 1, values[start : start + size])

        parts = []
        at = first
        while at < first + len(values):
            parts.append(await log.read(1, at, len(values)))
            at += len(parts[-1])

        assert [value for part in parts for value in part] == values
        assert all(parts)
        assert max(sum(map(len, part)) for part in parts) <= APPEND_BYTES_MAX + RECORD_BYTES_MAX

    @pytest.mark.parametrize("beyond", [0, 1, 1_000])
    async def test_reading_beyond_the_end_is_refused(self, log: ScanLog, beyond: int) -> None:
        """An index at or beyond the end is not in the log."""
        await append(log, 1, records(1))
        end = (await log.bounds(1)).next

        with pytest.raises(Diverged):
            await log.read(1, end + beyond, 1)

    async def test_the_largest_append_goes_through(self, log: ScanLog) -> None:
        """An append may have exactly the greatest number of records, and exactly the greatest
        size.
        """
        many = [value.to_bytes(4, "big") for value in range(APPEND_RECORDS_MAX)]
        large = records(APPEND_BYTES_MAX // RECORD_BYTES_MAX, RECORD_BYTES_MAX)
        keys = [b"%04d" % n for n in range(len(large))]
        large[-1] = large[-1][: -4 * len(large)]

        first = await log.append(0, [b"k"] * len(many), many)
        second = await log.append(0, keys, large)

        assert (await log.read(0, first + APPEND_RECORDS_MAX - 1, 1))[0] == many[-1]
        assert (await log.read(0, second, 1))[0] == large[0]

    @pytest.mark.parametrize(
        ("keys", "values"),
        [
            ([], []),
            ([b"A", b"B"], [b"one"]),
            ([b"A"] * (APPEND_RECORDS_MAX + 1), [b"x"] * (APPEND_RECORDS_MAX + 1)),
            ([b"A"], [bytes(RECORD_BYTES_MAX + 1)]),
            ([b"A"] * 65, [bytes(RECORD_BYTES_MAX)] * 64 + [b"x"]),
        ],
        ids=["none", "a key too many", "too many", "a record too long", "too long in all"],
    )
    async def test_what_is_over_a_limit_is_refused_whole(
        self, log: ScanLog, keys: Sequence[bytes], values: Sequence[bytes]
    ) -> None:
        """An append over a limit is refused, and nothing of it is appended."""
        before = await ends(log)

        with pytest.raises(Refused):
            await log.append(0, keys, values)

        assert await ends(log) == before

    async def test_a_cancelled_append_harms_nobody(self, log: ScanLog) -> None:
        """After a cancelled append the log goes on, with or without its records."""
        end = (await log.bounds(1)).next
        cancelled = asyncio.create_task(append(log, 1, records(3)))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled

        first = await append(log, 1, [b"after"])

        assert first in {end, end + 3}
        assert list(await log.read(1, first, 1)) == [b"after"]

    async def test_a_log_outlives_its_closing(self, tmp_path: Path) -> None:
        """What was acknowledged is there when the log is opened again, and indexes go on."""
        values = records(50)
        async with self.open_log(tmp_path) as log:
            first = await append(log, 1, values)
        async with self.open_log(tmp_path) as log:
            assert list(await log.read(1, first, 50)) == values

            assert await append(log, 1, records(1)) == first + 50

    async def test_a_closed_log_says_so(self, tmp_path: Path) -> None:
        """Every method of a closed log raises Closed."""
        async with self.open_log(tmp_path) as log:
            await append(log, 0, records(1))

        with pytest.raises(Closed):
            await append(log, 0, records(1))
        with pytest.raises(Closed):
            await log.read(0, 0, 1)
        with pytest.raises(Closed):
            await log.bounds(0)
        with pytest.raises(Closed):
            async with log.follow(unique("closed").decode(), Starting({})) as follower:
                await follower.next(1)

    async def test_a_follower_reads_what_is_there_and_what_comes(self, log: ScanLog) -> None:
        """A follower gets every record from its start on, in order, once."""
        start = await ends(log)
        before, after = records(30), records(40)
        await append(log, 0, before[:10])
        await append(log, 1, before[10:])
        assignment = Starting(start)

        async with log.follow(unique("reader").decode(), assignment) as follower:
            seen = await follow_until(follower, 30, max_records=7)
            await append(log, 1, after)
            more = await follow_until(follower, 40)

        assert list(seen[0].values()) == before[:10]
        assert list(seen[1].values()) == before[10:]
        assert min(seen[0]) == start[0]
        assert list(more[1].values()) == after
        assert min(more[1]) == start[1] + 20
        assert sorted(assignment.taken_partitions) == sorted(start)

    async def test_a_follower_waits_until_something_comes(self, log: ScanLog) -> None:
        """At the end of the log `next` waits, and returns once something was appended."""
        async with log.follow(unique("reader").decode(), Starting(await ends(log))) as follower:
            waiting = asyncio.create_task(follow_until(follower, 1))
            done, _ = await asyncio.wait([waiting], timeout=SHORT_S)
            assert not done

            await append(log, 1, [b"it comes"])

            assert list((await waiting)[1].values()) == [b"it comes"]

    async def test_a_follower_starts_in_the_middle(self, log: ScanLog) -> None:
        """A follower starts at the index that its assignment says, also inside of an append."""
        values = records(100)
        first = await append(log, 0, values)
        start = {**await ends(log), 0: first + 63}

        async with log.follow(unique("reader").decode(), Starting(start)) as follower:
            seen = await follow_until(follower, 37)

        assert seen == {0: dict(enumerate(values[63:], first + 63))}

    async def test_a_follower_gets_about_what_it_asks_for(self, log: ScanLog) -> None:
        """`next` returns no more than about the number that it was given."""
        start = await ends(log)
        await append(log, 0, records(100))
        await append(log, 1, records(100))
        largest = total = 0

        async with log.follow(unique("reader").decode(), Starting(start)) as follower:
            async with asyncio.timeout(PATIENCE_S):
                while total < 200:
                    count = sum(len(run.values) for run in await follower.next(10))
                    largest = max(largest, count)
                    total += count

        assert largest <= 20

    async def test_a_follower_far_behind_catches_up(self, log: ScanLog) -> None:
        """More than any buffer holds is followed whole, while more is appended."""
        start = await ends(log)
        values = records(1_200, RECORD_BYTES_MAX)
        step = APPEND_BYTES_MAX // RECORD_BYTES_MAX - 1

        async def append_all() -> None:
            for at in range(0, len(values), step):
                await append(log, at // step % 2, values[at : at + step])

        await append_all()
        async with log.follow(unique("reader").decode(), Starting(start)) as follower:
            _, seen = await asyncio.gather(
                append_all(), follow_until(follower, 2 * len(values), max_records=100)
            )

        assert sorted(value for run in seen.values() for value in run.values()) == sorted(
            2 * values
        )

    async def test_readers_of_other_names_each_get_everything(self, log: ScanLog) -> None:
        """Followers share nothing with followers of another name."""
        start = await ends(log)
        first = await append(log, 0, records(5))

        for _ in range(2):
            async with log.follow(unique("reader").decode(), Starting(start)) as follower:
                assert sorted((await follow_until(follower, 5))[0]) == list(range(first, first + 5))

    async def test_one_follower_of_a_name_owns_a_partition(self, log: ScanLog) -> None:
        """A partition is given up by one follower before another of the name takes it."""
        start = await ends(log)
        reader = unique("reader").decode()
        first, second = Starting(start), Starting(start)
        async with log.follow(reader, second) as late:
            async with log.follow(reader, first) as early:
                await append(log, 0, records(1))
                await append(log, 1, records(1))
                await follow_until(early, 2)
                assert set(first.taken_partitions) == set(start)
                # Both may share the partitions from here on, but each has one owner.
                waiting = asyncio.create_task(late.next(10))
                await asyncio.wait([waiting], timeout=SHORT_S)
                assert set(second.taken_partitions) <= set(first.given_up_partitions)
            # The first one has left: all partitions are the second one's now.
            assert set(first.given_up_partitions) == set(start)
            seen = {(run.partition, i) for run in await waiting for i in range(len(run.values))}
            async with asyncio.timeout(PATIENCE_S):
                while not {(0, 0), (1, 0)} <= seen:
                    seen |= {(run.partition, 0) for run in await late.next(10)}
            assert set(second.taken_partitions) == set(start)

    async def test_an_error_on_taking_ends_the_reading(self, log: ScanLog) -> None:
        """What `taken` raises comes out of `next`."""

        class Refusing(Starting):
            async def taken(self, partitions: Sequence[int]) -> Mapping[int, int]:
                raise Diverged(f"not {partitions[0]}", reason="TEST")

        async with log.follow(unique("reader").decode(), Refusing({})) as follower:
            with pytest.raises(Diverged, match="not"):
                await _next_runs(follower)

    async def test_a_start_beyond_the_end_is_noticed(self, log: ScanLog) -> None:
        """A log that is shorter than a reader's start raises Diverged."""
        start = {partition: end + 5 for partition, end in (await ends(log)).items()}

        async with log.follow(unique("reader").decode(), Starting(start)) as follower:
            with pytest.raises(Diverged):
                await _next_runs(follower)


async def _next_runs(follower: Follower) -> Sequence[Run]:
    async with asyncio.timeout(PATIENCE_S):
        while not (runs := await follower.next(10)):
            pass
    return runs
