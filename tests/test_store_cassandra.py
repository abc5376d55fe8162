"""The store in Cassandra beyond the contract: limits, refusals, and calls that end early."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ledger.app.engines import Cassandra
from ledger.backends.cassandra_reading import CHUNK_ROWS_MAX, FIRST_ROWS, MANY_ROWS
from ledger.backends.cassandra_session import REQUESTS_MAX
from ledger.backends.store_cassandra import CassandraTrailStore
from ledger.errors import Closed, Refused
from ledger.trail_store import TrailStore
from tests.cassandra_stores import opened_store, shared_cluster
from tests.contracts.patience import unique
from tests.contracts.store_under_test import ALL, everything, mark, row, stored


@pytest.fixture
async def store(one_cassandra: Cassandra) -> AsyncIterator[TrailStore]:
    """A store in the keyspace that all share."""
    async with opened_store(shared_cluster(one_cassandra)) as store:
        yield store


async def test_the_guilty_row_is_named(store: TrailStore) -> None:
    """A row that the server never takes is found among others and named; the others are kept
    without it.
    """
    key = unique()
    rows = [row(key, time) for time in range(300)]
    guilty = row(b"K" * 70_000, 7)

    with pytest.raises(Refused) as refused:
        await store.put([*rows[:200], guilty, *rows[200:]])

    assert refused.value.reason == "ROW_REFUSED"
    assert refused.value.metadata["order"] == guilty.order.hex()
    assert "length of 70000" in refused.value.message
    await store.put(rows)
    assert await everything(store, key) == stored(rows)


async def test_a_batch_that_is_too_large_is_halved(store: TrailStore) -> None:
    """Where the server takes less than it said, its refusals cost time and no rows."""
    keys = [unique() for _ in range(40)]
    rows = [row(keys[n % 40], n, size=1_000) for n in range(400)]
    assert isinstance(store, CassandraTrailStore)
    store._nodes.batch_bytes = 10 << 20

    await store.put(rows)

    for number in (0, 17, 39):
        assert await everything(store, keys[number]) == stored(rows[number::40])


async def test_the_largest_records_are_put_together(store: TrailStore) -> None:
    """Records of every size up to the largest share a put, whose batches stay small enough."""
    keys = [unique() for _ in range(20)]
    rows = [row(keys[n % 20], n, size=(16 << 10) >> (n % 9)) for n in range(600)]

    await store.put(rows)

    slices = await store.read_many(keys, max_rows=ALL, max_bytes=ALL)
    for number, slice_ in enumerate(slices):
        assert list(slice_.rows) == stored(rows[number::20])


@pytest.mark.parametrize("size", [FIRST_ROWS, FIRST_ROWS + CHUNK_ROWS_MAX, MANY_ROWS])
async def test_a_trail_ends_where_a_chunk_does(store: TrailStore, size: int) -> None:
    """A trail just as long as what is read at once is whole, with one row less and more too."""
    for length in (size - 1, size, size + 1):
        key = unique()
        rows = [row(key, time, size=10) for time in range(length)]
        await store.put(rows)
        trail = stored(rows)

        for most in (length - 1, length, length + 1, ALL):
            up = await store.read(key, max_rows=most, max_bytes=ALL)
            down = await store.read(key, descending=True, max_rows=most, max_bytes=ALL)
            [first] = await store.read_many([key], max_rows=most, max_bytes=ALL)

            assert list(up.rows) == list(first.rows) == trail[:most]
            assert list(down.rows) == trail[::-1][:most]
            assert up.more is down.more is first.more is (most < length)


async def test_a_trail_that_becomes_large_is_cut_at_its_limit(store: TrailStore) -> None:
    """Small records and then large ones: the limit in bytes ends the read with the right row."""
    key = unique()
    rows = [row(key, time, size=10 if time < 300 else 16_000) for time in range(400)]
    await store.put(rows)

    slice_ = await store.read(key, max_rows=ALL, max_bytes=100_000)

    assert list(slice_.rows) == stored(rows)[:307]  # 3,000 bytes, and 6.06 times 16,000.
    assert slice_.more


async def test_calls_may_be_given_up(store: TrailStore) -> None:
    """Far more calls than may run at once are given up, and the store goes on as before."""
    key = unique()
    rows = [row(key, time) for time in range(2_000)]
    calls: list[asyncio.Task[Any]] = [
        asyncio.create_task(store.read(key, max_rows=ALL, max_bytes=ALL))
        for _ in range(3 * REQUESTS_MAX)
    ]
    calls += [asyncio.create_task(store.put(rows)) for _ in range(5)]
    await asyncio.sleep(0.05)

    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    await store.put(rows)
    assert await everything(store, key) == stored(rows)


async def test_a_store_is_closed_while_it_is_used(one_cassandra: Cassandra) -> None:
    """What is on its way when a store is closed ends: as it would have, or with Closed."""
    key = unique()
    async with opened_store(shared_cluster(one_cassandra)) as store:
        rows = [row(key, time) for time in range(5_000)]
        calls = [asyncio.create_task(store.put(rows[n::50])) for n in range(50)]
        await asyncio.sleep(0.02)

    ended = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(one) for one in ended} <= {type(None), Closed}
    async with opened_store(shared_cluster(one_cassandra)) as store:
        kept = set(await everything(store, key))
    for number, one in enumerate(ended):
        if one is None:
            assert kept >= set(stored(rows[number::50]))


async def test_a_process_may_end_in_the_middle(one_cassandra: Cassandra) -> None:
    """Who gives up while much is on its way ends in order, and leaves no warning behind."""

    async def stopped() -> None:
        async with opened_store(shared_cluster(one_cassandra)) as store:
            rows = [row(unique(), time) for time in range(3_000)]
            async with asyncio.timeout(0.05):
                await asyncio.gather(*(store.put(rows) for _ in range(20)))

    def run() -> None:
        with pytest.raises(TimeoutError):
            asyncio.run(stopped())

    for _ in range(3):
        await asyncio.to_thread(run)


async def test_many_marks_are_put_at_once(store: TrailStore) -> None:
    """More marks than a writer ever has go through, also twice and backwards."""
    reader, log = unique("reader").decode(), unique("log").decode()
    marks = [mark(log, 9, partition=number) for number in range(1_200)]

    await store.put_marks(reader, marks)
    await store.put_marks(reader, [one._replace(next_index=4, mark=b"old") for one in marks[::-1]])

    assert sorted(await store.marks(reader), key=lambda cell: cell.partition) == marks


async def test_keys_and_records_are_any_bytes(store: TrailStore) -> None:
    """Keys that are no text, and records that are empty, come back as they were."""
    rows = [row(os.urandom(16) + bytes([n]), 1, size=0) for n in range(256)]

    await store.put(rows)

    slices = await store.read_many([one.tracking_key for one in rows], max_rows=5, max_bytes=5)
    assert [list(slice_.rows) for slice_ in slices] == [stored([one]) for one in rows]
