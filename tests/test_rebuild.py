"""Making the store again: the new one is what the log says, and serves only if it is."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import grpc
import pytest

from ledger import rebuilding
from ledger.backends.rocksdb_options import trail_family
from ledger.compare.drill import Kind
from ledger.errors import Diverged, NotPossibleNow
from ledger.generations import Standing
from ledger.marks import TRAIL_READER
from ledger.progress import append_entry
from ledger.trail_store import MarkKind
from ledger.v1.trail_service_pb2 import ListScanEventsRequest
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from tests.asking import served
from tests.faults.known import append, known
from tests.faulty_store import FaultyStore
from tests.folders import PARTITIONS, opened
from tests.quarantined import KINDS, put
from tests.rebuilds import (
    Cancelling,
    carried,
    rebuilding_of,
    rebuilt,
    rows_of_generation,
    rows_served,
)
from tests.trails import timestamp
from tests.upkeep import Heard, compared, settle, tamper
from tests.writing import caught_up, fill, ledger, rows_of_the_log, running

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.backends.rocksdb_folder import Folder

__all__ = ["ledger"]  # A fixture, taken by its name.


class TestWhole:
    async def test_the_new_one_serves_and_has_every_row_once(self, ledger: Folder) -> None:
        """Also notices of what is in quarantine; the old one is kept as it was, and progress is
        told up to the total.
        """
        for number, kind in enumerate(KINDS):
            await put(ledger.log, kind(number))
        await fill(ledger, range(60))
        await carried(ledger)
        before = await rows_served(ledger)
        told = Heard()

        built = await rebuilding_of(ledger).rebuild(told)

        assert (built.before, built.generation, ledger.store.generation) == (1, 2, 2)
        assert ledger.generations.standing() == Standing(2, 0, [1])
        assert before
        assert await rows_served(ledger) == before
        assert await rows_of_generation(ledger, 1) == before
        assert told.counts == sorted(told.counts)
        assert told.totals == [built.records, 3 * built.records]
        assert told.counts[-1] == built.records + 2 * len(before)

    async def test_what_comes_then_goes_to_the_new_one_alone(self, ledger: Folder) -> None:
        """Before, between and after; the old one ends with the change."""
        await fill(ledger, range(20))
        await rebuilt(ledger)
        await fill(ledger, range(20, 30))
        await carried(ledger)

        assert len(await rows_served(ledger)) == 30
        assert len(await rows_of_generation(ledger, 1)) == 20
        assert (await compared(ledger)).is_same

    async def test_a_store_that_lost_and_altered_rows_is_mended(self, ledger: Folder) -> None:
        """Nothing of the old one is read: what was wrong in it is right, and stays to be seen."""
        await fill(ledger, range(60))
        await carried(ledger)
        rows = await rows_served(ledger)
        tamper(ledger, rows[3], None)
        tamper(ledger, rows[9], b"other bytes")
        stray = rows[5]._replace(tracking_key=b"STRAY")
        tamper(ledger, stray, stray.record)
        assert not (await compared(ledger)).is_same

        await rebuilt(ledger)

        assert await rows_served(ledger) == rows
        assert (await compared(ledger)).is_same
        assert await rows_of_generation(ledger, 1) != rows

    async def test_what_the_store_refused_has_its_notice_again(self, ledger: Folder) -> None:
        """By quarantine, since nothing in the log says it."""
        store = FaultyStore(ledger.store)
        store.refuses = lambda row: b"event 7 " in row.record
        await fill(ledger, range(30))
        async with running(ledger.log, ledger.quarantine, store):
            await caught_up(ledger)
        await settle(ledger)
        before = await rows_served(ledger)

        await rebuilding_of(ledger).rebuild(Heard())

        assert ledger.store.generation == 2
        assert await rows_served(ledger) == before

    async def test_an_empty_ledger_can_be_rebuilt(self, ledger: Folder) -> None:
        """Nothing is brought, and the new generation takes what comes."""
        built = await rebuilt(ledger)
        await fill(ledger, range(3))
        await carried(ledger)

        assert (built.records, ledger.store.generation) == (0, 2)
        assert len(await rows_served(ledger)) == 3

    @pytest.mark.timeout(120)
    async def test_under_load_nothing_is_lost(self, ledger: Folder) -> None:
        """Rebuilt twice while scans come and a writer keeps them: all of them are there, once."""
        numbers = itertools.count()

        async def go_on() -> None:
            while True:
                await append(ledger.log, known(next(numbers), partitions=PARTITIONS))

        async def settle_on() -> None:
            while True:
                await settle(ledger)
                await asyncio.sleep(0.1)

        await fill(ledger, range(2_000))
        numbers = itertools.count(2_000)
        async with running(ledger.log, ledger.quarantine, ledger.store):
            load = [asyncio.create_task(work()) for work in (go_on, go_on, settle_on)]
            await asyncio.sleep(0.2)
            first = await rebuilding_of(ledger).rebuild(Heard())
            second = await rebuilding_of(ledger).rebuild(Heard())
            await asyncio.sleep(0.2)
            for task in load:
                task.cancel()
            await asyncio.wait(load)
            await caught_up(ledger)
        await settle(ledger)

        assert (first.generation, second.generation) == (2, 3)
        assert second.records > first.records >= 2_000
        wanted = await rows_of_the_log(ledger)
        rows = await rows_served(ledger)
        assert len(rows) == len(wanted) > 2_000
        assert {tuple(row) for row in rows} == wanted

    async def test_it_is_the_same_after_a_start(self, tmp_path: Path) -> None:
        """Which generation serves, which are kept, and that numbers go on."""
        async with opened(tmp_path) as folder:
            await fill(folder, range(20))
            await rebuilt(folder)
            rows = await rows_served(folder)
        async with opened(tmp_path) as folder:
            assert folder.generations.standing() == Standing(2, 0, [1])
            assert await rows_served(folder) == rows
            await rebuilt(folder)
            await folder.generations.drop(1)
            assert folder.generations.standing() == Standing(3, 0, [2])
        async with opened(tmp_path) as folder:
            assert folder.generations.standing() == Standing(3, 0, [2])
            assert await rows_served(folder) == rows


class TestReaders:
    async def test_a_read_that_runs_is_read_to_its_end(self, ledger: Folder) -> None:
        """Begun before the change and ended behind it, also where the old one is dropped then."""
        await fill(ledger, range(7 * 600))
        await carried(ledger)
        key = known(0, partitions=PARTITIONS).key
        wanted = await ledger.store.read(key, max_rows=10_000, max_bytes=10**9)
        building = await rebuilding_and_waiting(ledger)

        reading = asyncio.create_task(ledger.store.read(key, max_rows=10_000, max_bytes=10**9))
        await asyncio.sleep(0)
        assert not reading.done()
        await ledger.generations.serve(building)
        await ledger.generations.drop(1)

        assert len(wanted.rows) == 600
        assert await reading == wanted
        assert await ledger.store.read(key, max_rows=10_000, max_bytes=10**9) == wanted

    async def test_pages_and_past_answers_are_the_same(self, ledger: Folder) -> None:
        """A page token from before the change goes on behind it; as of a time it is what it was,
        and scans that came meanwhile are in neither.
        """
        await fill(ledger, range(140))
        await carried(ledger)
        assert await append_entry(ledger.store, now_ns=lambda: 10**18)
        number = known(0, partitions=PARTITIONS).key.decode()
        async with (
            served(ledger.store, {1: PARTITIONS}) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            stub = TrailServiceStub(channel)

            async def page(token: str = "", **fields: object) -> list[str]:
                request = ListScanEventsRequest(
                    tracking_number=number,
                    page_size=8,
                    page_token=token,
                    **fields,  # type: ignore[arg-type]
                )
                answer = await stub.ListScanEvents(request)
                tokens.append(answer.next_page_token)
                return [str(entry.position.index) for entry in answer.entries]

            tokens: list[str] = []
            past = timestamp(10**18)
            before = [await page(), await page(as_of_time=past)]
            first, first_past = tokens
            whole = [await page(first), await page(first_past, as_of_time=past)]
            await fill(ledger, range(140, 280))
            await rebuilt(ledger)
            await ledger.generations.drop(1)

            assert [await page(as_of_time=past)] == before[1:]
            assert [await page(first), await page(first_past, as_of_time=past)] == whole
            assert all(map(len, (*before, *whole)))


class TestNotServing:
    async def test_one_that_differs_does_not_serve(self, ledger: Folder) -> None:
        """A row of the new one is gone before it is compared: the old one goes on, the difference
        is named, and after a drop it can be built again.
        """
        await fill(ledger, range(40))
        await carried(ledger)
        rows = await rows_served(ledger)
        building = await rebuilding_and_waiting(ledger)
        family = ledger.store._engine.family(trail_family(building))
        family.delete(rows[5].tracking_key + b"\0" + rows[5].order)

        built = await rebuilding_of(ledger).rebuild(Heard())

        [one] = built.comparison.differences
        assert (one.kind, one.tracking_key) == (Kind.MISSING, rows[5].tracking_key)
        assert ledger.generations.standing() == Standing(1, building, [])
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
        monkeypatch.setattr(rebuilding, "READ_RECORDS", 20)
        await fill(ledger, range(400))
        await carried(ledger)
        totals = []
        for number, place in enumerate((1, 50, 150, 90, 300, 700)):
            told = Cancelling(place)
            work = asyncio.create_task(rebuilding_of(ledger).rebuild(told))
            await asyncio.wait([work])
            assert work.cancelled()
            assert ledger.generations.standing() == Standing(1, 2, [])
            totals.append(told.totals[0])
            await fill(ledger, range(400 + 10 * number, 410 + 10 * number))
            await carried(ledger)

        built = await rebuilding_of(ledger).rebuild(Heard())

        assert totals[0] == 400
        assert totals[:4] == sorted(totals[:4], reverse=True)
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
        assert ledger.generations.standing() == Standing(1, 0, [])

    async def test_what_is_not_fit_is_not_dropped_or_served(self, ledger: Folder) -> None:
        """The one that serves, one that is not there, and one that is not being built."""
        await rebuilt(ledger)
        for generation in (0, 2, 3):
            with pytest.raises(NotPossibleNow):
                await ledger.generations.drop(generation)
        for generation in (0, 1, 2, 3):
            with pytest.raises(NotPossibleNow):
                await ledger.generations.serve(generation)
        assert ledger.generations.standing() == Standing(2, 0, [1])


async def rebuilding_and_waiting(ledger: Folder) -> int:
    """Bring everything to a new generation, and leave it before it serves; give its number."""
    building = await ledger.generations.begin()
    work = rebuilding_of(ledger)
    spans = await work._spans(building)
    await work._bring_all(building, spans, Heard())
    return building.generation
