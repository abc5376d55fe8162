"""Comparing a store with the log: what is the same says so, and each fault is named by position."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from ledger.app.operator.upkeep import comparison_message
from ledger.codec import Fault, read_record
from ledger.compare import comparing, digests, drill
from ledger.compare.comparing import compare_stores, settled_scope
from ledger.compare.digests import position_of
from ledger.compare.drill import Kind
from ledger.contents import container_of
from ledger.errors import Diverged
from ledger.event import order_key
from ledger.marks import TRAIL_READER
from ledger.position import pack_position
from ledger.quarantine.records import Unfit, stub_of, stub_row
from ledger.trail_store import KeptRow, MarkKind, Row
from ledger.v1.quarantine_pb2 import QuarantineReason
from tests.faults.known import append, known, rows_in_all
from tests.faulty_store import FaultyStore
from tests.folders import PARTITIONS, opened
from tests.quarantined import KINDS, items_of, put, reason_of
from tests.upkeep import Heard, compared, rows_in, settle, tamper
from tests.writing import caught_up, fill, ledger, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ledger.backends.rocksdb_folder import Folder

__all__ = ["ledger"]  # A fixture, taken by its name.

REFUSED = Fault(QuarantineReason.QUARANTINE_REASON_STORE_REFUSED, "")


async def written(ledger: Folder, numbers: range = range(60)) -> list[KeptRow]:
    """Append known records and let a writer keep and settle them; give the rows."""
    await fill(ledger, numbers)
    async with running(ledger.log, ledger.quarantine, ledger.store):
        await caught_up(ledger)
    await settle(ledger)
    return sorted(await rows_in(ledger), key=position_of)


class TestTheSame:
    async def test_a_store_that_a_writer_filled_is_the_same(self, ledger: Folder) -> None:
        """All records are compared, none is left, and progress is told up to the total."""
        rows = await written(ledger)
        told = Heard()

        found = await compared(ledger, told)

        assert found.is_same
        all_of_them = rows_in_all(range(60))
        assert (found.rows, found.scope.positions, len(rows)) == (all_of_them, 60, all_of_them)
        assert told.totals == [120]
        assert told.counts == sorted(told.counts)
        assert told.counts[-1] == 120

    async def test_a_row_of_the_contents_that_is_gone_is_named(self, ledger: Folder) -> None:
        """What is in a container is compared like trails; who reads it is told the container."""
        rows = await written(ledger)
        gone = next(row for row in rows if container_of(row.tracking_key))
        tamper(ledger, gone, None)

        found = await compared(ledger)

        assert [(one.position, one.kind, one.tracking_key) for one in found.differences] == [
            (position_of(gone), Kind.MISSING, gone.tracking_key)
        ]
        [named] = comparison_message(found).positions
        assert named.contents
        assert named.tracking_key.encode() == container_of(gone.tracking_key)

    async def test_an_empty_ledger_is_the_same(self, ledger: Folder) -> None:
        """Nothing is equal to nothing."""
        found = await compared(ledger)

        assert found.is_same
        assert (found.rows, found.scope.positions) == (0, 0)

    async def test_what_is_in_quarantine_is_what_it_should_be(self, ledger: Folder) -> None:
        """Records that no row can be made of, of each kind, have their notices or nothing."""
        for number, kind in enumerate(KINDS):
            await put(ledger.log, kind(number))
        rows = await written(ledger)

        found = await compared(ledger)

        assert found.is_same
        assert found.rows == len(rows)

    async def test_what_the_store_refused_is_in_quarantine(self, ledger: Folder) -> None:
        """A row that the store does not take has its notice instead, which is right as long as
        the record is in quarantine.
        """
        store = FaultyStore(ledger.store)
        store.refuses = lambda row: b"event 7 " in row.record
        await fill(ledger, range(30))
        async with running(ledger.log, ledger.quarantine, store):
            await caught_up(ledger)
        await settle(ledger)

        assert (await compared(ledger)).is_same
        assert [reason_of(item) for item in (await items_of(ledger)).values()] == ["STORE_REFUSED"]
        assert not [row for row in await rows_in(ledger) if b"event 7 " in row.record]

    async def test_a_notice_beside_its_row_does_no_harm(self, ledger: Folder) -> None:
        """A writer that died between a notice and its row leaves both."""
        rows = await written(ledger)
        stub = stub_of(Unfit(position_of(rows[5]), rows[5].record, REFUSED))
        assert stub is not None
        await ledger.store.put([stub_row(stub, position_of(rows[5]))])

        assert (await compared(ledger)).is_same

    async def test_under_load_nothing_differs(self, ledger: Folder) -> None:
        """Compared again and again while records come and rows are written: what is settled is the
        same each time, and what is younger is left alone.
        """
        await written(ledger, range(2_000))
        came = 0

        async def go_on() -> None:
            nonlocal came
            for number in itertools.count(2_000):
                await append(ledger.log, known(number, partitions=PARTITIONS))
                came += 1

        async with running(ledger.log, ledger.quarantine, ledger.store):
            load = asyncio.create_task(go_on())
            found = [await compared(ledger)]
            while len(found) < 5 or came < 10 or not found[-1].younger:
                found.append(await compared(ledger))
            load.cancel()
            await asyncio.wait([load])

        assert all(one.is_same for one in found)
        assert found[-1].younger > 0


class TestDifferent:
    async def test_a_row_that_is_gone_is_named(self, ledger: Folder) -> None:
        """By its position and the key of its trail; the range says how many rows it has."""
        rows = await written(ledger)
        tamper(ledger, rows[20], None)

        found = await compared(ledger)

        assert [(one.position, one.kind, one.tracking_key) for one in found.differences] == [
            (position_of(rows[20]), Kind.MISSING, rows[20].tracking_key)
        ]
        assert found.range_count == 1
        assert found.ranges[0].expected.rows == found.ranges[0].found.rows + 1

    @pytest.mark.parametrize(
        "change",
        [
            lambda row: row._replace(record=row.record[:-1] + b"\x00"),
            lambda row: row._replace(tracking_key=b"ANOTHER"),
            lambda row: row._replace(order=b"\x00" + row.order[1:]),
        ],
    )
    async def test_another_row_in_its_place_is_named(
        self, ledger: Folder, change: Callable[[KeptRow], KeptRow]
    ) -> None:
        """One changed byte of the record, another trail, another time."""
        rows = await written(ledger)
        other = change(rows[20])
        tamper(ledger, rows[20], None)
        tamper(ledger, other, other.record)

        found = await compared(ledger)

        assert [(one.position, one.kind, one.tracking_key) for one in found.differences] == [
            (position_of(rows[20]), Kind.OTHER, rows[20].tracking_key)
        ]

    async def test_a_row_too_many_is_named(self, ledger: Folder) -> None:
        """At the position of a record that has its own row as well."""
        rows = await written(ledger)
        other = rows[20]._replace(tracking_key=b"ANOTHER")
        tamper(ledger, other, other.record)

        found = await compared(ledger)

        assert [(one.position, one.kind, one.tracking_key) for one in found.differences] == [
            (position_of(rows[20]), Kind.SURPLUS, b"ANOTHER")
        ]

    @pytest.mark.parametrize("place", [pack_position(1, 2, 9_999), pack_position(1, PARTITIONS, 0)])
    async def test_a_row_without_a_record_is_named(self, ledger: Folder, place: int) -> None:
        """Behind the end of the log, or in a partition that there is not."""
        await written(ledger)
        stray = KeptRow(b"STRAY", order_key(1, bytes(16), place), b"record")
        tamper(ledger, stray, stray.record)

        found = await compared(ledger)

        assert [(one.position, one.kind, one.tracking_key) for one in found.differences] == [
            (place, Kind.SURPLUS, b"STRAY")
        ]
        assert not found.is_same

    async def test_rows_of_another_generation_are_counted(self, ledger: Folder) -> None:
        """They are neither right nor wrong here, and the person is told how many there are."""
        await written(ledger)
        old = KeptRow(b"OLD", order_key(1, bytes(16), pack_position(2, 0, 0)), b"record")
        tamper(ledger, old, old.record)

        found = await compared(ledger)

        assert found.is_same
        assert found.other_generations == 1

    async def test_a_notice_without_an_item_is_no_excuse(self, ledger: Folder) -> None:
        """A notice where the row should be, and nothing in quarantine: the scan is not there."""
        rows = await written(ledger)
        stub = stub_of(Unfit(position_of(rows[5]), rows[5].record, REFUSED))
        assert stub is not None
        tamper(ledger, rows[5], None)
        await ledger.store.put([stub_row(stub, position_of(rows[5]))])

        found = await compared(ledger)

        assert [(one.position, one.kind) for one in found.differences] == [
            (position_of(rows[5]), Kind.OTHER)
        ]

    async def test_many_ranges_are_looked_at_up_to_a_limit(
        self, ledger: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With a row gone in each of many ranges, the first ones are named by position, and all
        ranges are counted.
        """
        monkeypatch.setattr(digests, "RANGE_BITS", 2)
        monkeypatch.setattr(comparing, "NAMED_MAX", 9)
        rows = await written(ledger)
        gone = {digests.range_of(position_of(row)): row for row in rows}
        for row in gone.values():
            tamper(ledger, row, None)

        found = await compared(ledger)

        assert len(gone) > drill.RANGES_MAX
        assert found.range_count == len(gone)
        assert len(found.ranges) == 9
        assert found.difference_count == drill.RANGES_MAX
        wanted = [position_of(gone[place]) for place in sorted(gone)][: drill.RANGES_MAX]
        assert [one.position for one in found.differences] == wanted

    async def test_a_log_that_is_not_the_marks_is_refused(self, ledger: Folder) -> None:
        """A mark of another history ends the comparison: there is nothing to compare with."""
        await written(ledger)
        cells = await ledger.store.marks(TRAIL_READER)
        settled = next(cell for cell in cells if cell.kind is MarkKind.SETTLED)
        ahead = settled._replace(next_index=settled.next_index + 500)
        await ledger.store.put_marks(TRAIL_READER, [ahead])

        with pytest.raises(Diverged):
            await compared(ledger)


class TestTwoStores:
    async def test_two_stores_of_one_log(self, ledger: Folder, tmp_path: Path) -> None:
        """Another store that has the same rows is the same, and one without a row is not."""
        rows = await written(ledger)
        scope = await settled_scope(ledger.log, ledger.store)
        async with opened(tmp_path / "other") as other:
            await other.store.put(
                [Row(*row, read_record(row.record).record_time_ns // 1_000) for row in rows]
            )

            same = await compare_stores(
                ledger.store, other.store, scope, partitions=PARTITIONS, told=Heard()
            )
            tamper(other, rows[7], None)
            less = await compare_stores(
                ledger.store, other.store, scope, partitions=PARTITIONS, told=Heard()
            )

        assert same.is_same
        assert [(one.position, one.kind) for one in less.differences] == [
            (position_of(rows[7]), Kind.MISSING)
        ]
