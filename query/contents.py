"""What lies in a container at a moment: who was put in, and whose own trail says that it still is.

Each item is listed with the event that put it in, at that event's place. So a page is a function of
where the one before ended, and no page has to remember what others listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.codec import read_record
from ledger.contents import contents_key
from ledger.event import order_from_time
from ledger.v1.scan_event_pb2 import ContainmentDirection
from query.containers import Known, Need, Stay, ended_with, stays_of
from query.containers.reading import ContainerTrails
from query.containers.stays import STAY_NS_MAX
from query.reading import after
from query.trail import limits_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ledger.trail_store import StoredRow
    from ledger.vocabulary import Mappings
    from query.journey import Told
    from query.progress_view import Shown
    from query.reading import TrailReader

STRETCHES_MAX: Final = 8
"""Most stretches of contents that are read for one page, each of as many rows as a page has items:
where they list nothing, the page is empty, and its token goes on.
"""

BYTES_MAX: Final = 2 << 20
"""Most bytes of events in a page, and one event: half of the largest message that clients take."""

_IN: Final = int(ContainmentDirection.CONTAINMENT_DIRECTION_IN)


class Page(NamedTuple):
    """A part of what lies in a container."""

    keys: Sequence[bytes]
    """Those of the container."""
    has_more_keys: bool
    inside: Sequence[Told]
    """What put each item in."""
    is_known: bool
    """Whether anything was ever recorded of the container, or of what is inside."""
    is_truncated: bool
    """True: a trail is too long to be read, so that an item may be missing; or, where it is the
    container's own, may be listed though the container was emptied.
    """
    last: bytes | None
    """The order behind which the next page begins; None where there is none."""


class _Asked(NamedTuple):
    """One page, while it is made."""

    shown: Shown
    at_ns: int
    most: int
    container: Sequence[Told]
    """The container's own events."""


class Contents:
    """Lists contents for all requests of one process."""

    def __init__(self, reader: TrailReader, *, mappings: Mappings) -> None:
        """`mappings` explain sources' own codes."""
        self._reader = reader
        self._mappings = mappings

    async def page(
        self,
        keys: Sequence[bytes],
        shown: Shown,
        at_ns: int,
        *,
        most: int,
        last: bytes | None = None,
    ) -> Page:
        """Give up to so many items, behind the row with which the page before ended.

        Raises as TrailReader does.
        """
        earliest_ns = max(0, at_ns - STAY_NS_MAX + 1)
        trails = ContainerTrails(self._reader, shown, self._mappings)
        known = await trails.read(Need(key, earliest_ns, at_ns) for key in keys)
        own = [known[key] for key in keys]
        container = sorted(_events_of(own), key=lambda one: one.scan_time_ns)
        all_keys = list(dict.fromkeys(each for key in keys for each in trails.keys_of(key)))
        asked = _Asked(shown, at_ns, most, container)
        start = order_from_time(earliest_ns) if last is None else after(last)
        inside: list[Told] = []
        is_truncated = None in own
        is_known = bool(container) or last is not None
        for _ in range(STRETCHES_MAX):
            stretch = await self._reader.stretch(
                [contents_key(key) for key in all_keys],
                limits_of(shown.all_pins()),
                start=start,
                stop=order_from_time(at_ns + 1),
                descending=False,
                rows=most,
            )
            rows = sorted(row for _, some in stretch.keyed_rows for row in some)
            is_known = is_known or bool(rows)
            inside, cut, was_cut = await self._inside(rows, asked)
            is_truncated = is_truncated or was_cut
            last = cut or stretch.last
            if inside or last is None:
                break
            start = after(last)
        more = trails.has_more_keys
        return Page(all_keys, more, inside, is_known, is_truncated, last)

    async def _inside(
        self, rows: Sequence[StoredRow], asked: _Asked
    ) -> tuple[list[Told], bytes | None, bool]:
        """Give which of the rows say what is inside; the order with which the page is full, where
        it is; and whether a trail could not be read.
        """
        records = [(row.order, read_record(row.record)) for row in rows]
        records = [one for one in records if one[1].containment_direction == _IN]
        trails = ContainerTrails(self._reader, asked.shown, self._mappings)
        earliest_ns = max(0, asked.at_ns - STAY_NS_MAX + 1)
        known = await trails.read(
            Need(record.tracking_key, earliest_ns, asked.at_ns) for _, record in records
        )
        stays = _stays(known, asked)
        found: list[Told] = []
        size = 0
        for at, (order, record) in enumerate(records):
            one = stays.get((record.tracking_key, record.source_id, record.event_id, record.event))
            if one is None:
                continue
            found.append(one)
            size += len(one.data)
            if (len(found) >= asked.most or size >= BYTES_MAX) and at + 1 < len(records):
                return found, order, None in known.values()
        return found, None, None in known.values()


def _stays(
    known: Mapping[bytes, Known | None], asked: _Asked
) -> Mapping[tuple[bytes, str, bytes, bytes], Told]:
    """Give the events that put in what is inside, by key, source, id and content."""
    found = {}
    for trail in known.values():
        for stay in stays_of(trail.events) if trail else ():
            if _is_inside(ended_with(stay, asked.container), asked.at_ns):
                into = stay.into
                found[into.key, into.source_id, into.event.event_id, into.data] = into
    return found


def _is_inside(stay: Stay, at_ns: int) -> bool:
    return stay.begin_ns <= at_ns < stay.end_ns


def _events_of(known: Sequence[Known | None]) -> Sequence[Told]:
    """Give the events of trails, each once."""
    events = [one for trail in known if trail for one in trail.events]
    return list({(*one.identity, one.data): one for one in events}.values())
