"""What every follower of a scan log does: the half of the contract that is about reading on."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from ledger.errors import Diverged
from ledger.scan_log import (
    APPEND_BYTES_MAX,
    Follower,
    Run,
    ScanLog,
)
from tests.contracts.log_under_test import LogUnderTest
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

FAR_BEHIND_BYTES = 19 << 20
"""More than any buffer of a log holds."""


class FollowerContract(LogUnderTest):
    """What comes, in order, once, from where the reader says."""

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
        largest = log.identity.record_bytes_max
        values = records(FAR_BEHIND_BYTES // largest, largest)
        step = APPEND_BYTES_MAX // largest - 1

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
