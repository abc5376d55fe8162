"""A node of Cassandra is killed with -9: what the store says while it is away, what the node has
forgotten when it is back, and how one finds out.
"""

import asyncio
import time
from collections.abc import Iterator

import pytest

from ledger.app.engines import Cassandra, CassandraOptions
from ledger.backends.cassandra_cluster import CassandraCluster
from ledger.backends.cassandra_nodes import SETTLE_AT_LEAST_S
from ledger.errors import Busy, LedgerError, Uncertain
from ledger.insist import insist
from ledger.trail_store import Row, TrailStore
from tests.cassandra_stores import opened_store, shared_cluster
from tests.contracts.patience import unique
from tests.contracts.store_under_test import everything, mark, row, stored
from tests.engines import running

pytestmark = pytest.mark.engines

SYNC_S = 5
"""How often the node syncs its commit log: long, so that what is younger can be killed."""

AWAY_S = 120.0
"""Longest time for a node to come back, on a machine that does more."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cassandra]:
    """A node that nobody else uses."""
    options = CassandraOptions(entries={"commitlog_sync_period": f"{SYNC_S}s"})
    with running(Cassandra(tmp_path_factory.mktemp("cassandra"), options=options)) as cassandra:
        yield cassandra


@pytest.fixture
def cluster(node: Cassandra) -> CassandraCluster:
    """Its keyspace."""
    return shared_cluster(node)


async def back(node: Cassandra, store: TrailStore) -> None:
    """Start the node, and wait until the store answers."""
    await asyncio.to_thread(node.nodes[0].start)
    async with asyncio.timeout(AWAY_S):
        await insist(lambda: store.marks("nobody"))
        await insist(store.lives)


async def test_each_node_says_when_rows_are_there_for_good(cluster: CassandraCluster) -> None:
    """Settled is twice the node's own period, and not what the settings say of those that are
    silent.
    """
    assert 2 * SYNC_S > SETTLE_AT_LEAST_S

    async with opened_store(cluster) as store:
        assert store.settle_after_s == 2 * SYNC_S


async def test_a_node_is_killed_under_puts(cluster: CassandraCluster, node: Cassandra) -> None:
    """While the node is away every call says Busy or Uncertain, soon; when it is back the same
    store goes on; what was put again is there, and so is what was settled before.
    """
    keys = [unique() for _ in range(8)]
    put: list[Row] = []
    errors: list[LedgerError] = []
    longest_s = 0.0
    ends = asyncio.Event()

    async def put_on(key: bytes, store: TrailStore) -> None:
        nonlocal longest_s
        while not ends.is_set():
            rows = [row(key, len(put) + n) for n in range(20)]
            began_s = time.monotonic()
            try:
                await store.put(rows)
                await store.put_marks("killed", [mark("scans", len(put) + 1)])
                put.extend(rows)
            except (Busy, Uncertain) as error:
                errors.append(error)
                put.extend(rows)
            longest_s = max(longest_s, time.monotonic() - began_s)
            await asyncio.sleep(0.02)

    async with opened_store(cluster) as store, asyncio.TaskGroup() as tasks:
        before = await store.lives()
        for key in keys:
            tasks.create_task(put_on(key, store))
        await asyncio.sleep(1)
        node.nodes[0].pause()
        await asyncio.sleep(0.3)  # By now every caller has a request there.
        node.nodes[0].kill()
        await asyncio.sleep(1)
        assert await insist(store.lives) == {}
        await back(node, store)
        await asyncio.sleep(0.5)
        ends.set()
        after = await insist(store.lives)
        for start in range(0, len(put), 5_000):
            again = put[start : start + 5_000]
            await insist(lambda again=again: store.put(again))  # type: ignore[misc]

        assert {type(error) for error in errors} == {Busy, Uncertain}
        assert longest_s < 10
        assert before.keys() == after.keys()
        assert before != after
        for key in keys:
            assert await everything(store, key) == stored([r for r in put if r.tracking_key == key])


async def test_what_is_younger_than_settled_may_be_forgotten(
    cluster: CassandraCluster, node: Cassandra
) -> None:
    """Rows, marks and entries that were kept when the node was killed may be gone when it is back;
    what was settled by then is there. So `settle_after_s` is needed, and is enough.
    """
    old = row(unique(), 1)
    async with opened_store(cluster) as store:
        await insist(lambda: store.put([old]))
        await asyncio.sleep(store.settle_after_s)
        # A sync may come between put and kill, more often on a busy machine: then others are tried.
        for number in range(1, 4):
            key, reader = unique(), unique("reader").decode()
            young, marks = [row(key, number)], [mark("scans", number)]
            lives = await insist(store.lives)
            await insist(lambda young=young: store.put(young))  # type: ignore[misc]
            await insist(lambda marks=marks, reader=reader: store.put_marks(reader, marks))  # type: ignore[misc]
            assert len(await everything(store, key)) == 1
            node.nodes[0].kill()
            await back(node, store)

            assert await insist(store.lives) != lives
            assert await everything(store, old.tracking_key) == stored([old])
            if not await everything(store, key):
                assert await store.marks(reader) == []
                return
    pytest.fail("three times a sync came just in time")
