"""The writer: carries scans from the scan log to the trail store, and says how far it is.

It is the only role that knows both. It keeps the rows of a run, then marks how far it came, so a
crash anywhere repeats work and changes nothing. Rows and marks are functions of the log alone:
a second writer of the same partition repeats only true statements.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ledger import metrics
from ledger.codec import read_record, rows_of
from ledger.errors import Busy, Diverged, Uncertain
from ledger.marks import TRAIL_READER, check_mark, encode_mark, marks_of
from ledger.numbers import partition_of
from ledger.position import pack_position
from ledger.trail_store import MarkCell, MarkKind, Row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ledger.scan_log import Run, ScanLog
    from ledger.trail_store import TrailStore

logger = logging.getLogger(__name__)
T = TypeVar("T")

RUN_RECORDS_MAX = 4_000
"""Most records kept in one step: some 40 ms of work, so that the first of them do not wait long
for the last.
"""

YIELD_EVERY = 500
"""Records after which the loop gets a turn: some 2 ms, far below what a sender would notice."""

STEP_RECORDS_ENOUGH = 2_000
"""Records that are worth a step at once: what a step costs besides them is spread thin by then."""

STEP_EVERY_S = 0.05
"""How often smaller steps are made: 32 runs and marks cost some 3 ms, whatever is in them. A fifth
of the time within which a scan is to be readable.
"""

SETTLE_TICK_S = 0.5
"""How often rows that have become settled are marked so."""

VERIFY_EVERY_S = 10.0
"""How often the last marked record is read again and compared: a log that was cut is found within
it.
"""

RETRY_FIRST_S = 0.05
"""First wait before a call that failed is repeated; it doubles each time."""

RETRY_MOST_S = 5.0
"""Longest wait before a call is repeated: a store that comes back is in use again within it."""


class _Settling(NamedTuple):
    due: float
    """When the rows below these marks are settled, by the monotonic clock, in seconds."""
    marks: Sequence[MarkCell]


class Writer:
    """One writer of one process. `run` ends only by cancellation, or with Diverged."""

    def __init__(
        self,
        log: ScanLog,
        store: TrailStore,
        *,
        monotonic: Callable[[], float],
        now_ns: Callable[[], int],
    ) -> None:
        """`monotonic` gives seconds, `now_ns` nanoseconds since 1970-01-01T00:00:00Z."""
        self._log = log
        self._store = store
        self._monotonic = monotonic
        self._now_ns = now_ns
        self._in_flight = asyncio.Lock()
        self._settling: deque[_Settling] = deque()
        self._marks: dict[int, MarkCell] = {}
        partitions = range(log.identity.partitions)
        self._readable = [metrics.WRITER_READABLE_INDEX.labels(number) for number in partitions]
        self._settled = [metrics.WRITER_SETTLED_INDEX.labels(number) for number in partitions]

    async def run(self) -> None:
        """Carry on until cancelled. A store that is down is waited for; it is never a reason to
        skip a record.
        """
        async with (
            self._log.follow(TRAIL_READER, self) as follower,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._settle_forever())
            tasks.create_task(self._verify_forever())
            while True:
                runs = await insist(lambda: follower.next(RUN_RECORDS_MAX))
                if runs:
                    began_s = self._monotonic()
                    records = await self._keep(runs)
                    if records < STEP_RECORDS_ENOUGH:
                        await asyncio.sleep(STEP_EVERY_S - (self._monotonic() - began_s))

    async def taken(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Start each partition from its settled mark: rows behind it may have been lost in a power
        cut.
        """
        cells = marks_of(await insist(lambda: self._store.marks(TRAIL_READER)), self._log.identity)
        start = {}
        for partition in partitions:
            for kind in MarkKind:
                if cell := cells.get((kind, partition)):
                    await self._check(cell)
            settled = cells.get((MarkKind.SETTLED, partition))
            start[partition] = settled.next_index if settled else 0
            if settled:
                self._marks[partition] = settled
        logger.info("partitions taken", extra={"partitions": len(partitions)})
        return start

    async def given_up(self, partitions: Sequence[int]) -> None:
        """Wait for what is in flight; then another writer may go on from the marks."""
        async with self._in_flight:
            for partition in partitions:
                self._marks.pop(partition, None)
        logger.info("partitions given up", extra={"partitions": len(partitions)})

    async def _keep(self, runs: Sequence[Run]) -> int:
        """Keep the rows of these runs, then mark; return how many they are."""
        async with self._in_flight:
            rows: list[Row] = []
            marks = [await self._read_run(run, rows) for run in runs]
            await insist(lambda: self._store.put(rows))
            # If we crash here the runs are read again from the settled mark, and the same rows are
            # written with the same bytes. A mark whose rows were never put cannot be: it is put
            # only now.
            await insist(lambda: self._store.put_marks(TRAIL_READER, marks))
            # If we crash here nothing is repeated but what is not settled yet.
            self._marks.update((cell.partition, cell) for cell in marks)
            self._settling.append(_Settling(self._monotonic() + self._store.settle_after_s, marks))
        metrics.WRITER_ROWS.inc(len(rows))
        for cell in marks:
            self._readable[cell.partition].set(cell.next_index)
        lag_s = self._now_ns() / 1e9 - rows[-1].record_time_us / 1e6
        metrics.WRITER_LAG_SECONDS.set(max(0.0, lag_s))
        return len(rows)

    async def _read_run(self, run: Run, rows: list[Row]) -> MarkCell:
        """Append the rows of a run to `rows`, and return the mark behind it."""
        identity = self._log.identity
        first = pack_position(identity.generation, run.partition, run.first_index)
        partitions, partition = identity.partitions, run.partition
        for start in range(0, len(run.values), YIELD_EVERY):
            part = rows_of(run.values[start : start + YIELD_EVERY], first + start)
            for offset, row in enumerate(part, start):
                if partition_of(row[0], partitions) != partition:
                    raise _wrong_partition(partition, run.first_index + offset)
            rows += part
            if len(rows) % YIELD_EVERY < len(part):
                await asyncio.sleep(0)
        last = run.values[-1]
        return encode_mark(
            identity,
            partition,
            next_index=run.first_index + len(run.values),
            last_record=last,
            last_record_time_ns=read_record(last).record_time_ns,
        )

    async def _settle_forever(self) -> None:
        while True:
            await asyncio.sleep(SETTLE_TICK_S)
            due: dict[int, MarkCell] = {}
            while self._settling and self._settling[0].due <= self._monotonic():
                marks = self._settling.popleft().marks
                due.update((cell.partition, cell._replace(kind=MarkKind.SETTLED)) for cell in marks)
            if due:
                await self._settle(list(due.values()))

    async def _settle(self, marks: Sequence[MarkCell]) -> None:
        await insist(lambda: self._store.put_marks(TRAIL_READER, marks))
        for cell in marks:
            self._settled[cell.partition].set(cell.next_index)

    async def _verify_forever(self) -> None:
        while True:
            await asyncio.sleep(VERIFY_EVERY_S)
            for cell in list(self._marks.values()):
                await self._check(cell)

    async def _check(self, cell: MarkCell) -> None:
        await insist(lambda: check_mark(self._log, cell))


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call that is safe to repeat until it goes through. Diverged and Closed pass."""
    wait_s = RETRY_FIRST_S
    while True:
        try:
            return await call()
        except (Busy, Uncertain) as error:
            metrics.WRITER_RETRIES.labels(type(error).__name__).inc()
            logger.warning("the writer waits", extra={"error": str(error), "wait_s": wait_s})
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_MOST_S)


def _wrong_partition(partition: int, index: int) -> Diverged:
    return Diverged(
        f"Record {index} of partition {partition} belongs into another partition by its key: it "
        f"was written with "
        f"another number of partitions, or by another program. The writer stops before it.",
        reason="RECORD_IN_WRONG_PARTITION",
        metadata={"partition": str(partition), "index": str(index)},
    )
