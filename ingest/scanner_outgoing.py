"""What a source has handed over and knows no outcome of: numbered, in batches, bounded. Pure.

A scan leaves only when it is durable or refused. Until then its event, its event id and its
sequence stay the same, however often it is sent.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from itertools import accumulate, islice
from typing import TYPE_CHECKING

from ingest.scanner_batch import SCAN_FRAME_BYTES, OutBatch, Part, Submission
from ingest.scanner_fates import DURABLE, REFUSED, fates_of
from ledger.v1.ingest_service_pb2 import DURABILITY_UNSPECIFIED, Refusal, SourceProgress

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from ingest.scanner_batch import Outcome
    from ingest.scanner_settings import ScannerCounts
    from ledger.v1.ingest_service_pb2 import BatchResult, Durability, Limits, SourceState
    from ledger.v1.position_pb2 import Position
    from ledger.v1.raw_pb2 import RawBatch


class Outgoing:
    """All that a source has handed over and that has no outcome yet."""

    def __init__(
        self,
        *,
        source_id: str,
        spool_id: bytes,
        next_sequence: int,
        acked_through: int = 0,
        batch_scans: int,
        batch_bytes: int,
        counts: ScannerCounts,
        on_left: Callable[[], None],
        on_refused: Callable[[bytes, Refusal], None],
    ) -> None:
        """`next_sequence` 0 is unnumbered; `acked_through` is what is known of the scans before it.
        `on_left` is called whenever scans got their outcome, `on_refused` with each refused event.
        """
        self._source_id = source_id
        self._spool_id = spool_id
        self._counts = counts
        self._on_left = on_left
        self._on_refused = on_refused
        self.next_sequence = next_sequence
        self.batch_scans = batch_scans
        self.batch_bytes = batch_bytes
        self.speaks_for_many = False
        self.is_stale = False
        """No other stream can do better than the one that there is."""

        self.scans = 0
        """Handed over and without an outcome; `bytes` is the size of their events."""

        self.bytes = 0
        self.queued = 0
        """Of these, how many are in no batch yet."""

        self._queue: deque[tuple[Part[Submission], Sequence[bytes]]] = deque()
        self._again: list[OutBatch[Submission]] = []
        self._out: set[OutBatch[Submission]] = (
            set()
        )  # Taken from here: on their way, or about to be.
        self._acked_before = acked_through
        self._knows_all = acked_through >= next_sequence - 1

    def lower_limits(self, limits: Limits) -> None:
        """Keep to the server's limits; 0 is not stated."""
        self.batch_scans = min(self.batch_scans, limits.batch_scans_max or self.batch_scans)
        self.batch_bytes = min(self.batch_bytes, limits.batch_bytes_max or self.batch_bytes)

    def submit(self, events: Sequence[bytes], future: asyncio.Future[Outcome]) -> None:
        """Take events; the future gets their outcome."""
        submission = Submission(self.next_sequence, len(events), future)
        if self.next_sequence:
            self.next_sequence += len(events)
        self.scans += len(events)
        self.bytes += sum(map(len, events))
        self.queued += len(events)
        self._queue.append((Part(submission, 0, len(events)), events))

    def take(self, now_s: float, *, fresh: bool) -> OutBatch[Submission] | None:
        """Give the next batch: one that is to be sent again and due, or else, where `fresh` says
        so, a new one.
        """
        if self._again and self._again[0].due_s <= now_s:
            batch = heapq.heappop(self._again)
            self._out.add(batch)
            return batch
        if not fresh or not self._queue:
            return None
        submission, offset, _ = self._queue[0][0]
        sequence = submission.first_sequence
        batch = OutBatch[Submission](sequence + offset if sequence else 0)
        while self._queue and (room := self._room(batch, self._queue[0][1])):
            (submission, offset, count), events = self._queue[0]
            batch.add(Part(submission, offset, room), events[:room])
            if room == count:
                self._queue.popleft()
            else:
                self._queue[0] = (Part(submission, offset + room, count - room), events[room:])
        self.queued -= len(batch.events)
        self._out.add(batch)
        return batch

    def _room(self, batch: OutBatch[Submission], events: Sequence[bytes]) -> int:
        """Tell how many of the events fit into the batch: one at least, where it is empty."""
        most = min(self.batch_scans - len(batch.events), len(events))
        sizes = list(accumulate(len(event) + SCAN_FRAME_BYTES for event in events[:most]))
        return bisect_right(sizes, self.batch_bytes - batch.bytes) or (0 if batch.events else 1)

    def send_again(self, batch: OutBatch[Submission], due_s: float) -> None:
        """Keep a batch until it is due."""
        batch.due_s = due_s
        self._out.discard(batch)
        heapq.heappush(self._again, batch)

    def next_due_s(self) -> float | None:
        """Tell when the next batch is to be sent again, if any is."""
        return self._again[0].due_s if self._again else None

    def withdraw(self, batch: OutBatch[Submission]) -> None:
        """Take a batch out that was to be sent again."""
        self._again.remove(batch)
        heapq.heapify(self._again)

    def address(self, raw: RawBatch, batch: OutBatch[Submission], now_ns: int) -> None:
        """Write on a batch whose it is and when it was sent."""
        raw.source_id = self._source_id
        raw.spool_id = self._spool_id
        raw.first_sequence = batch.first_sequence
        raw.minted_through = max(self.next_sequence - 1, 0)
        raw.send_time.FromNanoseconds(now_ns)

    def progress(self) -> list[SourceProgress]:
        """Tell how far the source is; an unnumbered one has nothing to say."""
        if not self._spool_id:
            return []
        return [
            SourceProgress(
                source_id=self._source_id,
                spool_id=self._spool_id,
                minted_through=self.next_sequence - 1,
                acked_through=self.acked_through(),
            )
        ]

    def hear(self, state: SourceState) -> None:
        """Pass it over: an outcome here has positions, which the server's word has not."""

    def not_open(self, state: SourceState) -> str:
        """Say why nothing more can be sent: the source is not open, and there is no other."""
        return (
            f"the server no longer takes scans of this source: {state.reason} "
            f"(status {state.status})"
        )

    def acked_through(self) -> int:
        """Give the highest sequence up to which every scan is known to have its outcome."""
        if not self._knows_all:
            return self._acked_before  # What lies between it and the first scan here is not known.
        firsts = [batch.first_sequence for batch in (*self._again, *self._out)]
        if self._queue:
            submission, offset, _ = self._queue[0][0]
            firsts.append(submission.first_sequence + offset)
        return max(min(firsts, default=self.next_sequence) - 1, 0)

    def settle(
        self, batch: OutBatch[Submission], result: BatchResult, durability: Durability.ValueType
    ) -> list[tuple[OutBatch[Submission], float]]:
        """Take a batch's result; return what is to be sent again, and after how many seconds.

        An index that the result does not name is to be sent again, too.
        """
        again = []
        for first, last, wait_s, refusals in fates_of(result, len(batch.events)):
            is_whole = last - first + 1 == len(batch.events)
            piece = batch if is_whole else batch.cut(first, last)
            if wait_s == DURABLE:
                self._leave(piece, result.highest_positions, durability)
            elif wait_s == REFUSED:
                self.refuse(piece, refusals)
            else:
                again.append((piece, wait_s))
        self._out.discard(batch)  # Not before: who is told of a refusal may look at what is acked.
        return again

    def refuse(self, batch: OutBatch[Submission], refusals: Sequence[Refusal]) -> None:
        """Give all events of a batch up: one refusal for each, in order."""
        each = zip(batch.events, refusals, strict=True)
        for submission, offset, scans in batch.parts:
            for index, (event, refusal) in enumerate(islice(each, scans), start=offset):
                told = Refusal()
                told.CopyFrom(refusal)
                told.index = index  # Within the submission, not the batch.
                if submission.first_sequence:
                    told.sequence = submission.first_sequence + index
                submission.refusals.append(told)
                self._on_refused(event, told)
        self._counts.refused += len(batch.events)
        self._leave(batch, (), DURABILITY_UNSPECIFIED)

    def give_up(self, error: Exception) -> None:
        """End all submissions with an error. Their events stay as they are, without an outcome:
        nobody may take them for durable or refused.
        """
        parts = [part for batch in (*self._again, *self._out) for part in batch.parts]
        parts += [part for part, _ in self._queue]
        for submission, _, _ in parts:
            if not submission.future.done():
                submission.future.set_exception(error)
                submission.future.exception()  # Nobody has to ask: leaving the scanner says it too.

    def _leave(
        self,
        batch: OutBatch[Submission],
        positions: Sequence[Position],
        durability: Durability.ValueType,
    ) -> None:
        """Let events go that have their outcome, and tell those submissions that have all."""
        self.scans -= len(batch.events)
        self.bytes -= sum(map(len, batch.events))
        if durability:
            self._counts.durable += len(batch.events)
        for submission, _, scans in batch.parts:
            submission.missing -= scans
            if durability:
                submission.durability = durability
                submission.positions.append(positions)
            if not submission.missing and not submission.future.done():
                submission.future.set_result(submission.outcome())
        self._on_left()
