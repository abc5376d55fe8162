"""The book of a lane: for every leg of its ways, the trips and the events, looked up beforehand.

Planning an item takes some 40 steps through it; what can be found once is not searched each time.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from ledger.v1 import scan_event_pb2 as pb
from loadtest.world.calendar import HOUR_MS
from loadtest.world.crew import Crew
from loadtest.world.devices import DESK, DOCK, MACHINE
from loadtest.world.journey import NO_LEG
from loadtest.world.lanes import Lane, Link, Task, has_bags
from loadtest.world.posts import IN, PLAIN, Detail, Post
from loadtest.world.timetable import Edge, Roads, Stop

OTHER_WAY_LEG: Final = 20
HOME_LEG: Final = 40
"""First legs of the way to another delivery unit, and of the way home; before them, the lane's."""

_FLIGHT_READY_MS = 2 * HOUR_MS
_DEPARTING = {
    Task.POST: pb.SCAN_EVENT_TYPE_DEPARTED,
    Task.SORT: pb.SCAN_EVENT_TYPE_DEPARTED,
    Task.UNIT: pb.SCAN_EVENT_TYPE_DEPARTED,
    Task.EXPORT: pb.SCAN_EVENT_TYPE_EXPORT_DEPARTED,
    Task.TRANSIT: pb.SCAN_EVENT_TYPE_TRANSIT_DEPARTED,
    Task.IMPORT: pb.SCAN_EVENT_TYPE_IMPORT_DEPARTED,
}
_ARRIVING = {
    Task.POST: (pb.SCAN_EVENT_TYPE_ARRIVED, DOCK),
    Task.SORT: (pb.SCAN_EVENT_TYPE_ARRIVED, MACHINE),
    Task.UNIT: (pb.SCAN_EVENT_TYPE_ARRIVED, DOCK),
    Task.EXPORT: (pb.SCAN_EVENT_TYPE_EXPORT_ARRIVED, DESK),
    Task.TRANSIT: (pb.SCAN_EVENT_TYPE_TRANSIT_ARRIVED, DESK),
    Task.IMPORT: (pb.SCAN_EVENT_TYPE_IMPORT_ARRIVED, DESK),
}


class Leg:
    """The way from one facility to the next.

    Attributes:
        number: on the lane; NO_LEG for what is not foreseen.
        task: what the facility at its end does.
        start: its beginning.
        end: its end.
        edge: the trips.
        ready_ms: how long before a trip an item must be there.
        bagged: items are put into bags where two or more go together.
        may_go_wrong: an item that is sorted here may be sent to a wrong centre instead.
        containered, departed, arrived: the events.
        sorted_: the event behind them, at a sorting centre.
    """

    __slots__ = (
        "arrived",
        "arrived_mark",
        "bagged",
        "containered",
        "departed",
        "departed_mark",
        "edge",
        "end",
        "may_go_wrong",
        "number",
        "ready_ms",
        "sorted_",
        "start",
        "task",
    )

    def __init__(self, book: "Book", number: int, here: Link, there: Link) -> None:
        self.number = number
        self.task = there.task
        self.start = here.stop
        self.end = there.stop
        self.edge: Edge = book.roads.edge(here.stop, there.stop)
        self.ready_ms = _FLIGHT_READY_MS if self.edge.is_flight else 0
        self.bagged = 0 <= number < OTHER_WAY_LEG and has_bags(book.lane, here.stop, there.stop)
        self.may_go_wrong = (
            here.task is Task.SORT
            and there.task is Task.UNIT
            and number < OTHER_WAY_LEG
            and book.lane.wrong is not None
        )
        towards = there.stop.facility.id
        inside = Detail(towards=towards, containment=IN)
        self.containered = book.post(pb.SCAN_EVENT_TYPE_CONTAINERED, here.stop, DOCK, inside)
        leaving = _DEPARTING[here.task]
        device = DOCK if leaving == pb.SCAN_EVENT_TYPE_DEPARTED else DESK
        self.departed = book.post(leaving, here.stop, device, Detail(towards=towards))
        coming, device = _ARRIVING[there.task]
        self.arrived = book.post(coming, there.stop, device)
        sorts = there.task is Task.SORT
        kind = pb.SCAN_EVENT_TYPE_SORTED
        self.sorted_ = book.post(kind, there.stop, MACHINE) if sorts else self.arrived
        self.departed_mark = number if self.bagged and self.departed.carried else NO_LEG
        self.arrived_mark = number if self.bagged and self.arrived.carried else NO_LEG


class Book:
    """All that is looked up for the items of one lane.

    Attributes:
        lane: the lane.
        roads: stops and trips.
        legs: those of its chain.
        other_way: those to the other delivery unit.
    """

    def __init__(self, lane: Lane, roads: Roads, crew: Crew) -> None:
        self.lane = lane
        self.roads = roads
        self._crew = crew
        self._posts: dict[tuple[pb.ScanEventType.ValueType, Stop, str, Detail], Post] = {}
        self._home: dict[Stop, tuple[Leg, ...]] = {}
        self._detours: dict[Stop, tuple[Leg, Leg]] = {}
        self.legs = self._way(lane.chain, 0)
        self.other_way = self._way(lane.other_way, OTHER_WAY_LEG)

    def post(
        self, kind: pb.ScanEventType.ValueType, stop: Stop, device: str, detail: Detail = PLAIN
    ) -> Post:
        """Find or make the post of an event."""
        key = kind, stop, device, detail
        found = self._posts.get(key)
        if found is None:
            found = Post(self.lane, kind, self._crew.on_lane(self.lane, stop, device), detail)
            self._posts[key] = found
        return found

    def home(self, start: Stop) -> tuple[Leg, ...]:
        """Give the way home from a delivery unit or a post office."""
        found = self._home.get(start)
        if found is None:
            chain = (Link(start, Task.UNIT), *self.lane.home[1:])
            found = self._home[start] = self._way(chain, HOME_LEG)
        return found

    def detour(self, start: Stop) -> tuple[Leg, Leg]:
        """Give the way to the wrong sorting centre, and back."""
        found = self._detours.get(start)
        if found is None:
            assert self.lane.wrong
            here, wrong = Link(start, Task.SORT), Link(self.lane.wrong, Task.SORT)
            found = Leg(self, NO_LEG, here, wrong), Leg(self, NO_LEG, wrong, here)
            self._detours[start] = found
        return found

    def _way(self, chain: Sequence[Link], first: int) -> tuple[Leg, ...]:
        return tuple(
            Leg(self, number, here, there)
            for number, (here, there) in enumerate(pairwise(chain), first)
        )
