"""What is brought to a store that forgets: marked is only what is there for good."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from ledger.bringing import Bringing
from ledger.trail_store import MarkKind
from tests.faults.known import rows_in_all
from tests.faulty_store import FaultyStore
from tests.rebuilds import rows_of_generation
from tests.upkeep import Heard
from tests.writing import PATIENCE_S, fill, ledger, marks, rows_of_the_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.backends.rocksdb_folder import Folder
    from ledger.generations import Building
    from ledger.trail_store import AllRows, Row

__all__ = ["ledger"]  # A fixture, taken by its name.

RECORDS = 40
ROWS = rows_in_all(range(RECORDS))


@pytest.fixture(autouse=True)
def _quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.settling.SETTLE_TICK_S", 0.02)


class ForgetfulBuilding:
    """A generation in a store whose process ends at some time: what it was given is gone."""

    def __init__(self, building: Building) -> None:
        self.forgets = True
        self.puts = 0
        self._building = building
        self.generation = building.generation
        self.settle_after_s = 1.0
        self.put_marks = building.put_marks
        self.marks = building.marks

    @property
    def rows(self) -> AllRows:
        """Those of the generation."""
        return self._building.rows

    async def put(self, rows: Sequence[Row]) -> None:
        """Say that rows are kept."""
        self.puts += len(rows)
        if not self.forgets:
            await self._building.put(rows)


def bringing(ledger: Folder, store: FaultyStore, building: ForgetfulBuilding) -> Bringing:
    """One that settles as the store does."""
    return Bringing(ledger.log, store, building, monotonic=time.monotonic)


async def brought_once(building: ForgetfulBuilding) -> None:
    """Wait until every record was put."""
    async with asyncio.timeout(PATIENCE_S):
        while building.puts < ROWS:  # noqa: ASYNC110 - nothing tells.
            await asyncio.sleep(0.005)


async def test_what_an_ended_process_forgot_is_brought_again(ledger: Folder) -> None:
    """Rows that were brought and then lost are brought once more, and marked only then."""
    store = FaultyStore(ledger.store, settle_after_s=0.3)
    store.lives_are = {"node": "first life"}
    building = ForgetfulBuilding(await ledger.generations.begin())
    await fill(ledger, range(RECORDS))
    one = bringing(ledger, store, building)
    work = asyncio.create_task(one.bring(await one.spans(), (), Heard()))
    await brought_once(building)
    assert await building.marks() == []
    assert await rows_of_generation(ledger, building.generation) == []

    building.forgets = False
    store.lives_are = {"node": "second life"}
    await asyncio.wait_for(work, PATIENCE_S)

    rows = await rows_of_generation(ledger, building.generation)
    assert set(rows) == await rows_of_the_log(ledger)
    assert building.puts == 2 * ROWS
    assert sum(mark.next_index for mark in await building.marks()) == RECORDS


async def test_one_that_ends_before_it_settled_is_begun_again_there(ledger: Folder) -> None:
    """Killed, it leaves no mark over what the store may forget; what has settled is not brought
    twice.
    """
    store = FaultyStore(ledger.store, settle_after_s=60)
    building = ForgetfulBuilding(await ledger.generations.begin())
    await fill(ledger, range(RECORDS))
    first = bringing(ledger, store, building)
    work = asyncio.create_task(first.bring(await first.spans(), (), Heard()))
    await brought_once(building)
    work.cancel()
    await asyncio.wait([work])
    assert work.cancelled()
    assert await building.marks() == []

    building.forgets = False
    store = FaultyStore(ledger.store, settle_after_s=0)
    for _ in range(2):
        again = bringing(ledger, store, building)
        await asyncio.wait_for(again.bring(await again.spans(), (), Heard()), PATIENCE_S)

    rows = await rows_of_generation(ledger, building.generation)
    assert set(rows) == await rows_of_the_log(ledger)
    assert building.puts == 2 * ROWS
    assert await marks(ledger.store, MarkKind.SETTLED) == {}
