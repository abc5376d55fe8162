"""The crew: which scanner has which device, for every place where something is scanned.

Places are put in order of their facilities and cut into parts with about the same work, so that a
scanner stands in one facility or two, however many scanners there are.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from loadtest.network import Role
from loadtest.world.devices import COUNTER, DESK, DOCK, MACHINE, SYSTEM, TOUR, Device
from loadtest.world.lanes import Lane, Task, has_bags
from loadtest.world.shares import Oddities
from loadtest.world.timetable import Roads, Stop

# How many events an item has there, in hundredths, without and with bags: counted in many journeys.
# Scanners that have the same to do get on together, and then the same plans serve them all.
_WORK: dict[tuple[Task, str], tuple[int, int]] = {
    (Task.POST, COUNTER): (109, 109),
    (Task.POST, DOCK): (103, 103),
    (Task.SORT, MACHINE): (207, 171),
    (Task.SORT, DOCK): (103, 143),
    (Task.EXPORT, DESK): (260, 260),
    (Task.EXPORT, DOCK): (1, 176),
    (Task.TRANSIT, DESK): (207, 207),
    (Task.TRANSIT, DOCK): (1, 183),
    (Task.IMPORT, DESK): (400, 400),
    (Task.IMPORT, DOCK): (1, 171),
    (Task.UNIT, DOCK): (107, 107),
    (Task.UNIT, TOUR): (201, 201),
    (Task.UNIT, COUNTER): (1, 1),
}
_NOTICES = 75
_FETCHED = 12
_SELDOM = 3
_KINDS = {
    Role.POST_OFFICE: (COUNTER, DOCK),
    Role.SORTING_CENTRE: (MACHINE, DOCK),
    Role.OFFICE_OF_EXCHANGE: (DESK, DOCK),
    Role.DELIVERY_UNIT: (DOCK, TOUR, COUNTER),
}
_LANE, _EDGE = 0, 1


class Place(NamedTuple):
    """Where something is scanned; in order of the facilities."""

    facility: str
    group: int
    """Of a lane or of an edge."""

    number: int
    """Which lane or edge."""

    kind: str
    """The kind of device."""


class Crew:
    """All scanners, with their devices.

    Attributes:
        edges: the edges whose trips are scanned, since bags are on them.
        lanes_of: by scanner, the lanes that it sees, in order.
        edges_of: by scanner, the numbers of the edges, in order.
    """

    def __init__(
        self,
        secret: bytes,
        lanes: Sequence[Lane],
        roads: Roads,
        *,
        scanners: int,
        journeys_per_day: int,
        oddities: Oddities,
    ) -> None:
        self._secret = secret
        self._oddities = oddities
        self._devices: dict[tuple[str, str, int], Device] = {}
        ends = dict.fromkeys(
            (here.stop, there.stop)
            for lane in lanes
            for here, there in pairwise(lane.chain)
            if has_bags(lane, here.stop, there.stop)
        )
        self.edges = tuple(roads.edge(*pair) for pair in ends)
        self._edge_numbers = {pair: number for number, pair in enumerate(ends)}
        work: defaultdict[Place, int] = defaultdict(int)
        for lane in lanes:
            for place, amount in _work_on(lane):
                work[place] += amount
        for number, edge in enumerate(self.edges):
            # As for lanes: for each journey that begins on an average lane.
            amount = edge.trips_a_week * 100 * len(lanes) // (7 * journeys_per_day) + 1
            work[Place(edge.start.facility.id, _EDGE, number, DOCK)] += amount
            work[Place(edge.end.facility.id, _EDGE, number, DOCK)] += 2 * amount
        self._scanner_of: dict[Place, int] = {}
        lanes_of: list[dict[int, None]] = [{} for _ in range(scanners)]
        edges_of: list[dict[int, None]] = [{} for _ in range(scanners)]
        total, done = sum(work.values()), 0
        for place in sorted(work):
            scanner = (2 * done + work[place]) * scanners // (2 * total)
            self._scanner_of[place] = scanner
            (edges_of if place.group == _EDGE else lanes_of)[scanner][place.number] = None
            done += work[place]
        self.lanes_of = tuple(tuple(sorted(numbers)) for numbers in lanes_of)
        self.edges_of = tuple(tuple(sorted(numbers)) for numbers in edges_of)

    def on_lane(self, lane: Lane, stop: Stop, kind: str) -> Device:
        """Give the device that scans the items of a lane."""
        return self._device(stop, kind, self._scanner_of[_place(stop, _LANE, lane.number, kind)])

    def on_edge(self, number: int, stop: Stop) -> Device:
        """Give the device that scans the trips of an edge."""
        return self._device(stop, DOCK, self._scanner_of[_place(stop, _EDGE, number, DOCK)])

    def edge_number(self, start: Stop, end: Stop) -> int:
        """Give the number of the edge between two stops."""
        return self._edge_numbers[start, end]

    def _device(self, stop: Stop, kind: str, scanner: int) -> Device:
        key = stop.facility.id, kind, scanner
        found = self._devices.get(key)
        if found is None:
            found = Device(self._secret, stop, kind, scanner, self._oddities)
            self._devices[key] = found
        return found


def _place(stop: Stop, group: int, number: int, kind: str) -> Place:
    return Place(stop.facility.id, group, number, kind)


def _work_on(lane: Lane) -> Iterator[tuple[Place, int]]:
    tasks = {link.stop: link.task for link in lane.chain}
    for stop in lane.stops:
        for kind in _KINDS[stop.facility.role]:
            amount = _FETCHED if kind == COUNTER and stop is lane.pickup else _SELDOM
            if stop in tasks:
                amount = _WORK[tasks[stop], kind][lane.bagged]
            yield _place(stop, _LANE, lane.number, kind), amount
    yield _place(lane.origin, _LANE, lane.number, SYSTEM), _NOTICES
