"""Several processes and one store that is rebuilt: whoever learns of it late is right all the same,
and what a crash leaves is gone on with.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from ledger.backends.cassandra_schema import check_schema, create_schema
from ledger.errors import NotPossibleNow
from ledger.generations import Standing
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


SLEEPY: Final = QUICK._replace(every_s=0.4)
"""Looks of a process that sleeps just after one: it goes by that."""


class Clock:
    """A process's clock: it stands where it is told to."""

    def __init__(self) -> None:
        self._stands: float | None = None

    def __call__(self) -> float:
        """Give seconds."""
        return time.monotonic() if self._stands is None else self._stands

    def stop(self) -> None:
        """Stand from now on: the process goes by what it saw, as one does that sleeps."""
        self._stands = time.monotonic()

    def go_on(self) -> None:
        """Show what time it is."""
        self._stands = None


__all__ = ["own_keyspace"]  # A fixture, taken by its name.


class TestSeveralProcesses:
    async def test_who_writes_elsewhere_writes_to_both(
        self, own_keyspace: CassandraCluster
    ) -> None:
        """From the return of `begin` on, and to the new one alone when the old one is dropped."""
        key = unique()
        rows = [row(key, time_ns) for time_ns in range(4)]
        async with (
            opened_store(own_keyspace, looks=QUICK) as here,
            opened_store(own_keyspace, looks=QUICK) as there,
        ):
            await there.put(rows[:1])
            building = await here.generations.begin()
            await there.put(rows[1:2])
            await here.generations.serve(building.generation)
            await there.put(rows[2:3])
            old = await here._serving.table_of(1)
            assert await of_key(old.scanning, key) == kept(rows[:3])
            await here.generations.drop(1)
            await there.put(rows[3:])

            assert await everything(there, key) == stored(rows[1:])
            assert (there.generation, here.generation) == (2, 2)

    async def test_who_does_not_know_yet_misses_nothing(
        self, own_keyspace: CassandraCluster
    ) -> None:
        """A process that still goes by the old one reads all that others put meanwhile; what it
        puts itself is in both.
        """
        key = unique()
        rows = [row(key, time_ns) for time_ns in range(3)]
        clock = Clock()
        async with (
            opened_store(own_keyspace, looks=QUICK) as here,
            opened_store(own_keyspace, looks=SLEEPY, monotonic=clock) as late,
        ):
            building = await here.generations.begin()
            await late.put(rows[:1])
            clock.stop()
            await here.generations.serve(building.generation)
            await here.put(rows[1:2])
            await late.put(rows[2:])

            assert late.generation == 1
            assert await everything(late, key) == await everything(here, key) == stored(rows)

    async def test_a_sleeper_wakes_behind_a_drop(self, own_keyspace: CassandraCluster) -> None:
        """In the middle of a call it finds the table gone: no row is refused for that, what has to
        be kept is kept, and a read is answered from the one that serves.
        """
        key = unique()
        rows = [row(key, time_ns) for time_ns in range(300)]
        clocks = [Clock(), Clock()]
        async with (
            opened_store(own_keyspace, looks=QUICK) as here,
            opened_store(own_keyspace, looks=SLEEPY, monotonic=clocks[0]) as writes,
            opened_store(own_keyspace, looks=SLEEPY, monotonic=clocks[1]) as reads,
        ):
            building = await here.generations.begin()
            await writes.put([])
            await reads.read(key, max_rows=1, max_bytes=1)
            for clock in clocks:
                clock.stop()
            await here.generations.serve(building.generation)
            await here.generations.drop(1)
            await writes.put(rows)

            assert reads.generation == 1
            assert await everything(reads, key) == stored(rows)

    async def test_two_who_begin_build_one(self, own_keyspace: CassandraCluster) -> None:
        """One is begun, and the other goes on with it; it serves once, and the other is told."""
        async with (
            opened_store(own_keyspace, looks=QUICK) as here,
            opened_store(own_keyspace, looks=QUICK) as there,
        ):
            await run_cql(own_keyspace, TABLE_2)
            both = [here.generations, there.generations]
            built = await asyncio.gather(*(each.begin() for each in both))
            answers = await asyncio.gather(
                *(each.serve(2) for each in both), return_exceptions=True
            )

            assert [each.generation for each in built] == [2, 2]
            assert sum(isinstance(each, NotPossibleNow) for each in answers) == 1
            assert await here.generations.standing() == Standing(2, 0, [1])


@pytest.mark.slow
class TestCrashes:
    """Killed at a step, what serves is whole, and another process goes on."""

    @pytest.mark.parametrize(
        ("act", "step", "after", "left"),
        [
            ("begin", "define", False, Standing(1, 0, [])),
            ("begin", "define", True, Standing(1, 0, [])),
            ("begin", "change", False, Standing(1, 0, [])),
            ("begin", "change", True, Standing(1, 2, [])),
            ("serve", "change", False, Standing(1, 2, [])),
            ("serve", "change", True, Standing(2, 0, [1])),
            ("drop", "change", False, Standing(2, 0, [1])),
            ("drop", "change", True, Standing(2, 0, [1])),
            ("drop", "define", False, Standing(2, 0, [1])),
            ("drop", "define", True, Standing(2, 0, [])),
        ],
    )
    async def test_a_crash_is_gone_on_from(
        self, own_keyspace: CassandraCluster, act: str, step: str, after: bool, left: Standing
    ) -> None:
        """Before and after each durable step. Rows that are put then are where they have to be, and
        the same act, repeated elsewhere, ends as if nothing had been.
        """
        key = unique()
        rows = [row(key, time_ns) for time_ns in range(2)]
        acts = ["begin", "serve", "drop"]
        async with opened_store(own_keyspace, looks=QUICK) as store:
            await store.put(rows[:1])
            for each in acts[: acts.index(act)]:
                await _do(store, each)
                if each == "begin":  # As a rebuilding brings it.
                    await (await store.generations.begin()).put(rows[:1])
            crash_at(store, step, after=after)
            with pytest.raises(Crash):
                await _do(store, act)

        async with opened_store(own_keyspace, looks=QUICK) as store:
            assert await store.generations.standing() == left
            await store.put(rows[1:])
            assert await everything(store, key) == stored(rows)
            for each in acts:
                if (left.serving, each) == (2, "serve") or (left.serving, each) == (2, "begin"):
                    continue
                if each == "drop" and left == Standing(2, 0, []):
                    continue
                await _do(store, each)
                if each == "begin":
                    await (await store.generations.begin()).put(rows)
            assert await store.generations.standing() == Standing(2, 0, [])
            assert await everything(store, key) == stored(rows)
        assert await check_schema(own_keyspace, generation=1) == []
        assert await create_schema(own_keyspace, generation=1) == []


async def _do(store: CassandraTrailStore, act: str) -> None:
    match act:
        case "begin":
            await store.generations.begin()
        case "serve":
            await store.generations.serve(2)
        case "drop":
            await store.generations.drop(1)


async def test_a_lost_table_is_named(own_keyspace: CassandraCluster) -> None:
    """Of each generation to which rows are put; another first generation is a fault too, and the
    data centre need not be named for a rebuilding.
    """
    async with opened_store(replace(own_keyspace, data_centre=""), looks=QUICK) as store:
        await store.generations.begin()
    await run_cql(own_keyspace, "DROP TABLE $keyspace.rows_s2")

    assert await check_schema(own_keyspace, generation=1) == [
        "the table `rows_s2` is missing; `parcel-ledger init` makes it"
    ]
