"""A trail, made from its rows: each event exactly once, in order, with what a reader should know.

Pure, and a function of the rows below the pins alone: in which order they came, how often they were
written and by whom changes nothing. Rows of one source id and event id with equal content are
copies and collapse to the lowest position; with other content they are a conflict, and all stay.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.message import DecodeError

from ledger.codec import read_record
from ledger.errors import Diverged
from ledger.event import order_from_time
from ledger.position import INDEX_MAX, pack_position
from ledger.v1.scan_event_pb2 import ScanEvent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ledger.trail_store import StoredRow
    from ledger.v1.log_record_pb2 import LogRecord
    from ledger.v1.position_pb2 import Position
    from ledger.v1.scan_event_pb2 import Correction

GROUP_BYTES = 24
"""Length of the part of an order key that copies of one event share: scan time and event id."""

INDEX_BITS = INDEX_MAX.bit_length()
"""Bits of the index in a packed position; above them stand generation and partition."""

_CORRECTION_TAG = 0x8A
"""First byte of the tag of `ScanEvent.correction` in every encoding: without it there is none."""

_Identity = tuple[str, bytes]
"""Source id and event id: what makes two rows of one item the same event."""


class Pin(NamedTuple):
    """How much of one partition is shown: records below `next_index`."""

    generation: int
    partition: int
    next_index: int


def limits_of(pins: Iterable[Pin]) -> Mapping[int, int]:
    """Turn pins into bounds on packed positions, by generation and partition as one number."""
    limits = {}
    for generation, partition, next_index in pins:
        first = pack_position(generation, partition, 0)
        limits[first >> INDEX_BITS] = first + next_index
    return limits


def is_below(position: int, limits: Mapping[int, int]) -> bool:
    """Whether a packed position is below the pins; what has no pin is not."""
    return position < limits.get(position >> INDEX_BITS, 0)


def below(rows: Iterable[StoredRow], limits: Mapping[int, int]) -> list[StoredRow]:
    """Keep the rows whose positions are below the pins."""
    number, bits, limit_of = int.from_bytes, INDEX_BITS, limits.get
    return [
        row
        for row in rows
        if (position := number(row[0][GROUP_BYTES:], "big")) < limit_of(position >> bits, 0)
    ]


class Entry:
    """One event of a trail; or, where `event` is empty, the notice that one is in quarantine."""

    # Most entries are not marked: defaults of the class save the time to set them.
    is_marked = False
    """Whether one of the following is set."""
    duplicates = 0
    conflict = False
    correction = False
    corrected_by: Sequence[int] = ()
    elsewhere: Sequence[tuple[bytes, int]] = ()
    """Where copies of it lie besides, by key and position: under several keys of one item."""

    def __init__(self, order: bytes, record: LogRecord, value: bytes, event: bytes) -> None:
        """`value` are the bytes of `record`, `event` those of the scan event."""
        self.order = order
        self.record = record
        self.value = value
        self.event = event

    @property
    def position(self) -> int:
        """As one number; of several copies the lowest."""
        return int.from_bytes(self.order[GROUP_BYTES:], "big")


def trail_of(
    keyed_rows: Iterable[tuple[bytes, Iterable[StoredRow]]],
    copies: Mapping[bytes, int] = MappingProxyType({}),
) -> list[Entry]:
    """Make the entries of one item from the rows of each of its keys, ordered by scan time.

    `copies` says how many further copies a row stands for, by its order.
    """
    versions: dict[_Identity, list[Entry]] = {}
    entries: list[Entry] = []
    others: list[Entry] = []
    replayed: set[int] = set()
    corrections: list[tuple[Entry, _Identity]] = []
    for _, rows in keyed_rows:
        for order, value in rows:
            record = read_record(value)
            event = record.event
            if record.HasField("replayed_position"):
                replayed.add(packed(record.replayed_position))
            if not event:  # Another body, such as an alias: nothing that happened to the item.
                others.append(Entry(order, record, value, event))
                continue
            identity = (record.source_id, order[8:GROUP_BYTES])
            known = versions.get(identity)
            more = copies.get(order, 0)
            if known is not None and _is_copy(known, order, record, value, 1 + more):
                continue
            entry = Entry(order, record, value, event)
            if more:
                entry.is_marked, entry.duplicates = True, more
            entries.append(entry)
            if known is None:
                versions[identity] = [entry]
            else:
                known.append(entry)
                for version in known:
                    version.is_marked = version.conflict = True
            if _CORRECTION_TAG in event:
                corrections.append((entry, identity))
    if corrections:
        _mark_corrections(corrections, versions)
    if others:
        entries += _notices(others, replayed.union(entry.position for entry in entries))
    entries.sort(key=attrgetter("order"))
    return entries


def _is_copy(known: list[Entry], order: bytes, record: LogRecord, value: bytes, count: int) -> bool:
    """Count a row as `count` copies of an entry where it is one. The lowest position stands for
    all.
    """
    for entry in known:
        if entry.event == record.event and (entry.record.sealed_personal == record.sealed_personal):
            entry.duplicates += count
            entry.is_marked = True
            other = (record.tracking_key, int.from_bytes(order[GROUP_BYTES:], "big"))
            if order[GROUP_BYTES:] < entry.order[GROUP_BYTES:]:
                other = (entry.record.tracking_key, entry.position)
                entry.order, entry.record, entry.value = order, record, value
            entry.elsewhere = [*entry.elsewhere, other]
            return True
    return False


def _notices(others: Iterable[Entry], resolved: Collection[int]) -> Iterable[Entry]:
    """Give one notice for each record in quarantine that does not stand in the trail itself, be it
    by a replay, or because the store took its row after all.
    """
    notices = [other for other in others if other.record.HasField("quarantined")]
    first: dict[int, Entry] = {}
    for notice in sorted(notices, key=attrgetter("position")):
        first.setdefault(packed(notice.record.quarantined.position), notice)
    return [notice for position, notice in first.items() if position not in resolved]


def packed(position: Position) -> int:
    """Give a position of a record as one number."""
    return pack_position(position.generation, position.partition, position.index)


def _mark_corrections(
    candidates: Iterable[tuple[Entry, _Identity]],
    versions: Mapping[_Identity, Sequence[Entry]],
) -> None:
    """Mark what corrects and what is corrected. A correction lies under a key of its target."""
    corrected_by: defaultdict[_Identity, list[int]] = defaultdict(list)
    for entry, identity in candidates:
        correction = correction_of(entry.event)
        if correction is None:
            continue
        target = (correction.source_id, correction.event_id)
        if target != identity:  # An event cannot correct itself.
            entry.is_marked = entry.correction = True
            corrected_by[target].append(entry.position)
    for target, positions in corrected_by.items():
        positions.sort()
        for version in versions.get(target, ()):
            version.is_marked, version.corrected_by = True, positions


def read_event(event: bytes) -> ScanEvent:
    """Parse a scan event. Raises Diverged for bytes that are none: they were checked on the way
    in.
    """
    try:
        return ScanEvent.FromString(event)
    except DecodeError as error:
        raise Diverged(
            f"A scan event of {len(event)} bytes cannot be read: {error}.",
            reason="EVENT_UNREADABLE",
        ) from error


def correction_of(event: bytes) -> Correction | None:
    """Give what an event corrects, or None."""
    parsed = read_event(event)
    return parsed.correction if parsed.HasField("correction") else None


def between(entries: Sequence[Entry], start_ns: int | None, end_ns: int | None) -> Sequence[Entry]:
    """Keep what was scanned at or after the start and before the end. `entries` are by scan
    time.
    """
    low, high = 0, len(entries)
    if start_ns is not None:
        low = bisect_left(entries, order_from_time(start_ns), key=attrgetter("order"))
    if end_ns is not None:
        high = bisect_left(entries, order_from_time(end_ns), key=attrgetter("order"))
    return entries[low:high]


class Place(NamedTuple):
    """Where an entry stands, in every order."""

    order: bytes
    record_time_ns: int


def place_of(entry: Entry) -> Place:
    """Give the place of an entry."""
    return Place(entry.order, entry.record.record_time_ns)


def by_scan_time(place: Place) -> bytes:
    """Rank as it happened: by scan time, then event id, then position."""
    return place.order


def by_position(place: Place) -> bytes:
    """Rank as recorded, within one key."""
    return place.order[GROUP_BYTES:]


def by_record_time(place: Place) -> tuple[int, bytes]:
    """Rank as recorded, over several keys: positions of different partitions tell no time."""
    return place.record_time_ns, place.order[GROUP_BYTES:]


Rank = Callable[[Place], Any]
"""One of the three functions above."""


def arranged(
    entries: Sequence[Entry], rank: Rank, *, descending: bool, after: Place | None = None
) -> Sequence[Entry]:
    """Put entries (given by scan time) in the order that is asked for, and begin behind a place."""

    def key(entry: Entry) -> Any:  # noqa: ANN401 - whatever the rank compares.
        return rank(place_of(entry))

    if rank is not by_scan_time:
        entries = sorted(entries, key=key)
    if after is not None and descending:
        entries = entries[: bisect_left(entries, rank(after), key=key)]
    elif after is not None:
        entries = entries[bisect_right(entries, rank(after), key=key) :]
    return entries[::-1] if descending else entries
