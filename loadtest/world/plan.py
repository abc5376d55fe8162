"""The plan of an item's journey while it is made: how it is carried, and what befalls it there.

A plan is made from dice alone, before any scanner sees the item.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from ledger.v1 import scan_event_pb2 as pb
from loadtest.world.book import Book, Leg
from loadtest.world.calendar import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, USUAL, season
from loadtest.world.devices import DESK, DOCK, MACHINE, SYSTEM
from loadtest.world.dice import Dice, Weighted, share
from loadtest.world.journey import NO_LEG, HeldUp, Step
from loadtest.world.lanes import Task
from loadtest.world.posts import PLAIN, Detail
from loadtest.world.timetable import Closure, Stop, Trip

MIN_GAP_MS: Final = SECOND_MS
"""No two steps of an item are closer."""

_READY_MIN_MS = 10 * MINUTE_MS
_READY_SPAN_MS = 30 * MINUTE_MS
_UNLOAD_MIN_MS = 12 * MINUTE_MS
_UNLOAD_SPAN_MS = 40 * MINUTE_MS
_SORT_MIN_MS = 20 * MINUTE_MS
_SORT_SPAN_MS = 190 * MINUTE_MS
_TOLD = share(0.6)  # of the items that a closure holds back
_FOUND_OUT = share(0.4)  # of the lost items
_DISPOSED = share(0.2)  # of the damaged items
_LOST_ON_THE_WAY = share(0.5)  # of the lost items; the others vanish in a facility
_HELD_FOR = Weighted((
    (pb.EVENT_REASON_CUSTOMS_DOCUMENTS, 5),
    (pb.EVENT_REASON_CUSTOMS_DUTY, 4),
    (pb.EVENT_REASON_CUSTOMS_INSPECTION, 3),
))  # fmt: skip
_CLOSED_FOR = {
    "WEATHER": pb.EVENT_REASON_WEATHER,
    "STRIKE": pb.EVENT_REASON_STRIKE,
    "OPERATIONAL_DELAY": pb.EVENT_REASON_OPERATIONAL_DELAY,
}
_OUT = Detail(border=pb.CUSTOMS_DIRECTION_EXPORT)
_INTO = Detail(border=pb.CUSTOMS_DIRECTION_IMPORT)


class Plan:
    """A journey while it is planned.

    Attributes:
        book: the lane's.
        dice: the item's fate.
        chances: how likely each fate is.
        steps: what is planned.
        now_ms: the moment up to which all is planned.
        outcome: how it ends, once that is known.
        is_return: it is on its way home.
        lost_leg: the leg on which it is lost.
        trips: by leg, for legs on which items may lie in bags.
        held_up: the closures that it waits for.
        shared: how many steps are over when it is at its delivery unit, or ends before.
        shared_held_up: how many closures are.
        ended_on_the_way: it ends before.
    """

    __slots__ = (
        "book",
        "chances",
        "dice",
        "ended_on_the_way",
        "held_up",
        "is_return",
        "lost_leg",
        "now_ms",
        "outcome",
        "shared",
        "shared_held_up",
        "steps",
        "trips",
    )

    def __init__(self, book: Book, dice: Dice, chances: Mapping[str, int]) -> None:
        self.book = book
        self.dice = dice
        self.chances = chances
        self.steps: list[Step] = []
        self.trips: dict[int, Trip] = {}
        self.held_up: list[HeldUp] = []
        self.now_ms = 0
        self.outcome = ""
        self.is_return = False
        self.lost_leg = NO_LEG
        self.shared = self.shared_held_up = 0
        self.ended_on_the_way = False

    def falls(self, name: str) -> bool:
        """Tell whether one of the fates comes."""
        return self.dice.word() < self.chances[name]

    def wait(self, low_ms: int, high_ms: int) -> None:
        """Let some time pass."""
        self.now_ms += low_ms + (self.dice.word() * (high_ms - low_ms) >> 16)

    def add(
        self, kind: pb.ScanEventType.ValueType, stop: Stop, device: str, detail: Detail = PLAIN
    ) -> None:
        """Let something happen now."""
        if self.steps:
            self.now_ms = max(self.now_ms, self.steps[-1][0] + MIN_GAP_MS)
        self.steps.append((self.now_ms, self.book.post(kind, stop, device, detail), NO_LEG))

    def notice(self, kind: pb.ScanEventType.ValueType, detail: Detail = PLAIN) -> None:
        """Let a system tell something now."""
        self.add(kind, self.book.lane.origin, SYSTEM, detail)

    def travel(self, legs: Iterable[Leg]) -> None:
        """Carry the item over legs whose beginning it is at, unless it ends before."""
        chances, dice = self.chances, self.dice
        for leg in legs:
            if leg.number == self.lost_leg:
                self._lose(leg)
                return
            if leg.may_go_wrong and dice.word() < chances["missent"] and not self.is_return:
                self._go_wrong(leg)
                if self.outcome:
                    return
            self._ride(leg)
            if leg.task is Task.SORT:
                self._sort(leg)
            elif self.is_return:
                continue
            elif leg.task is Task.EXPORT:
                self._customs_out(leg.end)
            elif leg.task is Task.IMPORT:
                self._customs_in(leg.end)
            if self.outcome:
                return

    def _ride(self, leg: Leg) -> None:
        """Take the next trip, in a bag where the lane has them."""
        word, steps = self.dice.word, self.steps
        wait_ms = _READY_MIN_MS + (word() * _READY_SPAN_MS >> 16)
        trip = leg.edge.next(self.now_ms + wait_ms + leg.ready_ms)
        if leg.bagged:
            self.trips[leg.number] = trip
            filled_ms = self.now_ms + MINUTE_MS + (word() * (wait_ms - 2 * MINUTE_MS) >> 16)
            steps.append((filled_ms, leg.containered, leg.number))
        if trip.closure:
            self.now_ms = trip.nominal_ms
            self._held_back(leg.start, trip.closure)
        leaves_ms = trip.departure_ms
        if leaves_ms <= steps[-1][0]:  # After a notice.
            leaves_ms = steps[-1][0] + MIN_GAP_MS
        steps.append((leaves_ms, leg.departed, leg.departed_mark))
        if leg.edge.is_long and self.book.lane.is_impb:
            self.now_ms = (leaves_ms + trip.arrival_ms) // 2
            self.notice(pb.SCAN_EVENT_TYPE_IN_TRANSIT_NOTICE)
        self.now_ms = trip.arrival_ms + _UNLOAD_MIN_MS + (word() * _UNLOAD_SPAN_MS >> 16)
        steps.append((self.now_ms, leg.arrived, leg.arrived_mark))

    def _sort(self, leg: Leg) -> None:
        """Wait for the machine; before Christmas that takes longer."""
        word = self.dice.word
        load = season(self.now_ms // DAY_MS)
        span_ms = _SORT_SPAN_MS * load // USUAL if load > USUAL else _SORT_SPAN_MS
        self.now_ms += _SORT_MIN_MS + (word() * span_ms >> 16)
        closure = leg.end.closure(self.now_ms)
        if closure:
            self._held_back(leg.end, closure)
            self.now_ms = max(self.now_ms, closure.end_ms)
            self.wait(MINUTE_MS, 2 * HOUR_MS)
        self.steps.append((self.now_ms, leg.sorted_, NO_LEG))
        if word() < self.chances["damaged"]:
            self._damage(leg.end)

    def _damage(self, stop: Stop) -> None:
        self.wait(MINUTE_MS, HOUR_MS)
        why = Detail(reason=pb.EVENT_REASON_DAMAGED)
        self.add(pb.SCAN_EVENT_TYPE_DAMAGED, stop, DOCK, why)
        if self.dice.falls(_DISPOSED):
            self.wait(2 * DAY_MS, 9 * DAY_MS)
            why = why._replace(action=pb.EVENT_ACTION_DISPOSED)
            self.add(pb.SCAN_EVENT_TYPE_DISPOSED, stop, DOCK, why)
            self.outcome = "DISPOSED"

    def _customs_out(self, stop: Stop) -> None:
        if not self.book.lane.has_customs or not self.falls("export_checked"):
            return
        self.wait(20 * MINUTE_MS, 3 * HOUR_MS)
        self.add(pb.SCAN_EVENT_TYPE_CUSTOMS_PRESENTED, stop, DESK, _OUT)
        self.wait(20 * MINUTE_MS, 5 * HOUR_MS)
        self.add(pb.SCAN_EVENT_TYPE_CUSTOMS_RELEASED, stop, DESK, _OUT)

    def _customs_in(self, stop: Stop) -> None:
        if not self.book.lane.has_customs:
            return
        self.wait(20 * MINUTE_MS, 4 * HOUR_MS)
        self.add(pb.SCAN_EVENT_TYPE_CUSTOMS_PRESENTED, stop, DESK, _INTO)
        self.wait(20 * MINUTE_MS, 9 * HOUR_MS)
        if self.falls("customs_held"):
            held = _INTO._replace(reason=self.dice.weighted(_HELD_FOR), action=pb.EVENT_ACTION_HELD)
            self.add(pb.SCAN_EVENT_TYPE_CUSTOMS_HELD, stop, DESK, held)
            self.wait(10 * HOUR_MS, 9 * DAY_MS)
            if self.falls("seized"):
                why = _INTO._replace(reason=pb.EVENT_REASON_PROHIBITED_CONTENT)
                self.add(pb.SCAN_EVENT_TYPE_SEIZED, stop, DESK, why)
                self.outcome = "SEIZED"
                return
        self.add(pb.SCAN_EVENT_TYPE_CUSTOMS_RELEASED, stop, DESK, _INTO)

    def _go_wrong(self, leg: Leg) -> None:
        """Go to a wrong sorting centre and come back."""
        there, back = self.book.detour(leg.start)
        self._ride(there)
        self.wait(20 * MINUTE_MS, 5 * HOUR_MS)
        why = Detail(reason=pb.EVENT_REASON_MISROUTED, action=pb.EVENT_ACTION_REROUTED)
        self.add(pb.SCAN_EVENT_TYPE_MISSENT, there.end, MACHINE, why)
        self._ride(back)
        self._sort(back)

    def _lose(self, leg: Leg) -> None:
        if self.dice.falls(_LOST_ON_THE_WAY):
            self._ride(leg)
            del self.steps[-1]  # It never came.
        if self.dice.falls(_FOUND_OUT):
            self.wait(20 * DAY_MS, 40 * DAY_MS)
            self.notice(pb.SCAN_EVENT_TYPE_LOST)
        self.outcome = "LOST"

    def _held_back(self, stop: Stop, closure: Closure) -> None:
        self.held_up.append(HeldUp(stop.facility.id, closure))
        if self.dice.falls(_TOLD):
            self.wait(5 * MINUTE_MS, 60 * MINUTE_MS)
            self.notice(pb.SCAN_EVENT_TYPE_DELAYED, Detail(reason=_CLOSED_FOR[closure.reason]))
