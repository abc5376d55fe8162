"""One page of one trail: what is asked for, and how it is answered from the rows below the pins.

Later pages begin behind the last entry that was shown, and are made from the same pins: so they
are pages of one snapshot, whatever arrives meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import NotPossibleNow
from ledger.event import order_from_time
from ledger.trail_store import ORDER_BYTES
from ledger.v1.trail_service_pb2 import LookupStatus
from query.answers import fill
from query.reading import after
from query.trail import (
    GROUP_BYTES,
    Place,
    arranged,
    between,
    by_position,
    by_record_time,
    by_scan_time,
    place_of,
    trail_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ledger.facilities import Directory
    from ledger.trail_store import Slice
    from ledger.v1.raw_pb2 import RawBatchGetTrailsResponse, RawListScanEventsResponse
    from ledger.vocabulary import Mappings
    from query.progress_view import Shown
    from query.reading import Stretch, TrailReader, Whole
    from query.trail import Entry, Pin, Rank

    Answer = RawListScanEventsResponse | RawBatchGetTrailsResponse

STRETCH_SPARE_ROWS = 200
"""Events that are read beyond a page of a long trail: those of the group it begins with that were
shown before, and what may say of the page's own that they are in conflict or corrected.
"""

STRETCHES_MAX = 8
"""Most stretches read for one page. The second has something to show, unless its records hold no
events. When none has, the page is empty, and its token goes on.
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one item."""

    keys: Sequence[bytes]
    """Those that its number has; in the end all that it is filed under."""
    recorded: bool
    descending: bool
    full: bool
    most: int
    """Most entries in the page."""
    bytes_max: int
    """Most bytes in the page."""
    mappings: Mappings
    """What explains sources' own codes."""
    facilities: Directory
    """What is known of facilities."""
    start_ns: int | None = None
    end_ns: int | None = None

    @property
    def rank(self) -> Rank:
        """The order that is asked for."""
        if not self.recorded:
            return by_scan_time
        return by_position if len(self.keys) == 1 else by_record_time


class More(NamedTuple):
    """Where the next page begins."""

    pins: Sequence[Pin]
    place: Place


async def answer(
    reader: TrailReader,
    question: Question,
    shown: Shown,
    out: Answer,
    *,
    last: Place | None = None,
    begun: Mapping[bytes, Slice] | None = None,
) -> More | None:
    """Write the page behind `last` into `out`. Returns where the next one begins; None where it is
    the last page.

    `begun` holds the first rows of some keys, where they have been read already.
    Raises NotPossibleNow for a trail that is too long for what is asked.
    """
    item = await reader.item(question.keys, shown, begun)
    out.tracking_keys.extend(key.decode() for key in item.keys)
    out.more_keys = item.has_more_keys
    if len(item.keys) > len(question.keys):
        question = replace(question, keys=item.keys)
    if item.whole is not None:
        place = _answer_whole(question, item.whole, out, last)
    else:
        place = await _answer_oversized(reader, question, item.limits, out, last)
    # The pins of every key that was read: so the next page finds the same keys, and no others.
    return None if place is None else More(shown.pins(item.keys), place)


async def _answer_oversized(
    reader: TrailReader,
    question: Question,
    limits: Mapping[int, int],
    out: Answer,
    last: Place | None,
) -> Place | None:
    out.oversized = True
    out.status = LookupStatus.LOOKUP_STATUS_FOUND
    if question.recorded:
        raise NotPossibleNow(
            "This trail is too long to be shown as it was recorded. Ask for it by scan time.",
            reason="TRAIL_OVERSIZED",
            field="order",
        )
    return await _answer_long(reader, question, limits, out, last)


def _answer_whole(
    question: Question, whole: Whole, out: Answer, last: Place | None
) -> Place | None:
    entries: Sequence[Entry] = trail_of(*whole)
    out.status = _FOUND if entries else _NOT_YET_SEEN
    # Marks are those of the whole trail, so only now is anything left out.
    entries = between(entries, question.start_ns, question.end_ns)
    page = arranged(entries, question.rank, descending=question.descending, after=last)
    count = _fill(question, page, out)
    return place_of(page[count - 1]) if count < len(page) else None


async def _answer_long(
    reader: TrailReader,
    question: Question,
    limits: Mapping[int, int],
    out: Answer,
    last: Place | None,
) -> Place | None:
    shown = None if last is None else last.order
    # Begin with the whole group of the last entry, so that its copies are known as such.
    begin = None if shown is None else shown[:GROUP_BYTES]
    for _ in range(STRETCHES_MAX):
        stretch = await _next(reader, question, limits, begin)
        entries = _behind(trail_of(stretch.keyed_rows, stretch.copies), shown, question)
        if entries:
            count = _fill(question, entries, out)
            if count < len(entries):
                return place_of(entries[count - 1])
        if entries or stretch.last is None:
            begin = stretch.last
            break
        # Of a group with more events than are read at once, this part was shown before.
        again = stretch.is_cut and begin is not None and len(begin) == GROUP_BYTES
        begin = shown if again else stretch.last
    return None if begin is None else Place(begin, 0)


async def _next(
    reader: TrailReader,
    question: Question,
    limits: Mapping[int, int],
    begin: bytes | None,
) -> Stretch:
    """Read the stretch behind `begin`, an order; from a group's first row on for its prefix."""
    start = order_from_time(question.start_ns or 0)
    stop = None if question.end_ns is None else order_from_time(question.end_ns)
    if begin is not None and question.descending:
        stop = after(begin) + _FIRST if len(begin) == GROUP_BYTES else begin
    elif begin is not None:
        start = begin + _FIRST if len(begin) == GROUP_BYTES else after(begin)
    return await reader.stretch(
        question.keys,
        limits,
        start=start,
        stop=stop,
        descending=question.descending,
        rows=question.most + STRETCH_SPARE_ROWS,
    )


def _behind(entries: Sequence[Entry], shown: bytes | None, question: Question) -> Sequence[Entry]:
    place = None if shown is None else Place(shown, 0)
    return arranged(entries, by_scan_time, descending=question.descending, after=place)


def _fill(question: Question, entries: Sequence[Entry], out: Answer) -> int:
    return fill(
        out,
        entries,
        mappings=question.mappings,
        facilities=question.facilities,
        most=question.most,
        bytes_max=question.bytes_max,
        full=question.full,
    )


_FOUND = LookupStatus.LOOKUP_STATUS_FOUND
_NOT_YET_SEEN = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
_FIRST = bytes(ORDER_BYTES - GROUP_BYTES)
