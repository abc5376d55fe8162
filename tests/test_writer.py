"""The writer on the embedded engine: rows, marks, restarts, and when it has to stop."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from ledger.backends.rocksdb_folder import Folder
from ledger.codec import read_record
from ledger.errors import Busy, Diverged, LedgerError, Uncertain
from ledger.marks import TRAIL_READER, check_mark, encode_mark
from ledger.position import pack_position
from ledger.scan_log import Assignment, Bounds, Follower, ScanLog
from ledger.trail_store import MarkCell, MarkKind, TrailStore
from ledger.v1.progress_pb2 import Mark
from ledger.writer import Writer
from tests.faults.known import all_rows, append, contents, known
from tests.faulty_log import FaultyLog
from tests.faulty_store import FaultyStore
from tests.folders import PARTITIONS, opened
from tests.rows import row_of

PATIENCE_S = 20.0
BUSY = Busy("The store is busy.", reason="TEST_BUSY", retry_after_s=0.01)
UNCERTAIN = Uncertain("The store did not answer.", reason="TEST_UNCERTAIN")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Folder]:
    """A log and a store."""
    async with opened(tmp_path) as folder:
        yield folder


def writer(log: ScanLog, store: TrailStore) -> Writer:
    """A writer with real clocks."""
    return Writer(log, store, monotonic=time.monotonic, now_ns=time.time_ns)


@asynccontextmanager
async def running(log: ScanLog, store: TrailStore) -> AsyncIterator[asyncio.Task[None]]:
    """A writer that runs in the background, and is cancelled."""
    task = asyncio.create_task(writer(log, store).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def marks(store: TrailStore, kind: MarkKind) -> dict[int, int]:
    """How far each partition is marked."""
    cells = await store.marks(TRAIL_READER)
    return {cell.partition: cell.next_index for cell in cells if cell.kind is kind}


async def caught_up(ledger: Folder, kind: MarkKind = MarkKind.READABLE) -> None:
    """Wait until everything in the log is marked."""
    ends = {p: (await ledger.log.bounds(p)).next for p in range(PARTITIONS)}
    wanted = {partition: end for partition, end in ends.items() if end}
    async with asyncio.timeout(PATIENCE_S):
        while await marks(ledger.store, kind) != wanted:  # noqa: ASYNC110 - nothing tells.
            await asyncio.sleep(0.005)


async def fill(ledger: Folder, numbers: range) -> None:
    """Append known records."""
    for number in numbers:
        await append(ledger.log, known(number, partitions=PARTITIONS))


async def rows_of_the_log(ledger: Folder) -> set[tuple[bytes, bytes, bytes]]:
    """The rows that the log's records are."""
    rows = set()
    for (partition, index), value in (await contents(ledger.log)).items():
        row = row_of(read_record(value), value, pack_position(1, partition, index))
        rows.add((row.tracking_key, row.order, row.record))
    return rows


def mark_at(log: ScanLog, next_index: int, last_record: bytes, *, partition: int = 0) -> MarkCell:
    """A mark as a writer of the same log would have put it."""
    return encode_mark(
        log.identity,
        partition,
        next_index=next_index,
        last_record=last_record,
        last_record_time_ns=1,
    )


class TestRowsAndMarks:
    async def test_every_record_becomes_its_row(self, ledger: Folder) -> None:
        """What is in the log before the writer starts, and what comes after, is in the trails."""
        await fill(ledger, range(40))
        async with running(ledger.log, ledger.store):
            await caught_up(ledger)
            await fill(ledger, range(40, 90))
            await caught_up(ledger)

        assert await all_rows(ledger.store) == await rows_of_the_log(ledger)
        assert len(await all_rows(ledger.store)) == 90

    async def test_a_mark_names_the_record_before_it(self, ledger: Folder) -> None:
        """A mark holds the next index, and hash and time of the last record."""
        await fill(ledger, range(30))
        async with running(ledger.log, ledger.store):
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
        async with running(ledger.log, store):
            await caught_up(ledger)
            assert await marks(ledger.store, MarkKind.SETTLED) == {}
            await caught_up(ledger, MarkKind.SETTLED)

        assert time.monotonic() - began >= 0.3


class TestRestart:
    async def test_a_restarted_writer_goes_on(self, ledger: Folder) -> None:
        """Cancelled anywhere and started again, the writer leaves nothing out."""
        for start in range(0, 60, 20):
            await fill(ledger, range(start, start + 20))
            async with running(ledger.log, ledger.store):
                await asyncio.sleep(0.002 * start)
        async with running(ledger.log, ledger.store):
            await caught_up(ledger)

        assert await all_rows(ledger.store) == await rows_of_the_log(ledger)

    async def test_a_restart_begins_at_the_settled_mark(self, ledger: Folder) -> None:
        """Settled rows are not written again; rows that are only readable are."""
        await fill(ledger, range(20))
        async with running(ledger.log, FaultyStore(ledger.store, settle_after_s=0)):
            await caught_up(ledger, MarkKind.SETTLED)
        await fill(ledger, range(20, 27))
        async with running(ledger.log, ledger.store):
            await caught_up(ledger)
        again = FaultyStore(ledger.store)
        async with running(ledger.log, again):
            async with asyncio.timeout(PATIENCE_S):
                while again.puts < 7:  # noqa: ASYNC110 - nothing tells.
                    await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)

        assert again.puts == 7

    async def test_a_replay_changes_nothing(self, ledger: Folder) -> None:
        """Writing the whole log a second time leaves rows and marks as they are."""
        await fill(ledger, range(50))
        async with running(ledger.log, ledger.store):
            await caught_up(ledger)
        rows, cells = await all_rows(ledger.store), await ledger.store.marks(TRAIL_READER)
        again = FaultyStore(ledger.store)
        async with running(ledger.log, again), asyncio.timeout(PATIENCE_S):
            while again.puts < 50:  # noqa: ASYNC110 - nothing tells.
                await asyncio.sleep(0.005)

        assert await all_rows(ledger.store) == rows
        assert sorted(await ledger.store.marks(TRAIL_READER), key=str) == sorted(cells, key=str)

    async def test_a_second_writer_takes_over(self, ledger: Folder) -> None:
        """A writer that stands by goes on where the first one left."""
        await fill(ledger, range(20))
        async with running(ledger.log, ledger.store) as first:
            await caught_up(ledger)
            async with running(ledger.log, ledger.store):
                first.cancel()
                await asyncio.wait([first])
                await fill(ledger, range(20, 40))
                await caught_up(ledger)

        assert await all_rows(ledger.store) == await rows_of_the_log(ledger)

    async def test_two_writers_that_both_believe_are_harmless(self, ledger: Folder) -> None:
        """Two writers of the same partitions at once write the same trail as one."""
        async with running(ledger.log, ledger.store):
            zombie = _UnderAnotherName(ledger.log)
            async with running(zombie, ledger.store):
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
        async with running(ledger.log, store):
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

        assert (await why_it_stops(ledger.log, store)).reason == "TEST"


class TestDivergedLog:
    async def test_a_record_in_the_wrong_partition_stops_it(self, ledger: Folder) -> None:
        """A record whose key belongs elsewhere is not written, and neither is what follows."""
        one = known(3, partitions=PARTITIONS)
        wrong = (one.partition + 1) % PARTITIONS
        await ledger.log.append(wrong, [one.key], [one.value])

        error = await why_it_stops(ledger.log, ledger.store)

        assert error.reason == "RECORD_IN_WRONG_PARTITION"
        assert error.metadata == {"partition": str(wrong), "index": "0"}
        assert await all_rows(ledger.store) == set()
        assert await marks(ledger.store, MarkKind.READABLE) == {}

    async def test_a_record_that_is_none_stops_it(self, ledger: Folder) -> None:
        """Bytes that no ingest wrote are not skipped."""
        await ledger.log.append(0, [b"K"], [b"\xff\xff"])

        assert (await why_it_stops(ledger.log, ledger.store)).reason == "RECORD_UNREADABLE"

    @pytest.mark.parametrize("kind", MarkKind)
    async def test_a_log_that_was_cut_stops_it(self, ledger: Folder, kind: MarkKind) -> None:
        """A log shorter than a mark is named, with the indexes that are gone."""
        one = known(0, partitions=PARTITIONS)
        await append(ledger.log, one)
        mark = mark_at(ledger.log, 4, b"gone", partition=one.partition)
        await ledger.store.put_marks(TRAIL_READER, [mark._replace(kind=kind)])

        error = await why_it_stops(ledger.log, ledger.store)

        assert error.reason == "LOG_SHORTER_THAN_MARK"
        assert "indexes 1 to 3 are gone" in error.message
        assert await all_rows(ledger.store) == set()

    async def test_a_log_that_was_cut_and_grew_again_stops_it(self, ledger: Folder) -> None:
        """A log that is long enough, with other bytes before the mark, would mix two histories."""
        one = known(0, partitions=PARTITIONS)
        for number in (0, 7, 14):
            await append(ledger.log, known(number, partitions=PARTITIONS))
        mark = mark_at(ledger.log, 2, b"another record", partition=one.partition)
        await ledger.store.put_marks(TRAIL_READER, [mark])

        error = await why_it_stops(ledger.log, ledger.store)

        assert error.reason == "LOG_DIFFERS_FROM_MARK"
        assert error.metadata["index"] == "1"

    async def test_a_cut_below_a_running_writer_is_found(
        self, ledger: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While it runs the writer reads its last record again, and stops when it is another."""
        monkeypatch.setattr("ledger.writer.VERIFY_EVERY_S", 0.02)
        log = _CutLog(ledger.log)
        await fill(ledger, range(10))
        async with running(log, ledger.store) as task:
            await caught_up(ledger)
            log.is_cut = True
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait([task])

        shorter = pytest.RaisesExc(Diverged, match="shorter")
        with pytest.RaisesGroup(shorter, flatten_subgroups=True):
            task.result()

    async def test_a_mark_at_the_end_of_the_log_is_fine(self, ledger: Folder) -> None:
        """A mark behind the last record, with its hash, is what a healthy log has."""
        one = known(0, partitions=PARTITIONS)
        await append(ledger.log, one)

        await check_mark(ledger.log, mark_at(ledger.log, 1, one.value, partition=one.partition))


async def why_it_stops(log: ScanLog, store: TrailStore) -> LedgerError:
    """Run a writer that must stop, and return its error."""
    with pytest.RaisesGroup(Diverged, flatten_subgroups=True) as stopped:
        async with asyncio.timeout(PATIENCE_S):
            await writer(log, store).run()
    error = stopped.value.exceptions[0]
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, LedgerError)
    return error


class _UnderAnotherName(FaultyLog):
    """A log whose followers are of another name: the reader's lock does not hold them back."""

    def follow(self, reader: str, assignment: Assignment) -> AbstractAsyncContextManager[Follower]:
        """Follow beside the owner of the name."""
        return super().follow(reader + " zombie", assignment)


class _CutLog(FaultyLog):
    """A log that comes back shorter."""

    is_cut = False

    async def bounds(self, partition: int) -> Bounds:
        """Say less than before."""
        return Bounds(0, 0) if self.is_cut else await super().bounds(partition)

    async def read(self, partition: int, index: int, max_records: int) -> Sequence[bytes]:
        """Hold less than before."""
        assert not self.is_cut
        return await super().read(partition, index, max_records)
