"""The second row of a record: the writer keeps it, a rebuild makes it, a comparison asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.contents import contents_key
from ledger.errors import Uncertain
from ledger.position import pack_position
from ledger.quarantine.sorting import rows_said, sort_out
from tests.faults.known import BAGS, known, rows_in_all
from tests.faulty_store import FaultyStore
from tests.folders import PARTITIONS, opened
from tests.rebuilds import rebuilt, rows_served
from tests.upkeep import compared, settle
from tests.writing import caught_up, fill, ledger, rows_of_the_log, running

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.backends.rocksdb_folder import Folder
    from ledger.trail_store import TrailStore

__all__ = ["ledger"]  # A fixture, taken by its name.

BAGGED = 4
"""The first known number that goes into a container."""


async def count_inside(store: TrailStore) -> int:
    """How many rows say what is in a container."""
    keys = [contents_key(bag) for bag in BAGS]
    slices = await store.read_many(keys, max_rows=1_000, max_bytes=1 << 20)
    return sum(len(slice_.rows) for slice_ in slices)


def test_a_stray_has_neither_row() -> None:
    """A record that lies in another partition than its own is in quarantine, with all it says."""
    one = known(BAGGED, partitions=PARTITIONS)
    elsewhere = pack_position(1, (one.partition + 1) % PARTITIONS, 9)

    rows, unfit = sort_out([one.value], elsewhere, PARTITIONS)

    assert rows == []
    assert [bad.position for bad in unfit] == [elsewhere]


def test_the_last_row_is_the_last_records() -> None:
    """How far behind a writer is is told by the last row: it is of the last record's trail."""
    home = [n for n in range(100) if known(n, partitions=1).partition == 0]
    values = [known(number, partitions=1).value for number in home]

    rows, _ = sort_out(values, pack_position(1, 0, 0), 1)

    assert len(rows) == rows_in_all(home)
    assert rows[-1].record == values[-1]
    assert not rows[-1].tracking_key.startswith(b"\xff")


def test_what_the_store_refused_has_neither_row() -> None:
    """Who makes the store again, or compares it, knows by quarantine; a notice stands instead."""
    one = known(BAGGED, partitions=1)
    at = pack_position(1, 0, 5)

    [notice] = rows_said([one.value], at, 1, {at})

    assert notice.tracking_key == one.key
    assert notice.record != one.value


async def test_a_refused_row_of_the_contents_is_the_records_fault(ledger: Folder) -> None:
    """The trail keeps its own row where the store takes that alone, and the record is in
    quarantine: nothing is lost in silence, and the comparison finds nothing that is not allowed.
    """
    store = FaultyStore(ledger.store)
    store.refuses = lambda row: row.tracking_key.startswith(b"\xff") and b"event 4 " in row.record
    await fill(ledger, range(20))

    async with running(ledger.log, ledger.quarantine, store):
        await caught_up(ledger)
    await settle(ledger)

    found = await compared(ledger)
    assert found.is_same
    assert found.scope.positions == 20
    assert await count_inside(ledger.store) == 3


@pytest.mark.parametrize("fault", ["unwritten", "written"])
async def test_a_put_that_fails_between_the_rows_changes_nothing(
    ledger: Folder, fault: str
) -> None:
    """A store that fails before or after a put is put to again until both rows are there, once."""
    store = FaultyStore(ledger.store)
    failures = iter([True, True, False])

    def fail(method: str) -> Uncertain | None:
        if method == "put" and next(failures, False):
            return Uncertain("as it is told", reason="TOLD")
        return None

    setattr(store, f"fails_{fault}", fail)
    await fill(ledger, range(30))
    async with running(ledger.log, ledger.quarantine, store):
        await caught_up(ledger)

    assert {tuple(row) for row in await rows_served(ledger)} == await rows_of_the_log(ledger)


async def test_a_store_from_before_gets_its_contents_by_a_rebuild(tmp_path: Path) -> None:
    """Rows of a program that made one row of each record are told as missing, and made."""
    async with opened(tmp_path) as folder:
        before = FaultyStore(folder.store)
        before.forgets = lambda row: row.tracking_key.startswith(b"\xff")
        await fill(folder, range(40))
        async with running(folder.log, folder.quarantine, before):
            await caught_up(folder)
        assert await count_inside(folder.store) == 0

        await rebuilt(folder)

        assert await count_inside(folder.store) == rows_in_all(range(40)) - 40
        found = await compared(folder)
        assert found.is_same
        assert found.rows == rows_in_all(range(40))
