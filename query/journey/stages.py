"""The four stages as users know them: Item Accepted, In Transit, Out for Delivery, Delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.event import timestamp_ns
from query.journey.result import Accepted, Delivered, InTransit, OutForDelivery, Stages
from query.journey.rules import Types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from query.journey.legs import Walk, Way
    from query.journey.told import Told


def stages_of(walk: Walk, events: Sequence[Told]) -> Stages:
    """Give the stages that the present leg has reached; accepted is an item once."""
    way = walk.way
    accepted = None
    if walk.accepted is not None:
        one = walk.accepted
        accepted = Accepted(one, one.event.facility, one.words)
    return Stages(accepted, _in_transit(walk), _out(way, events), _delivered(way))


def expected_of(one: Told | None) -> tuple[int, int]:
    """Give from when until when an event lets expect the next step; 0 where it does not say."""
    if one is None:
        return 0, 0
    event = one.event
    return (
        timestamp_ns(event.expected_from_time) if event.HasField("expected_from_time") else 0,
        timestamp_ns(event.expected_until_time) if event.HasField("expected_until_time") else 0,
    )


def _in_transit(walk: Walk) -> InTransit | None:
    one = walk.last_moving
    if one is None:
        return None
    event = one.event
    next_facility, expected = event.next_facility, expected_of(one)
    notice = walk.last_notice
    if notice is not None and notice.scan_time_ns >= one.scan_time_ns:
        # A notice may know where it goes, though nobody saw the item.
        next_facility = notice.event.next_facility or next_facility
        told = expected_of(notice)
        expected = told if any(told) else expected
    location = event.facility or one.words
    return InTransit(one, location, next_facility, *expected)


def _out(way: Way, events: Sequence[Told]) -> OutForDelivery | None:
    one = way.marks.get(Types.OUT_FOR_DELIVERY)
    if one is None:
        return None
    address = one.sealed or next((other.sealed for other in reversed(events) if other.sealed), b"")
    area = ""
    for other in events:
        if other.event.HasField("announced"):
            area = other.event.announced.destination_postcode_area or area
    return OutForDelivery(one, one.event.facility, area, *expected_of(one), address=address)


def _delivered(way: Way) -> Delivered | None:
    one = way.handed_over
    if one is None:
        return None
    return Delivered(one, one.event.facility, one.words, one.says.delivery_mode)
