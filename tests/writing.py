"""A writer at work on an embedded ledger, for tests."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from ledger.backends.rocksdb_folder import Folder
from ledger.codec import read_record
from ledger.errors import Busy, Diverged, LedgerError, Uncertain
from ledger.marks import TRAIL_READER, encode_mark
from ledger.position import pack_position
from ledger.quarantine.keeper import Keeper
from ledger.scan_log import Assignment, Follower, ScanLog
from ledger.trail_store import MarkCell, MarkKind, TrailStore
from ledger.writer import Writer
from tests.faults.known import append, contents, known
from tests.faulty_log import FaultyLog
from tests.folders import PARTITIONS, opened
from tests.rows import rows_of_one

PATIENCE_S = 20.0
QUARANTINE_MOST = 100
BUSY = Busy("The store is busy.", reason="TEST_BUSY", retry_after_s=0.01)
UNCERTAIN = Uncertain("The store did not answer.", reason="TEST_UNCERTAIN")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Folder]:
    """A log and a store."""
    async with opened(tmp_path) as folder:
        yield folder


def writer(
    log: ScanLog,
    quarantine: ScanLog,
    store: TrailStore,
    *,
    most: int = QUARANTINE_MOST,
    steps_at_once: int = 1,
) -> Writer:
    """A writer with real clocks; `most` is its share limit."""
    return Writer(
        log,
        store,
        Keeper(log, quarantine, store, now_ns=time.time_ns, most=most),
        monotonic=time.monotonic,
        now_ns=time.time_ns,
        steps_at_once=steps_at_once,
    )


@asynccontextmanager
async def running(
    log: ScanLog,
    quarantine: ScanLog,
    store: TrailStore,
    *,
    most: int = QUARANTINE_MOST,
    steps_at_once: int = 1,
) -> AsyncIterator[asyncio.Task[None]]:
    """A writer that runs in the background, and is cancelled."""
    made = writer(log, quarantine, store, most=most, steps_at_once=steps_at_once)
    task = asyncio.create_task(made.run())
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
    """Wait until everything in the log is marked, also what a writer itself appends."""
    async with asyncio.timeout(PATIENCE_S):
        while await marks(ledger.store, kind) != await _ends(ledger):  # noqa: ASYNC110 - as it says.
            await asyncio.sleep(0.005)


async def _ends(ledger: Folder) -> dict[int, int]:
    ends = {p: (await ledger.log.bounds(p)).next for p in range(PARTITIONS)}
    return {partition: end for partition, end in ends.items() if end}


async def fill(ledger: Folder, numbers: range) -> None:
    """Append known records."""
    for number in numbers:
        await append(ledger.log, known(number, partitions=PARTITIONS))


async def rows_of_the_log(ledger: Folder) -> set[tuple[bytes, bytes, bytes]]:
    """The rows that the log's records are."""
    rows = set()
    for (partition, index), value in (await contents(ledger.log)).items():
        position = pack_position(1, partition, index)
        for row in rows_of_one(read_record(value), value, position):
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


async def why_it_stops(
    log: ScanLog, quarantine: ScanLog, store: TrailStore, *, most: int = QUARANTINE_MOST
) -> LedgerError:
    """Run a writer that must stop, and return its error."""
    with pytest.RaisesGroup(Diverged, flatten_subgroups=True) as stopped:
        async with asyncio.timeout(PATIENCE_S):
            await writer(log, quarantine, store, most=most).run()
    error = stopped.value.exceptions[0]
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, LedgerError)
    return error


class UnderAnotherName(FaultyLog):
    """A log whose followers are of another name: the reader's lock does not hold them back."""

    def follow(self, reader: str, assignment: Assignment) -> AbstractAsyncContextManager[Follower]:
        """Follow beside the owner of the name."""
        return super().follow(reader + " zombie", assignment)
