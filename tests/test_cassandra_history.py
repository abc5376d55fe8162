"""The progress history in Cassandra: over buckets, without its hints, by several deciders at once,
and nothing of it shown before it is there for good.
"""

import asyncio
import os
import time

import pytest

from ledger.app.engines import Cassandra
from ledger.backends import cassandra_history
from ledger.backends.cassandra_cluster import CassandraCluster
from ledger.backends.cassandra_schema import create_schema
from ledger.backends.store_cassandra import CassandraTrailStore
from ledger.trail_store import ProgressCell, TrailStore
from tests.cassandra_stores import FAR_NS, cluster_of, opened_store, run_cql

BUCKET = 4
FIRST_NS = 1_700_000_000 * 1_000_000_000
HOUR_NS = 3_600 * 1_000_000_000


@pytest.fixture
async def cluster(one_cassandra: Cassandra, monkeypatch: pytest.MonkeyPatch) -> CassandraCluster:
    """A keyspace without a history, whose buckets are small."""
    monkeypatch.setattr(cassandra_history, "BUCKET_ENTRIES", BUCKET)
    cluster = cluster_of(one_cassandra)
    await create_schema(cluster, generation=1)
    return cluster


def entry(number: int) -> ProgressCell:
    """The entry of a number: five hours later than the one before, with a gap of months."""
    time_ns = FIRST_NS + number * 5 * HOUR_NS + (number > 20) * 2_000 * HOUR_NS
    return ProgressCell(number, time_ns, b"entry %d" % number)


async def test_a_history_is_found_over_buckets(cluster: CassandraCluster) -> None:
    """From nothing to many buckets: the last entry, and that of each time, with hints and without,
    by who decided them and by who only looks.
    """
    async with opened_store(cluster) as store:
        assert await store.progress_at() is None
        assert await store.progress_at(FAR_NS) is None
        for number in range(1, 40):
            assert await store.decide_progress(entry(number))
            assert await store.progress_at() == entry(number)
            if number % 8 == 3:
                async with opened_store(cluster) as other:
                    assert await other.progress_at() == entry(number)
        await times_are_found(store)
        await run_cql(cluster, "TRUNCATE $keyspace.progress_times_s1")
        await times_are_found(store)
        for number, by in ((5, -3), (9, 4), (14, 900), (30, 1)):
            await run_cql(
                cluster,
                "INSERT INTO $keyspace.progress_times_s1 (day, time_ns, number) "
                "VALUES ($day, $time_ns, $wrong)",
                day=entry(number).time_ns // (24 * HOUR_NS),
                time_ns=entry(number).time_ns,
                wrong=number + by,
            )
        await times_are_found(store)


async def times_are_found(store: TrailStore) -> None:
    """The entry of each moment between the first and the last of 39."""
    assert await store.progress_at(entry(1).time_ns - 1) is None
    assert await store.progress_at(-1) is None
    for number in range(1, 39):
        here, there = entry(number).time_ns, entry(number + 1).time_ns
        for time_ns in (here, (here + there) // 2, there - 1):
            assert await store.progress_at(time_ns) == entry(number)
    assert await store.progress_at(FAR_NS) == entry(39)


async def test_several_deciders_make_one_history(cluster: CassandraCluster) -> None:
    """Two stores with clocks of their own try again and again: each number has one entry, their
    times grow, and who was told that an entry is its own finds it there.
    """
    won: list[ProgressCell] = []

    async def decide(store: TrailStore, ahead_ns: int) -> None:
        for _ in range(30):
            last = await store.progress_at()
            number = last.number + 1 if last else 1
            cell = ProgressCell(number, time.time_ns() + ahead_ns, os.urandom(3_000))
            if await store.decide_progress(cell):
                won.append(cell)

    async with opened_store(cluster) as one, opened_store(cluster) as two:
        await asyncio.gather(decide(one, 0), decide(two, 0), decide(one, 5_000_000))

        assert len(won) > 20
        assert [cell.number for cell in sorted(won)] == list(range(1, len(won) + 1))
        assert [cell.time_ns for cell in sorted(won)] == sorted(cell.time_ns for cell in won)
        for cell in won:
            assert await two.progress_at(cell.time_ns) == cell
        last = max(won)
        assert await two.progress_at() == last
        assert not await one.decide_progress(last._replace(entry=b"another"))
        assert not await one.decide_progress(won[0]._replace(number=0))


async def test_what_is_young_is_not_shown(cluster: CassandraCluster) -> None:
    """An entry is shown by its time only when it was decided long enough ago: neither before, nor
    because its time, taken by a process that paused, is old.
    """
    now_ns = time.time_ns()
    entries = [ProgressCell(n, now_ns + (n - 9) * HOUR_NS, b"%d" % n) for n in range(1, 9)]
    async with opened_store(cluster, now_ns=time.time_ns) as store:
        for cell in entries:
            assert await store.decide_progress(cell)

        assert await store.progress_at() == entries[-1]
        assert await store.progress_at(now_ns) is None
        assert await store.progress_at(entries[3].time_ns) is None
        settle_ns = int(store.settle_after_s * 1e9)

    later = ProgressCell(9, now_ns + HOUR_NS, b"9")
    async with opened_store(cluster, now_ns=lambda: time.time_ns() + settle_ns) as store:
        assert await store.progress_at(now_ns) == entries[-1]
        assert await store.progress_at(entries[3].time_ns) == entries[3]
        assert await store.decide_progress(later)
        assert await store.progress_at() == later
        assert await store.progress_at(FAR_NS) == entries[-1], "its time is in the future"


async def test_entries_that_a_node_forgot_are_decided_again(cluster: CassandraCluster) -> None:
    """Where the last entries are gone, also a whole bucket of them, a store that knew them finds
    the new end, and goes on from there.
    """
    async with opened_store(cluster) as store:
        assert isinstance(store, CassandraTrailStore)
        for number in range(1, 11):
            await store.decide_progress(entry(number))
        for number in (7, 8, 9, 10):
            await run_cql(
                cluster,
                "DELETE FROM $keyspace.progress_s1 WHERE bucket = $bucket AND number = $number "
                "IF EXISTS",
                bucket=number // BUCKET,
                number=number,
            )

        assert await store.progress_at() == entry(6)
        assert await store.progress_at(entry(9).time_ns) == entry(6)
        assert not await store.decide_progress(entry(8))
        assert await store.decide_progress(entry(7)._replace(entry=b"anew"))
        assert await store.progress_at() == entry(7)._replace(entry=b"anew")
