"""The network of the seeded traffic: real places, where they really are."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from ledger.numbers import filing_key
from loadtest.network import Facility, Role, distance_km, facilities, facilities_of
from loadtest.world.calendar import COUNTRIES

BY_ID = {f.id: f for f in facilities()}

# South, north, west, east; with the islands that are far away where the network has any.
BOUNDS = {
    "AU": (-44, -10, 112, 154),
    "BR": (-34, 6, -74, -34),
    "CA": (41, 70, -141, -52),
    "CH": (45.8, 47.9, 5.9, 10.6),
    "DE": (47.2, 55.1, 5.8, 15.1),
    "FR": (42.3, 51.1, -4.9, 8.3),
    "GB": (49.9, 59.4, -8.2, 1.8),
    "IN": (6.7, 35.6, 68.1, 97.4),
    "JP": (24, 45.6, 122.9, 146),
    "NL": (50.7, 53.6, 3.3, 7.3),
    "NZ": (-47.3, -34.3, 166.4, 178.6),
    "SG": (1.15, 1.48, 103.6, 104.1),
    "US": (18.9, 49.4, -160.3, -66.9),
}


def test_is_large_enough() -> None:
    """At least 40 facilities in several countries, each with an id of its own."""
    assert len(facilities()) >= 40
    assert len(BY_ID) == len(facilities())
    assert {f.country for f in facilities()} == set(COUNTRIES) == set(BOUNDS)


@pytest.mark.parametrize("country", sorted(COUNTRIES))
def test_every_country_is_complete(country: str) -> None:
    """A journey can begin, pass and end in every country."""
    assert all(facilities_of(role, country) for role in Role)


@pytest.mark.parametrize("facility", facilities(), ids=lambda f: f.id)
def test_facility_is_plausible(facility: Facility) -> None:
    """It lies in its country, its zone exists, and its noon is about the sun's noon."""
    noon = datetime(2026, 1, 15, 12, tzinfo=ZoneInfo(facility.zone))
    offset = noon.utcoffset()
    assert offset is not None
    sun_hours = facility.longitude / 15
    south, north, west, east = BOUNDS[facility.country]

    assert facility.id.startswith(facility.country)
    assert south < facility.latitude < north
    assert west < facility.longitude < east
    assert abs(offset.total_seconds() / 3600 - sun_hours) < 2.6
    assert filing_key(facility.id).decode() == facility.id  # No blanks, no lower case.


def test_offices_of_exchange_have_the_codes_of_the_posts() -> None:
    """Six letters, as receptacles bear them, and an airport; other facilities have no airport."""
    for facility in facilities():
        exchanges = facility.role is Role.OFFICE_OF_EXCHANGE
        assert not exchanges or re.fullmatch("[A-Z]{6}", facility.id)
        assert bool(re.fullmatch("[A-Z]{3}", facility.airport)) == exchanges


def test_distances() -> None:
    """Known distances come out to 1 %: Frankfurt to New York, Sydney to Auckland."""
    assert distance_km(BY_ID["DEFRAA"], BY_ID["USJFKA"]) == pytest.approx(6_200, rel=0.01)
    assert distance_km(BY_ID["AUSYDA"], BY_ID["NZAKLA"]) == pytest.approx(2_160, rel=0.01)
