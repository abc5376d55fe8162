"""When and where an event was, in words: its local time, and the facility by name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from ledger.facilities import zone_of
from ledger.facilities.local_time import offset_minutes_at
from ledger.v1 import scan_event_pb2 as pb
from ledger.v1.facility_pb2 import Facility
from ledger.v1.item_pb2 import ItemMoment

Known = Mapping[str, Facility]
"""What a ledger knows of facilities, by their codes."""

NONE_KNOWN: Final[Known] = MappingProxyType({})

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def known_of(facilities: Iterable[Facility]) -> dict[str, Facility]:
    """Sort what came beside entries by code."""
    return {facility.facility_id: facility for facility in facilities}


def local_time(event: pb.ScanEvent, known: Known = NONE_KNOWN) -> str:
    """Give the scan time where it was, with its offset. Where the event does not say that, by the
    time zone of its facility; `UTC?` where that is not known either.
    """
    minutes = _offset_minutes(event, known)
    local = _EPOCH + timedelta(seconds=event.scan_time.seconds, minutes=minutes or 0)
    text = local.strftime("%Y-%m-%d" if event.date_only else "%Y-%m-%d %H:%M:%S")
    return f"{text} UTC?" if minutes is None else f"{text} {offset_words(minutes)}"


def zoned_time(event: pb.ScanEvent, known: Known = NONE_KNOWN) -> str:
    """Give the local time with the name of the facility's time zone, where its offset is that."""
    facility, minutes = known.get(event.facility), _offset_minutes(event, known)
    text = local_time(event, known)
    if facility is None or minutes is None or minutes != _zone_minutes(facility, event):
        return text
    return f"{text} {facility.time_zone}"


def offset_words(minutes: int) -> str:
    """Give local time minus UTC as times have it behind them."""
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def place_of(event: pb.ScanEvent, known: Known = NONE_KNOWN) -> str:
    """Say where it was: the facility, else the place in words, else the position."""
    words = place_words(event)
    facility = known.get(event.facility)
    if facility is not None and not words:
        words = facility_words(facility)
    if event.facility or words:
        return " · ".join(filter(None, (event.facility, words)))
    if event.HasField("position"):
        return f"{event.position.latitude:.4f}, {event.position.longitude:.4f}"
    return ""


def place_words(event: pb.ScanEvent) -> str:
    """Give the place in the words of its source."""
    place = event.place
    return ", ".join(filter(None, (place.name, place.city, place.region, place.country)))


def facility_words(facility: Facility) -> str:
    """Give a facility's name and place, without its city where the name has that already."""
    city = facility.city if facility.city not in facility.name else ""
    return ", ".join(filter(None, (facility.name, city, facility.country)))


def as_event(moment: ItemMoment, facility: str) -> pb.ScanEvent:
    """Give a moment as local times are read from."""
    return pb.ScanEvent(
        scan_time=moment.scan_time,
        utc_offset_minutes=moment.utc_offset_minutes,
        utc_offset_source=moment.utc_offset_source,
        date_only=moment.date_only,
        facility=facility,
    )


def _offset_minutes(event: pb.ScanEvent, known: Known) -> int | None:
    if event.utc_offset_source not in {
        pb.UTC_OFFSET_SOURCE_UNSPECIFIED,
        pb.UTC_OFFSET_SOURCE_UNKNOWN,
    }:
        return event.utc_offset_minutes
    facility = known.get(event.facility)
    # A date is that of UTC then: another zone would make another date of it.
    if facility is None or event.date_only:
        return None
    return _zone_minutes(facility, event)


def _zone_minutes(facility: Facility, event: pb.ScanEvent) -> int | None:
    try:
        return offset_minutes_at(event.scan_time.seconds, zone_of(facility.time_zone))
    except ValueError:
        return None
