"""How the audit reads the logs: each record once, and of `scans` also what no trail shows yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from google.protobuf.message import DecodeError

from ledger.completeness.sources import Recorded, SourceKey
from ledger.errors import Diverged
from ledger.marks import TRAIL_READER, marks_of
from ledger.v1.log_record_pb2 import CheckedLogRecord
from ledger.v1.receipt_pb2 import ReceiptGroup
from ledger.v1.refused_scan_pb2 import RefusedScan

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from ledger.completeness.sources import Sources
    from ledger.scan_log import ScanLog
    from ledger.trail_store import TrailStore

READ_RECORDS: Final = 1_000
"""Records that are read at once: some 3 ms of work, between which everything else has its turn."""

UNREAD_MAX: Final = 100_000
"""Records behind the trails that are looked at for one answer, 0.3 s: what is behind them is told
as a number.
"""


class LogReader:
    """A place in each partition of a log, which goes on to the end when it is told."""

    def __init__(self, log: ScanLog) -> None:
        """It begins with the first record that the log still has."""
        self._log = log
        self._next = [0] * log.identity.partitions
        self._reached_ns = [0] * log.identity.partitions
        self.was_trimmed = False
        """Whether the log has begun behind its first record."""

    async def pieces(self, take: Callable[[bytes], int]) -> AsyncGenerator[tuple[int, int], None]:
        """Give each record up to the end as it is now to `take`, which says of when it is, or 0;
        say after each piece how many records it had, and how many there are still to read. Raises
        Busy or Uncertain where the log is away: what was read stays read.
        The partition that is the furthest behind in time is next, so that what was sent together
        is read together, and a source's sequences are few ranges on the way.
        """
        ends = [await self._end(place) for place in range(len(self._next))]
        while True:
            behind = [place for place, end in enumerate(ends) if self._next[place] < end]
            if not behind:
                return
            place = min(behind, key=lambda one: (self._reached_ns[one], self._next[one]))
            values = await self._log.read(place, self._next[place], READ_RECORDS)
            for value in values:
                self._reached_ns[place] = take(value) or self._reached_ns[place]
            self._next[place] += len(values)
            yield len(values), sum(max(0, ends[at] - self._next[at]) for at in behind)

    async def _end(self, partition: int) -> int:
        bounds = await self._log.bounds(partition)
        if bounds.next < self._next[partition]:
            name = self._log.identity.name
            raise Diverged(
                f"The log `{name}` is shorter than what was read from it: partition {partition} "
                f"ends at index {bounds.next}, and {self._next[partition]} were read.",
                reason="LOG_SHORTER_THAN_READ",
                metadata={"partition": str(partition)},
            )
        self.was_trimmed |= bounds.first > 0
        self._next[partition] = max(self._next[partition], bounds.first)
        return bounds.next


class Unread(NamedTuple):
    """What is recorded, and no trail shows."""

    by_source: Mapping[SourceKey, Mapping[int, int]]
    """Sequences with their record times, of numbered scans."""
    not_looked_at: int
    """Records beyond UNREAD_MAX."""


async def read_to_end(reader: LogReader, take: Callable[[bytes], int]) -> None:
    """Read what there is of a small log."""
    async for _ in reader.pieces(take):
        await asyncio.sleep(0)


def taking_receipts(sources: Sources) -> Callable[[bytes], int]:
    """Give what takes a record of the log `receipts`. One that is none says nothing."""

    def take(value: bytes) -> int:
        try:
            group = ReceiptGroup.FromString(value)
        except DecodeError:
            return 0
        for receipt in group.receipts:
            sources.take_receipt(receipt)
        return group.receipts[-1].time_ns if group.receipts else 0

    return take


def taking_refusals(sources: Sources) -> Callable[[bytes], int]:
    """Give what takes a record of the log `refusals`. One that is none says nothing."""

    def take(value: bytes) -> int:
        try:
            refused = RefusedScan.FromString(value)
        except DecodeError:
            return 0
        sources.take_refusal(refused)
        return refused.record_time_ns

    return take


def recorded_in(value: bytes) -> Recorded | None:
    """Say whose sequence a record of the log `scans` is; None where it has none, or is none: then
    it lies in quarantine, which knows what can be known.
    """
    try:
        record = CheckedLogRecord.FromString(value)
    except DecodeError:
        return None
    if not record.sequence:
        return None
    key = SourceKey(record.source_id, record.spool_id)
    return Recorded(key, record.sequence, record.record_time_ns, record.event.facility)


async def read_unread(log: ScanLog, store: TrailStore, take: Callable[[Recorded], None]) -> Unread:
    """Read what no trail shows yet: the records behind the marks, each of which `take` gets too.

    Raises Busy or Uncertain where an engine is away.
    """
    cells = marks_of(await store.marks(TRAIL_READER), log.identity)
    by_source: dict[SourceKey, dict[int, int]] = {}
    looked_at = not_looked_at = 0
    for partition in range(log.identity.partitions):
        # What is settled is readable, also where a store forgot the younger mark.
        marked = [cell.next_index for (_, place), cell in cells.items() if place == partition]
        bounds = await log.bounds(partition)
        index = max(bounds.first, max(marked, default=0))
        while index < bounds.next and looked_at < UNREAD_MAX:
            values = await log.read(partition, index, READ_RECORDS)
            for one in filter(None, map(recorded_in, values)):
                by_source.setdefault(one.key, {}).setdefault(one.sequence, one.time_ns)
                take(one)
            index += len(values)
            looked_at += len(values)
            await asyncio.sleep(0)
        not_looked_at += max(0, bounds.next - index)
    return Unread(by_source, not_looked_at)
