"""Where something lay inside: stays in containers, as its own trail and theirs tell them. Pure.

A stay begins when it was put in, and ends by what comes first of all that says it is no longer
there. In doubt it ends: too little is said then, and nothing wrong.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.scan_event_pb2 import CaptureMethod, ContainmentDirection
from query.journey.rules import DAY_NS, END_RANK, NOTHING, RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from query.journey.told import Told

STAY_NS_MAX: Final = 30 * DAY_NS
"""After so long nobody knows whether it is still inside: sea mail takes less, and a container that
was emptied without a scan is on another way by then.
"""

_IN: Final = int(ContainmentDirection.CONTAINMENT_DIRECTION_IN)
_OUT: Final = int(ContainmentDirection.CONTAINMENT_DIRECTION_OUT)
_EMPTIED: Final = int(ContainmentDirection.CONTAINMENT_DIRECTION_EMPTIED)
_SYSTEM: Final = int(CaptureMethod.CAPTURE_METHOD_SYSTEM_NOTICE)
_TIME: Final = attrgetter("scan_time_ns")


class Ending(StrEnum):
    """Why a stay ends."""

    OUT = "OUT"
    """It was taken out."""
    MOVED = "MOVED"
    """It was put into a container again."""
    EMPTIED = "EMPTIED"
    """The container was."""
    SEEN_ELSEWHERE = "SEEN_ELSEWHERE"
    """It was itself scanned in another facility than where it was put in, or handed over."""
    TIME = "TIME"
    """So long after, nobody knows."""


class Stay(NamedTuple):
    """One stay in a container."""

    container: bytes
    """Its tracking key."""
    begin_ns: int
    end_ns: int
    """It was no longer inside then. What emptied the container counts for it all the same."""
    ending: Ending
    into: Told
    """The event that put it in."""

    def has(self, one: Told) -> bool:
        """Whether an event of the container happened to what is inside."""
        if self.begin_ns <= one.scan_time_ns < self.end_ns:
            # What emptied it at the moment of the beginning did so before: it ended no stay.
            return one.scan_time_ns > self.begin_ns or direction_of(one) != _EMPTIED
        return (
            self.ending is Ending.EMPTIED
            and one.scan_time_ns == self.end_ns
            and direction_of(one) == _EMPTIED
        )


def stays_of(events: Sequence[Told]) -> list[Stay]:
    """Give the stays that something's own events tell: those that stand, by time. Of the same
    events the same comes out; no two of the stays have a moment in common.
    """
    stays: list[Stay] = []
    open_: Stay | None = None
    for one in events:
        direction = direction_of(one) if one.container else 0
        if open_ is not None and (ending := _ended_by(open_, one, direction)):
            stays.append(_until(open_, one.scan_time_ns, ending))
            open_ = None
        if direction == _IN:
            end_ns = one.scan_time_ns + STAY_NS_MAX
            open_ = Stay(one.container, one.scan_time_ns, end_ns, Ending.TIME, one)
    if open_ is not None:
        stays.append(open_)
    return [stay for stay in stays if stay.begin_ns < stay.end_ns]


def ended_with(stay: Stay, container: Sequence[Told]) -> Stay:
    """End a stay where the container was emptied meanwhile, by its events that stand, by time."""
    at = bisect_right(container, stay.begin_ns, key=_TIME)
    for one in container[at:]:
        if one.scan_time_ns >= stay.end_ns:
            break
        if direction_of(one) == _EMPTIED:
            return _until(stay, one.scan_time_ns, Ending.EMPTIED)
    return stay


def direction_of(one: Told) -> int:
    """Give which way an event says that something went; 0 where it says nothing of containers."""
    return int(one.event.containment.direction)


def is_seen(one: Told) -> bool:
    """Whether somebody had it in hand."""
    rule = RULES.get(one.type, NOTHING)
    return rule.is_physical and one.event.capture_method != _SYSTEM


def _ended_by(stay: Stay, one: Told, direction: int) -> Ending | None:
    if direction == _IN:
        return Ending.MOVED
    if direction == _OUT and one.container == stay.container:
        return Ending.OUT
    if RULES.get(one.type, NOTHING).rank >= END_RANK:
        return Ending.SEEN_ELSEWHERE
    facility = one.event.facility
    elsewhere = facility and facility != stay.into.event.facility
    return Ending.SEEN_ELSEWHERE if elsewhere and is_seen(one) else None


def _until(stay: Stay, end_ns: int, ending: Ending) -> Stay:
    """End a stay where that is earlier than it ends."""
    return stay._replace(end_ns=end_ns, ending=ending) if end_ns < stay.end_ns else stay
