"""All facilities of a process: by their code, by their distance from a place, and by postcode.

Each role's facilities lie in the order of their latitude: the nearest are looked for north and
south of a place, no farther than the farthest one that is shown.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from heapq import heappush, heapreplace
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.facilities.facility import Facility, Role

EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius: distances are right to half a percent, as straight as a bird flies."""

POSTCODE_DIGITS_MIN: Final = 2
"""Characters of a postcode without leading letters that name an area: one is half a country."""


class Place(NamedTuple):
    """Degrees north and east."""

    latitude: float
    longitude: float


class Found(NamedTuple):
    """A facility, and how far away it is. Sorted: the nearest first, then by code."""

    distance_m: float
    facility_id: str
    facility: Facility


class Origin(NamedTuple):
    """Where a postcode is, by the facilities that have postcodes like it."""

    place: Place
    matched: str
    """As much of the postcode as theirs begin with."""
    facility_count: int
    """How many those are."""


class Directory:
    """The facilities of one file."""

    def __init__(self, facilities: Iterable[Facility]) -> None:
        """Each code is there once."""
        self._by_id = {facility.id: facility for facility in facilities}
        self._by_role: defaultdict[Role | None, list[Facility]] = defaultdict(list)
        self._by_area: defaultdict[tuple[str, str], list[tuple[str, Facility]]] = defaultdict(list)
        for facility in sorted(self._by_id.values(), key=_latitude):
            self._by_role[facility.role].append(facility)
            if facility.is_public:
                self._by_role[None].append(facility)
            postcode = plain_postcode(facility.postal_code)
            if area := _area(postcode):
                self._by_area[facility.country, area].append((postcode, facility))

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def all(self) -> Sequence[Facility]:
        """All facilities, in the order of the file."""
        return tuple(self._by_id.values())

    def get(self, facility_id: str) -> Facility | None:
        """Give a facility; None for a code that is not known."""
        return self._by_id.get(facility_id)

    def nearest(
        self,
        place: Place,
        *,
        most: int,
        roles: Iterable[Role] = (),
        within_m: float = math.inf,
        after: tuple[float, str] | None = None,
    ) -> Sequence[Found]:
        """Give the nearest facilities of some roles, or of all that serve the public.

        `after` is distance and code of the last one that was shown: only what lies behind it.
        """
        found: list[Found] = []
        for role in frozenset(roles) or (None,):
            among = self._by_role.get(role, [])
            found += _nearest(among, place, most, within_m, after or (-1.0, ""))
        return sorted(found)[:most]

    def origin_of(self, country: str, postcode: str) -> Origin | None:
        """Say where a postcode is: in the middle of those facilities whose postcodes begin most
        like it. None where none has its area.
        """
        wanted = plain_postcode(postcode)
        among = self._by_area.get((country, _area(wanted)), [])
        if not among:
            return None
        length = max(_common(wanted, known) for known, _ in among)
        matched = wanted[:length]
        like = [facility for known, facility in among if known.startswith(matched)]
        return Origin(_middle(like), matched, len(like))


def plain_postcode(text: str) -> str:
    """Give a postcode as it is compared: without spaces and hyphens, in capitals."""
    return text.replace(" ", "").replace("-", "").upper()


def distance_m(one: Place | Facility, other: Place | Facility) -> float:
    """Give the distance of two places along the ground, in metres."""
    north, other_north = math.radians(one.latitude), math.radians(other.latitude)
    east = math.radians(other.longitude - one.longitude)
    half_chord = (
        math.sin((other_north - north) / 2) ** 2
        + math.cos(north) * math.cos(other_north) * math.sin(east / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, half_chord)))


def _nearest(
    among: Sequence[Facility],
    place: Place,
    most: int,
    within_m: float,
    after: tuple[float, str],
) -> list[Found]:
    """Walk away from a latitude on both sides, the nearer side first, while it can bring more."""
    # The farthest of the best is on top. Codes are compared backwards there, so by their rank.
    best: list[tuple[float, _Backwards, Facility]] = []
    latitude = place.latitude
    north = bisect_left(among, latitude, key=_latitude)
    south = north - 1
    while south >= 0 or north < len(among):
        gap_south = latitude - among[south].latitude if south >= 0 else math.inf
        gap_north = among[north].latitude - latitude if north < len(among) else math.inf
        bound_m = min(within_m, -best[0][0]) if len(best) == most else within_m
        # A little more, so that rounding hides nobody.
        if math.radians(min(gap_south, gap_north)) * EARTH_RADIUS_M > bound_m * 1.000001 + 1:
            break
        facility = among[south] if gap_south <= gap_north else among[north]
        if gap_south <= gap_north:
            south -= 1
        else:
            north += 1
        away = distance_m(place, facility)
        if away > within_m or (away, facility.id) <= after:
            continue
        ranked = (-away, _Backwards(facility.id), facility)
        if len(best) < most:
            heappush(best, ranked)
        elif ranked[:2] > best[0][:2]:
            heapreplace(best, ranked)
    return [Found(-negative, facility.id, facility) for negative, _, facility in best]


class _Backwards(str):
    """Text that is sorted backwards: of equally near facilities the last one leaves first."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)

    def __gt__(self, other: str) -> bool:
        return str.__lt__(self, other)


def _latitude(facility: Facility) -> float:
    return facility.latitude


def _area(postcode: str) -> str:
    """Give the part of a postcode that names an area: its leading letters, else two characters.
    Empty where it has not as much.
    """
    letters = len(postcode) - len(postcode.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    if not letters and len(postcode) < POSTCODE_DIGITS_MIN:
        return ""
    return postcode[: letters or POSTCODE_DIGITS_MIN]


def _common(one: str, other: str) -> int:
    """Count the characters that two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _middle(facilities: Sequence[Facility]) -> Place:
    """Give the middle of some places on the globe, also across the date line."""
    x = y = z = 0.0
    for facility in facilities:
        north, east = math.radians(facility.latitude), math.radians(facility.longitude)
        x += math.cos(north) * math.cos(east)
        y += math.cos(north) * math.sin(east)
        z += math.sin(north)
    return Place(math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x)))
