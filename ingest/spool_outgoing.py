"""What goes out of a spool, and what comes back: batches of its lanes, their results, its sources.

A scan leaves the spool only when a result names it. Bounded: beside what is on its way only some
thousand scans that are to be sent again are in memory.
"""

from __future__ import annotations

import heapq
import logging
from typing import TYPE_CHECKING, Final

from ingest.scanner_fates import DURABLE, REFUSED, fates_of
from ingest.spool_known import KnownScans
from ingest.spool_refused import RefusedScan, reason_name
from ledger.event import TIME_NS_END, TIME_NS_MIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.scanner_batch import OutBatch
    from ingest.scanner_settings import ScannerCounts, ScannerSettings
    from ingest.spool import Spool
    from ingest.spool_lanes import Lanes, Run, Source
    from ledger.v1.ingest_service_pb2 import (
        BatchResult,
        Durability,
        Limits,
        Refusal,
        SourceProgress,
        SourceState,
    )
    from ledger.v1.raw_pb2 import RawBatch

logger = logging.getLogger(__name__)

AGAIN_SCANS_MAX: Final = 20_000
"""Most scans in memory that are to be sent again; further ones are read from the disk once more."""

HOLD_S: Final = 60.0
"""Seconds for which a source is held back that the server does not take: a person has to act."""

HOLD_FROM_S: Final = 10.0
"""From so many seconds on a wait is for a limit of its source alone, such as refused scans in a
minute: the source is held back, else its scans would take the room of all others in memory.
"""


class SpoolOutgoing:
    """The outbox of one spool, for `Session` and `Link`."""

    def __init__(
        self,
        spool: Spool,
        lanes: Lanes,
        *,
        settings: ScannerSettings,
        counts: ScannerCounts,
        progress: Callable[[], Sequence[SourceProgress]],
        minted_through: Callable[[Source], int],
        speaks_for_many: bool,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        """`progress` and `minted_through` tell how far the sources are, where that is known."""
        self.batch_scans = settings.batch_scans
        self.batch_bytes = settings.batch_bytes
        self.speaks_for_many = speaks_for_many
        self.is_stale = False
        """Whether a source that was held back wants another stream."""

        self.is_ending = False
        """Set to wait for what is on its way, and send nothing more: the rest stays in the spool.
        """

        self._progress = progress
        self._spool = spool
        self._lanes = lanes
        self._counts = counts
        self._minted_through = minted_through
        self._now_ns = now_ns
        self._monotonic = monotonic
        self._out: set[OutBatch[Run]] = set()
        self._again: list[OutBatch[Run]] = []
        self._again_scans = 0
        self._held_until_s: dict[Source, float] = {}
        self._closed: set[Source] = set()  # Of these, those that want another stream.
        self._known = KnownScans()
        self._named: Sequence[SourceProgress] = ()  # What was said last of the sources.

    @property
    def scans(self) -> int:
        """Scans without an outcome; when it is ending, those on their way."""
        if self.is_ending:
            return sum(len(batch.events) for batch in self._out)
        return self._spool.unsettled

    @property
    def queued(self) -> int:
        """Of these, how many are in no batch yet."""
        awaited_until_s = self._known.awaited_until_s(self._monotonic())
        if self.is_ending or self._is_at_bound or awaited_until_s is not None:
            return 0
        return self._lanes.queued

    def progress(self) -> Sequence[SourceProgress]:
        """As in Outbox."""
        self._named = self._progress()
        return self._named

    @property
    def held_back(self) -> int:
        """How many sources the server does not take now."""
        return len(self._held_until_s)

    @property
    def _is_at_bound(self) -> bool:
        return self._again_scans >= AGAIN_SCANS_MAX

    def lower_limits(self, limits: Limits) -> None:
        """Keep to the limits of the server, which has just opened a stream."""
        self.is_stale = False
        self.batch_scans = min(self.batch_scans, limits.batch_scans_max or self.batch_scans)
        self.batch_bytes = min(self.batch_bytes, limits.batch_bytes_max or self.batch_bytes)
        # What was spooled later than this cannot have been sent before.
        named = self._named if self._spool.unsettled else ()
        self._known.begin([(one.source_id, one.spool_id) for one in named], self._monotonic())

    def hear(self, state: SourceState) -> None:
        """As in Outbox."""
        self._known.hear(state)

    def take(self, now_s: float, *, fresh: bool) -> OutBatch[Run] | None:
        """As in Outbox."""
        self._release(now_s)
        if self.is_ending or self.is_stale or self._known.awaited_until_s(now_s) is not None:
            return None
        while (batch := self._next(now_s, fresh=fresh)) is not None:
            self._out.add(batch)
            if (runs := self._known.runs(batch)) is None:
                break
            self._settle_known(batch, runs)
        return batch

    def _next(self, now_s: float, *, fresh: bool) -> OutBatch[Run] | None:
        if self._again and self._again[0].due_s <= now_s:
            batch = heapq.heappop(self._again)
            self._again_scans -= len(batch.events)
            return batch
        if fresh and not self._is_at_bound:
            return self._lanes.take(self.batch_scans, self.batch_bytes)
        return None

    def _settle_known(self, batch: OutBatch[Run], runs: Sequence[tuple[int, int, bool]]) -> None:
        """Forget what the server has, as after a result; the rest of the batch is still to go."""
        self._out.discard(batch)
        for first, last, is_known in runs:
            piece = batch.cut(first, last)
            if is_known:
                self._counts.known += len(piece.events)
                self._forget(piece)
            else:
                self.send_again(piece, 0.0)

    def _forget(self, piece: OutBatch[Run]) -> None:
        """Let scans go that are durable."""
        self._counts.durable += len(piece.events)
        for owner, offset, scans in piece.parts:
            first_place = owner.first_place + offset
            self._spool.settle(first_place, first_place + scans)

    def address(self, raw: RawBatch, batch: OutBatch[Run], now_ns: int) -> None:
        """As in Outbox. The time of sending is the source's clock, carried on to now: so a wrong
        clock still shows, and the time that scans lay here does not look like one.
        """
        owner = batch.parts[0].owner
        raw.source_id = owner.source_id
        raw.spool_id = owner.spool_id
        raw.first_sequence = batch.first_sequence
        raw.minted_through = self._minted_through(owner.source)
        sent_ns = min(max(now_ns + owner.skew_ns, TIME_NS_MIN), TIME_NS_END - 1)
        raw.send_time.FromNanoseconds(sent_ns)

    def send_again(self, batch: OutBatch[Run], due_s: float) -> None:
        """As in Outbox."""
        self._out.discard(batch)
        if batch.parts[0].owner.source in self._held_until_s:
            self._lanes.put_back(batch)
            return
        batch.due_s = due_s
        self._again_scans += len(batch.events)
        heapq.heappush(self._again, batch)

    def next_due_s(self) -> float | None:
        """As in Outbox."""
        due_s = [batch.due_s for batch in self._again[:1]] + list(self._held_until_s.values())
        if self.is_ending:
            return None
        if (until_s := self._known.awaited_until_s(self._monotonic())) is not None:
            return until_s
        return min(due_s, default=None)

    def withdraw(self, batch: OutBatch[Run]) -> None:
        """As in Outbox."""
        self._again.remove(batch)
        self._again_scans -= len(batch.events)
        heapq.heapify(self._again)

    def settle(
        self, batch: OutBatch[Run], result: BatchResult, _: Durability.ValueType
    ) -> Sequence[tuple[OutBatch[Run], float]]:
        """As in Outbox."""
        again = []
        for first, last, wait_s, refusals in fates_of(result, len(batch.events)):
            is_whole = last - first + 1 == len(batch.events)
            piece = batch if is_whole else batch.cut(first, last)
            if wait_s == DURABLE:
                self._forget(piece)
            elif wait_s == REFUSED:
                self.refuse(piece, refusals)
            elif piece.parts[0].owner.source in self._held_until_s:
                self._lanes.put_back(piece)  # Its wait is nobody else's.
            elif wait_s >= HOLD_FROM_S:
                self._hold(piece.parts[0].owner.source, wait_s)
                self._lanes.put_back(piece)
            else:
                again.append((piece, wait_s))
        self._out.discard(batch)
        return again

    def refuse(self, batch: OutBatch[Run], refusals: Sequence[Refusal]) -> None:
        """As in Outbox: the scans go into the spool's list, but those whose source knows it."""
        refused = []
        index = 0
        self._counts.refused += len(batch.events)
        for owner, offset, scans in batch.parts:
            first_place = owner.first_place + offset
            if owner.was_refused:
                self._spool.settle(first_place, first_place + scans)
                index += scans
                continue
            for place in range(first_place, first_place + scans):
                refused.append(
                    RefusedScan(
                        place=place,
                        time_ns=self._now_ns(),
                        source_id=owner.source_id,
                        spool_id=owner.spool_id,
                        sequence=batch.first_sequence + index if batch.first_sequence else 0,
                        field=refusals[index].field,
                        reason=reason_name(refusals[index]),
                        message=refusals[index].message,
                        event=batch.events[index],
                    )
                )
                index += 1
        if refused:
            count = len(refused)
            logger.warning("the ledger refused scans that were spooled", extra={"scans": count})
            self._spool.refuse(refused)

    def not_open(self, state: SourceState) -> str:
        """As in Outbox: the source is held back, and all others go on."""
        source = (state.source_id, state.spool_id)
        logger.error(
            "the ledger does not take a source now; its scans are kept",
            extra={"source": state.source_id, "why": state.reason, "again_in_s": HOLD_S},
        )
        self._hold(source, HOLD_S)
        self._closed.add(source)
        return ""

    def _hold(self, source: Source, wait_s: float) -> None:
        self._held_until_s[source] = self._monotonic() + wait_s
        self._lanes.hold(source)

    def _release(self, now_s: float) -> None:
        for source in [one for one, until_s in self._held_until_s.items() if until_s <= now_s]:
            del self._held_until_s[source]
            self._lanes.release(source)
            if source in self._closed:
                self._closed.discard(source)
                self.is_stale = True  # On this stream it stays closed.
