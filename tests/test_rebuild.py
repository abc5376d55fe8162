"""Making the store again: the new one is what the log says, and serves only if it is."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.backends.rocksdb_options import trail_family
from ledger.backends.rocksdb_restore import restore_folder
from ledger.errors import Diverged
from ledger.generations import Standing
from ledger.progress import append_entry
from ledger.v1.trail_service_pb2 import ListScanEventsRequest
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from tests.asking import served
from tests.faults.known import append, known, rows_in_all
from tests.faulty_store import FaultyStore
from tests.folders import PARTITIONS, opened
from tests.quarantined import KINDS, put
from tests.rebuilds import (
    brought,
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
        assert await ledger.generations.standing() == Standing(2, 0, [1])
        assert before
        assert await rows_served(ledger) == before
        assert await rows_of_generation(ledger, 1) == before
        assert told.counts == sorted(told.counts)
        assert told.totals == [3 * built.records] * 2
        assert told.counts[-1] == told.totals[0]

    async def test_what_comes_then_goes_to_the_new_one_alone(self, ledger: Folder) -> None:
        """Before, between and after; the old one ends with the change."""
        await fill(ledger, range(20))
        await rebuilt(ledger)
        await fill(ledger, range(20, 30))
        await carried(ledger)

        assert len(await rows_served(ledger)) == rows_in_all(range(30))
        assert len(await rows_of_generation(ledger, 1)) == rows_in_all(range(20))
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
        enough = asyncio.Event()  # An append that is cancelled may be kept after the last look.

        async def go_on() -> None:
            while not enough.is_set():
                await append(ledger.log, known(next(numbers), partitions=PARTITIONS))

        async def settle_on() -> None:
            while not enough.is_set():
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
            enough.set()
            await asyncio.gather(*load)
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
            assert await folder.generations.standing() == Standing(2, 0, [1])
            assert await rows_served(folder) == rows
            await rebuilt(folder)
            await folder.generations.drop(1)
            assert await folder.generations.standing() == Standing(3, 0, [2])
        async with opened(tmp_path) as folder:
            assert await folder.generations.standing() == Standing(3, 0, [2])
            assert await rows_served(folder) == rows

    @pytest.mark.parametrize("half", [True, False])
    async def test_a_backup_has_all_generations(
        self, ledger: Folder, tmp_path: Path, half: bool
    ) -> None:
        """Restored from a backup the same one serves, and a rebuilding goes on there."""
        await fill(ledger, range(40))
        await rebuilt(ledger)
        if half:
            await brought(ledger)
        await ledger.backups.back_up(tmp_path / "backup", Heard())
        await restore_folder(tmp_path / "backup", tmp_path / "new" / "ledger", Heard())

        async with opened(tmp_path / "new") as restored:
            assert await restored.generations.standing() == Standing(2, 3 if half else 0, [1])
            assert await rows_served(restored) == await rows_served(ledger)
            again = await rebuilt(restored)
            assert (again.generation, again.records) == (3, 0 if half else 40)
            assert (await compared(restored)).is_same

    async def test_a_generation_that_is_gone_is_said(self, tmp_path: Path) -> None:
        """A folder without the rows that should serve is refused, and not served empty."""
        async with opened(tmp_path) as folder:
            await rebuilt(folder)
            folder.store._engine.drop_family(trail_family(2))
        with pytest.raises(Diverged, match="Generation 2 of the store is gone"):
            async with opened(tmp_path):
                pass


class TestReaders:
    async def test_a_read_that_runs_is_read_to_its_end(self, ledger: Folder) -> None:
        """Begun before the change and ended behind it, also where the old one is dropped then."""
        await fill(ledger, range(7 * 600))
        await carried(ledger)
        key = known(0, partitions=PARTITIONS).key
        wanted = await ledger.store.read(key, max_rows=10_000, max_bytes=10**9)
        building = await brought(ledger)

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
