"""What every scan log does: the contract in `ledger.scan_log`, sentence by sentence.

A log may be shared and is never assumed to be empty: tests look at its bounds first.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ledger.errors import Closed, Diverged, Refused
from ledger.scan_log import (
    APPEND_BYTES_MAX,
    APPEND_RECORDS_MAX,
    RECORD_BYTES_MAX_OF,
    ScanLog,
)
from ledger.v1.ingest_service_pb2 import Durability
from tests.contracts.follower_contract import FollowerContract
from tests.contracts.patience import (
    Starting,
    append,
    ends,
    records,
    unique,
)


class ScanLogContract(FollowerContract):
    """Appending and reading, and all that followers do."""

    async def test_identity_says_what_it_promises(self, log: ScanLog) -> None:
        """A log has a name, a generation, partitions, and promises something."""
        name, generation, partitions, durability, record_bytes_max = log.identity

        assert record_bytes_max == RECORD_BYTES_MAX_OF[name]
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
        largest = log.identity.record_bytes_max
        values = records(3 * APPEND_BYTES_MAX // largest, largest)
        size = APPEND_BYTES_MAX // largest - 1
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
        assert max(sum(map(len, part)) for part in parts) <= APPEND_BYTES_MAX + largest

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
        largest = log.identity.record_bytes_max
        large = records(APPEND_BYTES_MAX // largest, largest)
        large += records(1, APPEND_BYTES_MAX % largest)
        keys = [b"%04d" % n for n in range(len(large))]
        large[0] = large[0][: -4 * len(large)]

        first = await log.append(0, [b"k"] * len(many), many)
        second = await log.append(0, keys, large)

        assert (await log.read(0, first + APPEND_RECORDS_MAX - 1, 1))[0] == many[-1]
        assert (await log.read(0, second, 1))[0] == large[0]

    @pytest.mark.parametrize(
        ("keys", "sizes"),
        [
            (0, lambda _: []),
            (2, lambda _: [3]),
            (APPEND_RECORDS_MAX + 1, lambda _: [1] * (APPEND_RECORDS_MAX + 1)),
            (1, lambda largest: [largest + 1]),
            (200, lambda _: [APPEND_BYTES_MAX // 200] * 200),
        ],
        ids=["none", "a key too many", "too many", "a record too long", "too long in all"],
    )
    async def test_what_is_over_a_limit_is_refused_whole(
        self, log: ScanLog, keys: int, sizes: Callable[[int], Sequence[int]]
    ) -> None:
        """An append over a limit is refused, and nothing of it is appended."""
        before = await ends(log)
        values = [bytes(size) for size in sizes(log.identity.record_bytes_max)]

        with pytest.raises(Refused):
            await log.append(0, [b"A"] * keys, values)

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
