"""A rebuilding that differs, waits, is cancelled or refused: the old generation goes on serving."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ledger import bringing
from ledger.backends.rocksdb_options import trail_family
from ledger.compare.drill import Kind
from ledger.errors import Diverged, NotPossibleNow
from ledger.generations import Standing
from ledger.marks import TRAIL_READER
from ledger.trail_store import MarkKind
from tests.rebuilds import (
    Cancelling,
    brought,
    carried,
    rebuilding_of,
    rebuilt,
    rows_served,
)
from tests.upkeep import Heard, settle
from tests.writing import caught_up, fill, ledger, rows_of_the_log, running

if TYPE_CHECKING:
    from ledger.backends.rocksdb_folder import Folder

__all__ = ["ledger"]  # A fixture, taken by its name.


class TestNotServing:
    async def test_one_that_differs_does_not_serve(self, ledger: Folder) -> None:
        """A row of the new one is gone before it is compared: the old one goes on, the difference
        is named, and after a drop it can be built again.
        """
        await fill(ledger, range(40))
        await carried(ledger)
        rows = await rows_served(ledger)
        building = await brought(ledger)
        family = ledger.store._engine.family(trail_family(building))
        family.delete(rows[5].tracking_key + b"\0" + rows[5].order)

        built = await rebuilding_of(ledger).rebuild(Heard())

        [one] = built.comparison.differences
        assert (one.kind, one.tracking_key) == (Kind.MISSING, rows[5].tracking_key)
        assert await ledger.generations.standing() == Standing(1, building, [])
        await ledger.generations.drop(building)
        assert (await rebuilding_of(ledger).rebuild(Heard())).generation == building + 1
        assert await rows_served(ledger) == rows

    async def test_it_waits_until_all_is_settled(self, ledger: Folder) -> None:
        """What is not settled cannot be compared for good, so the new one does not serve yet."""
        await fill(ledger, range(40))
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await caught_up(ledger)
        work = asyncio.create_task(rebuilding_of(ledger).rebuild(Heard()))
        await asyncio.sleep(0.5)
        waited = ledger.store.generation == 1 and not work.done()
        await settle(ledger)

        assert (await work).generation == ledger.store.generation == 2
        assert waited

    async def test_cancelled_anywhere_it_goes_on(
        self, ledger: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After each cancellation the old one serves; what was brought is not brought again, and
        what came meanwhile is in both.
        """
        monkeypatch.setattr(bringing, "READ_RECORDS", 20)
        await fill(ledger, range(400))
        await carried(ledger)
        left = []
        for number, place in enumerate((1, 50, 150, 90, 300, 700)):
            told = Cancelling(place)
            work = asyncio.create_task(rebuilding_of(ledger).rebuild(told))
            await asyncio.wait([work])
            assert work.cancelled()
            assert await ledger.generations.standing() == Standing(1, 2, [])
            left.append(told.totals[0] - 2 * (400 + 10 * number))
            await fill(ledger, range(400 + 10 * number, 410 + 10 * number))
            await carried(ledger)

        built = await rebuilding_of(ledger).rebuild(Heard())

        assert left[0] == 400
        assert left[:4] == sorted(left[:4], reverse=True)
        assert built.records < 100
        assert built.generation == ledger.store.generation == 2
        assert {tuple(row) for row in await rows_served(ledger)} == await rows_of_the_log(ledger)

    async def test_a_log_that_is_not_the_one_it_was_begun_from_is_refused(
        self, ledger: Folder
    ) -> None:
        """A mark of another history ends the rebuilding: it would mix the two."""
        await fill(ledger, range(40))
        await carried(ledger)
        building = await ledger.generations.begin()
        cells = await ledger.store.marks(TRAIL_READER)
        mark = next(cell for cell in cells if cell.kind is MarkKind.READABLE)
        await building.put_marks([mark._replace(next_index=mark.next_index + 500)])

        with pytest.raises(Diverged):
            await rebuilding_of(ledger).rebuild(Heard())
        assert ledger.store.generation == 1

    async def test_one_at_a_time(self, ledger: Folder) -> None:
        """A second one, and a drop, are refused while one works; then they are not."""
        await fill(ledger, range(40))
        both = rebuilding_of(ledger)
        work = asyncio.create_task(both.rebuild(Heard()))
        await asyncio.sleep(0.05)

        with pytest.raises(NotPossibleNow, match="being rebuilt"):
            await both.rebuild(Heard())
        with pytest.raises(NotPossibleNow, match="being rebuilt"):
            await both.drop(2)
        work.cancel()
        await asyncio.wait([work])
        await both.drop(2)
        assert await ledger.generations.standing() == Standing(1, 0, [])

    async def test_what_is_not_fit_is_not_dropped_or_served(self, ledger: Folder) -> None:
        """The one that serves, one that is not there, and one that is not being built."""
        await rebuilt(ledger)
        for generation in (0, 2, 3):
            with pytest.raises(NotPossibleNow):
                await ledger.generations.drop(generation)
        for generation in (0, 1, 2, 3):
            with pytest.raises(NotPossibleNow):
                await ledger.generations.serve(generation)
        assert await ledger.generations.standing() == Standing(2, 0, [1])
