"""Cohorts: the items that begin on one lane on one day, and the bags in which they travel together.

A cohort is a pure function of the lane and the day, whoever asks for it and when.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ledger.v1 import scan_event_pb2 as pb
from loadtest.journeys import plan_beside, plan_item
from loadtest.world.book import Book
from loadtest.world.calendar import MINUTE_MS
from loadtest.world.crew import Crew
from loadtest.world.devices import DOCK
from loadtest.world.dice import Dice, share
from loadtest.world.journey import NO_LEG, Journey
from loadtest.world.lanes import Lane
from loadtest.world.numbers import bag_number, receptacle_id
from loadtest.world.plan import MIN_GAP_MS, Plan
from loadtest.world.posts import EMPTIED, IN, OUT, Detail, Post
from loadtest.world.sendings import event_ids
from loadtest.world.timetable import Roads

BAG_ITEMS_MAX: Final = 30
"""Items in a bag: what a person can lift."""

BAG_ITEMS_MIN: Final = 2
"""A single item needs no bag."""

_SUBCLASSES = {"C": "CN", "E": "EN", "H": "UN", "L": "UN", "R": "UR"}
_ALONE = share(1 / 3)  # of the items; the others are posted together with the one before
_LOADED_BEFORE_MS = 5 * MINUTE_MS
_UNLOADED_AFTER_MS = 4 * MINUTE_MS
_EMPTIED_AFTER_MS = 9 * MINUTE_MS
_TRIP_EMPTIED_AFTER_MS = 8 * MINUTE_MS


class Cohort(NamedTuple):
    """The items of a lane and a day."""

    items: Sequence[Journey]
    bags: Sequence[Journey]


class Planner:
    """Plans cohorts and trips."""

    def __init__(
        self,
        secret: bytes,
        lanes: Sequence[Lane],
        roads: Roads,
        crew: Crew,
        chances: Mapping[str, int],
    ) -> None:
        self._secret = secret
        self._lanes = lanes
        self._roads = roads
        self._crew = crew
        self._chances = chances
        self._books: dict[int, Book] = {}
        self._trip_posts: dict[int, tuple[Post, Post, Post]] = {}

    def cohort(self, number: int, day: int, numbers: Mapping[int, str]) -> Cohort:
        """Plan the items of a lane and a day; `numbers` are theirs, by index."""
        book = self._books.get(number)
        if book is None:
            book = self._books[number] = Book(self._lanes[number], self._roads, self._crew)
        items: list[Journey] = []
        lead: Plan | None = None
        for index, text in numbers.items():
            what = b"item/%d" % index
            dice = Dice(self._secret, what)
            if lead and not dice.falls(_ALONE):
                plan = plan_beside(lead, dice)
            else:
                plan = lead = plan_item(book, day, dice, self._chances)
            items.append(self._item(plan, what, day, index, text))
        together: defaultdict[tuple[int, int], list[Journey]] = defaultdict(list)
        for item in items:
            for leg, trip in item.trips.items():
                together[leg, trip.nominal_ms].append(item)
        bags: list[Journey] = []
        for (leg, _), those in together.items():
            for first in range(0, len(those), BAG_ITEMS_MAX):
                inside = those[first : first + BAG_ITEMS_MAX]
                if len(inside) >= BAG_ITEMS_MIN:
                    bags.append(self._bag(book, day, leg, len(bags), inside))
        return Cohort(items, bags)

    def trips(self, number: int, day: int) -> list[Journey]:
        """Give the trips of an edge that leave on a day, by the calendar of the place."""
        edge = self._crew.edges[number]
        posts = self._trip_posts.get(number)
        if posts is None:
            posts = self._trip_posts[number] = self._posts_of_trips(number)
        leaving, coming, emptied = posts
        return [
            Journey(
                number=trip.number,
                steps=(
                    (trip.departure_ms, leaving, NO_LEG),
                    (trip.arrival_ms, coming, NO_LEG),
                    (trip.arrival_ms + _TRIP_EMPTIED_AFTER_MS, emptied, NO_LEG),
                ),
                ids=event_ids(self._secret, b"trip/" + trip.number.encode(), len(posts)),
                day=day,
            )
            for trip in edge.trips(day)
        ]

    def _item(self, plan: Plan, what: bytes, day: int, index: int, number: str) -> Journey:
        return Journey(
            number,
            plan.steps,
            event_ids(self._secret, what, len(plan.steps)),
            day,
            plan.book.lane,
            index,
            plan.outcome,
            plan.trips,
            {},
            plan.held_up,
        )

    def _bag(self, book: Book, day: int, leg: int, bag: int, inside: Sequence[Journey]) -> Journey:
        """Put items into a bag for a leg."""
        lane, trip = book.lane, inside[0].trips[leg]
        cohort = day * len(self._lanes) + lane.number
        start, end = trip.start.facility, trip.end.facility
        if start.country == end.country:
            number = bag_number(cohort, bag)
        else:
            subclass = _SUBCLASSES[lane.service[0]]
            number = receptacle_id(
                start.id, end.id, day, lane=lane.number, bag=bag, subclass=subclass
            )
        filled_ms = 0
        for item in inside:
            item.bags[leg] = number
            filled_ms = max(filled_ms, next(step[0] for step in item.steps if step[2] == leg))
        posts = [
            book.post(kind, stop, DOCK, Detail(containment=direction, container_kind="BAG"))
            for kind, stop, direction in (
                (pb.SCAN_EVENT_TYPE_LOADED, trip.start, IN),
                (pb.SCAN_EVENT_TYPE_UNLOADED, trip.end, OUT),
                (pb.SCAN_EVENT_TYPE_UNCONTAINERED, trip.end, EMPTIED),
            )
        ]
        loaded_ms = max(filled_ms + MIN_GAP_MS, trip.departure_ms - _LOADED_BEFORE_MS)
        return Journey(
            number=number,
            steps=(
                (loaded_ms, posts[0], leg),
                (trip.arrival_ms + _UNLOADED_AFTER_MS, posts[1], leg),
                (trip.arrival_ms + _EMPTIED_AFTER_MS, posts[2], NO_LEG),
            ),
            ids=event_ids(self._secret, b"bag/%d/%d" % (cohort, bag), len(posts)),
            day=day,
            lane=lane,
            trips={leg: trip},
        )

    def _posts_of_trips(self, number: int) -> tuple[Post, Post, Post]:
        edge = self._crew.edges[number]
        start, end = edge.start.facility, edge.end.facility
        leaving = Detail(
            towards=end.id,
            container_kind="TRIP",
            route=f"{start.airport}-{end.airport}" if edge.is_flight else "",
        )
        at_start = self._crew.on_edge(number, edge.start)
        at_end = self._crew.on_edge(number, edge.end)
        emptied = Detail(containment=EMPTIED, container_kind="TRIP")
        return (
            Post(None, pb.SCAN_EVENT_TYPE_DEPARTED, at_start, leaving),
            Post(None, pb.SCAN_EVENT_TYPE_ARRIVED, at_end, Detail(container_kind="TRIP")),
            Post(None, pb.SCAN_EVENT_TYPE_UNCONTAINERED, at_end, emptied),
        )
