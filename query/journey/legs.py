"""The legs of one item: a state machine of stages that rises in ranks, and starts anew per leg.

What is lower in rank lowers nothing where clocks could have put it behind, and after the end of a
leg nothing does. So a scan that comes late, or was made too early, never undoes a delivery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.v1.scan_event_pb2 import CaptureMethod
from ledger.vocabulary import Milestone
from query.journey.places import Places
from query.journey.result import Doubt, Leg, LegKind
from query.journey.rules import (
    CLOCK_DOUBT_NS,
    DOOR_RANK,
    END_RANK,
    NOTHING,
    RULES,
    Rank,
    Rule,
    Types,
)
from query.journey.views import moment_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from query.journey.told import Told

_SYSTEM: Final = int(CaptureMethod.CAPTURE_METHOD_SYSTEM_NOTICE)
_MOVING: Final = int(Rank.MOVING)
_ACCEPTED: Final = int(Rank.ACCEPTED)
_RETURN, _REDIRECT, _FORWARD = LegKind.RETURN, LegKind.REDIRECT, LegKind.FORWARD
_HOMEWARD: Final = {
    Milestone.ACCEPTED: Milestone.RETURNING,
    Milestone.IN_TRANSIT: Milestone.RETURNING,
    Milestone.DELIVERED: Milestone.RETURNED,
}
"""What milestones are called on the way back."""

_UNDONE: Final = frozenset({
    Types.LOST, Types.DAMAGED, Types.ATTEMPTED, Types.UNDELIVERABLE,
})  # fmt: skip
"""What no delivered item can suffer."""


class Way:
    """One leg while it is walked."""

    __slots__ = (
        "by",
        "kind",
        "marks",
        "milestone",
        "missing",
        "notices",
        "rank",
        "scans",
        "since_ns",
        "start",
    )

    def __init__(self, kind: LegKind, start: Told) -> None:
        self.kind = kind
        self.start = self.by = start
        self.milestone = Milestone.NONE
        self.rank = -1
        self.since_ns = start.scan_time_ns
        self.scans = self.notices = self.missing = 0
        self.marks: dict[int, Told] = {}
        """The event that stands for each type of the door; of several deliveries the first."""

    def leg(self) -> Leg:
        """Give what is known of it."""
        return Leg(
            self.kind,
            self.milestone,
            moment_of(self.by)._replace(time_ns=self.since_ns),
            self.by,
            moment_of(self.start),
            self.scans,
            self.notices,
            self.missing,
        )


class Walk:
    """All legs of one item, walked event by event."""

    __slots__ = (
        "accepted",
        "after_end",
        "doubts",
        "last_moving",
        "last_notice",
        "last_scan",
        "late",
        "missent",
        "places",
        "undone",
        "way",
        "ways",
    )

    def __init__(self, events: Iterable[Told]) -> None:
        """`events` are those of one item, in their order; at least one."""
        self.ways: list[Way] = []
        self.doubts: set[Doubt] = set()
        self.places = Places()
        self.accepted: Told | None = None
        self.last_scan: Told | None = None
        self.last_moving: Told | None = None
        self.last_notice: Told | None = None
        self.late: Told | None = None
        self.missent: Told | None = None
        self.after_end: list[Told] = []
        """Physical scans after the end of the present leg, and later than clocks can err."""
        self.undone = False
        for one in events:
            if not self.ways:
                self._begin(_FORWARD, one)
            self._take(one)

    def _begin(self, kind: LegKind, one: Told) -> None:
        self.way = Way(kind, one)
        self.ways.append(self.way)
        self.after_end = []
        self.undone = False
        self.late = self.missent = None

    def _take(self, one: Told) -> None:
        rule = RULES.get(one.type, NOTHING)
        physical = rule.is_physical
        if physical and one.event.capture_method == _SYSTEM:
            physical = False
        way = self.way
        # An announcement is no way yet: the real one begins where the item is handed in.
        if rule.rank >= 0:
            kind = self._turn(one, rule, way)
            if kind is not None and way.milestone:
                self._begin(kind, one)
                way = self.way
            elif kind is not None:
                way.kind = kind  # Nothing was seen of the way before.
        if physical:
            way.scans += 1
            self.last_scan = one
        else:
            way.notices += 1
            self.last_notice = one
        if rule.flag:
            self._flag(one, rule)
        if rule.rank < 0:
            return
        counts = self._rise(one, rule, way, physical)
        if one.type == Types.ACCEPTED and self.accepted is None:
            self.accepted = one
        if counts and physical and rule.place:
            way.missing += self.places.take(one, rule.place, self.doubts)
            if rule.rank == _MOVING:
                self.last_moving = one
                if self.missent is not None and self.missent is not one:
                    self._found_again(one)

    def _flag(self, one: Told, rule: Rule) -> None:
        if rule.flag == "late":
            self.late = one
        elif rule.flag == "missent":
            self.missent = one

    def _found_again(self, one: Told) -> None:
        """End the flag where an item is somewhere else again."""
        assert self.missent
        if self.places.seen is one and one.event.facility != self.missent.event.facility:
            self.missent = None

    def _turn(self, one: Told, rule: Rule, way: Way) -> LegKind | None:
        """Say which way begins with an event; None where none does."""
        kind = one.type
        if kind in (Types.RETURN_STARTED, Types.RETURNED):
            return None if way.kind is _RETURN and self._is_open(way, one) else _RETURN
        if kind == Types.REDIRECTED and way.rank < END_RANK and way.kind is not _RETURN:
            return None if way.kind is _REDIRECT and not way.scans else _REDIRECT
        if kind == Types.ACCEPTED and rule.is_physical and self._may_go_again(way, one):
            self.doubts.add(Doubt.RETURN_OR_REUSE)
            return _FORWARD if way.kind is _RETURN else _RETURN
        return None

    @staticmethod
    def _may_go_again(way: Way, one: Told) -> bool:
        """Whether an item that was accepted once more has come to its end before."""
        ended = way.rank >= END_RANK and way.milestone is not Milestone.DISPOSED
        return ended and one.scan_time_ns - way.since_ns > CLOCK_DOUBT_NS

    @staticmethod
    def _is_open(way: Way, one: Told) -> bool:
        """Whether a leg takes an event: it has not ended, or ended just with the same."""
        if way.rank < END_RANK:
            return True
        return one.type == Types.RETURNED or one.scan_time_ns - way.since_ns <= CLOCK_DOUBT_NS

    def _rise(self, one: Told, rule: Rule, way: Way, physical: bool) -> bool:
        """Bring a leg on; False where an event counts for nothing, as clocks put it behind."""
        rank, time_ns = rule.rank, one.scan_time_ns
        if rank >= DOOR_RANK:
            way.marks[one.type] = one if rank < END_RANK else way.marks.get(one.type, one)
        if way.rank >= END_RANK:
            self._after(one, way, physical)
            return False
        if rank < way.rank:
            if way.rank == Rank.OVER:
                if not physical:
                    return False
            elif rank <= _ACCEPTED:  # It has moved since; but here it was, by this scan.
                return rank == _ACCEPTED and way.rank == _MOVING
            elif time_ns - way.by.scan_time_ns <= CLOCK_DOUBT_NS:
                return False
        milestone = rule.milestone
        if way.kind is _RETURN:
            if DOOR_RANK <= rank < Rank.OVER and time_ns - way.start.scan_time_ns <= CLOCK_DOUBT_NS:
                return False  # Of the way before: its clock was ahead.
            milestone = _HOMEWARD.get(milestone, milestone)
        if milestone is not way.milestone:
            way.milestone = milestone
            way.since_ns = time_ns
        way.rank, way.by = rank, one
        return True

    def _after(self, one: Told, way: Way, physical: bool) -> None:
        """Take note of what is said after an end, where it is too late to be a clock's fault."""
        if one.scan_time_ns - way.since_ns <= CLOCK_DOUBT_NS:
            return
        if one.type in _UNDONE:
            self.undone = True
        if physical:
            self.after_end.append(one)
            self.doubts.add(Doubt.SCANNED_AFTER_END)
