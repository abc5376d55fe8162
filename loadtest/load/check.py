"""What a trail must be: every scan that was acknowledged, once, with the bytes that were sent, in
order. Pure, and from the contract of the wire alone.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.scan_event_pb2 import ScanEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ledger.v1.raw_pb2 import RawTrailEntry

DIGEST_BYTES: Final = 8
"""Of the digest that stands for an event's bytes: chance hits one altered event in 10**19."""

LOST: Final = "lost"
DOUBLED: Final = "doubled"
ALTERED: Final = "altered"
CONFLICT: Final = "conflict"
MISORDERED: Final = "misordered"
UNANSWERED: Final = "wrong answer"
MISJUDGED: Final = "misjudged"
STOPPED: Final = "stopped"

FAULTS: Final = (LOST, DOUBLED, ALTERED, CONFLICT, MISORDERED, UNANSWERED, MISJUDGED, STOPPED)
"""Every kind of fault; one of any kind fails a run."""


class Identity(NamedTuple):
    """What makes two scans one."""

    source_id: str
    event_id: bytes


class Fault(NamedTuple):
    """One thing that a ledger must never do."""

    kind: str
    item: str
    words: str
    """Which scan, or what else."""

    def __str__(self) -> str:
        """One line."""
        return f"{self.kind}: {self.item}: {self.words}"


class Shown(NamedTuple):
    """A trail entry, as far as it is compared."""

    identity: Identity
    digest: bytes
    place: tuple[int, int, int]
    """Generation, partition, index."""

    moment: tuple[int, int]
    """The scan time: seconds, nanoseconds."""

    is_conflict: bool


def digest_of(event: bytes) -> bytes:
    """Give the digest that stands for an event's bytes."""
    return hashlib.blake2b(event, digest_size=DIGEST_BYTES).digest()


def shown_of(entry: RawTrailEntry) -> Shown:
    """Read an entry."""
    event = ScanEvent.FromString(entry.event)
    at = entry.position
    return Shown(
        Identity(entry.source_id, event.event_id),
        digest_of(entry.event),
        (at.generation, at.partition, at.index),
        (event.scan_time.seconds, event.scan_time.nanos),
        entry.marks.conflict,
    )


def missing_of(expected: Iterable[Identity], shown: Sequence[Shown]) -> list[Identity]:
    """Give what should be shown and is not; on a reader that lags it may still come."""
    present = {entry.identity for entry in shown}
    return [identity for identity in expected if identity not in present]


def lost(item: str, identity: Identity) -> Fault:
    """Say that a scan is lost."""
    return Fault(LOST, item, _name(identity))


def misjudged(item: str, identity: Identity, words: str) -> Fault:
    """Say that a good scan was refused, or a bad one taken."""
    return Fault(MISJUDGED, item, f"{_name(identity)}, {words}")


def content_faults(
    item: str, expected: Mapping[Identity, bytes], shown: Sequence[Shown]
) -> list[Fault]:
    """Find scans that are shown twice, or with other bytes than were sent."""
    faults = []
    seen = set()
    for entry in shown:
        identity, name = entry.identity, _name(entry.identity)
        if identity in seen:
            faults.append(Fault(DOUBLED, item, name))
        seen.add(identity)
        if expected.get(identity, entry.digest) != entry.digest:
            faults.append(Fault(ALTERED, item, name))
        if entry.is_conflict and identity in expected:
            faults.append(Fault(CONFLICT, item, name))
    return faults


def order_faults(
    item: str, shown: Sequence[Shown], *, recorded: bool = False, descending: bool = False
) -> list[Fault]:
    """Find scans that do not stand where the order says: by scan time, then event id, then
    position; or, `recorded`, by position.
    """
    keys = [
        entry.place if recorded else (*entry.moment, entry.identity.event_id, *entry.place)
        for entry in shown
    ]
    if descending:
        keys.reverse()
    faults = []
    for index, (before, after) in enumerate(pairwise(keys), start=1):
        if before >= after:
            entry = shown[-1 - index if descending else index]
            faults.append(Fault(MISORDERED, item, _name(entry.identity)))
    return faults


def _name(identity: Identity) -> str:
    return f"scan {identity.event_id.hex()} of {identity.source_id}"
