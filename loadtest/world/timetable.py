"""Facilities at work and the trips between them: when trucks and flights leave, and when they come.

Trips follow a timetable in local time, late now and then. Once in some years a facility is closed
for hours: nothing leaves it, nothing is sorted in it, and everything in it is late together.
"""

from typing import NamedTuple, TypeVar

from loadtest.network import Facility, Role, distance_km
from loadtest.world.calendar import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    date_digits,
    is_delivered,
    is_open,
    runs,
    zone,
)
from loadtest.world.dice import Dice, Weighted, share

K = TypeVar("K")
V = TypeVar("V")

OPENS_MS = 8 * HOUR_MS + 30 * MINUTE_MS
SHUTS_MS = 18 * HOUR_MS + 30 * MINUTE_MS
"""Local times between which a post office takes items and hands them out."""

TOUR_MS = 8 * HOUR_MS
"""Local time at which a delivery tour is loaded."""

CLOSURE_MAX_MS = 40 * HOUR_MS
_CLOSED = share(1 / 900)  # of a facility's days
_CLOSURE_DAYS = 2  # A closure reaches no further than into the second day after its beginning.

_DETOUR = 1.25  # Roads are longer than the straight line.
_ROAD_KM_PER_HOUR = 65
_ROAD_KM_MAX = 1_500
_AIR_KM_PER_HOUR = 750
_AIR_MS = 5 * HOUR_MS  # To the airport, into the aircraft, and out again.
_COLLECTION = (18 * HOUR_MS + 45 * MINUTE_MS,)
_MORNING = (5 * HOUR_MS + 15 * MINUTE_MS,)
_NIGHT = (3 * HOUR_MS, 21 * HOUR_MS + 30 * MINUTE_MS)
_LATE = Weighted(((20 * MINUTE_MS, 84), (2 * HOUR_MS, 14), (8 * HOUR_MS, 2)))
_LONG_MS = 10 * HOUR_MS
_QUARTER_MS = 15 * MINUTE_MS
_KEPT = 64


class Closure(NamedTuple):
    """A time in which a facility does nothing."""

    start_ms: int
    end_ms: int
    reason: str
    """WEATHER, STRIKE or OPERATIONAL_DELAY, as in the wire's vocabulary."""


class Stop:
    """A facility at work.

    Attributes:
        facility: where and what it is.
        zone: its local time.
    """

    __slots__ = ("_begun", "_by_day", "_hours", "_secret", "_tours", "facility", "zone")

    def __init__(self, secret: bytes, facility: Facility) -> None:
        self.facility = facility
        self.zone = zone(facility.zone)
        self._secret = secret
        self._begun: dict[int, Closure | None] = {}
        self._by_day: dict[int, tuple[Closure, ...]] = {}
        self._hours: dict[int, tuple[int, int]] = {}
        self._tours: dict[int, int] = {}

    def closure(self, time_ms: int) -> Closure | None:
        """Give the closure that it is in at a moment."""
        day = time_ms // DAY_MS
        closures = self._by_day.get(day)
        if closures is None:
            begun = (self.begun_closure(day - back) for back in range(_CLOSURE_DAYS + 1))
            closures = _keep(self._by_day, day, tuple(one for one in begun if one))
        for one in closures:
            if one.start_ms <= time_ms < one.end_ms:
                return one
        return None

    def begun_closure(self, day: int) -> Closure | None:
        """Give the closure that begins on a day (UTC)."""
        try:
            return self._begun[day]
        except KeyError:
            return _keep(self._begun, day, self._drawn_closure(day))

    def next_tour(self, time_ms: int) -> int:
        """Give when the next delivery tour is loaded."""
        day = (time_ms + self.zone.offset_ms(time_ms)) // DAY_MS
        while True:
            tour_ms = self._tours.get(day)
            if tour_ms is None:
                tour_ms = _keep(self._tours, day, self._tour(day))
            if tour_ms >= time_ms:
                return tour_ms
            day += 1

    def next_open(self, time_ms: int, of_day_ms: int = 0) -> int:
        """Give the next moment at which the counter is open, not before a local time of its day."""
        day = (time_ms + self.zone.offset_ms(time_ms)) // DAY_MS
        while True:
            hours = self._hours.get(day)
            if hours is None:
                hours = _keep(self._hours, day, self._opening(day))
            opens_ms, shuts_ms = hours
            later_ms = max(0, of_day_ms - OPENS_MS)
            if max(time_ms, opens_ms + later_ms) < shuts_ms:
                return max(time_ms, opens_ms + later_ms)
            day += 1

    def _drawn_closure(self, day: int) -> Closure | None:
        dice = Dice(self._secret, b"closure/%s/%d" % (self.facility.id.encode(), day))
        if not dice.falls(_CLOSED):
            return None
        start_ms = day * DAY_MS + dice.between(0, DAY_MS)
        end_ms = start_ms + dice.between(6 * HOUR_MS, CLOSURE_MAX_MS)
        return Closure(start_ms, end_ms, dice.pick(("WEATHER", "STRIKE", "OPERATIONAL_DELAY")))

    def _tour(self, day: int) -> int:
        """Give when the tour of a day is loaded; long ago where there is none."""
        if not is_delivered(self.facility.country, day):
            return -1
        tour_ms = self.zone.moment(day, TOUR_MS)
        return -1 if self.closure(tour_ms) else tour_ms

    def _opening(self, day: int) -> tuple[int, int]:
        """Give the hours of a day; both long ago where there are none."""
        if not is_open(self.facility.country, day):
            return -1, -1
        return self.zone.moment(day, OPENS_MS), self.zone.moment(day, SHUTS_MS)


class Trip(NamedTuple):
    """One truck or flight."""

    start: Stop
    end: Stop
    number: str
    """Its own, as it is scanned."""

    nominal_ms: int
    """When it should leave; what is ready by then is on it."""

    departure_ms: int
    arrival_ms: int
    closure: Closure | None
    """What held it back at its beginning."""


class Edge:
    """The trips from one facility to another.

    Attributes:
        start: where they leave.
        end: where they come.
        is_flight: it crosses a border.
        is_long: they take so long that people ask.
    """

    __slots__ = (
        "_daily",
        "_duration_ms",
        "_prefix",
        "_secret",
        "_times",
        "_trips",
        "end",
        "is_flight",
        "is_long",
        "start",
    )

    def __init__(self, secret: bytes, start: Stop, end: Stop) -> None:
        self.start = start
        self.end = end
        self._secret = secret
        self._trips: dict[int, Trip] = {}
        self._prefix = f"{start.facility.id}{end.facility.id}"
        one, other = start.facility, end.facility
        self.is_flight = one.country != other.country
        self._duration_ms = _duration_ms(one, other)
        self.is_long = self._duration_ms > _LONG_MS
        self._daily = _is_centre(one) and _is_centre(other)
        self._times: tuple[int, ...] = _COLLECTION
        if self.is_flight:
            dice = Dice(secret, f"flight/{one.id}/{other.id}".encode())
            self._times = (dice.between(0, DAY_MS // _QUARTER_MS) * _QUARTER_MS,)
        elif self._daily:
            self._times = _NIGHT
        elif _is_centre(one):
            self._times = _MORNING

    @property
    def trips_a_week(self) -> int:
        """How many trips there are."""
        return len(self._times) * (7 if self._daily else 6)

    def next(self, ready_ms: int) -> Trip:
        """Give the first trip that what is ready at a moment can be on."""
        zone = self.start.zone
        offset_ms = zone.offset_ms(ready_ms)
        day, of_day_ms = divmod(ready_ms + offset_ms, DAY_MS)
        while True:
            if self._daily or runs(day):
                for slot, at_ms in enumerate(self._times):
                    if at_ms >= of_day_ms:
                        trip = self._trip(day, slot)
                        if trip.nominal_ms >= ready_ms:  # Else clocks change in between.
                            return trip
            day += 1
            of_day_ms = 0

    def trips(self, day: int) -> list[Trip]:
        """Give the trips of a local day."""
        if not self._daily and not runs(day):
            return []
        return [self._trip(day, slot) for slot in range(len(self._times))]

    def _trip(self, day: int, slot: int) -> Trip:
        key = day << 1 | slot
        try:
            return self._trips[key]
        except KeyError:
            return _keep(self._trips, key, self._planned(day, slot))

    def _planned(self, day: int, slot: int) -> Trip:
        number = f"{self._prefix}{date_digits(day)}{'AB'[slot]}"
        dice = Dice(self._secret, b"trip/" + number.encode())
        nominal_ms = self.start.zone.moment(day, self._times[slot])
        closure = self.start.closure(nominal_ms)
        late_ms = dice.between(0, dice.weighted(_LATE) // SECOND_MS) * SECOND_MS
        departure_ms = (closure.end_ms if closure else nominal_ms) + late_ms
        slower_ms = dice.between(0, self._duration_ms // 8 // SECOND_MS) * SECOND_MS
        arrival_ms = departure_ms + self._duration_ms + slower_ms
        return Trip(self.start, self.end, number, nominal_ms, departure_ms, arrival_ms, closure)


class Roads:
    """All stops and edges of a world, each made when it is first asked for."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._stops: dict[str, Stop] = {}
        self._edges: dict[tuple[str, str], Edge] = {}

    def stop(self, facility: Facility) -> Stop:
        """Give a facility at work."""
        found = self._stops.get(facility.id)
        if found is None:
            found = self._stops[facility.id] = Stop(self._secret, facility)
        return found

    def edge(self, start: Stop, end: Stop) -> Edge:
        """Give the trips between two."""
        ends = start.facility.id, end.facility.id
        found = self._edges.get(ends)
        if found is None:
            found = self._edges[ends] = Edge(self._secret, start, end)
        return found


def _keep(kept: dict[K, V], key: K, value: V) -> V:
    """Keep what may be asked for again soon; it can be made again."""
    if len(kept) >= _KEPT:
        kept.clear()
    kept[key] = value
    return value


def _is_centre(facility: Facility) -> bool:
    return facility.role in {Role.SORTING_CENTRE, Role.OFFICE_OF_EXCHANGE}


def _duration_ms(one: Facility, other: Facility) -> int:
    """By road inside a country, where that is not too far; else by air. To the minute."""
    distance = distance_km(one, other)
    road = distance * _DETOUR
    if one.country == other.country and road < _ROAD_KM_MAX:
        return (10 + round(road * 60 / _ROAD_KM_PER_HOUR)) * MINUTE_MS
    return _AIR_MS + round(distance * 60 / _AIR_KM_PER_HOUR) * MINUTE_MS
