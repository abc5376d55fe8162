"""From what became of a batch's scans to its result on the wire. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from google.protobuf.duration_pb2 import Duration

from ingest.limits import UNCERTAIN_RETRY_S
from ledger.errors import Busy, Uncertain
from ledger.position import SCANS_LOG
from ledger.v1.ingest_service_pb2 import (
    RESEND_REASON_BUSY,
    RESEND_REASON_UNCERTAIN,
    BatchResult,
    IndexRange,
    Resend,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.chunks import Outcome
    from ledger.v1.ingest_service_pb2 import Refusal, ResendReason

Again: TypeAlias = tuple["ResendReason.ValueType", float]
"""Why scans are to be sent again, and after how many seconds."""


def result_of(
    count: int,
    refusals: Sequence[Refusal],
    outcomes: Sequence[Outcome],
    *,
    not_kept: Sequence[Outcome] = (),
    generation: int,
    batch_number: int,
    now_ns: int,
) -> BatchResult:
    """Say what became of a batch of `count` scans. Refusals and outcomes together name all that was
    to be recorded: without outcomes nothing is durable. `not_kept` are refused scans that nobody
    keeps: no refusal yet, but to be sent again. Generation 0 is a gateway's, which has no positions
    to give.
    """
    if not_kept:
        unkept = {index for outcome in not_kept for index in outcome.indexes}
        refusals = [refusal for refusal in refusals if refusal.index not in unkept]
    result = BatchResult(batch_number=batch_number, refusals=refusals)
    result.server_time.FromNanoseconds(now_ns)
    if outcomes and not (refusals or not_kept or any(outcome.error for outcome in outcomes)):
        result.durable.add(last=count - 1)
    else:
        _list_ranges(result, count, (*outcomes, *not_kept))
    highest: dict[int, int] = {}
    for outcome in outcomes:
        if outcome.error is None and outcome.last_index >= highest.get(outcome.partition, 0):
            highest[outcome.partition] = outcome.last_index
    for partition in sorted(highest) if generation else ():
        result.highest_positions.add(
            log=SCANS_LOG, generation=generation, partition=partition, index=highest[partition]
        )
    return result


def all_again(count: int, again: Again, *, batch_number: int, now_ns: int) -> BatchResult:
    """Say that nothing happened to a batch, and that all of it is to be sent again."""
    result = BatchResult(batch_number=batch_number, resend=[_resend(0, count - 1, again)])
    result.server_time.FromNanoseconds(now_ns)
    return result


def _list_ranges(result: BatchResult, count: int, outcomes: Sequence[Outcome]) -> None:
    """List runs of indexes with the same fate, in ascending order."""
    fates: list[Again | bool] = [False] * count  # False is refused, True is durable.
    for outcome in outcomes:
        fate = True if outcome.error is None else _again(outcome.error)
        for index in outcome.indexes:
            fates[index] = fate
    first = 0
    for index in range(1, count + 1):
        if index == count or fates[index] != fates[first]:
            fate = fates[first]
            if fate is True:
                result.durable.append(IndexRange(first=first, last=index - 1))
            elif fate is not False:
                result.resend.append(_resend(first, index - 1, fate))
            first = index


def _again(error: Busy | Uncertain) -> Again:
    if isinstance(error, Busy):
        return RESEND_REASON_BUSY, error.retry_after_s
    return RESEND_REASON_UNCERTAIN, UNCERTAIN_RETRY_S


def _resend(first: int, last: int, again: Again) -> Resend:
    reason, delay_s = again
    delay = Duration()
    delay.FromNanoseconds(int(delay_s * 1e9))
    return Resend(range=IndexRange(first=first, last=last), reason=reason, delay=delay)
