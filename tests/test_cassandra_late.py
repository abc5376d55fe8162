"""Processes that cannot look which generation serves: nobody waits for them, nothing is missed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ledger.backends.cassandra_serving import Looks
from ledger.errors import Busy
from tests.cassandra_stores import (
    QUICK,
    TABLE_2,
    Crash,
    crash_at,
    opened_store,
    own_keyspace,
    run_cql,
)
from tests.contracts.generations_contract import kept, of_key
from tests.contracts.patience import unique
from tests.contracts.store_under_test import everything, row, stored

if TYPE_CHECKING:
    from ledger.backends.cassandra_cluster import CassandraCluster
    from ledger.backends.store_cassandra import CassandraTrailStore
    from ledger.trail_store import Row

__all__ = ["own_keyspace"]  # A fixture, taken by its name.

SLOW = Looks(every_s=0.05, believed_s=3.0, stands_s=3.5)
"""Looks that are believed for longer than what is begun meanwhile takes."""


class Away:
    """A process's looks fail from now on.

    Attributes:
        looks: how many it tried.
    """

    def __init__(self, store: CassandraTrailStore) -> None:
        self.looks = 0
        self._serving = store._serving
        self._look = store._serving._look
        store._serving._look = self._fail  # type: ignore[method-assign]

    def come_back(self) -> None:
        """Let it look again."""
        self._serving._look = self._look  # type: ignore[method-assign]

    async def _fail(self, began_s: float) -> None:
        del began_s
        self.looks += 1
        await asyncio.sleep(0.05)
        raise Busy("The row cannot be read.", reason="TEST_BUSY", retry_after_s=0.05)


async def test_who_cannot_look_stops_in_time(own_keyspace: CassandraCluster) -> None:
    """For a while it goes by its last look; then it neither puts nor reads, until it can look
    again. So nobody has to ask whether it still lives.
    """
    key = unique()
    async with opened_store(own_keyspace, looks=SLOW) as store:
        await store.put([row(key, 1)])
        away = Away(store)
        await asyncio.sleep(SLOW.every_s)
        await store.put([row(key, 2)])
        await asyncio.sleep(SLOW.believed_s)
        for call in (store.put([row(key, 3)]), everything(store, key)):
            with pytest.raises(Busy, match="row cannot be read"):
                await call
        away.come_back()

        assert len(await everything(store, key)) == 2


async def test_those_who_wait_share_one_look(own_keyspace: CassandraCluster) -> None:
    """Where the store is away, a hundred calls at once try once or twice, not one after the
    other.
    """
    key = unique()
    async with opened_store(own_keyspace, looks=QUICK) as store:
        away = Away(store)
        await asyncio.sleep(QUICK.believed_s)
        calls = [everything(store, key) for _ in range(100)]
        answers = await asyncio.gather(*calls, return_exceptions=True)

        assert all(isinstance(answer, Busy) for answer in answers)
        assert away.looks <= 2
        away.come_back()
        assert await everything(store, key) == []


async def test_nobody_puts_to_the_old_one_alone(own_keyspace: CassandraCluster) -> None:
    """When a generation was begun, who does not know of it puts nothing, until it knows."""
    key = unique()
    rows = [row(key, time_ns) for time_ns in range(3)]
    await run_cql(own_keyspace, TABLE_2)
    async with (
        opened_store(own_keyspace, looks=SLOW) as here,
        opened_store(own_keyspace, looks=SLOW) as late,
    ):
        await late.put([])
        away = Away(late)
        begins = asyncio.create_task(here.generations.begin())
        while not (await here.generations.standing()).building:  # noqa: ASYNC110 - nothing tells.
            await asyncio.sleep(0)
        await late.put(rows[:1])
        building = await begins
        with pytest.raises(Busy):
            await late.put(rows[1:2])
        away.come_back()
        await late.put(rows[2:])

        assert await of_key(building.rows, key) == kept(rows[2:])
        assert await everything(here, key) == stored([rows[0], rows[2]])


@pytest.mark.slow
async def test_an_old_one_that_somebody_may_read_gets_everything(
    own_keyspace: CassandraCluster,
) -> None:
    """The process that changed over is killed at once, and another one drops the old generation:
    who still reads there finds all that is put, for as long as it answers at all.
    """
    key, answers = unique(), 0
    rows: list[Row] = []
    async with opened_store(own_keyspace, looks=SLOW) as late:
        async with opened_store(own_keyspace, looks=SLOW) as here:
            building = await here.generations.begin()
            crash_at(here, "change", after=True)
            await late.put([])
            Away(late)
            with pytest.raises(Crash):
                await here.generations.serve(building.generation)
        async with opened_store(own_keyspace, looks=SLOW) as other:
            drops = asyncio.create_task(other.generations.drop(1))
            while not drops.done():
                new = row(key, len(rows))
                await other.put([new])
                rows.append(new)
                try:
                    assert await everything(late, key) == stored(rows)
                    answers += 1
                except Busy:
                    await asyncio.sleep(SLOW.every_s)
            await drops

            assert answers
            assert late.generation == 1
            assert await everything(other, key) == stored(rows)
