"""The writer on the embedded engine: rows, marks, restarts, and when it has to stop."""

import asyncio
import hashlib
import time
from collections import Counter

import pytest

from ledger.backends.rocksdb_folder import Folder
from ledger.codec import read_record
from ledger.errors import Diverged, LedgerError
from ledger.marks import TRAIL_READER
from ledger.metrics import REGISTRY, WRITER_LAG_SECONDS
from ledger.position import pack_position
from ledger.quarantine.records import replay_of
from ledger.trail_store import MarkKind
from ledger.v1.progress_pb2 import Mark
from tests.faults.known import all_rows, contents, rows_in_all
from tests.faulty_store import FaultyStore
from tests.writing import (
    BUSY,
    PATIENCE_S,
    UNCERTAIN,
    UnderAnotherName,
    caught_up,
    fill,
    ledger,
    marks,
    rows_of_the_log,
    running,
    why_it_stops,
)

__all__ = ["ledger"]  # A fixture, taken by its name.


class TestRowsAndMarks:
    async def test_every_record_becomes_its_row(self, ledger: Folder) -> None:
        """What is in the log before the writer starts, and what comes after, is in the trails."""
        await fill(ledger, range(40))
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await caught_up(ledger)
            await fill(ledger, range(40, 90))
            await caught_up(ledger)

        assert await all_rows(ledger.store) == await rows_of_the_log(ledger)
        assert len(await all_rows(ledger.store)) == rows_in_all(range(90)) > 90

    async def test_a_mark_names_the_record_before_it(self, ledger: Folder) -> None:
        """A mark holds the next index, and hash and time of the last record."""
        await fill(ledger, range(30))
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await caught_up(ledger)

        records = await contents(ledger.log)
        for cell in await ledger.store.marks(TRAIL_READER):
            last = records[cell.partition, cell.next_index - 1]
            assert Mark.FromString(cell.mark) == Mark(
                next_index=cell.next_index,
                last_record_hash=hashlib.sha256(last).digest(),
                last_record_time_ns=read_record(last).record_time_ns,
            )

    async def test_rows_settle_after_the_store_says(self, ledger: Folder) -> None:
        """Settled marks follow readable ones only when the store's time has passed."""
        await fill(ledger, range(20))
        store = FaultyStore(ledger.store, settle_after_s=0.3)
        began = time.monotonic()
        async with running(ledger.log, ledger.quarantine, store):
            await caught_up(ledger)
            assert await marks(ledger.store, MarkKind.SETTLED) == {}
            await caught_up(ledger, MarkKind.SETTLED)

        assert time.monotonic() - began >= 0.3

    async def test_a_replayed_record_is_no_lag(self, ledger: Folder) -> None:
        """It is as old as where it lay first, and the writer is not behind for that."""
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await fill(ledger, range(1))
            await caught_up(ledger)
            WRITER_LAG_SECONDS.set(0.5)
            [((partition, index), value)] = (await contents(ledger.log)).items()
            replayed = replay_of(value, pack_position(1, partition, index))
            await ledger.log.append(partition, [b"key"], [replayed])
            await caught_up(ledger)
            after_replay = REGISTRY.get_sample_value("ledger_writer_lag_seconds")
            await fill(ledger, range(1, 2))
            await caught_up(ledger)

        assert after_replay == 0.5
        assert REGISTRY.get_sample_value("ledger_writer_lag_seconds") != 0.5


class TestRestart:
    async def test_a_restarted_writer_goes_on(self, ledger: Folder) -> None:
        """Cancelled anywhere and started again, the writer leaves nothing out."""
        for start in range(0, 60, 20):
            await fill(ledger, range(start, start + 20))
            async with running(ledger.log, ledger.quarantine, ledger.store):
                await asyncio.sleep(0.002 * start)
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await caught_up(ledger)

        assert await all_rows(ledger.store) == await rows_of_the_log(ledger)

    async def test_a_restart_begins_at_the_settled_mark(self, ledger: Folder) -> None:
        """Settled rows are not written again; rows that are only readable are."""
        await fill(ledger, range(20))
        async with running(
            ledger.log, ledger.quarantine, FaultyStore(ledger.store, settle_after_s=0)
        ):
            await caught_up(ledger, MarkKind.SETTLED)
        await fill(ledger, range(20, 27))
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await caught_up(ledger)
        again = FaultyStore(ledger.store)
        async with running(ledger.log, ledger.quarantine, again):
            async with asyncio.timeout(PATIENCE_S):
                while again.puts < rows_in_all(range(20, 27)):  # noqa: ASYNC110 - nothing tells.
                    await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)

        assert again.puts == rows_in_all(range(20, 27))

    async def test_a_replay_changes_nothing(self, ledger: Folder) -> None:
        """Writing the whole log a second time leaves rows and marks as they are."""
        await fill(ledger, range(50))
        async with running(ledger.log, ledger.quarantine, ledger.store):
            await caught_up(ledger)
        rows, cells = await all_rows(ledger.store), await ledger.store.marks(TRAIL_READER)
        again = FaultyStore(ledger.store)
        async with running(ledger.log, ledger.quarantine, again), asyncio.timeout(PATIENCE_S):
            while again.puts < 50:  # noqa: ASYNC110 - nothing tells.
                await asyncio.sleep(0.005)

        assert await all_rows(ledger.store) == rows
        assert sorted(await ledger.store.marks(TRAIL_READER), key=str) == sorted(cells, key=str)

    async def test_a_second_writer_takes_over(self, ledger: Folder) -> None:
        """A writer that stands by goes on where the first one left."""
        await fill(ledger, range(20))
        async with running(ledger.log, ledger.quarantine, ledger.store) as first:
            await caught_up(ledger)
            async with running(ledger.log, ledger.quarantine, ledger.store):
                first.cancel()
                await asyncio.wait([first])
                await fill(ledger, range(20, 40))
                await caught_up(ledger)

        assert await all_rows(ledger.store) == await rows_of_the_log(ledger)

    async def test_two_writers_that_both_believe_are_harmless(self, ledger: Folder) -> None:
        """Two writers of the same partitions at once write the same trail as one."""
        async with running(ledger.log, ledger.quarantine, ledger.store):
            zombie = UnderAnotherName(ledger.log)
            async with running(zombie, ledger.quarantine, ledger.store):
                await fill(ledger, range(80))
                await caught_up(ledger)
                await asyncio.sleep(0.05)

        assert await all_rows(ledger.store) == await rows_of_the_log(ledger)


class TestStoreTrouble:
    @pytest.mark.parametrize("error", [BUSY, UNCERTAIN], ids=["busy", "uncertain"])
    @pytest.mark.parametrize("method", ["put", "put_marks", "marks"])
    @pytest.mark.parametrize("when", ["unwritten", "written"])
    async def test_a_store_that_fails_is_waited_for(
        self, ledger: Folder, method: str, when: str, error: LedgerError
    ) -> None:
        """A call that fails, with its effect or without, is repeated until it goes through."""
        store = FaultyStore(ledger.store)
        failures: Counter[str] = Counter()

        def fault(called: str) -> LedgerError | None:
            failures[called] += called == method
            return error if called == method and failures[called] in {1, 2} else None

        if when == "unwritten":
            store.fails_unwritten = fault
        else:
            store.fails_written = fault
        await fill(ledger, range(10))
        async with running(ledger.log, ledger.quarantine, store):
            await caught_up(ledger)
            await fill(ledger, range(10, 15))
            await caught_up(ledger)

        assert await all_rows(ledger.store) == await rows_of_the_log(ledger)
        assert failures[method] >= 2 or (method, when) == ("marks", "written")

    async def test_a_broken_store_stops_the_writer(self, ledger: Folder) -> None:
        """Diverged is not waited for."""
        store = FaultyStore(ledger.store)
        store.fails_unwritten = lambda method: (
            Diverged("broken", reason="TEST") if method == "put" else None
        )
        await fill(ledger, range(5))

        assert (await why_it_stops(ledger.log, ledger.quarantine, store)).reason == "TEST"
