"""The postal network that the seeded traffic runs through: real facilities at their true places.

They are those that every ledger knows when nobody tells it of others. Here each office of exchange
also has the airport that its mail flies from, by its IATA code.
"""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from ledger.facilities import built_in

EARTH_RADIUS_KM = 6_371.0


class Role(StrEnum):
    """What a facility does for an item."""

    POST_OFFICE = "POST_OFFICE"
    SORTING_CENTRE = "SORTING_CENTRE"
    OFFICE_OF_EXCHANGE = "OFFICE_OF_EXCHANGE"
    DELIVERY_UNIT = "DELIVERY_UNIT"


@dataclass(frozen=True, slots=True)
class Facility:
    """One building of the network.

    Attributes:
        id: the facility code that scan events carry.
        name: city and building.
        role: what it does.
        country: ISO 3166-1 alpha-2.
        latitude: degrees north, WGS 84.
        longitude: degrees east, WGS 84.
        zone: IANA time zone.
        airport: IATA code of the airport that an office of exchange sends from; else empty.
    """

    id: str
    name: str
    role: Role
    country: str
    latitude: float
    longitude: float
    zone: str
    airport: str = ""


@cache
def facilities() -> tuple[Facility, ...]:
    """All facilities, by id."""
    text = files("loadtest").joinpath("airports.csv").read_text(encoding="utf-8")
    airports = {row["id"]: row["airport"] for row in csv.DictReader(text.splitlines())}
    return tuple(
        Facility(
            id=known.id,
            name=known.name,
            role=Role(known.role),
            country=known.country,
            latitude=known.latitude,
            longitude=known.longitude,
            zone=known.time_zone,
            airport=airports.get(known.id, ""),
        )
        for known in built_in().all
    )


@cache
def facilities_of(role: Role, country: str | None = None) -> tuple[Facility, ...]:
    """The facilities of one role, in one country or in all."""
    return tuple(
        f for f in facilities() if f.role is role and (country is None or f.country == country)
    )


def distance_km(one: Facility, other: Facility) -> float:
    """The great-circle distance."""
    north, other_north = math.radians(one.latitude), math.radians(other.latitude)
    east = math.radians(other.longitude - one.longitude)
    half_chord = (
        math.sin((other_north - north) / 2) ** 2
        + math.cos(north) * math.cos(other_north) * math.sin(east / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(half_chord))


def nearest(place: Facility, among: Iterable[Facility]) -> Facility:
    """Which of `among` lies closest to `place`."""
    return min(among, key=lambda facility: distance_km(place, facility))
