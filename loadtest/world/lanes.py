"""Lanes: where items come from, where they go, and every facility that they may see on the way.

A lane is drawn once and many items travel on it. Its facilities are known from the beginning, so
that each place on it can be given to a scanner; which of them an item sees is the item's fate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from loadtest.network import Facility, Role, distance_km, facilities_of, nearest
from loadtest.world.calendar import COUNTRIES, CUSTOMS_UNION
from loadtest.world.dice import Dice, Weighted, share
from loadtest.world.timetable import Roads, Stop

_DOMESTIC = share(0.6)
_BAGGED = share(0.75)  # of the lanes; on the others every item is handled for itself
_VIA = share(0.2)  # of the lanes abroad
_SERVICES_US = ("94001", "94055", "93612")  # IMpb: application identifier and service type
_SERVICES_DOMESTIC = ("PB", "PD")
_SERVICES_ABROAD = ("CP", "EE", "HZ", "LZ", "RR")
_CENTRES = (Role.SORTING_CENTRE, Role.OFFICE_OF_EXCHANGE)
_HUBS = ("DEFRAA", "FRCDGA", "GBLALA", "JPTYOA", "NLAMSA", "SGSINA", "USLAXA", "USMIAA")


class Task(Enum):
    """What a facility does for an item that comes along a chain."""

    POST = "the post office where the item starts or ends"
    SORT = "a sorting centre"
    EXPORT = "the outward office of exchange"
    TRANSIT = "an office of exchange between the two"
    IMPORT = "the inward office of exchange"
    UNIT = "the delivery unit"


@dataclass(frozen=True, slots=True)
class Link:
    """One facility of a chain, and what it does."""

    stop: Stop
    task: Task


@dataclass(frozen=True, slots=True)
class Lane:
    """A way through the network.

    Attributes:
        number: 0, 1, 2, ….
        chain: the facilities from the post office to the delivery unit.
        home: those of the way back.
        service: for S10 the service indicator, for IMpb the identifier and service type code.
        bagged: items are put into bags between sorting centres and offices of exchange.
        pickup: the post office where items wait to be fetched.
        other: the delivery unit that items are redirected to; None where the country has one only.
        other_way: the facilities from the delivery unit to the other one.
        wrong: the sorting centre that items are sent to by mistake; None where there is none.
    """

    number: int
    chain: tuple[Link, ...]
    home: tuple[Link, ...]
    service: str
    bagged: bool
    pickup: Stop
    other: Stop | None
    other_way: tuple[Link, ...]
    wrong: Stop | None
    stops: tuple[Stop, ...] = field(default=())

    @property
    def origin(self) -> Stop:
        """The post office that takes the items."""
        return self.chain[0].stop

    @property
    def destination(self) -> Stop:
        """The delivery unit that brings them."""
        return self.chain[-1].stop

    @property
    def is_impb(self) -> bool:
        """Whether its items bear IMpb numbers, and not those of S10."""
        return self.service.isdigit()

    @property
    def is_domestic(self) -> bool:
        """Whether it stays in one country."""
        return self.origin.facility.country == self.destination.facility.country

    @property
    def has_customs(self) -> bool:
        """Whether items are presented to customs."""
        ends = {self.origin.facility.country, self.destination.facility.country}
        return len(ends) == 2 and not ends <= CUSTOMS_UNION


def draw_lanes(secret: bytes, count: int, roads: Roads) -> Iterator[Lane]:
    """Draw `count` lanes; the same for the same arguments."""
    volumes = [(name, country.volume) for name, country in COUNTRIES.items()]
    for number in range(count):
        dice = Dice(secret, f"lane/{number}".encode())
        country = dice.weighted(Weighted(volumes))
        origin = dice.pick(facilities_of(Role.POST_OFFICE, country))
        domestic = dice.falls(_DOMESTIC)
        other = [one for one in volumes if one[0] != country]
        towards = country if domestic else dice.weighted(Weighted(other))
        units = facilities_of(Role.DELIVERY_UNIT, towards)
        destination = dice.pick(units)
        yield _lane(number, origin, destination, dice, roads)


def has_bags(lane: Lane, start: Stop, end: Stop) -> bool:
    """Tell whether the items of a lane lie in bags between two facilities."""
    return lane.bagged and start.facility.role in _CENTRES and end.facility.role in _CENTRES


def _lane(number: int, origin: Facility, destination: Facility, dice: Dice, roads: Roads) -> Lane:
    domestic = origin.country == destination.country
    places = _inland(origin, destination) if domestic else _abroad(origin, destination, dice)
    chain = tuple(Link(roads.stop(place), task) for place, task in places)
    units = [u for u in facilities_of(Role.DELIVERY_UNIT, destination.country) if u != destination]
    other = dice.pick(units) if units else None
    passed = {place for place, _ in places}
    centres = facilities_of(Role.SORTING_CENTRE, destination.country)
    wrongs = [centre for centre in centres if centre not in passed]
    pickup = nearest(destination, facilities_of(Role.POST_OFFICE, destination.country))
    other_way = _between(destination, other, roads) if other else ()
    wrong = roads.stop(dice.pick(wrongs)) if wrongs else None
    on_the_way = [link.stop for link in (*chain, *other_way)]
    services: tuple[str, ...] = _SERVICES_DOMESTIC if domestic else _SERVICES_ABROAD
    if domestic and origin.country == "US":
        services = _SERVICES_US
    stops = dict.fromkeys(
        (*on_the_way, roads.stop(pickup), *([wrong] if wrong else [])),
    )
    return Lane(
        number=number,
        chain=chain,
        home=_reversed(chain),
        service=dice.pick(services),
        bagged=dice.falls(_BAGGED),
        pickup=roads.stop(pickup),
        other=roads.stop(other) if other else None,
        other_way=other_way,
        wrong=wrong,
        stops=tuple(stops),
    )


def _inland(origin: Facility, destination: Facility) -> list[tuple[Facility, Task]]:
    """Post office, one or two sorting centres, delivery unit."""
    centres = facilities_of(Role.SORTING_CENTRE, origin.country)
    first, last = nearest(origin, centres), nearest(destination, centres)
    passed = [first] if first is last else [first, last]
    return [(origin, Task.POST), *((c, Task.SORT) for c in passed), (destination, Task.UNIT)]


def _abroad(origin: Facility, destination: Facility, dice: Dice) -> list[tuple[Facility, Task]]:
    """Post office, sorting centre, offices of exchange, sorting centre, delivery unit."""
    first = nearest(origin, facilities_of(Role.SORTING_CENTRE, origin.country))
    outward = nearest(first, facilities_of(Role.OFFICE_OF_EXCHANGE, origin.country))
    inward = nearest(destination, facilities_of(Role.OFFICE_OF_EXCHANGE, destination.country))
    last = nearest(destination, facilities_of(Role.SORTING_CENTRE, destination.country))
    via = [(_hub(outward, inward), Task.TRANSIT)] if dice.falls(_VIA) else []
    return [
        (origin, Task.POST),
        (first, Task.SORT),
        (outward, Task.EXPORT),
        *via,
        (inward, Task.IMPORT),
        (last, Task.SORT),
        (destination, Task.UNIT),
    ]


def _hub(outward: Facility, inward: Facility) -> Facility:
    """Give the hub of a third country that is the smallest detour."""
    hubs = [
        hub
        for hub in facilities_of(Role.OFFICE_OF_EXCHANGE)
        if hub.id in _HUBS and hub.country not in {outward.country, inward.country}
    ]
    return min(hubs, key=lambda hub: round(distance_km(outward, hub) + distance_km(hub, inward)))


def _between(unit: Facility, other: Facility, roads: Roads) -> tuple[Link, ...]:
    """Give the way from one delivery unit to another."""
    inland = _inland(unit, other)
    return tuple(
        Link(roads.stop(place), Task.UNIT if place is unit else task) for place, task in inland
    )


def _reversed(chain: Sequence[Link]) -> tuple[Link, ...]:
    swapped = {Task.EXPORT: Task.IMPORT, Task.IMPORT: Task.EXPORT}
    return tuple(Link(link.stop, swapped.get(link.task, link.task)) for link in reversed(chain))
