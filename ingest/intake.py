"""Takes one batch, whichever way it came: checks, admits, submits, and says what became of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from ingest.admission import admit
from ingest.limits import ENDING_RETRY_S, RECORD_OVERHEAD_BYTES, ROOM_RETRY_S
from ingest.receipt_making import Numbered, checksums
from ingest.results import all_again, result_of
from ledger.metrics import (
    INGEST_ACK_SECONDS,
    INGEST_BATCHES,
    INGEST_DURABLE,
    INGEST_REFUSED,
    INGEST_RESEND,
)
from ledger.v1.ingest_service_pb2 import (
    RESEND_REASON_BUSY,
    RESEND_REASON_DRAINING,
    RESEND_REASON_SOURCE_NOT_OPEN,
    RefusalReason,
    ResendReason,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.admission import Admitted
    from ingest.batcher import Batcher
    from ingest.chunks import Outcome
    from ingest.minted import Minted
    from ingest.pace import Pace
    from ingest.policy import AdmissionPolicy
    from ingest.receipts import Receipts
    from ingest.recent import Hint, Source
    from ingest.refusals import Kept, Refusals
    from ingest.results import Again
    from ledger.errors import LedgerError
    from ledger.scan_log import LogIdentity
    from ledger.v1.ingest_service_pb2 import BatchResult, Refusal, SourceProgress
    from ledger.v1.raw_pb2 import RawBatch

PRINCIPAL: Final = "anonymous"
"""Who is authenticated, as long as nobody can be."""

_REFUSED = {
    value: INGEST_REFUSED.labels(name.removeprefix("REFUSAL_REASON_"))
    for name, value in RefusalReason.items()
}
_RESEND = {
    value: INGEST_RESEND.labels(name.removeprefix("RESEND_REASON_"))
    for name, value in ResendReason.items()
}
_DRAINING: Again = (RESEND_REASON_DRAINING, ENDING_RETRY_S)
_BUSY: Again = (RESEND_REASON_BUSY, ROOM_RETRY_S)
_NOT_OPEN: Again = (RESEND_REASON_SOURCE_NOT_OPEN, ENDING_RETRY_S)


class Taken(NamedTuple):
    """A batch that was taken and has no result yet."""

    batch_number: int
    scans: int
    arrived_s: float
    again: Again | None = None
    """Why all of it is to be sent again, where it is."""

    outcomes: asyncio.Future[list[Outcome]] | None = None
    """None where nothing was submitted."""

    refusals: Sequence[Refusal] = ()
    kept: Kept | None = None
    """What becomes of the refused scans, where there are any and somebody keeps them."""

    numbered: Numbered | None = None
    """What its receipt is made of, where it gets one."""

    @property
    def nothing_happened(self) -> LedgerError | None:
        """Why nothing happened to any scan, where all were refused and beyond a limit of that."""
        over = self.kept.over if self.kept is not None else None
        return over.error if over is not None and len(over.indexes) == self.scans else None


class Intake:
    """What all streams and calls share."""

    def __init__(
        self,
        identity: LogIdentity,
        batcher: Batcher,
        pace: Pace,
        refusals: Refusals | None,
        receipts: Receipts | None,
        *,
        minted: Minted | None,
        policy: AdmissionPolicy,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self.identity = identity
        self.now_ns = now_ns
        self.batcher = batcher
        self.pace = pace
        self._refusals = refusals
        self._receipts = receipts
        self._minted = minted
        self._policy = policy
        self.is_draining = False
        """Set when the server is about to end: then every batch is to be sent again."""

        self.sources = 0
        """Sources that all streams speak for."""

        self._monotonic = monotonic

    def take(
        self, batch: RawBatch, message_bytes: int, *, is_open: bool = True, has_room: bool = True
    ) -> Taken:
        """Take a batch that `check_batch` let through; `result` gives what became of it.

        `is_open` tells whether this sender speaks for the source, `has_room` whether anything more
        may be on its way to the log.
        """
        arrived_s = self._monotonic()
        number, count = batch.batch_number, len(batch.scans)
        if self.is_draining or not is_open or not has_room:
            again = _DRAINING if self.is_draining else _BUSY if is_open else _NOT_OPEN
            return Taken(number, count, arrived_s, again)
        now_ns = self.now_ns()
        admitted = self._admit(batch, now_ns)
        outcomes = kept = numbered = None
        if admitted.groups:
            size = message_bytes + count * RECORD_OVERHEAD_BYTES
            outcomes = self.batcher.submit(admitted.groups, size)
        if admitted.refusals and self._refusals is not None:
            kept = self._refusals.keep(batch, admitted.refusals, now_ns=now_ns, principal=PRINCIPAL)
        if batch.first_sequence and self._minted is not None:
            last = batch.first_sequence + count - 1
            self._minted.hear((batch.source_id, batch.spool_id), max(batch.minted_through, last))
        if batch.first_sequence and self._receipts is not None:
            numbered = Numbered(
                batch.source_id,
                batch.spool_id,
                batch.first_sequence,
                count,
                batch.minted_through,
                admitted.records,
                checksums(admitted),
                PRINCIPAL,
            )
        return Taken(number, count, arrived_s, None, outcomes, admitted.refusals, kept, numbered)

    def hear(self, sources: Sequence[SourceProgress]) -> None:
        """Take what sources say of themselves."""
        if self._receipts is not None:
            self._receipts.hear(sources, principal=PRINCIPAL)
        if self._minted is not None:
            for one in sources:
                self._minted.hear((one.source_id, one.spool_id), one.minted_through)

    def hint(self, source: Source) -> Hint | None:
        """Tell what is known of a source, where anything is."""
        return None if self._receipts is None else self._receipts.hint(source)

    def validate(self, batch: RawBatch) -> BatchResult:
        """Say which scans of a batch would be refused. Nothing is recorded."""
        admitted = self._admit(batch, self.now_ns())
        return result_of(
            len(batch.scans),
            admitted.refusals,
            (),
            generation=self.identity.generation,
            batch_number=0,
            now_ns=self.now_ns(),
        )

    async def result(self, taken: Taken) -> BatchResult:
        """Wait until it is known what became of a batch, and say it."""
        # Whoever waits may be cancelled, and the outcome is of interest all the same.
        if taken.outcomes is not None:
            await asyncio.shield(taken.outcomes)
        if taken.kept is not None:
            # If we crash before the refused scans are kept, the sender was told nothing, and sends
            # all of it again: good scans become copies that trails collapse, refused ones are
            # kept twice.
            await taken.kept.not_kept()
        result = self._known_result(taken)
        self._count(result, taken)
        self._note(taken, result)
        return result

    def _admit(self, batch: RawBatch, now_ns: int) -> Admitted:
        return admit(
            batch,
            partitions=self.identity.partitions,
            now_ns=now_ns,
            principal=PRINCIPAL,
            refuses_check_digits=self._policy.refuses_check_digits(batch.source_id),
        )

    def abandon(self, taken: Taken) -> None:
        """Say to nobody what becomes of a batch, as its sender is gone; but write it down, so that
        the sender need not send it again when it comes back.
        """
        if taken.numbered is None:
            return
        kept = taken.kept.future if taken.kept is not None else None
        waiting = [one for one in (taken.outcomes, kept) if one is not None]

        def note(_: object) -> None:
            if all(one.done() and not one.cancelled() for one in waiting):
                self._note(taken, self._known_result(taken))

        # The last one sees all of them done; where both are done already, one is enough.
        for one in [one for one in waiting if not one.done()] or waiting[:1]:
            one.add_done_callback(note)

    def _known_result(self, taken: Taken) -> BatchResult:
        now_ns = self.now_ns()
        if taken.again is not None:
            return all_again(
                taken.scans, taken.again, batch_number=taken.batch_number, now_ns=now_ns
            )
        return result_of(
            taken.scans,
            taken.refusals,
            () if taken.outcomes is None else taken.outcomes.result(),
            not_kept=() if taken.kept is None else taken.kept.known_not_kept(),
            generation=self.identity.generation,
            batch_number=taken.batch_number,
            now_ns=now_ns,
        )

    def _note(self, taken: Taken, result: BatchResult) -> None:
        # If we crash before the receipt is written, the records tell what it would have told.
        if taken.numbered is not None and self._receipts is not None:
            self._receipts.note(taken.numbered, result)

    def _count(self, result: BatchResult, taken: Taken) -> None:
        INGEST_BATCHES.inc()
        INGEST_ACK_SECONDS.observe(self._monotonic() - taken.arrived_s)
        INGEST_DURABLE.inc(sum(part.last - part.first + 1 for part in result.durable))
        for again in result.resend:
            _RESEND[again.reason].inc(again.range.last - again.range.first + 1)
        for refusal in result.refusals:
            _REFUSED[refusal.reason].inc()
