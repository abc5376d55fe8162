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
_AT, _LEFT = Presence.AT, Presence.LEFT
_NOBODY_KNOWS = frozenset({Presence.UNKNOWN, Presence.WITH_PARTNER, Presence.HANDED_OVER})
_OTHERS = {
    int(Place.PARTNER): Presence.WITH_PARTNER,
    int(Place.TOUR): Presence.ON_TOUR,
    int(Place.GONE): Presence.HANDED_OVER,
}


class Places:
    """The place of an item."""

    __slots__ = (
        "doubted_ns",
        "doubts",
        "facility",
        "is_astray",
        "left",
        "missing",
        "next_facility",
        "presence",
        "seen",
        "since_ns",
    )

    def __init__(self) -> None:
        self.presence = Presence.UNKNOWN
        self.facility = ""
        self.next_facility = ""
        self.seen: Told | None = None
        """The scan that says so."""
        self.since_ns = 0
        """When it came there, or left, or went out."""
        self.left: dict[str, int] = {}
        """When it left a facility last, on this leg."""
        self.missing = 0
        """Scans that must have been missed on this leg."""
        self.is_astray = False
        """It went back to where it had been on this leg."""
        self.doubts: set[Doubt] = set()
        """Of where it is now."""
        self.doubted_ns = 0
        """When the last of them came up."""

    @property
    def is_inside(self) -> bool:
        """Whether it was last seen going into a container, whose own scans tell more."""
        return self.seen is not None and self.seen.event.containment.direction == _IN

    def begin_leg(self) -> None:
        """Forget what another leg may repeat."""
        self.left = {}
        self.missing = 0
        self.is_astray = False

    def doubt(self, one: Told, doubt: Doubt) -> None:
        """Say that it is not certain, until a scan that no clock can have put out of order."""
        self.doubts.add(doubt)
        self.doubted_ns = one.scan_time_ns

    def take(self, one: Told, place: int) -> None:
        """Move it."""
        facility = one.event.facility
        if self.doubts and one.scan_time_ns - self.doubted_ns > CLOCK_DOUBT_NS:
            self.doubts.clear()
        if self.presence is _AT and facility == self.facility:
            if place in (_IS, _COMES):  # The usual: another scan in the same facility.
                self.seen = one
                return
        elif not (place == _COMES and self.presence is _LEFT and facility == self.next_facility):
            if self._is_behind(one, place, facility):
                return
            self._count_missing(one, place, facility)
        elif facility in self.left:  # The usual is to come where one was never before.
            self._go_back(one, facility)
        self._move(one, place, facility)

    def _move(self, one: Told, place: int, facility: str) -> None:
        self.next_facility = ""
        if place == _LEAVES:
            self.presence = _LEFT
            self.next_facility = towards = one.event.next_facility
            if towards in self.left:
                self._go_back(one, towards)
            self.left[facility] = one.scan_time_ns
        else:
            self.presence = _AT if place in (_COMES, _IS) else _OTHERS[place]
        self.facility, self.seen, self.since_ns = facility, one, one.scan_time_ns

    def _go_back(self, one: Told, facility: str) -> None:
        if one.scan_time_ns - self.left[facility] > CLOCK_DOUBT_NS:
            self.is_astray = True

    def _is_behind(self, one: Told, place: int, facility: str) -> bool:
        """Whether a scan belongs before what was seen last, though its clock says otherwise."""
        time_ns = one.scan_time_ns
        if time_ns - self.since_ns > CLOCK_DOUBT_NS:
            return False
        if place == _LEAVES:
            # It cannot set out for where it has just come to, nor leave twice.
            return facility != self.facility and (
                facility in self.left or one.event.next_facility == self.facility != ""
            )
        if place in (_COMES, _IS):
            # It left there just now, and was not announced to come back.
            left_ns = self.left.get(facility)
            return left_ns is not None and time_ns - left_ns <= CLOCK_DOUBT_NS
        return False

    def _count_missing(self, one: Told, place: int, facility: str) -> None:
        """Count the scans that must have been between this one and the last; and say of the place
        that it is not certain, where clocks may have exchanged the two.
        """
        seen = self.seen
        recent = seen is not None and one.scan_time_ns - seen.scan_time_ns <= CLOCK_DOUBT_NS
        if facility in self.left and place != _LEAVES:
            self._go_back(one, facility)
        if self.presence in _NOBODY_KNOWS or self.presence is Presence.ON_TOUR:
            return
        if self.presence is _LEFT:
            missing = int(place != _COMES or bool(self.next_facility))
        elif facility == self.facility:
            return
        else:
            missing = 1 + (place != _COMES)
            if seen is not None:  # It must have left.
                self.left[self.facility] = seen.scan_time_ns
        if self.is_inside:
            return  # The container was scanned instead.
        self.missing += missing
        if missing:
            self.doubt(one, Doubt.SCAN_MISSING)
            if recent:
                self.doubt(one, Doubt.CLOCKS_DISAGREE)
