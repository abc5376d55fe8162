"""Keeps what is refused: a bad label was scanned all the same, and is evidence of custody.

A refused scan goes whole into a log of its own before its sender is told. Where that log cannot
take it the scan is to be sent again, so that nothing is given up that nobody kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from ingest.admission import Group
from ingest.batcher import Batcher
from ingest.chunks import Outcome
from ingest.limits import (
    REFUSALS_FLUSH_BYTES_MAX,
    REFUSALS_PENDING_BYTES_MAX,
    REFUSED_EVENT_BYTES_MAX,
)
from ledger.errors import Busy
from ledger.event import timestamp_ns
from ledger.metrics import INGEST_REFUSALS_OVER_LIMIT
from ledger.numbers import partition_of
from ledger.v1.refused_scan_pb2 import RefusedScan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.batcher import AppendLog
    from ingest.limits import IngestLimits
    from ledger.v1.ingest_service_pb2 import Refusal
    from ledger.v1.raw_pb2 import RawBatch

_MINUTE_S: Final = 60.0


class Kept(NamedTuple):
    """What becomes of the refused scans of one batch."""

    future: asyncio.Future[list[Outcome]] | None
    """Of those that are appended."""

    over: Outcome | None
    """Those that are not even tried."""

    async def not_kept(self) -> list[Outcome]:
        """Wait for the log, and give what it did not take: that is to be sent again."""
        if self.future is not None:
            await asyncio.shield(self.future)
        return self.known_not_kept()

    def known_not_kept(self) -> list[Outcome]:
        """Give the same, where the log has answered."""
        outcomes = [] if self.future is None else self.future.result()
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        return failed if self.over is None else [*failed, self.over]


class Refusals:
    """Appends refused scans. `run` does the work; without it nothing moves."""

    def __init__(
        self, log: AppendLog, limits: IngestLimits, *, monotonic: Callable[[], float]
    ) -> None:
        self._partitions = log.identity.partitions
        self._minutes = _Minutes(
            limits.refusals_per_minute_max, limits.refusing_sources_max, monotonic
        )
        own = replace(
            limits,
            pending_bytes_max=REFUSALS_PENDING_BYTES_MAX,
            flush_bytes_max=REFUSALS_FLUSH_BYTES_MAX,
            flushes_in_flight_max=1,
        )
        self._busy_retry_s = limits.busy_retry_s
        self._batcher = Batcher(log, own, monotonic=monotonic)

    async def run(self) -> None:
        """Append until cancelled, or until the log fails for good: then raise its error."""
        await self._batcher.run()

    async def wait_until_idle(self) -> None:
        """Wait until it is known of everything whether it is kept."""
        await self._batcher.wait_until_idle()

    def keep(
        self, batch: RawBatch, refusals: Sequence[Refusal], *, now_ns: int, principal: str
    ) -> Kept:
        """Take the scans of a batch that are refused."""
        if not self._batcher.has_room:
            busy = Busy(
                "Too many refused scans wait to be kept.",
                reason="REFUSALS_BUSY",
                retry_after_s=self._busy_retry_s,
            )
            return Kept(None, _untried(refusals, busy))
        count, wait_s = self._minutes.take(batch.source_id, len(refusals))
        over = None
        if count < len(refusals):
            INGEST_REFUSALS_OVER_LIMIT.inc(len(refusals) - count)
            too_many = Busy(
                "This source has had too many scans refused within a minute. See to its labels "
                "or its program; what is refused is sent again later.",
                reason="REFUSALS_PER_MINUTE",
                retry_after_s=wait_s,
            )
            over = _untried(refusals[count:], too_many)
        if not count:
            return Kept(None, over)
        records = [
            _record(batch, refusal, now_ns=now_ns, principal=principal)
            for refusal in refusals[:count]
        ]
        source = batch.source_id.encode()
        group = Group([refusal.index for refusal in refusals[:count]], [source] * count, records)
        size = sum(map(len, records))
        partition = partition_of(source, self._partitions)
        return Kept(self._batcher.submit({partition: group}, size), over)


def _untried(refusals: Sequence[Refusal], error: Busy) -> Outcome:
    return Outcome([refusal.index for refusal in refusals], 0, -1, error)


def _record(batch: RawBatch, refusal: Refusal, *, now_ns: int, principal: str) -> bytes:
    scan = batch.scans[refusal.index]
    return RefusedScan(
        source_id=batch.source_id,
        spool_id=batch.spool_id,
        sequence=refusal.sequence,
        send_time_ns=timestamp_ns(batch.send_time),
        record_time_ns=now_ns,
        principal=principal,
        field=refusal.field,
        reason=refusal.reason,
        message=refusal.message,
        event=scan.event[:REFUSED_EVENT_BYTES_MAX],
        event_bytes=len(scan.event),
        event_sha256=hashlib.sha256(scan.event).digest(),
        # Personal data is never kept unsealed, so a refused scan has none.
        personal_bytes=len(scan.personal),
    ).SerializeToString()


class _Minutes:
    """How many refused scans of each source were taken in its minute, which begins with the first
    of them. Sources that were quiet for longest are forgotten.
    """

    def __init__(self, most: int, sources_max: int, monotonic: Callable[[], float]) -> None:
        self._most = most
        self._sources_max = sources_max
        self._monotonic = monotonic
        self._taken: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """By source, when its minute began and how many were taken in it."""

    def take(self, source: str, wanted: int) -> tuple[int, float]:
        """Tell how many may be taken now, and after how many seconds more may."""
        now = self._monotonic()
        began, taken = self._taken.pop(source, (now, 0))
        if now - began >= _MINUTE_S:
            began, taken = now, 0
        count = min(wanted, self._most - taken)
        self._taken[source] = began, taken + count
        if len(self._taken) > self._sources_max:
            self._taken.popitem(last=False)
        return count, max(0.0, began + _MINUTE_S - now)
