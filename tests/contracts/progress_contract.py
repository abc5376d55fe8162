"""What every trail store does with marks and with the progress history."""

import asyncio
import os
from itertools import pairwise

from ledger.trail_store import (
    MarkKind,
    ProgressCell,
    TrailStore,
)
from tests.contracts.patience import unique
from tests.contracts.store_under_test import DAY_NS, StoreUnderTest, mark


class ProgressContract(StoreUnderTest):
    """Marks only grow, and an entry of the history is decided once."""

    async def test_the_larger_mark_stands(self, store: TrailStore) -> None:
        """Of two marks of one place the larger index stands, whichever comes last."""
        reader, log = unique("reader").decode(), unique("log").decode()

        for index in (10, 30, 20, 30):
            await store.put_marks(reader, [mark(log, index)])
        await store.put_marks(reader, [mark(log, 5), mark(log, 40), mark(log, 8)])

        assert list(await store.marks(reader)) == [mark(log, 40)]

    async def test_marks_of_other_places_stand_side_by_side(self, store: TrailStore) -> None:
        """Kinds, logs, generations, partitions and readers each have their own mark."""
        reader, other = unique("reader").decode(), unique("reader").decode()
        log = unique("log").decode()
        marks = [
            mark(log, 9),
            mark(log, 4, kind=MarkKind.SETTLED),
            mark(log, 7, partition=4),
            mark(log, 2)._replace(generation=2),
            mark(unique("log").decode(), 1),
        ]

        await store.put_marks(reader, marks)
        await store.put_marks(other, [mark(log, 1)])

        assert sorted(await store.marks(reader), key=str) == sorted(marks, key=str)
        assert list(await store.marks(other)) == [mark(log, 1)]

    async def test_a_reader_without_marks_has_none(self, store: TrailStore) -> None:
        """A name that was never used has no marks."""
        assert list(await store.marks(unique("reader").decode())) == []

    # --- the progress history ---------------------------------------------------------------------

    async def test_an_entry_is_decided_once(self, store: TrailStore) -> None:
        """The same entry is true again, another one under its number is false, and the first
        stands.
        """
        entry = await next_entry(store)

        assert await store.decide_progress(entry)
        assert await store.decide_progress(entry)
        assert not await store.decide_progress(entry._replace(entry=b"other"))
        assert not await store.decide_progress(entry._replace(time_ns=entry.time_ns + 1))
        assert await store.progress_at() == entry

    async def test_of_many_at_once_one_is_decided(self, store: TrailStore) -> None:
        """Of different entries for one number exactly one is decided, and that one stands."""
        entry = await next_entry(store)
        tries = [entry._replace(entry=b"try %d" % n, time_ns=entry.time_ns + n) for n in range(12)]

        decided = await asyncio.gather(*(store.decide_progress(one) for one in tries))

        assert sum(decided) == 1
        assert await store.progress_at() == tries[decided.index(True)]

    async def test_numbers_have_no_gaps_and_times_only_grow(self, store: TrailStore) -> None:
        """An entry without the one before, or not later than it, is not decided."""
        entry = await next_entry(store)
        assert await store.decide_progress(entry)

        follower = entry._replace(number=entry.number + 1, time_ns=entry.time_ns + 1)
        assert not await store.decide_progress(follower._replace(number=entry.number + 2))
        assert not await store.decide_progress(follower._replace(time_ns=entry.time_ns))
        assert not await store.decide_progress(follower._replace(time_ns=entry.time_ns - 1))
        assert await store.progress_at() == entry
        assert await store.decide_progress(follower)

    async def test_the_entry_of_a_time_is_found(self, store: TrailStore) -> None:
        """The last entry at or before a time is found, over seconds, days and months of nothing."""
        entries = [await next_entry(store)]
        steps = [1, 1_000_000_000, 59 * 1_000_000_000, DAY_NS, 2 * DAY_NS + 5, 70 * DAY_NS, 1]
        for step in steps:
            last = entries[-1]
            entries.append(ProgressCell(last.number + 1, last.time_ns + step, os.urandom(40)))
        for entry in entries:
            assert await store.decide_progress(entry)

        for entry, follower in pairwise(entries):
            assert await store.progress_at(entry.time_ns) == entry
            assert await store.progress_at(follower.time_ns - 1) == entry
            middle = (entry.time_ns + follower.time_ns) // 2
            assert await store.progress_at(middle) == entry
        assert await store.progress_at(entries[-1].time_ns + 400 * DAY_NS) == entries[-1]
        assert await store.progress_at() == entries[-1]

    async def test_before_the_first_entry_there_is_none(self, store: TrailStore) -> None:
        """A time before all entries has no entry."""
        await store.decide_progress(await next_entry(store))

        assert await store.progress_at(0) is None

    # --- its life ---------------------------------------------------------------------------------


async def next_entry(store: TrailStore) -> ProgressCell:
    """An entry that can be decided now."""
    last = await store.progress_at()
    time_ns = last.time_ns + 1_000_000_000 if last else 1_700_000_000 * 1_000_000_000
    return ProgressCell(last.number + 1 if last else 1, time_ns, os.urandom(40))
