"""Where an item is, as far as scans tell; and how many of them must be missing.

Clocks of devices are minutes off, some of them an hour. So a scan that contradicts what was seen
just before, in the way that only a wrong clock explains, moves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.v1.scan_event_pb2 import ContainmentDirection
from query.journey.result import Doubt, Presence
from query.journey.rules import CLOCK_DOUBT_NS, Place

if TYPE_CHECKING:
    from query.journey.told import Told

_COMES, _IS, _LEAVES = int(Place.COMES), int(Place.IS), int(Place.LEAVES)
_IN = int(ContainmentDirection.CONTAINMENT_DIRECTION_IN)
_OTHERS = {
    int(Place.PARTNER): Presence.WITH_PARTNER,
    int(Place.TOUR): Presence.ON_TOUR,
    int(Place.GONE): Presence.HANDED_OVER,
}


class Places:
    """The place of an item."""

    __slots__ = ("facility", "left", "next_facility", "presence", "seen", "since_ns")

    def __init__(self) -> None:
        self.presence = Presence.UNKNOWN
        self.facility = ""
        self.next_facility = ""
        self.seen: Told | None = None
        """The scan that says so."""
        self.since_ns = 0
        self.left: dict[str, int] = {}
        """When it left a facility last."""

    @property
    def is_inside(self) -> bool:
        """Whether it was last seen going into a container, whose own scans tell more."""
        return self.seen is not None and self.seen.event.containment.direction == _IN

    def take(self, one: Told, place: int, doubts: set[Doubt]) -> int:
        """Move it; return how many scans must be missing in between."""
        event, time_ns = one.event, one.scan_time_ns
        facility = event.facility
        recent = time_ns - self.since_ns <= CLOCK_DOUBT_NS
        if recent and self._is_behind(place, facility, event.next_facility, time_ns):
            return 0
        missing = self._missing(place, facility)
        if missing and self.is_inside:
            missing = 0  # The container was scanned instead.
        doubts.discard(Doubt.CLOCKS_DISAGREE)
        doubts.discard(Doubt.SCAN_MISSING)
        if missing:
            # What came before is not known; where it is now, is. Unless clocks are in the way.
            doubts.add(Doubt.SCAN_MISSING)
            if recent:
                doubts.add(Doubt.CLOCKS_DISAGREE)
        if place == _LEAVES:
            self.presence, self.next_facility = Presence.LEFT, event.next_facility
            self.left[facility] = time_ns
        elif place in (_COMES, _IS):
            self.presence, self.next_facility = Presence.AT, ""
        else:
            self.presence, self.next_facility = _OTHERS[place], ""
        if facility != self.facility or self.presence is not Presence.AT:
            self.since_ns = time_ns
        self.facility, self.seen = facility, one
        return missing

    def _is_behind(self, place: int, facility: str, next_facility: str, time_ns: int) -> bool:
        """Whether a scan belongs before what was seen last, though its clock says otherwise."""
        if place == _LEAVES:
            # It cannot set out for where it has just come to, nor leave twice.
            return facility != self.facility and (
                next_facility == self.facility != "" or facility in self.left
            )
        if place in (_COMES, _IS):
            left_ns = self.left.get(facility)
            if left_ns is None or time_ns - left_ns > CLOCK_DOUBT_NS:
                return False
            # It left there just now, and was not announced to come back.
            return not (self.presence is Presence.LEFT and self.next_facility == facility)
        return False

    def _missing(self, place: int, facility: str) -> int:
        """Count the scans that must have been between this one and the last."""
        if self.presence in (Presence.UNKNOWN, Presence.WITH_PARTNER):
            return 0
        same = facility == self.facility
        if self.presence is Presence.LEFT:
            came = place == _COMES and (not self.next_facility or self.next_facility == facility)
            return 0 if came else 1
        if self.presence is Presence.ON_TOUR:
            return 0
        return 0 if same else 1 + (place != _COMES)
