"""Entries as they go out: the event's bytes untouched, the rest of the message around them.

The twin messages have bytes in the place of the event, so an event is never parsed and written
anew. It is only looked at, for what its times and its source's own code say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.event import clock_flags, filed_number
from ledger.numbers import is_check_digit_wrong, may_be_wrong
from ledger.position import INDEX_MAX, SCANS_LOG, unpack_position
from ledger.v1.raw_pb2 import RawTrailEntry
from ledger.v1.trail_service_pb2 import NumberFlag
from query.explaining import explain
from query.naming import name_facilities
from query.trail import INDEX_BITS, read_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.facilities import Directory
    from ledger.v1.log_record_pb2 import LogRecord
    from ledger.v1.position_pb2 import Position
    from ledger.v1.raw_pb2 import (
        RawBatchGetTrailsResponse,
        RawListScanEventsResponse,
        RawWatchTrailResponse,
    )
    from ledger.v1.trail_service_pb2 import EntryMarks
    from ledger.vocabulary import Mappings
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
    # What entries of one key and partition share is made once, and copied: that is cheaper.
    drafts: dict[tuple[int, bytes], _Draft] = {}
    named: dict[str, None] = {}
    for entry in entries:
        event = entry.event
        size += len(event) + _ENTRY_ROOM
        if entry.is_marked:
            size += _CORRECTED_BY_ROOM * len(entry.corrected_by)
        if full:
            size += len(entry.value)
        if count == most or (count and size > bytes_max):
            break
        count += 1
        record = entry.record
        record_time_ns = record.record_time_ns
        position = entry.position
        place = (position >> INDEX_BITS, record.tracking_key)
        draft = drafts.get(place)
        if draft is None:
            draft = drafts[place] = _draft(position, record.tracking_key)
        out = answer.entries.add()
        out.CopyFrom(draft.entry)
        out.event = event
        out.source_id = record.source_id
        out.position.index = position & INDEX_MAX
        record_time = out.record_time
        record_time.seconds, record_time.nanos = divmod(record_time_ns, 1_000_000_000)
        if event:
            _look_at(out, event, record, mappings, named, is_clear=draft.is_clear)
        else:
            out.quarantined.CopyFrom(record.quarantined)
        if entry.is_marked:
            _mark(out.marks, entry)
        if full:
            out.log_record = entry.value
    name_facilities(answer, named, facilities)
    return count


def _look_at(
    out: RawTrailEntry,
    data: bytes,
    record: LogRecord,
    mappings: Mappings,
    named: dict[str, None],
    *,
    is_clear: bool,
) -> None:
    """Mark what its times, its code, its number and its record say of an event, and note which
    facilities it names. Fields of `marks` exist once they are set. `is_clear`: its key says that
    its check digit is not wrong.
    """
    marks = out.marks
    event = read_event(data)
    named[event.facility] = None
    if event.next_facility:
        named[event.next_facility] = None
    if event.code_system:  # Most events come without: their type says it all.
        explain(out, event, mappings)
    flags = clock_flags(
        event,
        scan_time_ns=record.scan_time_ns,
        send_time_ns=record.send_time_ns,
        record_time_ns=record.record_time_ns,
    )
    if flags:
        marks.clock_flags.extend(flags)
    if not is_clear and is_check_digit_wrong(filed_number(event)):
        marks.number_flags.append(_CHECK_DIGIT_WRONG)
    if record.HasField("replayed_position"):
        marks.replayed_position.CopyFrom(record.replayed_position)


class _Draft(NamedTuple):
    """What entries of one key and partition share."""

    entry: RawTrailEntry
    is_clear: bool
    """The check digit of their numbers is not wrong, as their key says; else each is looked at."""


def _draft(position: int, key: bytes) -> _Draft:
    entry = RawTrailEntry(tracking_key=key.decode())
    _put_position(entry.position, position)
    return _Draft(entry, not may_be_wrong(key))


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
