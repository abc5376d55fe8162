"""Entries as they go out: the event's bytes untouched, the rest of the message around them.

The twin messages have bytes in the place of the event, so an event is never parsed and written
anew. It is only looked at, for what its times are marked with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.event import clock_flags
from ledger.position import SCANS_LOG, unpack_position
from query.trail import read_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.v1.position_pb2 import Position
    from ledger.v1.raw_pb2 import (
        RawBatchGetTrailsResponse,
        RawListScanEventsResponse,
        RawTrailEntry,
        RawWatchTrailResponse,
    )
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

_ENTRY_ROOM = 512
"""Most bytes of an entry besides its event, its record and what corrects it."""

_CORRECTED_BY_ROOM = 32
"""Most bytes of one position in `corrected_by`."""


def fill(
    answer: _Answer, entries: Iterable[Entry], *, most: int, bytes_max: int, full: bool
) -> int:
    """Add entries until a limit is reached, but at least one; return how many were added."""
    count = size = 0
    for entry in entries:
        size += len(entry.event) + _ENTRY_ROOM + _CORRECTED_BY_ROOM * len(entry.corrected_by)
        if full:
            size += len(entry.value)
        if count == most or (count and size > bytes_max):
            break
        _write(answer.entries.add(), entry, full=full)
        count += 1
    return count


def _write(out: RawTrailEntry, entry: Entry, *, full: bool) -> None:
    record = entry.record
    record_time_ns = record.record_time_ns
    out.event = entry.event
    put_position(out.position, entry.position)
    record_time = out.record_time
    record_time.seconds, record_time.nanos = divmod(record_time_ns, 1_000_000_000)
    out.source_id = record.source_id
    out.tracking_key = record.tracking_key.decode()
    flags = clock_flags(
        read_event(entry.event),
        scan_time_ns=record.scan_time_ns,
        send_time_ns=record.send_time_ns,
        record_time_ns=record_time_ns,
    )
    if flags:
        out.marks.clock_flags.extend(flags)
    if entry.duplicates:
        out.marks.duplicate_count = entry.duplicates
    if entry.conflict:
        out.marks.conflict = True
    if entry.correction:
        out.marks.correction = True
    if entry.corrected_by:
        out.marks.corrected = True
        for position in entry.corrected_by:
            put_position(out.marks.corrected_by.add(), position)
    if full:
        out.log_record = entry.value


def put_position(out: Position, number: int) -> None:
    """Write a position, given as one number."""
    position = unpack_position(number)
    out.log = SCANS_LOG
    out.generation = position.generation
    out.partition = position.partition
    out.index = position.index
