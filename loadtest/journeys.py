"""Journeys through the network: which events an item gets, where, and how long after its start.

A lane is one route with its timetable; many items travel on it. Lanes are drawn from a seed.
A journey has 8 to 14 events: inland or abroad, now and then with customs or a failed attempt.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from ledger.v1.scan_event_pb2 import ScanEventType as Type
from loadtest.network import Facility, Role, distance_km, facilities_of, nearest

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
# No zone changes its offset in the middle of a quarter of an hour.
_QUARTER_NS = HOUR_NS // 4
# A fortnight of quarters in every zone of the network: 1,344 times 25.
_OFFSETS_KEPT = 40_000
# No two steps are closer, so that a step may be put off by some minutes and the order stays.
MIN_GAP_NS = HOUR_NS // 10
# Between the start of the traffic and the last scan of any item whatever its lane (a test looks).
SPAN_NS = 14 * DAY_NS

_DOMESTIC_SHARE = 0.6
_ATTEMPT_SHARE = 0.12
_CUSTOMS_SHARE = 0.4  # of the journeys abroad without a failed attempt
_OPENS_HOUR = 9  # local time at which a post office takes its first item
_TOUR_HOUR = 8  # local time at which the delivery tour is loaded
_ROAD_KM_PER_HOUR = 80
_ROAD_HOURS_MAX = 48
_AIR_KM_PER_HOUR = 500
_AIR_HOURS_MIN = 12


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a journey.

    Attributes:
        type: what happens.
        facility: where.
        time_ns: when, for an item that starts with its lane; later items are later by as much.
        next_facility: where a departing item goes.
    """

    type: Type.ValueType
    facility: Facility
    time_ns: int
    next_facility: Facility | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """A route with its timetable, and what the numbers of its items look like.

    Attributes:
        origin: the post office that takes the items.
        destination: the delivery unit that brings them.
        steps: the events, in order of time.
        service: for S10 the service indicator, for IMpb the identifier and service type code.
    """

    origin: Facility
    destination: Facility
    steps: tuple[Step, ...]
    service: str

    @property
    def is_impb(self) -> bool:
        """Whether its items bear IMpb numbers, and not those of S10."""
        return self.service.isdigit()


@dataclass(slots=True)
class _Timetable:
    """The steps of a lane while they are put together."""

    rng: random.Random
    now_ns: int
    steps: list[Step] = field(default_factory=list)

    def add(self, kind: Type.ValueType, at: Facility, *, towards: Facility | None = None) -> None:
        """The next step, after the way from the last facility or some time in the same."""
        if self.steps:
            last = self.steps[-1].facility
            hours = self.rng.uniform(0.2, 3) if last is at else _hours_between(last, at)
            self.now_ns += int(hours * 3_600) * SECOND_NS
        self.steps.append(Step(kind, at, self.now_ns, towards))

    def tour(self, at: Facility) -> None:
        """Out for delivery: with the next morning's tour."""
        self.now_ns = _next_local_hour(self.now_ns + MIN_GAP_NS, at.zone, _TOUR_HOUR)
        self.steps.append(Step(Type.SCAN_EVENT_TYPE_OUT_FOR_DELIVERY, at, self.now_ns))


def lanes(seed: int, count: int, start_time_ns: int) -> Iterator[Lane]:
    """`count` lanes; the same for the same arguments. No step is before `start_time_ns`."""
    rng = random.Random(f"lanes/{seed}")
    for _ in range(count):
        origin = rng.choice(facilities_of(Role.POST_OFFICE))
        domestic = rng.random() < _DOMESTIC_SHARE
        destination = rng.choice(
            facilities_of(Role.DELIVERY_UNIT, origin.country)
            if domestic
            else [u for u in facilities_of(Role.DELIVERY_UNIT) if u.country != origin.country]
        )
        opens_ns = _next_local_hour(start_time_ns, origin.zone, _OPENS_HOUR)
        plan = _Timetable(rng, opens_ns + rng.randrange(6 * 3_600) * SECOND_NS)
        attempt = rng.random() < _ATTEMPT_SHARE
        if domestic:
            _inland(plan, origin, destination)
        else:
            customs = not attempt and rng.random() < _CUSTOMS_SHARE
            _abroad(plan, origin, destination, customs=customs)
        _deliver(plan, destination, attempt=attempt)
        service = _service(rng, origin.country, domestic=domestic)
        yield Lane(origin, destination, tuple(plan.steps), service)


@lru_cache(_OFFSETS_KEPT)
def _offset_minutes_at(zone: str, quarter: int) -> int:
    moment = datetime.fromtimestamp(quarter * 900, UTC).astimezone(ZoneInfo(zone))
    offset = moment.utcoffset()
    return int(offset.total_seconds()) // 60 if offset else 0


def offset_minutes(zone: str, time_ns: int) -> int:
    """Local time minus UTC in a zone at a moment."""
    return _offset_minutes_at(zone, time_ns // _QUARTER_NS)


def _inland(plan: _Timetable, origin: Facility, destination: Facility) -> None:
    """Post office, one or two sorting centres, delivery unit."""
    centres = facilities_of(Role.SORTING_CENTRE, origin.country)
    first, last = nearest(origin, centres), nearest(destination, centres)
    plan.add(Type.SCAN_EVENT_TYPE_ACCEPTED, origin)
    plan.add(Type.SCAN_EVENT_TYPE_DEPARTED, origin, towards=first)
    route = [first] if first is last else [first, last]
    for centre, towards in zip(route, [*route[1:], destination], strict=True):
        plan.add(Type.SCAN_EVENT_TYPE_ARRIVED, centre)
        plan.add(Type.SCAN_EVENT_TYPE_SORTED, centre)
        plan.add(Type.SCAN_EVENT_TYPE_DEPARTED, centre, towards=towards)
    plan.add(Type.SCAN_EVENT_TYPE_ARRIVED, destination)


def _abroad(plan: _Timetable, origin: Facility, destination: Facility, *, customs: bool) -> None:
    """Post office, sorting centre, the two offices of exchange, sorting centre, delivery unit."""
    first = nearest(origin, facilities_of(Role.SORTING_CENTRE, origin.country))
    outward = nearest(first, facilities_of(Role.OFFICE_OF_EXCHANGE, origin.country))
    inward = nearest(destination, facilities_of(Role.OFFICE_OF_EXCHANGE, destination.country))
    last = nearest(destination, facilities_of(Role.SORTING_CENTRE, destination.country))
    plan.add(Type.SCAN_EVENT_TYPE_ACCEPTED, origin)
    plan.add(Type.SCAN_EVENT_TYPE_ARRIVED, first)
    plan.add(Type.SCAN_EVENT_TYPE_SORTED, first)
    plan.add(Type.SCAN_EVENT_TYPE_EXPORT_ARRIVED, outward)
    plan.add(Type.SCAN_EVENT_TYPE_EXPORT_DEPARTED, outward, towards=inward)
    plan.add(Type.SCAN_EVENT_TYPE_IMPORT_ARRIVED, inward)
    if customs:
        plan.add(Type.SCAN_EVENT_TYPE_CUSTOMS_PRESENTED, inward)
        plan.add(Type.SCAN_EVENT_TYPE_CUSTOMS_RELEASED, inward)
    plan.add(Type.SCAN_EVENT_TYPE_IMPORT_DEPARTED, inward, towards=last)
    plan.add(Type.SCAN_EVENT_TYPE_ARRIVED, last)
    plan.add(Type.SCAN_EVENT_TYPE_SORTED, last)
    plan.add(Type.SCAN_EVENT_TYPE_ARRIVED, destination)


def _deliver(plan: _Timetable, unit: Facility, *, attempt: bool) -> None:
    """The tour, or two."""
    plan.tour(unit)
    if attempt:
        plan.add(Type.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED, unit)
        plan.tour(unit)
    plan.add(Type.SCAN_EVENT_TYPE_DELIVERED, unit)


def _service(rng: random.Random, country: str, *, domestic: bool) -> str:
    """IMpb inside the United States, S10 everywhere else."""
    if domestic and country == "US":
        return rng.choice(("94001", "94055", "93612"))
    return rng.choice(("PB", "PD") if domestic else ("CP", "EE", "HZ", "LZ", "RR"))


def _hours_between(one: Facility, other: Facility) -> float:
    """The time on the way: by road inside a country, by air between two."""
    distance = distance_km(one, other)
    if one.country == other.country:
        return min(_ROAD_HOURS_MAX, 1 + distance / _ROAD_KM_PER_HOUR)
    return _AIR_HOURS_MIN + distance / _AIR_KM_PER_HOUR


def _next_local_hour(time_ns: int, zone: str, hour: int) -> int:
    """The first moment from `time_ns` on at which clocks in `zone` say `hour`:00."""
    offset = offset_minutes(zone, time_ns)
    then_ns = time_ns + -(time_ns + offset * MINUTE_NS - hour * HOUR_NS) % DAY_NS
    changed = offset_minutes(zone, then_ns) - offset  # Clocks may change in the night between.
    return max(time_ns, then_ns - changed * MINUTE_NS)
