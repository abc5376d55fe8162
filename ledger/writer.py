"""The writer: carries scans from the scan log to the trail store, and says how far it is.

It is the only role that knows both. It keeps the rows of a run, then marks how far it came, so a
crash anywhere repeats work and changes nothing. Rows and marks are functions of the log alone:
a second writer of the same partition repeats only true statements.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from ledger import metrics
from ledger.codec import is_replay
from ledger.insist import insist
from ledger.marks import TRAIL_READER, check_mark, encode_mark, marks_of
from ledger.position import pack_position
from ledger.quarantine.records import record_time_of
from ledger.quarantine.sorting import sort_out
from ledger.settling import Settling, StoreForgot
from ledger.trail_store import MarkKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ledger.quarantine.keeper import Keeper
    from ledger.quarantine.records import Unfit
    from ledger.scan_log import Run, ScanLog
    from ledger.trail_store import MarkCell, Row, TrailStore

logger = logging.getLogger(__name__)

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

VERIFY_EVERY_S = 10.0
"""How often the last marked record is read again and compared: a log that was cut is found within
it.
"""

FINISH_S = 5.0
"""Longest wait for steps on their way when partitions go: a store that is away must not keep
another writer from them. What is not marked by then is written again, by whoever comes after.
"""


class _Step(NamedTuple):
    """Runs that are kept together."""

    rows: Sequence[Row]
    unfit: Sequence[Unfit]
    """What cannot be kept, by the records' own faults."""
    marks: Sequence[MarkCell]
    """Behind the last record of each run."""


class Writer:
    """One writer of one process. `run` ends only by cancellation, or with Diverged."""

    def __init__(
        self,
        log: ScanLog,
        store: TrailStore,
        keeper: Keeper,
        *,
        monotonic: Callable[[], float],
        now_ns: Callable[[], int],
        steps_at_once: int = 1,
    ) -> None:
        """`keeper` keeps rows in that store. `monotonic` gives seconds, `now_ns` nanoseconds since
        1970-01-01T00:00:00Z.

        `steps_at_once` is how many steps may be on their way: more than one where the store works
        in other processes, while this one reads on.
        """
        self._log = log
        self._store = store
        self._keeper = keeper
        self._monotonic = monotonic
        self._now_ns = now_ns
        self._steps_at_once = steps_at_once
        self._room = asyncio.Semaphore(steps_at_once)
        self._steps: set[asyncio.Task[None]] = set()
        self._settling = Settling(store, self._settle, monotonic=monotonic)
        self._owned: dict[int, MarkCell | None] = {}
        """By partition that is ours: the last mark that we know of."""
        self._reached: dict[int, int] = {}
        """By partition: up to where we have put everything since it was settled, also before
        others had it in between.
        """
        partitions = range(log.identity.partitions)
        self._readable = [metrics.WRITER_READABLE_INDEX.labels(number) for number in partitions]

    async def run(self) -> None:
        """Carry on until cancelled. A store that is down is waited for; it is never a reason to
        skip a record.
        """
        while True:
            try:
                await self._carry()
            except* StoreForgot:
                # Whoever follows anew begins at the settled marks.
                metrics.WRITER_REWINDS.inc()
            # A task group that fails says nothing of a cancellation in the same moment.
            if (task := asyncio.current_task()) and task.cancelling():
                raise asyncio.CancelledError

    async def _carry(self) -> None:
        self._reached.clear()
        self._room = asyncio.Semaphore(self._steps_at_once)
        await self._settling.begin()
        # From the inside out: nothing is verified or settled any more, then the partitions are
        # given up, which waits for the steps on their way; then those that are still there end.
        async with (
            asyncio.TaskGroup() as steps,
            self._log.follow(TRAIL_READER, self) as follower,
            asyncio.TaskGroup() as ticks,
        ):
            ticks.create_task(self._settling.run())
            ticks.create_task(self._verify_forever())
            before: asyncio.Task[None] | None = None
            while True:
                runs = await insist(lambda: follower.next(RUN_RECORDS_MAX))
                if not runs:
                    continue
                began_s = self._monotonic()
                await self._room.acquire()
                step = await self._read(runs)
                before = steps.create_task(self._keep(step, before))
                self._steps.add(before)
                before.add_done_callback(self._steps.discard)
                if len(step.rows) < STEP_RECORDS_ENOUGH:
                    await asyncio.wait([before])
                    await asyncio.sleep(STEP_EVERY_S - (self._monotonic() - began_s))

    async def taken(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Start each partition from its settled mark, since rows behind it may be lost; or from
        where we came to ourselves, since we still watch over what is not settled of it.
        """
        cells = marks_of(await insist(lambda: self._store.marks(TRAIL_READER)), self._log.identity)
        start = {}
        for partition in partitions:
            known = [cell for kind in MarkKind if (cell := cells.get((kind, partition)))]
            for cell in known:
                await self._check(cell)
            settled = cells.get((MarkKind.SETTLED, partition))
            # The newest is looked at from here on: nothing new may come for long.
            self._owned[partition] = max(known, key=lambda cell: cell.next_index, default=None)
            start[partition] = max(
                settled.next_index if settled else 0, self._reached.get(partition, 0)
            )
        await self._keeper.begin(start)
        metrics.WRITER_PARTITIONS.set(len(self._owned))
        logger.info("partitions taken", extra={"partitions": len(partitions)})
        return start

    async def given_up(self, partitions: Sequence[int]) -> None:
        """Wait for what is on its way; then another writer may go on from the marks."""
        if self._steps:
            await asyncio.wait(self._steps, timeout=FINISH_S)
        for partition in partitions:
            self._owned.pop(partition, None)
        metrics.WRITER_PARTITIONS.set(len(self._owned))
        logger.info("partitions given up", extra={"partitions": len(partitions)})

    async def _read(self, runs: Sequence[Run]) -> _Step:
        rows: list[Row] = []
        unfit: list[Unfit] = []
        marks = [await self._read_run(run, rows, unfit) for run in runs]
        self._keeper.count(sum(len(run.values) for run in runs), unfit)
        return _Step(rows, unfit, marks)

    async def _keep(self, step: _Step, before: asyncio.Task[None] | None) -> None:
        """Keep the rows, then mark, once the step before has marked."""
        rows, unfit, marks = step
        stubs = await self._keeper.keep(unfit) if unfit else []
        if rows or stubs:
            await self._keeper.put([*rows, *stubs] if stubs else rows)
        if before is not None:
            await asyncio.wait([before])
            before.result()
        # If we crash here the runs are read again from the settled mark, and the same rows are
        # written with the same bytes. A mark whose rows were never put, or whose unfit records are
        # not in quarantine, cannot be: it is put only now, and behind the marks of all that came
        # before.
        await insist(lambda: self._store.put_marks(TRAIL_READER, marks))
        # If we crash here nothing is repeated but what is not settled yet.
        self._settling.add(marks)
        for cell in marks:
            self._reached[cell.partition] = cell.next_index
            if cell.partition in self._owned:
                self._owned[cell.partition] = cell
            self._readable[cell.partition].set(cell.next_index)
        self._room.release()
        metrics.WRITER_ROWS.inc(len(rows))
        if rows and not is_replay(rows[-1].record):  # A replayed one is as old as its first place.
            lag_s = self._now_ns() / 1e9 - rows[-1].record_time_us / 1e6
            metrics.WRITER_LAG_SECONDS.set(max(0.0, lag_s))

    async def _settle(self, marks: Sequence[MarkCell]) -> None:
        settled = [cell._replace(kind=MarkKind.SETTLED) for cell in marks]
        await insist(lambda: self._store.put_marks(TRAIL_READER, settled))
        for cell in settled:
            metrics.WRITER_SETTLED_INDEX.labels(cell.partition).set(cell.next_index)

    async def _read_run(self, run: Run, rows: list[Row], unfit: list[Unfit]) -> MarkCell:
        """Append the rows of a run to `rows`, and what is unfit to `unfit`; return the mark behind
        the run.
        """
        identity, values = self._log.identity, run.values
        first = pack_position(identity.generation, run.partition, run.first_index)
        for at in range(0, len(values), YIELD_EVERY):
            bite = values[at : at + YIELD_EVERY]
            part, bad = sort_out(bite, first + at, identity.partitions)
            rows += part
            unfit += bad
            if len(rows) % YIELD_EVERY < len(part):
                await asyncio.sleep(0)
        last = values[-1]
        return encode_mark(
            identity,
            run.partition,
            next_index=run.first_index + len(values),
            last_record=last,
            # Of the last record alone, whatever it is: a mark is the same whoever puts it.
            last_record_time_ns=record_time_of(last),
        )

    async def _verify_forever(self) -> None:
        while True:
            await asyncio.sleep(VERIFY_EVERY_S)
            for cell in list(self._owned.values()):
                if cell:
                    await self._check(cell)

    async def _check(self, cell: MarkCell) -> None:
        await insist(lambda: check_mark(self._log, cell))
