"""Compares what scanners were told with what trails show: lost, doubled, conflicts.

A program of its own: it knows the list of acknowledgements and the ledger's API, nothing else.
`python -m loadtest.verify --server HOST:PORT LIST` prints one line of JSON; exit code 1 unless
nothing is lost and nothing is doubled.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc

from ledger.numbers import filing_key
from ledger.v1.progress_service_pb2 import GetProgressRequest
from ledger.v1.progress_service_pb2_grpc import ProgressServiceStub
from ledger.v1.trail_service_pb2 import (
    BatchGetTrailsRequest,
    BatchGetTrailsResponse,
    ListScanEventsRequest,
    LookupStatus,
    TrailEntry,
)
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from loadtest.acknowledged import Acknowledged, read_acknowledged

LOOKUP_NUMBERS = 500  # Half of what one look-up takes: an answer comes every few milliseconds.
ANSWER_S = 60.0
READABLE_WITHIN_S = 60.0  # Trails follow the log within a fraction of a second, if they do.
TRIES_MAX = 60  # A minute and more: a node that comes back first catches up.
TRY_AGAIN_S = 1.0
MESSAGE_BYTES_MAX = 8 << 20

Identity = tuple[str, bytes]
"""Source id and event id: what makes two scans one."""


@dataclass(slots=True)
class Verdict:
    """What came of it.

    Attributes:
        acknowledged: identities that scanners were told are durable.
        in_trails: those of them that a trail shows.
        lost: those of them that no trail shows.
        doubled: identities that are shown more than once.
        conflicts: entries that are marked as conflicts.
        copies: further copies of scans that reached the log, which trails leave out.
        unacknowledged: identities that are shown, though no scanner was told so.
        items: trails that were read.
        example: the key of an item worth a look: with copies where there are any, and long.
    """

    acknowledged: int = 0
    in_trails: int = 0
    lost: int = 0
    doubled: int = 0
    conflicts: int = 0
    copies: int = 0
    unacknowledged: int = 0
    items: int = 0
    example: str = ""

    @property
    def good(self) -> bool:
        """Nothing is lost, nothing doubled."""
        return not self.lost and not self.doubled


def verify(
    channel: grpc.Channel,
    scans: Iterable[Acknowledged],
    *,
    on_progress: Callable[[int, int], None] = lambda done, items: None,
) -> Verdict:
    """Read all trails back and compare. `on_progress` is told how many items of how many."""
    expected: defaultdict[bytes, set[Identity]] = defaultdict(set)
    ends: dict[tuple[int, int], int] = {}
    for scan in scans:
        expected[filing_key(scan.tracking_number)].add((scan.source_id, scan.event_id))
        for generation, partition, index in scan.places:
            where = generation, partition
            ends[where] = max(ends.get(where, 0), index + 1)
    wait_until_readable(ProgressServiceStub(channel), ends)
    verdict = Verdict(items=len(expected))
    best = (False, 0)
    stub = TrailServiceStub(channel)
    keys = list(expected)
    for first in range(0, len(keys), LOOKUP_NUMBERS):
        chunk = keys[first : first + LOOKUP_NUMBERS]
        for key, entries in trails(stub, chunk):
            _compare(verdict, expected[key], entries)
            worth = any(entry.marks.duplicate_count for entry in entries), len(entries)
            if worth > best:
                best, verdict.example = worth, key.decode()
        on_progress(first + len(chunk), len(keys))
    return verdict


def wait_until_readable(stub: ProgressServiceStub, ends: dict[tuple[int, int], int]) -> None:
    """Wait until every partition is readable up to its end: an acknowledgement comes before that.

    Whatever a ledger that is up does not make readable in time counts as lost.
    """
    until_s = time.monotonic() + READABLE_WITHIN_S
    behind = True
    while behind and time.monotonic() < until_s:
        answer = stub.GetProgress(GetProgressRequest(), timeout=ANSWER_S, wait_for_ready=True)
        readable = {
            (one.generation, one.partition): one.readable_index for one in answer.partitions
        }
        behind = any(readable.get(where, 0) < end for where, end in ends.items())
        if behind:
            time.sleep(0.1)


def trails(
    stub: TrailServiceStub, keys: Sequence[bytes]
) -> Iterator[tuple[bytes, Sequence[TrailEntry]]]:
    """Give the whole trail of each key; what could not be looked up is asked for again."""
    asked = list(keys)
    for _ in range(TRIES_MAX):
        request = BatchGetTrailsRequest(tracking_numbers=[key.decode() for key in asked])
        again = []
        # All of it before trails are read on: the time for this answer goes on meanwhile.
        for answer in list(stub.BatchGetTrails(request, timeout=ANSWER_S)):
            if answer.status == LookupStatus.LOOKUP_STATUS_FAILED_RETRY:
                again.append(asked[answer.index])
            else:
                yield asked[answer.index], _whole(stub, answer)
        if not again:
            return
        asked = again
        time.sleep(TRY_AGAIN_S)
    raise TimeoutError(f"{len(asked)} trails could not be read in {TRIES_MAX} tries")


def _whole(stub: TrailServiceStub, answer: BatchGetTrailsResponse) -> Sequence[TrailEntry]:
    entries = list(answer.entries)
    token = answer.next_page_token
    while token:
        request = ListScanEventsRequest(
            tracking_number=answer.tracking_number, page_token=token, page_size=1_000
        )
        page = stub.ListScanEvents(request, timeout=ANSWER_S)
        entries += page.entries
        token = page.next_page_token
    return entries


def _compare(verdict: Verdict, expected: set[Identity], entries: Sequence[TrailEntry]) -> None:
    shown = Counter((entry.source_id, entry.event.event_id) for entry in entries)
    found = sum(identity in shown for identity in expected)
    verdict.acknowledged += len(expected)
    verdict.in_trails += found
    verdict.lost += len(expected) - found
    verdict.doubled += sum(times > 1 for times in shown.values())
    verdict.unacknowledged += sum(identity not in expected for identity in shown)
    for entry in entries:
        verdict.conflicts += entry.marks.conflict
        verdict.copies += entry.marks.duplicate_count


def main() -> int:
    """Verify a list, and print the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("list", type=Path, help="the scanners' list of acknowledgements")
    parser.add_argument("--server", default="127.0.0.1:50731")
    arguments = parser.parse_args()
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]

    def tell(done: int, items: int) -> None:
        print(json.dumps({"done": done, "items": items}), file=sys.stderr)  # noqa: T201

    with grpc.insecure_channel(arguments.server, options=options) as channel:
        verdict = verify(channel, read_acknowledged(arguments.list), on_progress=tell)
    print(json.dumps(asdict(verdict)))  # noqa: T201 - the answer.
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
