"""What every trail store does: the contract in `ledger.trail_store`, sentence by sentence.

A store may be shared and is never assumed to be empty: keys, readers and logs are a test's own, and
the progress history is continued from where it is.
"""

import asyncio
import os
from pathlib import Path

import pytest

from ledger.errors import Closed, Refused
from ledger.event import order_from_time, order_key
from ledger.trail_store import (
    PUT_ROWS_MAX,
    READ_MANY_KEYS_MAX,
    ProgressCell,
    Row,
    StoredRow,
    TrailStore,
)
from tests.contracts.further_rows_contract import FurtherRowsContract
from tests.contracts.patience import unique
from tests.contracts.progress_contract import ProgressContract, next_entry
from tests.contracts.store_under_test import ALL, everything, mark, row, stored


class TrailStoreContract(FurtherRowsContract, ProgressContract):
    """Rows, and all that is done with marks and the progress history."""

    # --- rows -------------------------------------------------------------------------------------

    async def test_rows_come_back_in_the_order_of_the_trail(self, store: TrailStore) -> None:
        """Rows put in any order are read by their order key."""
        key = unique()
        rows = [row(key, time) for time in (5, 3, 9, 1, 7, 0, (1 << 62) + 1)]

        await store.put(rows)

        assert await everything(store, key) == stored(rows)

    async def test_the_same_again_changes_nothing(self, store: TrailStore) -> None:
        """Rows that are put again, in another order and at once, are there once."""
        key = unique()
        rows = [row(key, time) for time in range(30)]

        await store.put(rows)
        await asyncio.gather(store.put(rows[::-1]), store.put(rows[5:20]), store.put(rows))

        assert await everything(store, key) == stored(rows)

    async def test_copies_at_other_positions_are_rows_of_their_own(self, store: TrailStore) -> None:
        """The same event at two positions makes two rows."""
        key, event_id = unique(), os.urandom(16)
        copies = [
            Row(key, order_key(7, event_id, 1 << 56 | index), b"the same", 7) for index in (4, 9)
        ]

        await store.put(copies)

        assert await everything(store, key) == stored(copies)

    async def test_a_key_without_rows_has_an_empty_trail(self, store: TrailStore) -> None:
        """A key that was never put has no rows, and no more behind them."""
        slice_ = await store.read(unique(), max_rows=10, max_bytes=1000)

        assert list(slice_.rows) == []
        assert not slice_.more

    async def test_keys_do_not_touch_one_another(self, store: TrailStore) -> None:
        """Keys that begin alike, and keys of every length and byte, have their own rows."""
        base = unique()
        keys = [base, base + b"A", base + b"\x01", base + b"\xff", base[:-1]]
        keys += [base.ljust(128, b"\xff"), base.ljust(127, b"\xff"), base + "é".encode()]
        rows = {key: [row(key, time) for time in range(3)] for key in keys}

        await store.put([row for one in rows.values() for row in one])

        for key in keys:
            assert await everything(store, key) == stored(rows[key])

    async def test_a_record_may_be_as_long_as_records_are(self, store: TrailStore) -> None:
        """A row of 16 KiB, and one of a single byte, come back whole."""
        key = unique()
        rows = [row(key, 1, size=16 << 10), row(key, 2, size=1)]

        await store.put(rows)

        assert await everything(store, key) == stored(rows)

    async def test_a_put_may_be_empty(self, store: TrailStore) -> None:
        """Nothing to keep is nothing to refuse."""
        await store.put([])

    async def test_the_largest_put_goes_through(self, store: TrailStore) -> None:
        """A put may have exactly the greatest number of rows; one more is refused."""
        keys = [unique() for _ in range(100)]
        rows = [row(keys[n % 100], n, size=20) for n in range(PUT_ROWS_MAX)]

        await store.put(rows)

        assert await everything(store, keys[7]) == stored(rows[7::100])
        with pytest.raises(Refused):
            await store.put([*rows, row(keys[0], 0)])

    @pytest.mark.parametrize("descending", [False, True])
    async def test_a_slice_has_its_start_and_not_its_stop(
        self, store: TrailStore, descending: bool
    ) -> None:
        """`start` is included, `stop` is not; both may be times, whole keys, or in between."""
        key = unique()
        rows = [row(key, time) for time in range(10, 20)]
        await store.put(rows)
        trail = stored(rows)
        middle = trail[5].order
        bounds = [
            (b"", None),
            (order_from_time(12), None),
            (b"", order_from_time(17)),
            (order_from_time(12), order_from_time(17)),
            (order_from_time(12), order_from_time(12)),
            (order_from_time(17), order_from_time(12)),
            (middle, None),
            (b"", middle),
            (middle, middle + b"\0"),
            (middle + b"\0", None),
            (middle[:20], trail[8].order[:11]),
            (b"\xff", None),
            (b"", b""),
            (b"", b"\xff" * 32),
        ]

        for start, stop in bounds:
            slice_ = await store.read(
                key, start=start, stop=stop, descending=descending, max_rows=ALL, max_bytes=ALL
            )

            wanted = [r for r in trail if start <= r.order and (stop is None or r.order < stop)]
            assert list(slice_.rows) == (wanted[::-1] if descending else wanted), (start, stop)
            assert not slice_.more

    @pytest.mark.parametrize("page", [1, 3, 10, 11])
    async def test_pages_make_up_the_trail(self, store: TrailStore, page: int) -> None:
        """Reading on behind the last row, either way, gives every row once; `more` never lies by
        saying no.
        """
        key = unique()
        rows = [row(key, time // 2) for time in range(10)]
        await store.put(rows)
        up: list[StoredRow] = []
        down: list[StoredRow] = []

        more = True
        while more:
            start = up[-1].order + b"\0" if up else b""
            slice_ = await store.read(key, start=start, max_rows=page, max_bytes=ALL)
            assert len(slice_.rows) <= page
            up += slice_.rows
            more = slice_.more
        more = True
        while more:
            stop = down[-1].order if down else None
            slice_ = await store.read(key, stop=stop, descending=True, max_rows=page, max_bytes=ALL)
            down += slice_.rows
            more = slice_.more

        assert up == stored(rows)
        assert down == stored(rows)[::-1]

    async def test_a_read_ends_with_the_row_that_is_too_much(self, store: TrailStore) -> None:
        """A read ends after the row with which the records together pass the limit."""
        key = unique()
        rows = [row(key, time, size=100) for time in range(10)]
        await store.put(rows)

        by_limit = {
            limit: await store.read(key, max_rows=ALL, max_bytes=limit)
            for limit in (1, 100, 101, 350, 999, 1_001)
        }

        counts = {limit: len(slice_.rows) for limit, slice_ in by_limit.items()}
        assert counts[1] == 1
        assert counts[100] in {1, 2}, "exactly full may count as full"
        assert counts[101] == 2
        assert counts[350] == 4
        assert counts[999] == 10
        assert counts[1_001] == 10
        assert by_limit[350].more
        assert not by_limit[1_001].more

    async def test_a_long_trail_is_read_whole(self, store: TrailStore) -> None:
        """A trail of thousands of rows comes in one slice where the limits allow it."""
        key = unique()
        rows = [row(key, time // 3, size=300) for time in range(6_000)]
        await store.put(rows)

        assert await everything(store, key) == stored(rows)

    async def test_many_keys_are_read_at_once(self, store: TrailStore) -> None:
        """Each key gets its slice, in the order of the keys, also twice, also empty."""
        keys = [unique() for _ in range(READ_MANY_KEYS_MAX)]
        rows = [row(key, time) for key in keys[::3] for time in range(4)]
        await store.put(rows)
        asked = [*keys[:-1], keys[0]]

        slices = await store.read_many(asked, max_rows=3, max_bytes=ALL)

        assert len(slices) == len(asked)
        for key, slice_ in zip(asked, slices, strict=True):
            trail = stored([row for row in rows if row.tracking_key == key])
            assert list(slice_.rows) == trail[:3]
            assert slice_.more or len(trail) < 4
        assert list(await store.read_many([], max_rows=1, max_bytes=1)) == []
        with pytest.raises(Refused):
            await store.read_many([*keys, keys[0]], max_rows=1, max_bytes=1)

    async def test_reads_and_puts_run_at_once(self, store: TrailStore) -> None:
        """While rows are put, a read gives a part of the trail in its order, and never loses one
        that was there before.
        """
        key = unique()
        rows = [row(key, time) for time in range(3_000)]
        await store.put(rows[:1_000])
        before = set(stored(rows[:1_000]))
        putting = asyncio.create_task(store.put(rows[1_000:]))
        while not putting.done():
            seen = await everything(store, key)

            assert seen == sorted(seen)
            assert before <= set(seen)
            before = set(seen)
        await putting

        assert await everything(store, key) == stored(rows)

    # --- marks ------------------------------------------------------------------------------------

    async def test_a_store_says_when_rows_are_there_for_good(self, store: TrailStore) -> None:
        """A store has a generation, and a time after which rows are settled."""
        assert store.generation >= 1
        assert 0 < store.settle_after_s <= 60

    async def test_while_nothing_ends_the_lives_are_the_same(self, store: TrailStore) -> None:
        """A store whose processes all go on says so, again and again."""
        lives = await store.lives()
        await store.put([row(unique(), 1)])

        assert await store.lives() == lives
        assert all(lives.values())

    async def test_a_store_outlives_its_closing(self, tmp_path: Path) -> None:
        """Rows, marks and the history are there when the store is opened again."""
        key, reader = unique(), unique("reader").decode()
        rows = [row(key, time) for time in range(10)]
        async with self.open_store(tmp_path) as store:
            entry = await next_entry(store)
            await store.put(rows)
            await store.put_marks(reader, [mark("scans", 4)])
            assert await store.decide_progress(entry)
        async with self.open_store(tmp_path) as store:
            assert await everything(store, key) == stored(rows)
            assert list(await store.marks(reader)) == [mark("scans", 4)]
            assert await store.progress_at(entry.time_ns) == entry
            await store.put_marks(reader, [mark("scans", 3)])
            assert list(await store.marks(reader)) == [mark("scans", 4)]

    async def test_a_closed_store_says_so(self, tmp_path: Path) -> None:
        """Every method of a closed store raises Closed."""
        async with self.open_store(tmp_path) as store:
            pass

        for call in (
            store.lives(),
            store.put([row(unique(), 1)]),
            store.read(unique(), max_rows=1, max_bytes=1),
            store.read_many([unique()], max_rows=1, max_bytes=1),
            store.put_marks("reader", [mark("scans", 1)]),
            store.marks("reader"),
            store.decide_progress(ProgressCell(1, 1, b"")),
            store.progress_at(),
        ):
            with pytest.raises(Closed):
                await call
