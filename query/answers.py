"""Entries as they go out: the event's bytes untouched, the rest of the message around them.

What every entry has is written as bytes (`entry_bytes`), and so is the event: it is only looked
at, for what its times and its source's own code say. What few entries have is a message beside it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.event import clock_flags, filed_number
from ledger.numbers import is_check_digit_wrong, may_be_wrong
from ledger.position import SCANS_LOG, unpack_position
from ledger.trail_store import ORDER_BYTES
from ledger.v1.raw_pb2 import RawTrailEntry
from ledger.v1.trail_service_pb2 import EntryMarks, NumberFlag
from query.entry_bytes import entry_bytes, shared_by, sized, tags_of
from query.explaining import explained
from query.naming import names_of
from query.trail import GROUP_BYTES, INDEX_BITS, read_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.facilities import Directory
    from ledger.v1.position_pb2 import Position
    from ledger.v1.raw_pb2 import (
        RawBatchGetTrailsResponse,
        RawListScanEventsResponse,
        RawWatchTrailResponse,
    )
    from ledger.v1.trail_service_pb2 import ClockFlag
    from ledger.vocabulary import Mappings
    from query.entry_bytes import Shared
    from query.trail import Entry

    _Answer = RawListScanEventsResponse | RawBatchGetTrailsResponse | RawWatchTrailResponse

PAGE_ENTRIES_MAX = 1_000
"""Most entries in a page: with usual events some 250 KiB, made in some 10 ms."""

PAGE_BYTES_MAX = 2 << 20
"""Most bytes in a page: half of the largest message that gRPC clients take by default."""

ITEM_ENTRIES_MAX = 200
"""Most entries of one item in a batch look-up: trails are tens of events."""

ITEM_BYTES_MAX = 1 << 20
"""Most bytes of one item in a batch look-up."""

_ENTRY_ROOM = 704
"""Most bytes of an entry besides its event, its record and what corrects it. The facilities that a
page names come on top: at most 500 bytes each, two an entry.
"""

_CORRECTED_BY_ROOM = 32
"""Most bytes of one position in `corrected_by`."""

_INDEX_AT: Final = ORDER_BYTES - INDEX_BITS // 8
"""Where the index begins in an order: its position ends with it."""

_CHECK_DIGIT_WRONG: Final = NumberFlag.NUMBER_FLAG_CHECK_DIGIT_WRONG


def fill(
    answer: _Answer,
    entries: Iterable[Entry],
    *,
    mappings: Mappings,
    facilities: Directory,
    most: int,
    bytes_max: int,
    full: bool,
) -> int:
    """Add entries until a limit is reached, but at least one; return how many were added."""
    count = size = 0
    places: dict[tuple[bytes, bytes], _Place] = {}
    named: dict[str, None] = {}
    made: list[bytes] = []
    for entry in entries:
        event, order = entry.event, entry.order
        size += len(event) + _ENTRY_ROOM
        if entry.is_marked:
            size += _CORRECTED_BY_ROOM * len(entry.corrected_by)
        if full:
            size += len(entry.value)
        if count == most or (count and size > bytes_max):
            break
        count += 1
        record = entry.record
        key = record.tracking_key
        at = (order[GROUP_BYTES:_INDEX_AT], key)
        place = places.get(at)
        if place is None:
            place = places[at] = _Place(shared_by(entry.position, key), not may_be_wrong(key))
        usual = entry_bytes(
            event,
            record.source_id.encode(),
            place.shared,
            int.from_bytes(order[_INDEX_AT:], "big"),
            record.record_time_ns,
        )
        made.append(usual + _beside(entry, mappings, named, is_clear=place.is_clear, full=full))
    tags = tags_of(answer.DESCRIPTOR)
    made = [sized(tags.entry, one) for one in made]
    made += [sized(tags.facility, one) for one in names_of(named, facilities)]
    answer.MergeFromString(b"".join(made))
    return count


class _Place(NamedTuple):
    """What entries of one key and partition have in common."""

    shared: Shared
    is_clear: bool
    """The check digit of their numbers is not wrong, as their key says; else each is looked at."""


def _beside(
    entry: Entry, mappings: Mappings, named: dict[str, None], *, is_clear: bool, full: bool
) -> bytes:
    """Encode what its times, its code, its number, its record and its trail say of an event, and
    note which facilities it names.
    """
    record = entry.record
    if not entry.event:
        return _more(RawTrailEntry(quarantined=record.quarantined), entry, full=full)
    event = read_event(entry.event)
    named[event.facility] = None
    if event.next_facility:
        named[event.next_facility] = None
    flags = clock_flags(
        event,
        scan_time_ns=record.scan_time_ns,
        send_time_ns=record.send_time_ns,
        record_time_ns=record.record_time_ns,
    )
    clock = _clock_bytes(*flags) if flags else b""
    # Most events come without a code: their type says it all.
    more = explained(event, mappings) if event.code_system else None
    if not is_clear and is_check_digit_wrong(filed_number(event)):
        more = more or RawTrailEntry()
        more.marks.number_flags.append(_CHECK_DIGIT_WRONG)
    if more is None and not (
        entry.is_marked or full or record.HasField("replayed_position")
    ):  # Nearly always.
        return clock
    return clock + _more(more or RawTrailEntry(), entry, full=full)


@cache
def _clock_bytes(*flags: ClockFlag.ValueType) -> bytes:
    return RawTrailEntry(marks=EntryMarks(clock_flags=flags)).SerializeToString()


def _more(more: RawTrailEntry, entry: Entry, *, full: bool) -> bytes:
    """Encode what few entries have. Fields of `marks` exist once they are set."""
    if entry.event and entry.record.HasField("replayed_position"):
        more.marks.replayed_position.CopyFrom(entry.record.replayed_position)
    if entry.is_marked:
        _mark(more.marks, entry)
    if full:
        more.log_record = entry.value
    return more.SerializeToString()


def _mark(marks: EntryMarks, entry: Entry) -> None:
    marks.duplicate_count = entry.duplicates
    marks.conflict = entry.conflict
    marks.correction = entry.correction
    marks.corrected = bool(entry.corrected_by)
    for position in entry.corrected_by:
        _put_position(marks.corrected_by.add(), position)


def _put_position(out: Position, number: int) -> None:
    position = unpack_position(number)
    out.log = SCANS_LOG
    out.generation = position.generation
    out.partition = position.partition
    out.index = position.index
