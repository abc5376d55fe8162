"""The legs of one item: a state machine of stages that rises in ranks, and starts anew per leg.

What is lower in rank lowers nothing where clocks could have put it behind, and after the end of a
leg nothing does. So a scan that comes late, or was made too early, never undoes a delivery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.v1.scan_event_pb2 import CaptureMethod
from ledger.vocabulary import Milestone
from query.journey.places import Places
from query.journey.result import Doubt, Leg, LegKind, Presence
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from query.journey.told import Told

_SYSTEM: Final = int(CaptureMethod.CAPTURE_METHOD_SYSTEM_NOTICE)
_MOVING: Final = int(Rank.MOVING)
_ACCEPTED: Final = int(Rank.ACCEPTED)
_RETURNING: Final = Milestone.RETURNING
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
        "is_unclear",
        "kind",
        "marks",
        "milestone",
        "missing",
        "notices",
        "rank",
        "scans",
        "since",
        "start",
    )

    def __init__(self, kind: LegKind, start: Told) -> None:
        self.kind = kind
        self.start = self.by = self.since = start
        self.milestone = Milestone.NONE
        self.rank = -1
        self.scans = self.notices = self.missing = 0
        self.is_unclear = False
        """It may be another way by now, whose beginning nobody scanned."""
        self.marks: dict[int, Told] = {}
        """The last event of each type about the door, before the end."""

    @property
    def handed_over(self) -> Told | None:
        """The scan of the delivery or return that ended it; of several the first."""
        return self.by if self.by.type in (Types.DELIVERED, Types.RETURNED) else None

    def leg(self) -> Leg:
        """Give what is known of it."""
        return Leg(
            self.kind,
            self.milestone,
            self.since,
            self.by,
            self.start,
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

    def __init__(self, events: Sequence[Told]) -> None:
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
        self.way = Way(_FORWARD, events[0])
        self.ways.append(self.way)
        self._walk(events)
        self.way.missing = self.places.missing

    def _walk(self, events: Sequence[Told]) -> None:
        rule_of, take = RULES.get, self.places.take
        for one in events:
            rule = rule_of(one.type, NOTHING)
            milestone, rank, place, physical, flag, _ = rule
            if physical and one.event.capture_method == _SYSTEM:
                physical = False
            way = self.way
            if rank != _MOVING or way.rank != _MOVING or not physical or flag or self.missent:
                self._take(one, rule, way, physical)
                continue
            if milestone is _RETURNING and way.milestone is not _RETURNING:
                self._take(one, rule, way, physical)  # A way back begins.
                continue
            # The usual, which a trail is full of: one more scan on the way.
            if not one.path:
                way.scans += 1
            self.last_scan = self.last_moving = way.by = one
            if milestone is not way.milestone:
                self._reach(one, milestone, way)
            take(one, place)

    def _begin(self, kind: LegKind, one: Told) -> Way:
        self.way.missing = self.places.missing
        self.places.begin_leg()
        self.way = Way(kind, one)
        self.ways.append(self.way)
        self.after_end = []
        self.undone = False
        self.late = self.missent = None
        return self.way

    def _take(self, one: Told, rule: Rule, way: Way, physical: bool) -> None:
        if rule.rank >= 0:
            kind = self._turn(one, rule, way)
            if kind is not None and way.milestone:
                way = self._begin(kind, one)
            elif kind is not None:
                way.kind = kind  # Nothing was seen of the way before.
        if physical:
            way.scans += not one.path
            self.last_scan = one
        else:
            way.notices += 1
            self.last_notice = one
        if rule.flag == "late":
            self.late = one
        elif rule.flag == "missent":
            self.missent = one
        if rule.rank < 0:
            return
        if one.type == Types.ACCEPTED and self.accepted is None:
            self.accepted = one
        was_given_up = way.by.type == Types.UNDELIVERABLE
        counts = self._rise(one, rule, way, physical)
        if counts and physical and rule.place:
            self._put(one, rule, way, was_given_up)

    def _put(self, one: Told, rule: Rule, way: Way, was_given_up: bool) -> None:
        """Put it into its place, and notice where it goes without a word."""
        places = self.places
        before, was_astray = places.facility, places.is_astray
        places.take(one, rule.place)
        if rule.rank != _MOVING:
            return
        self.last_moving = one
        if was_given_up and way.kind is not _RETURN:
            way.is_unclear = way.is_unclear or places.presence is not Presence.AT
            way.is_unclear = way.is_unclear or places.facility != before
        if self.missent is not None:
            places.is_astray = was_astray  # It was said why it goes back.
            if self.missent is not one and places.facility != self.missent.event.facility:
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
        return ended and one.scan_time_ns - way.since.scan_time_ns > CLOCK_DOUBT_NS

    @staticmethod
    def _is_open(way: Way, one: Told) -> bool:
        """Whether a leg takes an event: it has not ended, or ended just with the same."""
        if way.rank < END_RANK:
            return True
        return (
            one.type == Types.RETURNED
            or one.scan_time_ns - way.since.scan_time_ns <= CLOCK_DOUBT_NS
        )

    def _rise(self, one: Told, rule: Rule, way: Way, physical: bool) -> bool:
        """Bring a leg on; False where an event counts for nothing, as clocks put it behind."""
        rank = rule.rank
        if DOOR_RANK <= rank < END_RANK:
            way.marks[one.type] = one
        if way.rank >= END_RANK:
            self._after(one, way, physical)
            return False
        if rank < way.rank:
            if way.rank == Rank.OVER:
                if not physical:
                    return False
            elif rank <= _ACCEPTED:  # It has moved since; but here it was, by this scan.
                return rank == _ACCEPTED and way.rank == _MOVING
            elif one.scan_time_ns - way.by.scan_time_ns <= CLOCK_DOUBT_NS:
                return self._is_in_doubt(one)
        elif (
            way.kind is _RETURN
            and DOOR_RANK <= rank < Rank.OVER
            and one.scan_time_ns - way.start.scan_time_ns <= CLOCK_DOUBT_NS
        ):
            return self._is_in_doubt(one)  # Of the way before.
        way.rank, way.by = rank, one
        self._reach(one, rule.milestone, way)
        return True

    def _is_in_doubt(self, one: Told) -> bool:
        """Say so, until there is another scan; the event counts for nothing."""
        self.places.doubt(one, Doubt.CLOCKS_DISAGREE)
        return False

    @staticmethod
    def _reach(one: Told, milestone: Milestone, way: Way) -> None:
        if way.kind is _RETURN:
            milestone = _HOMEWARD.get(milestone, milestone)
        if milestone is not way.milestone:
            way.milestone = milestone
            way.since = one

    def _after(self, one: Told, way: Way, physical: bool) -> None:
        """Take note of what is said after an end, where it is too late to be a clock's fault."""
        if one.scan_time_ns - way.since.scan_time_ns <= CLOCK_DOUBT_NS:
            return
        if one.type in _UNDONE:
            self.undone = True
        if physical:
            self.after_end.append(one)
            self.doubts.add(Doubt.SCANNED_AFTER_END)
