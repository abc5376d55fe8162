"""Looks trails up, whole, and in the order in which they were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc

from ledger.v1.trail_service_pb2 import (
    LOOKUP_STATUS_FAILED_RETRY,
    ListScanEventsRequest,
)
from loadtest.load.check import UNANSWERED, Fault
from loadtest.load.status import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ledger.v1.raw_pb2 import RawBatchGetTrailsResponse, RawTrailEntry
    from loadtest.load.connections import Query

LOOK_UP_MAX: Final = 200
"""Most numbers in one look-up of the verifier: about 2,000 entries, half a megabyte."""

AGAIN_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 10.0)
"""Waits between the attempts of a look-up that has to succeed: a restart takes seconds."""


class Trouble(Exception):
    """The ledger could not be asked."""


def look_up(
    query: Query, items: Sequence[str], *, again: Callable[[float], None] | None = None
) -> Iterator[tuple[str, list[RawTrailEntry]]]:
    """Give the whole trail of each item; what could not be read is left out.

    With `again`, which waits, nothing is left out. Raises Trouble.
    """
    waits_s = iter(AGAIN_S if again else ())
    left = list(items)
    while left:
        done, trouble = set(), f"{len(left)} trails could not be read"
        try:
            answers = list(query.trails(left))
            if fault := answers_fault(left, answers):
                raise Trouble(str(fault))
            for item, answer in zip(left, answers, strict=True):
                if answer.status != LOOKUP_STATUS_FAILED_RETRY:
                    entries = whole(query, answer)
                    done.add(item)
                    yield item, entries
        except grpc.RpcError as error:
            status = status_of(error)
            if again is None or not status.may_pass:
                raise Trouble(status.words) from None
            trouble = status.words
        left = [item for item in left if item not in done]
        if not left or again is None:
            return
        wait_s = next(waits_s, None)
        if wait_s is None:
            raise Trouble(trouble)
        again(wait_s)


def answers_fault(
    numbers: Sequence[str], answers: Sequence[RawBatchGetTrailsResponse]
) -> Fault | None:
    """Find what is wrong with the answers to a look-up: one for each number, in their order."""
    indexes = [(answer.index, answer.tracking_number) for answer in answers]
    if indexes == list(enumerate(numbers)):
        return None
    words = f"{len(answers)} answers to {len(numbers)} numbers, or in another order"
    return Fault(UNANSWERED, "BatchGetTrails", words)


def whole(query: Query, answer: RawBatchGetTrailsResponse) -> list[RawTrailEntry]:
    """Give the whole trail of an answer, which may be its first page."""
    entries = list(answer.entries)
    if answer.next_page_token:
        request = ListScanEventsRequest(
            tracking_number=answer.tracking_number,
            page_token=answer.next_page_token,
            page_size=1_000,
        )
        for page in query.pages(request):
            entries += page.entries
    return entries
