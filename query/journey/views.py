"""Small views of one event: when it was, and how answers show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query.journey.result import Moment, Seen

if TYPE_CHECKING:
    from query.journey.told import Told


def moment_of(one: Told) -> Moment:
    """Give when an event happened."""
    event = one.event
    return Moment(
        one.scan_time_ns, event.utc_offset_minutes, event.utc_offset_source, event.date_only
    )


def seen_of(one: Told) -> Seen:
    """Give an event as answers show it."""
    return Seen(moment_of(one), one.type, one.event.facility, one)


def words_of(one: Told) -> str:
    """Give the place of an event in words, where its source has any."""
    event = one.event
    if not event.HasField("place"):
        return ""
    place = event.place
    parts = (place.name, place.postal_code, place.city, place.region, place.country)
    return ", ".join(part for part in parts if part)
