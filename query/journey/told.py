"""An event as the fold takes it: what was said, by whom, under which key; no position, no record
time.

A source's own code is explained before (`query.explaining`), so that the fold sees one vocabulary.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from ledger.v1.scan_event_pb2 import ScanEvent, ScanEventType
from query.explaining import mapped_event
from query.trail import read_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.v1.vocabulary_pb2 import MappedEvent
    from ledger.vocabulary import Mappings
    from query.trail import Entry

_UNMAPPED = ScanEventType.SCAN_EVENT_TYPE_UNMAPPED

Identity = tuple[bytes, str, bytes]
"""Tracking key, source id, event id: what makes two of them the same event."""


class Moment(NamedTuple):
    """When something happened."""

    time_ns: int
    offset_minutes: int
    offset_source: int
    """`UtcOffsetSource` of the wire: where the offset comes from."""
    date_only: bool


class Told(NamedTuple):
    """One event."""

    scan_time_ns: int
    source_id: str
    key: bytes
    """The tracking key under which it is filed."""
    data: bytes
    """The event's own bytes."""
    event: ScanEvent
    """The same, parsed."""
    type: int
    """What happened: the event's own type or, where it came with a code alone, the code's."""
    mapped: MappedEvent | None = None
    """What its code means; None where the event says all itself."""
    sealed: bytes = b""
    """Personal data that came with it, as it was sealed."""
    container: bytes = b""
    """Tracking key of the container that it went into, or came out of."""
    path: tuple[bytes, ...] = ()
    """Set where it is a scan of a container that the item lay in: that container is the last, and
    before it those in between, the first being the one that the item was put into.
    """

    @property
    def identity(self) -> Identity:
        """What makes it this event and no other."""
        return self.key, self.source_id, self.event.event_id

    @property
    def at(self) -> Moment:
        """When it happened, and how far that is known."""
        event = self.event
        return Moment(
            self.scan_time_ns, event.utc_offset_minutes, event.utc_offset_source, event.date_only
        )

    @property
    def words(self) -> str:
        """The place in words, where its source has any."""
        event = self.event
        if not event.HasField("place"):
            return ""
        place = event.place
        parts = (place.name, place.postal_code, place.city, place.region, place.country)
        return ", ".join(part for part in parts if part)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the event's bytes: the last tie-break, which no order of arrival can move."""
        return sha256(self.data).digest()

    @property
    def says(self) -> ScanEvent | MappedEvent:
        """What has its reason, action, delivery mode and direction."""
        return self.event if self.mapped is None else self.mapped


def told_of(entries: Iterable[Entry], mappings: Mappings) -> list[Told]:
    """Take the events of a trail. Notices of quarantine are none."""
    told = []
    for entry in entries:
        if not entry.event:
            continue
        record, event = entry.record, read_event(entry.event)
        mapped = mapped_event(event, mappings) if event.type == _UNMAPPED else None
        told.append(
            Told(
                record.scan_time_ns,
                record.source_id,
                record.tracking_key,
                entry.event,
                event,
                event.type if mapped is None else mapped.type,
                mapped,
                record.sealed_personal,
                record.container_key,
            )
        )
    return told
