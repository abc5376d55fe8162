"""Three nodes of Cassandra, of which one is killed or hangs: the others answer in its place."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ledger.app.engines import Cassandra
from ledger.backends import cassandra_connect
from ledger.backends.cassandra_connect import ANOTHER_NODE_AFTER_S, REQUEST_TIMEOUT_S
from ledger.backends.cassandra_schema import create_schema
from ledger.backends.store_cassandra import CassandraTrailStore
from ledger.errors import Busy, NotPossibleNow, Uncertain
from ledger.generations import Building
from ledger.insist import insist
from ledger.trail_store import ProgressCell, Row, TrailStore
from tests.cassandra_stores import cluster_of, opened_store, shared_cluster
from tests.contracts.patience import unique
from tests.contracts.store_under_test import everything, mark, row, stored

PACE_S = 0.03
"""Between the calls of one caller: the test is about nodes that go, and not about load."""


class Callers:
    """Call a store again and again. An error of any call is an error of the test."""

    def __init__(self, store: TrailStore) -> None:
        self.store = store
        self.put: dict[bytes, list[Row]] = {unique(): [] for _ in range(6)}
        self.longest_s = 0.0
        self.calls = 0

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """Begin, and end."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._put(key)) for key in self.put]
            running += [tasks.create_task(self._read(key)) for key in self.put]
            running += [tasks.create_task(self._mark())]
            yield
            for one in running:
                one.cancel()

    async def all_is_there(self) -> bool:
        """Whether every row is there whose put returned."""
        trails = {key: set(await everything(self.store, key)) for key in self.put}
        return all(trails[key] >= set(stored(rows)) for key, rows in self.put.items())

    async def _put(self, key: bytes) -> None:
        while True:
            rows = [row(key, len(self.put[key]) + n) for n in range(10)]
            await self._timed(lambda rows=rows: self.store.put(rows))  # type: ignore[misc]
            self.put[key] += rows

    async def _read(self, key: bytes) -> None:
        others = list(self.put)
        while True:
            await self._timed(lambda: self.store.read(key, max_rows=50, max_bytes=1 << 20))
            await self._timed(lambda: self.store.read_many(others, max_rows=5, max_bytes=1 << 20))

    async def _mark(self) -> None:
        while True:
            marks = [mark("scans", self.calls)]
            await self._timed(lambda marks=marks: self.store.put_marks("three", marks))  # type: ignore[misc]
            await self._timed(lambda: self.store.marks("three"))

    async def _timed(self, call: Callable[[], Coroutine[Any, Any, object]]) -> None:
        began_s = time.monotonic()
        await call()
        self.longest_s = max(self.longest_s, time.monotonic() - began_s)
        self.calls += 1
        await asyncio.sleep(PACE_S)


async def test_a_node_of_three_is_killed_and_nobody_notices(three_cassandra: Cassandra) -> None:
    """No call fails while a node is killed and comes back; its life ends and another begins."""
    victim = three_cassandra.nodes[2]
    unknown_s = shared_cluster(three_cassandra).commitlog_sync_s
    async with opened_store(shared_cluster(three_cassandra)) as store:
        callers = Callers(store)
        before = await insist(store.lives)
        async with callers.calling():
            await asyncio.sleep(1)
            victim.kill()
            await asyncio.sleep(2)
            without = await insist(store.lives)
            async with opened_store(shared_cluster(three_cassandra)) as later:
                assert later.settle_after_s == 2 * unknown_s, "who is away may be slow to sync"
                await asyncio.to_thread(victim.start)
                await asyncio.sleep(2)
                after = await lives_of(later, 3)
                assert later.settle_after_s == store.settle_after_s < 2 * unknown_s
        assert await lives_of(store, 3) == after

        assert await callers.all_is_there()
        assert callers.calls > 100
        assert len(before) == len(after) == 3
        assert without.items() < before.items()
        assert len(without) == 2
        [changed] = [name for name in after if after[name] != before[name]]
        assert changed not in without
        assert await store.progress_at() is None


async def test_a_node_of_three_hangs_and_nobody_waits_for_it(three_cassandra: Cassandra) -> None:
    """While a node takes requests and answers none, calls take half a second longer at first, and
    do not fail; decisions may be unsure, and are made.
    """
    victim = three_cassandra.nodes[1]
    async with opened_store(shared_cluster(three_cassandra)) as store:
        callers = Callers(store)
        began_s = time.monotonic()
        async with callers.calling():
            await asyncio.sleep(1)
            victim.pause()
            try:
                await asyncio.sleep(4)
                last = await store.progress_at()
                number = last.number + 1 if last else 1
                cells = [ProgressCell(number + n, time.time_ns() + n, b"%d" % n) for n in range(6)]
                for cell in cells:
                    assert await insist(lambda cell=cell: store.decide_progress(cell))  # type: ignore[misc]
                assert await store.progress_at() == cells[-1]
                assert len(await lives_of(store, 2)) == 2
            finally:
                victim.resume()
        assert len(await lives_of(store, 3)) == 3

        assert await callers.all_is_there()
        assert callers.calls > 100
        assert callers.longest_s < ANOTHER_NODE_AFTER_S + REQUEST_TIMEOUT_S
        assert time.monotonic() - began_s < 120


async def test_two_nodes_may_answer_one_call(
    three_cassandra: Cassandra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every request goes to a second node at once, each call has one answer, and the store
    closes.
    """
    monkeypatch.setattr(cassandra_connect, "ANOTHER_NODE_AFTER_S", 0.0005)
    async with asyncio.timeout(60), opened_store(shared_cluster(three_cassandra)) as store:
        callers = Callers(store)
        async with callers.calling():
            await asyncio.sleep(2)

        assert await callers.all_is_there()
        assert callers.calls > 50


async def test_a_node_of_three_is_killed_while_a_store_is_rebuilt(
    three_cassandra: Cassandra,
) -> None:
    """A generation is begun only while all nodes are there, so that one that comes back knows its
    table; then a node may go: no call fails, and what was put is in the new generation.
    """
    victim = three_cassandra.nodes[2]
    cluster = cluster_of(three_cassandra)
    await create_schema(cluster, generation=1)
    async with opened_store(cluster) as store, opened_store(cluster) as other:
        victim.kill()
        try:
            await lives_of(store, 2)
            with pytest.raises(NotPossibleNow) as refused:
                await store.generations.begin()
            await asyncio.to_thread(victim.start)
            await lives_of(store, 3)
            building = await begun(store)
            callers = Callers(other)
            async with callers.calling():
                await asyncio.sleep(1)
                victim.kill()
                await insist(lambda: store.generations.serve(building.generation))
                await store.generations.drop(1)
                await asyncio.to_thread(victim.start)
                await lives_of(store, 3)
                await asyncio.sleep(2)
        finally:
            await asyncio.to_thread(victim.start)

        assert refused.value.reason == "STORE_NODE_AWAY"
        assert other.generation == building.generation == 2
        assert await callers.all_is_there()
        assert callers.calls > 100


async def begun(store: CassandraTrailStore) -> Building:
    """A generation, once all nodes agree on what tables there are."""
    async with asyncio.timeout(90):
        while True:
            try:
                return await store.generations.begin()
            except NotPossibleNow:
                await asyncio.sleep(0.5)


async def lives_of(store: TrailStore, count: int) -> dict[str, str]:
    """The lives, once so many nodes are there."""
    async with asyncio.timeout(90):
        while True:
            try:
                if len(lives := dict(await store.lives())) == count:
                    return lives
            except (Busy, Uncertain):
                pass
            await asyncio.sleep(0.2)
