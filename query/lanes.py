"""What items take from one scan to the next, by pair of facilities: learned from those that this
process folds, in a memory with a bound, and forgotten when it ends.

It is no record: it only says what is usual. Nothing that must be the same in two processes, or
tomorrow, may be made from it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.scan_event_pb2 import CaptureMethod
from query.journey import Presence
from query.journey.rules import NOTHING, RULES, UNDATED_NS, Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from query.journey import Instance

SECTIONS_MAX: Final = 2_048
"""Most sections that are remembered, some 10 MB with all their times: a country's network has
fewer that are busy. The one that was learned longest ago is forgotten first.
"""

TIMES_MAX: Final = 32
"""Most times that are remembered of a section: the last ones, so that a new timetable shows."""

TIMES_MIN: Final = 10
"""Fewer say nothing of nine in ten."""

_USUAL_TENTHS: Final = 9


class Section(NamedTuple):
    """A part of a way, from one scan to the next."""

    presence: Presence
    """AT: it waits in the facility; LEFT: it travels; ON_TOUR: it is out for delivery."""
    facility: str
    next_facility: str
    """Where it is scanned next; the same but for what travels. Empty: wherever that is."""


class History(NamedTuple):
    """What items took on a section."""

    times_ns: Sequence[int]
    """By length; at least TIMES_MIN."""

    @property
    def known(self) -> int:
        """How many are known."""
        return len(self.times_ns)

    @property
    def usual_ns(self) -> int:
        """Nine in ten took no longer."""
        return self.times_ns[-(-len(self.times_ns) * _USUAL_TENTHS // 10) - 1]

    def slower_than(self, time_ns: int) -> int:
        """Say how many took longer."""
        return len(self.times_ns) - bisect_right(self.times_ns, time_ns)


_SYSTEM: Final = int(CaptureMethod.CAPTURE_METHOD_SYSTEM_NOTICE)
_PRESENCES: Final = {
    int(Place.COMES): Presence.AT,
    int(Place.IS): Presence.AT,
    int(Place.LEAVES): Presence.LEFT,
    int(Place.TOUR): Presence.ON_TOUR,
}


class Lanes:
    """The memory."""

    def __init__(self) -> None:
        self._times: dict[Section, dict[int, int]] = {}
        """Of each section, by the event that it began with, so that none counts twice."""

    def __len__(self) -> int:
        return len(self._times)

    def learn(self, instance: Instance) -> None:
        """Learn from one item, as often as it is seen: a better version replaces an earlier one."""
        before = None
        presence = None
        for one in instance.events:
            rule = RULES.get(one.type, NOTHING)
            if not rule.is_physical or one.scan_time_ns < UNDATED_NS:
                continue
            if one.event.capture_method == _SYSTEM:
                continue
            facility = one.event.facility
            if before is not None and presence is not None:
                home = before.event.facility
                took_ns = one.scan_time_ns - before.scan_time_ns
                if presence is Presence.LEFT:
                    if facility != home:
                        # What was not announced is asked for without its end.
                        self._keep(Section(presence, home, facility), before.identity, took_ns)
                        self._keep(Section(presence, home, ""), before.identity, took_ns)
                elif facility == home:
                    self._keep(Section(presence, home, home), before.identity, took_ns)
            before = one if facility else None
            presence = _PRESENCES.get(rule.place)

    def history(self, section: Section) -> History | None:
        """Give what is known of a section; None where that is too little."""
        times = self._times.get(section)
        if times is None or len(times) < TIMES_MIN:
            return None
        return History(sorted(times.values()))

    def _keep(self, section: Section, identity: tuple[bytes, str, bytes], took_ns: int) -> None:
        times = self._times.pop(section, None)
        if times is None:
            if len(self._times) >= SECTIONS_MAX:
                del self._times[next(iter(self._times))]
            times = {}
        self._times[section] = times
        name = hash(identity)
        if name not in times and len(times) >= TIMES_MAX:
            del times[next(iter(times))]
        times[name] = took_ns
