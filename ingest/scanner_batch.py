"""Batches on their way out: which events are sent together, and whose they are. Pure."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from ledger.v1.ingest_service_pb2 import DURABILITY_UNSPECIFIED

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from ledger.v1.ingest_service_pb2 import Durability, Refusal
    from ledger.v1.position_pb2 import Position

SCAN_FRAME_BYTES: Final = 6
"""What a batch adds to an event on the wire at most: two tags, two lengths of up to two bytes."""

HEADER_BYTES_MAX: Final = 256
"""What a batch has on the wire beside its scans at most: ids, numbers and a time."""


Owner = TypeVar("Owner")
"""What the events of a batch belong to: a submission, or a run of a spool."""


class Outcome(NamedTuple):
    """What became of the events of one `submit`: each is durable or refused."""

    durability: Durability.ValueType
    """What "durable" means for those that are not refused."""

    first_sequence: int
    """Of the first event, the others follow; 0 where the source is unnumbered."""

    scans: int
    refusals: Sequence[Refusal]
    """Their `index` counts within the `submit`."""

    positions: Sequence[Position]
    """For each partition the highest position that came with it: makes a trail show the events,
    given as `at_least`.
    """


class Submission:
    """The events of one `submit`, until all have an outcome."""

    __slots__ = (
        "durability",
        "first_sequence",
        "future",
        "missing",
        "positions",
        "refusals",
        "scans",
    )

    def __init__(self, first_sequence: int, scans: int, future: asyncio.Future[Outcome]) -> None:
        self.first_sequence = first_sequence
        self.scans = self.missing = scans
        self.future = future
        self.refusals: list[Refusal] = []
        self.positions: list[Sequence[Position]] = []
        """Those of each result that had events of it."""

        self.durability = DURABILITY_UNSPECIFIED

    def outcome(self) -> Outcome:
        """Give the outcome: all events have theirs."""
        positions: Sequence[Position] = ()
        if len(self.positions) == 1:
            positions = self.positions[0]  # Nearly always, and then there is nothing to compare.
        elif self.positions:
            highest: dict[tuple[int, int], Position] = {}
            for position in chain.from_iterable(self.positions):
                place = (position.generation, position.partition)
                if place not in highest or highest[place].index < position.index:
                    highest[place] = position
            positions = list(highest.values())
        self.refusals.sort(key=lambda refusal: refusal.index)
        return Outcome(self.durability, self.first_sequence, self.scans, self.refusals, positions)


class Part(NamedTuple, Generic[Owner]):
    """A run of an owner's events."""

    owner: Owner
    offset: int
    """Of its first event within the owner."""

    scans: int


class OutBatch(Generic[Owner]):
    """A contiguous run of events that are sent together, and whose they are."""

    __slots__ = ("bytes", "due_s", "events", "first_sequence", "parts", "sent_s", "tries")

    def __init__(self, first_sequence: int, tries: int = 0) -> None:
        self.first_sequence = first_sequence
        self.events: list[bytes] = []
        self.parts: list[Part[Owner]] = []
        self.bytes = HEADER_BYTES_MAX
        self.tries = tries
        self.due_s = 0.0
        """Not to be sent before, by the monotonic clock."""

        self.sent_s = 0.0

    def __lt__(self, other: OutBatch[Owner]) -> bool:
        """The one that is due first is sent first, and of those the older one."""
        return (self.due_s, self.first_sequence) < (other.due_s, other.first_sequence)

    def add(self, part: Part[Owner], events: Sequence[bytes]) -> None:
        """Put a run of events behind those that are there."""
        self.events += events
        self.parts.append(part)
        self.bytes += sum(map(len, events)) + SCAN_FRAME_BYTES * len(events)

    def cut(self, first: int, last: int) -> OutBatch[Owner]:
        """Give the events from index `first` to `last`, both included, as a batch of their own."""
        sequence = self.first_sequence + first if self.first_sequence else 0
        piece: OutBatch[Owner] = OutBatch(sequence, self.tries)
        start = 0
        for owner, offset, count in self.parts:
            begin, end = max(first, start), min(last + 1, start + count)
            if begin < end:
                part = Part(owner, offset + begin - start, end - begin)
                piece.add(part, self.events[begin:end])
            start += count
        return piece
