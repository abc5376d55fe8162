"""The writer's side of quarantine: what cannot be kept goes there whole, and a stub into its trail.

A log or a store that is away is waited for, and never a reason. Every step may be repeated: a
second item for a position is the same item, and a stub is always the same bytes.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from ledger import metrics
from ledger.codec import Fault
from ledger.errors import Diverged, NotPossibleNow, Refused
from ledger.event import split_order
from ledger.insist import insist
from ledger.numbers import partition_of
from ledger.position import unpack_position
from ledger.quarantine.records import (
    Unfit,
    item_key,
    item_of,
    item_partition,
    read_said,
    stub_bytes,
    stub_of,
    stub_row,
)
from ledger.quarantine.share import WINDOW_RECORDS, Share
from ledger.quarantine.sorting import row_instead
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.quarantine_pb2 import QuarantineReason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ledger.scan_log import ScanLog
    from ledger.trail_store import Row, TrailStore

logger = logging.getLogger(__name__)

LOOK_BACK_RECORDS: Final = 1_000
"""Records at the end of each partition of the quarantine that a writer reads when it starts: ten
times what the share limit lets through by default.
"""

TOLD_MAX: Final = 10
"""Records that are named in the log when there are too many: they have one fault in common."""

_STORE_REFUSED = QuarantineReason.QUARANTINE_REASON_STORE_REFUSED


class Keeper:
    """Keeps rows for one writer, and puts into quarantine what cannot be kept."""

    def __init__(
        self,
        scans: ScanLog,
        quarantine: ScanLog,
        store: TrailStore,
        *,
        now_ns: Callable[[], int],
        most: int,
    ) -> None:
        """`now_ns` gives nanoseconds since 1970; `most` is how many of the last WINDOW_RECORDS
        may be unfit.
        """
        self._scans = scans
        self._quarantine = quarantine
        self._store = store
        self._now_ns = now_ns
        self._share = Share(most)
        self._known: set[int] = set()
        """Positions that are in quarantine already, as far as it was looked at."""

    async def begin(self, starts: Mapping[int, int]) -> None:
        """Look at what is in quarantine already, where partitions begin at these indexes.

        Without it a writer that is started again and again would quarantine again what it has not
        marked, and the share limit would let through as much each time.
        """
        partitions = range(self._quarantine.identity.partitions)
        found = await asyncio.gather(*map(self._last_positions, partitions))
        self._known = set().union(*found)
        each = WINDOW_RECORDS // max(1, len(starts))
        generation = self._scans.identity.generation
        unfit = 0
        for position in self._known:
            at = unpack_position(position)
            start = starts.get(at.partition, 0)
            unfit += at.generation == generation and start - each <= at.index < start
        self._share.begin(sum(min(start, each) for start in starts.values()), unfit)

    def count(self, records: int, unfit: Sequence[Unfit]) -> None:
        """Count what was read, in the order of reading and before any of it is kept.

        Raises Diverged where too much of it is unfit: nothing of that step is kept or marked then.
        """
        try:
            self._share.count(records, len(unfit))
        except Diverged:
            # They are in no quarantine where a person could look at them.
            for one in unfit[:TOLD_MAX]:
                logger.warning("a record cannot be kept", extra=_words(one))
            raise

    async def keep(self, unfit: Sequence[Unfit]) -> list[Row]:
        """Put unfit records into quarantine for good; return the stubs to put with other rows.

        What comes behind, and how far we are, is marked only when those rows are put.
        """
        await self._append_items([one for one in unfit if one.position not in self._known])
        # If we crash here the records are read again, and come into quarantine a second time: the
        # same items, since an item is known by its position.
        rows = []
        for one in unfit:
            if row := row_instead(one):
                rows.append(row)
            elif stub := stub_of(one):
                await self._append_stub(stub, one)
        self._known.update(one.position for one in unfit)
        # If we crash here, or before the mark, the same stubs are written again with the same
        # bytes; of one that was appended there are two records then, which readers collapse.
        return rows

    async def put(self, rows: Sequence[Row]) -> None:
        """Put rows. One that the store refuses for its own fault goes into quarantine.

        Raises Refused where it is the store that takes nothing: nothing is quarantined then.
        """
        try:
            await insist(lambda: self._store.put(rows))
        except NotPossibleNow:
            raise
        except Refused as error:
            if len(rows) == 1:
                await self._put_refused(rows[0], error)
                return
            # Others of these rows may be kept by now; to put them again changes nothing.
            middle = len(rows) // 2
            await self.put(rows[:middle])
            await self.put(rows[middle:])

    async def _put_refused(self, row: Row, error: Refused) -> None:
        """Find out whether it is the row's fault that it was refused: whether the store takes its
        stub, which is another row of the same trail, and then refuses the row once more.
        """
        if LogRecord.FromString(row.record).HasField("quarantined"):
            raise error
        fault = Fault(_STORE_REFUSED, error.message)
        unfit = Unfit(split_order(row.order).position, row.record, fault)
        stub = stub_of(unfit)
        assert stub is not None  # The row has a key.
        # Here the stub comes before the item. If we crash in between, nothing is marked, so nobody
        # sees the stub; whether the row is taken next time or not, it is right then.
        await insist(lambda: self._store.put([stub_row(stub, unfit.position)]))
        try:
            await insist(lambda: self._store.put([row]))
        except Refused:
            self.count(0, [unfit])
            await self.keep([unfit])

    async def _append_items(self, unfit: Sequence[Unfit]) -> None:
        partitions = self._quarantine.identity.partitions
        for one in unfit:
            partition = item_partition(one.position, partitions)
            key, value = item_key(one.position), item_of(one, time_ns=self._now_ns())
            append = partial(self._quarantine.append, partition, [key], [value])
            await insist(append)
            words = _words(one)
            metrics.QUARANTINED.labels(words["reason"]).inc()
            logger.warning("a record was put into quarantine", extra=words)

    async def _append_stub(self, stub: LogRecord, unfit: Unfit) -> None:
        """Append a stub to the log `scans`, into the partition of its trail.

        A row at the position of a record of another partition would never be shown: what a trail
        shows is bounded by the marks of its own partition.
        """
        if unfit.position in self._known and await self._has_stub(stub):
            return
        key = stub.tracking_key
        partition = partition_of(key, self._scans.identity.partitions)
        await insist(lambda: self._scans.append(partition, [key], [stub_bytes(stub)]))

    async def _has_stub(self, stub: LogRecord) -> bool:
        start = stub_row(stub, 0).order[:-8]
        found = await insist(
            lambda: self._store.read(stub.tracking_key, start=start, max_rows=1, max_bytes=1)
        )
        return any(row.order.startswith(start) for row in found.rows)

    async def _last_positions(self, partition: int) -> set[int]:
        """Read which records the end of a partition of the quarantine speaks of."""
        found: set[int] = set()
        bounds = await insist(partial(self._quarantine.bounds, partition))
        index = max(bounds.first, bounds.next - LOOK_BACK_RECORDS)
        while index < bounds.next:
            read = partial(self._quarantine.read, partition, index, bounds.next - index)
            values = await insist(read)
            said = map(read_said, values)
            found.update(one.position for one in said if one.record.HasField("item"))
            index += len(values)
        return found


def _words(unfit: Unfit) -> dict[str, str]:
    """Say of a record, for the log, where it is and why it is unfit."""
    reason = QuarantineReason.Name(unfit.fault.reason).removeprefix("QUARANTINE_REASON_")
    position = item_key(unfit.position).decode()
    return {"position": position, "reason": reason, "why": unfit.fault.message}
