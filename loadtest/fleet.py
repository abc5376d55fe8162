"""Seeded traffic: scanners that stand in facilities all over the world and scan what comes through.

The same seed gives the same events to the bit, each scanner's on its own, in virtual time and
without end. Every event is the outcome of a plan (`journeys`), which is the truth to judge by.
`python -m loadtest.fleet --help` describes the network, and writes scans and truth to files.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from ledger.v1.scan_event_pb2 import ScanEvent
from loadtest.journeys import chances_of
from loadtest.world.calendar import AHEAD_MS, DAY_MS, USUAL, posted
from loadtest.world.cohorts import Cohort, Planner
from loadtest.world.crew import Crew
from loadtest.world.dice import Dice, secret_of, share
from loadtest.world.encoding import Upload, gather, upload
from loadtest.world.journey import Journey
from loadtest.world.lanes import Lane, draw_lanes
from loadtest.world.numbers import SERIALS, item_number
from loadtest.world.sendings import UNDECODABLE, Kind, Odds, Sending
from loadtest.world.shares import NO_ODDITIES, Fates, Oddities
from loadtest.world.timetable import Closure, Roads

__all__ = ["NO_ODDITIES", "VERSION", "Fates", "Fleet", "Kind", "Oddities", "Upload"]

VERSION: Final = 1
"""Of the traffic. What changes a byte of it counts this up, and no id is that of an older one."""

LANES_MIN: Final = 64
LANES_PER_SCANNER: Final = 2
"""Enough for variety with few scanners; with many, so many that every scanner has work."""

JOURNEYS_PER_LANE: Final = 2
"""Journeys that begin on a lane and an average day, where nothing else is asked for."""

REUSE_AFTER_DAYS: Final = 400
"""A number is used again about so long after: posts may after twelve months."""

LAST_DAY: Final = 83_900
"""A day in 2199, in which the times end that the wire takes. The traffic ends there."""

_AHEAD_NS = AHEAD_MS * 1_000_000
_DAY_NS = DAY_MS * 1_000_000
_COHORTS_KEPT = 8  # Days between the scanners of a fleet that are drained side by side.


class Fleet:
    """Scanners 0 to `scanners` - 1, and the items 0, 1, 2, … that they scan.

    Item i travels on lane i modulo `lanes`; on each lane items begin in their order, day by day.
    A scanner's events come in the order in which it sends them. Virtual time runs as fast as one
    drains them. Memory is bounded by the items that are on their way at the same time.
    """

    def __init__(
        self,
        seed: int,
        scanners: int,
        *,
        start_time_ns: int,
        journeys_per_day: int | None = None,
        fates: Fates | None = None,
        oddities: Oddities | None = None,
    ) -> None:
        """Nothing happens before `start_time_ns`, and the first items begin within two days.

        `journeys_per_day`: begun on an average day; with many, more are on their way at once.
        """
        if scanners < 1:
            raise ValueError(f"a fleet has at least one scanner, not {scanners}")
        self.seed = seed
        self.scanners = scanners
        self.start_time_ns = start_time_ns
        self.lanes = max(LANES_MIN, LANES_PER_SCANNER * scanners)
        self.journeys_per_day = (
            self.lanes * JOURNEYS_PER_LANE if journeys_per_day is None else journeys_per_day
        )
        if self.journeys_per_day < 1:
            raise ValueError(f"at least one journey begins a day, not {journeys_per_day}")
        self.fates = fates or Fates()
        self.oddities = oddities or Oddities()
        self.first_day = -(-(start_time_ns // 1_000_000 + 1 + AHEAD_MS) // DAY_MS)
        world = secret_of("world", VERSION, seed)
        # Fleets that differ in anything share no event id: the same id would stand for two events.
        what = (seed, scanners, start_time_ns, self.journeys_per_day, self.fates, self.oddities)
        secret = secret_of("fleet", VERSION, *what)
        self._secret = secret
        self._first_serial = int.from_bytes(secret[:8], "big") % SERIALS
        roads = Roads(world)
        self._lanes: list[Lane] = list(draw_lanes(world, self.lanes, roads))
        self.crew = Crew(
            secret,
            self._lanes,
            roads,
            scanners=scanners,
            journeys_per_day=self.journeys_per_day,
            oddities=self.oddities,
        )
        chances = chances_of(self.fates)
        self._planner = Planner(secret, self._lanes, roads, self.crew, chances)
        self.odds = Odds(self.oddities)
        self._posted = [0]  # Up to the beginning of each day, in parts of an average day.
        self._reused = share(self.oddities.reused)
        self._reused_after = max(1, REUSE_AFTER_DAYS * self.journeys_per_day // self.lanes)
        self.cohort = lru_cache(_COHORTS_KEPT * self.lanes)(self._cohort)

    # --- events ------------------------------------------------------------------------------

    def scanner(self, number: int) -> Iterator[ScanEvent]:
        """Give what one scanner sends, without end. Each message is the caller's.

        What cannot be decoded is left out, since it is no message; `uploads` has it.
        """
        return messages(self.uploads(number))

    def uploads(self, number: int) -> Iterator[Upload]:
        """Give what one scanner sends, to the byte, without end."""
        return self._uploads(self.crew.lanes_of[number], self.crew.edges_of[number], number)

    def stream(self) -> Iterator[Upload]:
        """Give what all scanners send, in the order of virtual time, without end."""
        return self._uploads(range(self.lanes), range(len(self.crew.edges)), None)

    def journey(self, item: int) -> list[ScanEvent]:
        """Give all events of one item that can be decoded, in the order in which they are sent."""
        return list(messages(sorted(map(upload, self.sendings_of(self.plan(item))))))

    @staticmethod
    def source_id(scanner: int) -> str:
        """Give the name under which a scanner sends."""
        return f"scanner-{scanner:03d}"

    # --- plans -------------------------------------------------------------------------------

    def plan(self, item: int) -> Journey:
        """Give what is to happen to an item."""
        place, lane = divmod(item, self.lanes)
        day = self.day_of(item)
        return self.cohort(lane, day).items[place - self._begun(lane, day - self.first_day)]

    def trip_of(self, bag: Journey) -> Journey:
        """Give the trip that carries a bag."""
        (trip,) = bag.trips.values()
        edge = self.crew.edge_number(trip.start, trip.end)
        day = (trip.nominal_ms + trip.start.zone.offset_ms(trip.nominal_ms)) // DAY_MS
        return next(one for one in self.trips(edge, day) if one.number == trip.number)

    def trips(self, edge: int, day: int) -> list[Journey]:
        """Give the trips of an edge that leave on a day, by the calendar of the place."""
        return self._planner.trips(edge, day)

    def sendings_of(self, plan: Journey) -> Iterator[Sending]:
        """Give all that scanners send about an item, a bag or a trip, step by step."""
        for step in range(len(plan.steps)):
            yield from self.odds.of_step(plan, step)

    def days_for(self, journeys: int) -> int:
        """Give after how many days so many journeys have begun."""
        days = 0
        while sum(self._begun(lane, days) for lane in range(self.lanes)) < journeys:
            days += 1
        return days

    def closures(self, days: int) -> Iterator[tuple[str, Closure]]:
        """Give the closures of the facilities on the lanes that begin in the first so many days."""
        stops = {stop.facility.id: stop for lane in self._lanes for stop in lane.stops}
        for day in range(self.first_day, self.first_day + days):
            for facility in sorted(stops):
                if closure := stops[facility].begun_closure(day):
                    yield facility, closure

    def day_of(self, item: int) -> int:
        """Give the day on which an item begins, as the number since 1970."""
        place, lane = divmod(item, self.lanes)
        while self._begun_at(lane, self._posted[-1]) <= place:
            self._count_day()
        found = bisect_right(self._posted, place, key=lambda sum_: self._begun_at(lane, sum_))
        return self.first_day + found - 1

    def item_number(self, item: int) -> str:
        """Give the tracking number of an item, as it is filed."""
        lane = self._lanes[item % self.lanes]
        first = item
        while (earlier := self.reuse_of(first)) is not None:
            first = earlier
        return item_number(lane, (self._first_serial + first) % SERIALS)

    def item_numbers(self, items: int) -> Iterator[str]:
        """Give the tracking numbers of the first `items` items."""
        return map(self.item_number, range(items))

    def reuse_of(self, item: int) -> int | None:
        """Give the earlier item whose number an item bears; None where it has one of its own."""
        earlier = item - self._reused_after * self.lanes
        if earlier < 0 or self._lanes[item % self.lanes].is_impb:
            return None
        if not Dice(self._secret, b"reuse/%d" % item).falls(self._reused):
            return None
        return earlier

    def _cohort(self, lane: int, day: int) -> Cohort:
        since = day - self.first_day
        begun, until = self._begun(lane, since), self._begun(lane, since + 1)
        items = (place * self.lanes + lane for place in range(begun, until))
        return self._planner.cohort(lane, day, {item: self.item_number(item) for item in items})

    def _begun(self, lane: int, days: int) -> int:
        """Give how many items of a lane have begun before the first so many days are over."""
        while len(self._posted) <= days:
            self._count_day()
        return self._begun_at(lane, self._posted[days])

    def _begun_at(self, lane: int, sum_: int) -> int:
        # Lanes are out of step with each other, so that not all have their items on one day.
        whole = self.lanes * USUAL
        return (sum_ * self.journeys_per_day + lane * 7_919 * USUAL % whole) // whole

    def _count_day(self) -> None:
        day = self.first_day + len(self._posted) - 1
        self._posted.append(self._posted[-1] + posted(day))

    def _uploads(
        self, lanes: Iterable[int], edges: Iterable[int], scanner: int | None
    ) -> Iterator[Upload]:
        """Give uploads in order, day by day; `scanner` None for those of all."""
        odds = self.odds
        # By the day on which they are sent; a day begins where it begins first.
        waiting: defaultdict[int, list[Upload]] = defaultdict(list)
        for day in range(self.first_day, LAST_DAY):
            new: list[Upload] = []
            for lane in lanes:
                items, bags = self.cohort(lane, day)
                for plan in items:
                    gather(plan, odds, scanner, new)
                for plan in bags:
                    gather(plan, odds, scanner, new)
            for edge in edges:
                for plan in self.trips(edge, day):
                    gather(plan, odds, scanner, new)
            for one in new:
                waiting[(one[0] + _AHEAD_NS) // _DAY_NS].append(one)
            # What begins tomorrow sends nothing before, wherever it is.
            yield from sorted(waiting.pop(day, ()))


def messages(uploads: Iterable[Upload]) -> Iterator[ScanEvent]:
    """Decode what can be decoded."""
    for one in uploads:
        if one.kind not in UNDECODABLE:
            yield ScanEvent.FromString(one.event)


if __name__ == "__main__":
    from loadtest.fleet_command import main

    main()
