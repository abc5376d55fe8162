"""Writes receipts: what sources were told, so that somebody can say later what never arrived.

A receipt is made after the answer, and no answer waits for it. What cannot be written is made into
fewer, and in the end dropped: the records carry their sequences too, and sources repeat their word.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from ingest.receipt_making import merged, receipt_of, word_of
from ingest.recent import Recent
from ledger.errors import Busy, Uncertain
from ledger.metrics import (
    INGEST_RECEIPTS,
    INGEST_RECEIPTS_DROPPED,
    INGEST_RECEIPTS_FAILED,
    INGEST_SEQUENCE_CONFLICTS,
)
from ledger.numbers import partition_of
from ledger.v1.receipt_pb2 import ReceiptGroup, ReceiptKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ingest.limits import IngestLimits
    from ingest.receipt_making import Numbered
    from ingest.recent import Hint, Source
    from ledger.scan_log import ScanLog
    from ledger.v1.ingest_service_pb2 import BatchResult, SourceProgress
    from ledger.v1.receipt_pb2 import Receipt

logger = logging.getLogger(__name__)

_FRAME_BYTES = 5
"""What a receipt takes in its group beside its own bytes: a tag, and a length."""

_TURN_SCANS = 4_000
"""Scans whose receipts are made before others get their turn: some 4 ms."""

_WRITTEN = {
    value: INGEST_RECEIPTS.labels(name.removeprefix("RECEIPT_KIND_"))
    for name, value in ReceiptKind.items()
}


class Receipts:
    """Takes results and words, and writes them down. `run` does the work."""

    def __init__(
        self,
        log: ScanLog,
        limits: IngestLimits,
        *,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._log = log
        self._limits = limits
        self._now_ns = now_ns
        self._recent = Recent(
            sources_max=limits.recent_sources_max,
            contents_max=limits.recent_contents_max,
            word_s=limits.word_s,
            monotonic=monotonic,
        )
        self._noted: deque[tuple[Numbered, BatchResult]] = deque()
        self._noted_scans = 0
        self._waiting: dict[int, deque[Receipt]] = {}
        """By partition, what is made and not written."""
        self._count = 0  # In all partitions.
        self._some_noted = asyncio.Event()
        self._some_waiting = asyncio.Event()

    def hint(self, source: Source) -> Hint | None:
        """Tell what is known of a source and spool."""
        return self._recent.hint(source)

    def note(self, batch: Numbered, result: BatchResult) -> None:
        """Take the result of a batch. Its receipt is made when others had their turn."""
        self._noted.append((batch, result))
        self._noted_scans += batch.scans
        self._some_noted.set()
        while self._noted_scans > self._limits.noted_scans_max:
            self._make_one()

    def hear(self, sources: Iterable[SourceProgress], *, principal: str) -> None:
        """Take what sources say of themselves."""
        for source in sources:
            if self._recent.take_word(source):
                self._put(word_of(source, now_ns=self._now_ns(), principal=principal))

    async def run(self) -> None:
        """Make and write until cancelled, or until the log fails for good: then raise its error."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._make_all())
            tasks.create_task(self._write_all())

    async def write_rest(self) -> None:
        """Write what there is, once: before the process ends."""
        while self._noted:
            self._make_one()
        await self._write_some()

    async def _make_all(self) -> None:
        while True:
            await self._some_noted.wait()
            await asyncio.sleep(0)
            began = self._noted_scans
            while self._noted and began - self._noted_scans < _TURN_SCANS:
                self._make_one()
            if not self._noted:
                self._some_noted.clear()

    def _make_one(self) -> None:
        batch, result = self._noted.popleft()
        self._noted_scans -= batch.scans
        if result.durable or result.refusals:
            receipt = receipt_of(batch, result, now_ns=self._now_ns())
            self._recent.take_receipt(receipt)
            self._put(receipt)
        if result.durable and (differing := self._recent.take_contents(batch, result.resend)):
            INGEST_SEQUENCE_CONFLICTS.inc(len(differing))
            if self._recent.may_report((batch.source_id, batch.spool_id)):
                logger.warning(
                    "sequences came with two contents: two senders use one spool",
                    extra={
                        "source": batch.source_id,
                        "spool": batch.spool_id.hex(),
                        "sequences": len(differing),
                        "first": differing[0],
                    },
                )

    def _put(self, receipt: Receipt) -> None:
        partition = partition_of(receipt.source_id.encode(), self._log.identity.partitions)
        self._waiting.setdefault(partition, deque()).append(receipt)
        self._count += 1
        self._some_waiting.set()
        if self._count > self._limits.receipts_waiting_max:
            self._make_room()

    def _make_room(self) -> None:
        """Make fewer of those that wait, and drop the oldest where that is not enough."""
        for partition, receipts in self._waiting.items():
            self._waiting[partition] = deque(merged(receipts))
        self._count = sum(map(len, self._waiting.values()))
        # By half: else each further receipt would merge all of them anew.
        over = self._count - self._limits.receipts_waiting_max // 2
        for receipts in self._waiting.values():
            while receipts and over > 0:
                receipts.popleft()
                over -= 1
                self._count -= 1
                INGEST_RECEIPTS_DROPPED.inc()

    async def _write_all(self) -> None:
        while True:
            await self._some_waiting.wait()
            await asyncio.sleep(self._limits.receipts_linger_s)
            if not await self._write_some():
                await asyncio.sleep(self._limits.receipts_rest_s)

    async def _write_some(self) -> bool:
        """Write one record for each partition that has something; tell whether all went well."""
        groups = {partition: self._take_group(of) for partition, of in self._waiting.items() if of}
        async with asyncio.TaskGroup() as tasks:
            appends = [tasks.create_task(self._append(*group)) for group in groups.items()]
        if not self._count:
            self._some_waiting.clear()
        return all(append.result() for append in appends)

    def _take_group(self, receipts: deque[Receipt]) -> list[Receipt]:
        """Take what fits into one record."""
        group: list[Receipt] = []
        room = self._log.identity.record_bytes_max
        while receipts:
            room -= receipts[0].ByteSize() + _FRAME_BYTES
            if group and room < 0:
                break
            group.append(receipts.popleft())
        self._count -= len(group)
        return group

    async def _append(self, partition: int, group: list[Receipt]) -> bool:
        value = ReceiptGroup(receipts=group).SerializeToString()
        try:
            await self._log.append(partition, [group[0].source_id.encode()], [value])
        except (Busy, Uncertain) as error:
            # They may have been written: then they are there twice, and say the same.
            INGEST_RECEIPTS_FAILED.inc()
            logger.debug("receipts cannot be written", extra={"error": error.message})
            again = merged(group)
            self._waiting.setdefault(partition, deque()).extendleft(reversed(again))
            self._count += len(again)
            self._some_waiting.set()
            return False
        for receipt in group:
            _WRITTEN[receipt.kind].inc()
        return True
