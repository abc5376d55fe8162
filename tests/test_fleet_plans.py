"""What is planned for items: that every journey makes sense."""

import re
from collections import Counter
from datetime import UTC, date, datetime
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.numbers import passes_gs1
from loadtest.fleet import LAST_DAY, Fates, Fleet
from loadtest.journeys import SPAN_NS
from loadtest.network import distance_km
from loadtest.world.calendar import HOUR_MS, is_delivered, is_open
from loadtest.world.journey import Journey

START_NS = int(datetime(2025, 10, 24, tzinfo=UTC).timestamp()) * 10**9
ITEMS = 4_000
EPOCH = date(1970, 1, 1)

# Everything happens much more often than usual, so that a few items show it all.
WILD = Fates(
    announced=0.5,
    cancelled=0.05,
    partner=0.3,
    lost=0.04,
    missent=0.1,
    damaged=0.03,
    export_checked=0.5,
    customs_held=0.3,
    seized=0.2,
    requested_hold=0.1,
    straight_to_pickup=0.1,
    redirected=0.1,
    refused=0.1,
    attempted=0.4,
    to_pickup=0.5,
    unclaimed=0.3,
)

LETTERS = {
    "LABEL_CREATED": "L", "CANCELLED": "K", "PARTNER_PICKED_UP": "P", "ACCEPTED": "A",
    "CONTAINERED": "C", "DEPARTED": "D", "ARRIVED": "a", "SORTED": "S", "MISSENT": "M",
    "EXPORT_ARRIVED": "X", "EXPORT_DEPARTED": "x", "TRANSIT_ARRIVED": "T",
    "TRANSIT_DEPARTED": "t", "IMPORT_ARRIVED": "I", "IMPORT_DEPARTED": "i",
    "CUSTOMS_PRESENTED": "p", "CUSTOMS_HELD": "h", "CUSTOMS_RELEASED": "r", "SEIZED": "z",
    "HELD": "H", "OUT_FOR_DELIVERY": "O", "DELIVERY_ATTEMPTED": "F", "READY_FOR_PICKUP": "R",
    "DELIVERED": "V", "REDIRECTED": "d", "UNDELIVERABLE": "U", "RETURN_STARTED": "B",
    "RETURNED": "E", "LOST": "l", "DAMAGED": "", "DISPOSED": "Q", "DELAYED": "",
    "IN_TRANSIT_NOTICE": "",
}  # fmt: skip
WRONG = "(DaMDaS)?"  # To a wrong sorting centre and back, sorted once more.
INLAND = f"DaS(C?DaS)?{WRONG}Da"
ABROAD = f"DaSC?DX(pr)?C?x(TC?t)?I(ph?r)?C?iaS{WRONG}Da"
HOME = "UB(DaS(DaS)?Da|DaSDXx(Tt)?IiaSDa)E"
FETCHED = f"R(V|{HOME})"
DOOR = f"(OF){{0,1}}(OV|OF{FETCHED})|OF{HOME}|{FETCHED}"
POSTED = "(LP?)?A"
ENDED = re.compile(f"{POSTED}({INLAND}|{ABROAD})(dDaS(DaS)?Da)?H?({DOOR})|LK")
SEIZED = re.compile(f"{POSTED}DaSC?DX(pr)?C?x(TC?t)?Iphz")


@cache
def wild() -> Fleet:
    """A fleet to whose items much happens."""
    return Fleet(11, 20, start_time_ns=START_NS, fates=WILD)


def plans(fleet: Fleet, items: int = ITEMS) -> list[Journey]:
    """Its first items."""
    return [fleet.plan(item) for item in range(items)]


def names(plan: Journey) -> list[str]:
    """What happens."""
    return [post.name for step, (_, post, _) in enumerate(plan.steps) if plan.happens(step)]


def test_every_journey_obeys_the_grammar() -> None:
    """Whatever befalls an item, it happens in an order that can be, and ends as it says."""
    ends = {"DELIVERED": "V", "RETURNED": "E", "CANCELLED": "K", "SEIZED": "z", "DISPOSED": "Q"}
    seen: Counter[str] = Counter()
    for plan in plans(wild()):
        said = "".join(LETTERS[name] for name in names(plan))
        seen[plan.outcome] += 1
        if plan.outcome == "LOST":
            assert not set(said) & set("VE")
        elif plan.outcome == "SEIZED":
            assert SEIZED.fullmatch(said), said
        else:
            assert said.endswith(ends[plan.outcome]), said
            assert plan.outcome == "DISPOSED" or ENDED.fullmatch(said), said
    assert set(seen) == {*ends, "LOST"}


def test_every_kind_of_step_is_planned() -> None:
    """Both borders, customs, bags, attempts, returns, redirects: all are part of the traffic."""
    assert {name for plan in plans(wild()) for name in names(plan)} == set(LETTERS)


@settings(max_examples=20)
@given(st.integers(), st.integers(1, 200), st.integers(0, 4 * 10**18), st.integers(1, 2_000))
def test_times_rise(seed: int, scanners: int, start_time_ns: int, journeys: int) -> None:
    """For any fleet: not before its start, each step later than the last, all within the span."""
    fleet = Fleet(
        seed, scanners, start_time_ns=start_time_ns, journeys_per_day=journeys, fates=WILD
    )
    for item in (0, fleet.lanes - 1, 5 * fleet.lanes, 7 * fleet.lanes + 3):
        plan = fleet.plan(item)
        times = [time_ms for time_ms, _, _ in plan.steps]
        assert times == sorted(set(times))
        assert start_time_ns / 1e6 <= times[0] <= times[-1] < times[0] + SPAN_NS / 1e6
        assert plan.day < LAST_DAY
        assert all(
            len(plan.ids) == 16 * len(plan.steps)
            for plan in fleet.cohort(item % fleet.lanes, plan.day).items
        )


def test_nothing_is_faster_than_an_aircraft() -> None:
    """Between two facilities an item is at most at 900 km/h, and is announced where it goes."""
    for plan in plans(wild()):
        physical = [(t, post) for t, post, _ in plan.steps if not post.is_notice]
        for (before_ms, one), (after_ms, other) in pairwise(physical):
            start, end = one.device.stop.facility, other.device.stop.facility
            if one.name.endswith("DEPARTED"):
                assert one.detail.towards == end.id
            hours = (after_ms - before_ms) / HOUR_MS
            assert distance_km(start, end) <= 900 * hours + 30


def test_people_work_by_day() -> None:
    """Items are posted when offices are open, and brought on days of delivery, by local time."""
    for plan in plans(wild(), 2_000):
        for time_ms, post, _ in plan.steps:
            facility = post.device.stop.facility
            local = datetime.fromtimestamp(time_ms / 1_000, ZoneInfo(facility.zone))
            day = (local.date() - EPOCH).days
            if post.name == "ACCEPTED":
                assert is_open(facility.country, day)
                assert 8 <= local.hour < 19
            if post.name == "OUT_FOR_DELIVERY":
                assert is_delivered(facility.country, day)
                assert 8 <= local.hour < 10
            if post.name == "DELIVERED":
                assert 8 <= local.hour < 20


def test_bags_hold_what_is_in_them() -> None:
    """A bag is loaded after its items came in, travels on its trip, and is emptied before they go
    on; it holds two items at least, and its number passes its check.
    """
    fleet = wild()
    bags = 0
    for lane in range(fleet.lanes):
        for day in range(fleet.first_day, fleet.first_day + 8):
            items, found = fleet.cohort(lane, day)
            for bag in found:
                bags += 1
                loaded, unloaded, emptied = (time_ms for time_ms, _, _ in bag.steps)
                trip = fleet.trip_of(bag)
                leaves, comes, _ = (time_ms for time_ms, _, _ in trip.steps)
                (leg,) = bag.trips
                inside = [item for item in items if item.bags.get(leg) == bag.number]
                assert len(inside) >= 2
                assert loaded <= leaves + 1_000
                assert comes < unloaded < emptied
                assert bag.container(0) == trip.number
                assert len(bag.number) == 29 or passes_gs1(bag.number)
                for item in inside:
                    times = [t for step, (t, _, at) in enumerate(item.steps) if at == leg]
                    assert times[0] < loaded
                    assert (
                        item.container(
                            next(step for step, (_, _, at) in enumerate(item.steps) if at == leg)
                        )
                        == bag.number
                    )
                    assert all(not loaded < t < emptied or t - leaves < 5_000 for t in times)
    assert bags > 300


def test_what_is_held_up_waits() -> None:
    """A facility that is closed lets nothing leave and sorts nothing, for all items alike."""
    fleet = Fleet(5, 20, start_time_ns=START_NS, journeys_per_day=300)
    items = plans(fleet)
    waited = Counter((one.facility, one.closure) for plan in items for one in plan.held_up)
    assert waited
    assert max(waited.values()) > 5  # One incident, many items.
    closed = set(fleet.closures(60))
    assert set(waited) <= closed
    for plan in items:
        for time_ms, post, _ in plan.steps:
            if post.name == "SORTED":
                assert not post.device.stop.closure(time_ms)
