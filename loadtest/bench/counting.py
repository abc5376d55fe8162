"""Whether each acknowledged scan is in its trail exactly once: read back over gRPC, all of them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc

from ledger.v1.trail_service_pb2 import BatchGetTrailsRequest, LookupStatus
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from loadtest.bench.patience import patient
from loadtest.bench.traffic import STEPS, event_id, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ledger.v1.trail_service_pb2 import BatchGetTrailsResponse, TrailEntry

LOOKUP_ITEMS: Final = 500
"""Items of one look-up."""

AT_ONCE: Final = 3
"""Look-ups at once: one is made, one is answered, one is compared."""

TRIES_MAX: Final = 20
"""How often an item is asked for that the ledger says to ask for again."""

AGAIN_AFTER_S: Final = 0.2
"""Seconds before that."""

ANSWER_S: Final = 60.0
"""Seconds for one look-up."""

MESSAGE_BYTES_MAX: Final = 8 << 20


class Counted(NamedTuple):
    """What the trails hold of what was acknowledged.

    Attributes:
        expected: scans that were acknowledged.
        found: of them, in the trails.
        lost: of them, not in the trails.
        doubled: scans that a trail shows more than once.
        conflicts: entries that are marked as conflicts.
        strange: entries of another run or of another item.
    """

    expected: int = 0
    found: int = 0
    lost: int = 0
    doubled: int = 0
    conflicts: int = 0
    strange: int = 0

    def plus(self, other: Counted) -> Counted:
        """Add two counts up."""
        return Counted(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def good(self) -> bool:
        """Nothing is lost, doubled or in conflict."""
        return not (self.lost or self.doubled or self.conflicts or self.strange)


def count(query: str, run: int, steps: Mapping[int, int]) -> Counted:
    """Look every item of a run up, and compare its trail with the steps that were acknowledged."""
    items, counted = sorted(steps), Counted()
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]
    with (
        grpc.insecure_channel(query, options=options) as channel,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):
        stub = TrailServiceStub(channel)

        def look_up(chunk: Sequence[int]) -> Counted:
            counted = Counted()
            for item, entries in _trails(stub, chunk).items():
                seen = [entry.event.event_id for entry in entries]
                conflicts = sum(entry.marks.conflict for entry in entries)
                counted = counted.plus(compared(run, item, steps[item], seen, conflicts))
            return counted

        firsts = range(0, len(items), LOOKUP_ITEMS)
        chunks = [items[first : first + LOOKUP_ITEMS] for first in firsts]
        for one in threads.map(look_up, chunks):
            counted = counted.plus(one)
    return counted


def compared(run: int, item: int, told: int, seen: Sequence[bytes], conflicts: int) -> Counted:
    """Compare one trail with the steps that were acknowledged: bit n of `told` is step n."""
    sent = {event_id(run, item, step): bool(told >> step & 1) for step in range(STEPS)}
    want = {one for one, acknowledged in sent.items() if acknowledged}
    shown = set(seen)
    return Counted(
        expected=len(want),
        found=len(want & shown),
        lost=len(want - shown),
        doubled=len(seen) - len(shown),
        conflicts=conflicts,
        strange=len(shown - sent.keys()),
    )


def _trails(stub: TrailServiceStub, items: Sequence[int]) -> dict[int, Sequence[TrailEntry]]:
    """Give the trail of every item. Raises RuntimeError where one is not told in many tries."""

    def look_up(request: BatchGetTrailsRequest) -> list[BatchGetTrailsResponse]:
        return list(stub.BatchGetTrails(request, timeout=ANSWER_S))

    found: dict[int, Sequence[TrailEntry]] = {}
    for _ in range(TRIES_MAX):
        chunk = [item for item in items if item not in found]
        if not chunk:
            return found
        request = BatchGetTrailsRequest(tracking_numbers=[number_of(item) for item in chunk])
        answers = patient(look_up, request)
        for answer in answers:
            if answer.status != LookupStatus.LOOKUP_STATUS_FAILED_RETRY:
                assert not answer.next_page_token, "a trail of the bench fits one page"
                found[chunk[answer.index]] = answer.entries
        if len(found) < len(items):
            time.sleep(AGAIN_AFTER_S)
    raise RuntimeError(f"{len(items) - len(found)} trails were not told in {TRIES_MAX} tries")
