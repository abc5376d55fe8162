"""What a result says of each scan of a batch: durable, refused, or to be sent again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.v1.ingest_service_pb2 import BatchResult, Refusal

DURABLE: Final = -1.0
REFUSED: Final = -2.0


class Fate(NamedTuple):
    """What becomes of a run of scans."""

    first: int
    last: int
    """Indexes in the batch, both included."""

    wait_s: float
    """DURABLE, REFUSED, or the seconds to wait before the run is sent again."""

    refusals: Sequence[Refusal]
    """One for each scan, where they are refused."""


def fates_of(result: BatchResult, count: int) -> Iterator[Fate]:
    """Give the fates of a batch of `count` scans, in order. An index that the result does not name
    is to be sent again, too; one that the batch does not have is passed over.
    """
    durable = result.durable
    if len(durable) == 1 and not durable[0].first and durable[0].last == count - 1:
        yield Fate(0, count - 1, DURABLE, ())
        return
    fates = [0.0] * count
    for again in result.resend:
        for index in range(again.range.first, min(again.range.last + 1, count)):
            fates[index] = again.delay.seconds + again.delay.nanos / 1e9
    for run in durable:
        for index in range(run.first, min(run.last + 1, count)):
            fates[index] = DURABLE
    refusals = {refusal.index: refusal for refusal in result.refusals if refusal.index < count}
    for index in refusals:
        fates[index] = REFUSED
    first = 0
    for index in range(1, count + 1):
        if index == count or fates[index] != fates[first]:
            named = fates[first] == REFUSED
            why = [refusals[at] for at in range(first, index)] if named else ()
            yield Fate(first, index - 1, fates[first], why)
            first = index
