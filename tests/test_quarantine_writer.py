"""The writer and records that it cannot keep: they are in quarantine, and good ones go on."""

import asyncio
from collections.abc import Callable

import pytest

from ledger.backends.rocksdb_folder import Folder
from ledger.errors import LedgerError, Refused
from ledger.marks import TRAIL_READER, check_mark
from ledger.position import pack_position
from ledger.quarantine.items import State
from ledger.quarantine.records import packed_position
from ledger.trail_store import MarkKind, Row
from tests.faults.known import all_rows, append, known
from tests.faulty_log import FaultyLog
from tests.faulty_store import FaultyStore
from tests.folders import PARTITIONS
from tests.quarantined import (
    KINDS,
    Bad,
    bad_event,
    garbage,
    is_stub,
    items_of,
    put,
    reason_of,
    stubs_of,
)
from tests.writing import (
    BUSY,
    UNCERTAIN,
    UnderAnotherName,
    caught_up,
    fill,
    ledger,
    marks,
    running,
    why_it_stops,
)

__all__ = ["ledger"]  # A fixture, taken by its name.


@pytest.mark.parametrize("kind", KINDS)
class TestUnfitRecords:
    async def test_it_goes_whole_into_quarantine(
        self, ledger: Folder, kind: Callable[[int], Bad]
    ) -> None:
        """Good records before and behind it are kept; it is in quarantine, with reason, position
        and stub.
        """
        bad = kind(3)
        await fill(ledger, range(10))
        position = await put(ledger.log, bad)
        await fill(ledger, range(10, 20))
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await caught_up(ledger)

        [item] = (await items_of(ledger)).values()
        assert (item.position, reason_of(item)) == (position, bad.reason)
        assert (item.state, item.tracking_key) == (State.OPEN, bad.trail)
        assert {known(n, partitions=PARTITIONS).value for n in range(20)} <= {
            record for _, _, record in await all_rows(ledger.store)
        }
        for number in range(7):
            key = known(number, partitions=PARTITIONS).key
            stubs = await stubs_of(ledger.store, key)
            assert [packed_position(stub.quarantined.position) for stub in stubs] == (
                [position] if key == bad.trail else []
            )

    async def test_marks_stand_behind_it(self, ledger: Folder, kind: Callable[[int], Bad]) -> None:
        """A mark whose last record is unfit holds its hash, and the next writer goes on from it."""
        bad = kind(3)
        await put(ledger.log, bad)
        store = FaultyStore(ledger.store, settle_after_s=0)
        async with running(ledger.log, ledger.quarantine, store):
            await caught_up(ledger, MarkKind.SETTLED)

        for cell in await ledger.store.marks(TRAIL_READER):
            await check_mark(ledger.log, cell)
        await fill(ledger, range(5))
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await caught_up(ledger)
        assert len(await items_of(ledger)) == 1

    async def test_a_second_pass_adds_nothing(
        self, ledger: Folder, kind: Callable[[int], Bad]
    ) -> None:
        """Read again from the settled mark, it is in quarantine once, with the same rows."""
        await put(ledger.log, kind(3))
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await caught_up(ledger)
        rows = await all_rows(ledger.store)
        again = FaultyStore(ledger.store)
        async with running(ledger.log, ledger.quarantine, again):
            await asyncio.sleep(0.1)

        assert await all_rows(ledger.store) == rows
        records = [(await ledger.quarantine.bounds(p)).next for p in range(PARTITIONS)]
        assert sum(records) == 1

    async def test_two_writers_at_once_make_one_item(
        self, ledger: Folder, kind: Callable[[int], Bad]
    ) -> None:
        """A zombie beside the writer quarantines the same: one item, and equal stubs."""
        bad = kind(3)
        async with running(ledger.log, ledger.quarantine, ledger.store):
            zombie = UnderAnotherName(ledger.log)
            async with running(zombie, ledger.quarantine, ledger.store):
                position = await put(ledger.log, bad)
                await fill(ledger, range(20))
                await caught_up(ledger)
                await asyncio.sleep(0.05)

        assert list(await items_of(ledger)) == [position]
        if bad.trail:
            stubs = await stubs_of(ledger.store, bad.trail)
            assert {stub.SerializeToString() for stub in stubs} == {stubs[0].SerializeToString()}


class TestStoreRefuses:
    async def test_one_row_alone_goes_into_quarantine(self, ledger: Folder) -> None:
        """A put that is refused is halved until the row at fault is alone; the others are kept."""
        store = FaultyStore(ledger.store)
        wrong = known(17, partitions=PARTITIONS)
        store.refuses = lambda row: row.record == wrong.value
        await fill(ledger, range(40))
        async with running(ledger.log, ledger.quarantine, store):
            await caught_up(ledger)

        [item] = (await items_of(ledger)).values()
        assert reason_of(item) == "STORE_REFUSED"
        assert item.message == "The store does not take this row."
        rows = {record for _, _, record in await all_rows(ledger.store)}
        for number in range(40):
            assert (known(number, partitions=PARTITIONS).value in rows) == (number != 17)
        assert len(await stubs_of(ledger.store, wrong.key)) == 1

    async def test_a_store_that_takes_nothing_is_no_reason(self, ledger: Folder) -> None:
        """A store without rights or tables refuses stubs too: the writer ends, and nothing is
        marked or in quarantine.
        """
        store = FaultyStore(ledger.store)
        store.refuses = lambda _: True
        await fill(ledger, range(10))

        with pytest.RaisesGroup(Refused, flatten_subgroups=True):
            async with running(ledger.log, ledger.quarantine, store) as task:
                await asyncio.wait([task], timeout=20)
            task.result()

        assert await items_of(ledger) == {}
        assert await marks(ledger.store, MarkKind.READABLE) == {}

    async def test_a_store_that_refuses_once_is_no_reason(self, ledger: Folder) -> None:
        """A row that is refused and then taken, when rights come back, is in its trail; its stub
        says nothing about a row that is there.
        """
        store = FaultyStore(ledger.store)
        one = known(2, partitions=PARTITIONS)
        taken_from = 0

        def refuses(row: Row) -> bool:
            nonlocal taken_from
            taken_from += is_stub(row)
            return row.record == one.value and not taken_from

        store.refuses = refuses
        await fill(ledger, range(10))
        async with running(ledger.log, ledger.quarantine, store):
            await caught_up(ledger)

        assert await items_of(ledger) == {}
        assert one.value in {record for _, _, record in await all_rows(ledger.store)}

    @pytest.mark.parametrize("error", [BUSY, UNCERTAIN], ids=["busy", "uncertain"])
    async def test_an_engine_that_is_away_is_no_reason(
        self, ledger: Folder, error: LedgerError
    ) -> None:
        """While the store or the log `quarantine` is away nothing is quarantined and nothing
        marked; when both are back all goes on.
        """
        store, quarantine = FaultyStore(ledger.store), FaultyLog(ledger.quarantine)
        store.fails_unwritten = lambda method: error if method == "put" else None
        quarantine.fails_unwritten = lambda _: error
        await fill(ledger, range(10))
        await put(ledger.log, garbage(3))
        async with running(ledger.log, quarantine, store):
            await asyncio.sleep(0.3)
            assert await items_of(ledger) == {}
            assert await marks(ledger.store, MarkKind.READABLE) == {}
            store.fails_unwritten = lambda _: None
            await asyncio.sleep(0.3)
            assert await marks(ledger.store, MarkKind.READABLE) == {}
            quarantine.fails_unwritten = lambda _: None
            await caught_up(ledger)

        assert len(await items_of(ledger)) == 1


class TestShare:
    async def test_it_stops_before_a_bug_drains_all(self, ledger: Folder) -> None:
        """With more unfit records than the limit the writer stops, and no mark is behind a record
        that is not in quarantine.
        """
        for number in range(60):
            await append(ledger.log, known(number, partitions=PARTITIONS))
            if number % 5 == 0:
                await put(ledger.log, bad_event(number))

        error = await why_it_stops(ledger.log, ledger.quarantine, ledger.store, most=10)

        assert error.reason == "QUARANTINE_SHARE_EXCEEDED"
        items = await items_of(ledger)
        for partition, index in (await marks(ledger.store, MarkKind.READABLE)).items():
            for at in range(index):
                [value] = await ledger.log.read(partition, at, 1)
                assert pack_position(1, partition, at) in items or value in {
                    record for _, _, record in await all_rows(ledger.store)
                }

    async def test_it_is_no_new_start_with_each_start(self, ledger: Folder) -> None:
        """A writer that is started again counts what went into quarantine before: it does not let
        through as much again.
        """
        store = FaultyStore(ledger.store, settle_after_s=0)
        for number in range(10):
            await put(ledger.log, bad_event(number))
        async with running(ledger.log, ledger.quarantine, store, most=10):
            await caught_up(ledger, MarkKind.SETTLED)
        await put(ledger.log, bad_event(10))

        error = await why_it_stops(ledger.log, ledger.quarantine, store, most=10)

        assert error.metadata == {"unfit": "11", "most": "10"}
        assert len(await items_of(ledger)) == 10

    async def test_none_is_let_through_with_a_limit_of_nothing(self, ledger: Folder) -> None:
        """Whoever sets the limit to 0 has a writer that stops at the first unfit record."""
        await put(ledger.log, garbage(1))

        error = await why_it_stops(ledger.log, ledger.quarantine, ledger.store, most=0)

        assert error.reason == "QUARANTINE_SHARE_EXCEEDED"
        assert await items_of(ledger) == {}

    async def test_a_wider_limit_lets_it_go_on(self, ledger: Folder) -> None:
        """After a stop a person can decide that they are to be quarantined all the same."""
        for number in range(20):
            await put(ledger.log, garbage(number))
        await why_it_stops(ledger.log, ledger.quarantine, ledger.store, most=10)
        async with running(ledger.log, ledger.quarantine, ledger.store, most=20):
            await caught_up(ledger)

        assert len(await items_of(ledger)) == 20
