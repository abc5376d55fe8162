"""The nearest facilities, against a plain search through all; and where a postcode is."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.facilities import Directory, Facility, Place, Role, built_in, distance_m, parse_hours
from tests.scale import scaled

ROLES = (Role.POST_OFFICE, Role.PARCEL_LOCKER, Role.SORTING_CENTRE)


def facility(
    code: str,
    latitude: float,
    longitude: float,
    *,
    role: Role = Role.POST_OFFICE,
    postal_code: str = "",
    hours: str = "24/7",
) -> Facility:
    """Make a facility somewhere."""
    return Facility(
        id=code,
        name=code,
        role=role,
        address=(),
        postal_code=postal_code,
        city="",
        country="DE",
        latitude=latitude,
        longitude=longitude,
        time_zone="UTC",
        hours=parse_hours(hours),
    )


PLACES = st.builds(
    Place, st.integers(-9, 9).map(lambda n: n * 10.0), st.integers(-18, 18).map(lambda n: n * 10.0)
)
NETWORKS = st.lists(st.tuples(PLACES, st.sampled_from(ROLES), st.booleans()), max_size=40)


@given(NETWORKS, PLACES, st.sets(st.sampled_from(ROLES)), st.integers(1, 5), st.booleans())
def test_pages_are_what_a_plain_search_finds(
    network: list[tuple[Place, Role, bool]], place: Place, roles: set[Role], most: int, near: bool
) -> None:
    """All of them, in the order of distance and code, each once; also at poles, over the date line,
    and where many lie at one place.
    """
    known = Directory(
        facility(f"F{n:02}", *at, role=role, hours="off" if off else "24/7")
        for n, (at, role, off) in enumerate(network)
    )
    within_m = 3_000_000.0 if near else math.inf
    wanted = sorted(
        (distance_m(place, one), one.id)
        for one in known.all
        if (one.role in roles if roles else one.is_public) and distance_m(place, one) <= within_m
    )
    got: list[tuple[float, str]] = []
    while page := known.nearest(
        place, most=most, roles=roles, within_m=within_m, after=got[-1] if got else None
    ):
        got += [found[:2] for found in page]

    assert got == wanted


def test_the_nearest_of_many_are_found() -> None:
    """In a network that lies close, where the search ends long before it has seen all."""
    dice = random.Random(3)
    known = Directory(
        facility(f"F{n:04}", dice.uniform(45, 55), dice.uniform(5, 15)) for n in range(2_000)
    )
    for _ in range(scaled(100, soak=5_000)):
        place = Place(dice.uniform(44, 56), dice.uniform(4, 16))
        wanted = sorted((distance_m(place, one), one.id) for one in known.all)

        assert [found[:2] for found in known.nearest(place, most=3)] == wanted[:3]


def test_distances_are_right() -> None:
    """Known distances come out to 1 %, and none is longer than half the way around."""
    known = built_in()
    frankfurt, new_york = known.get("DEFRAA"), known.get("USJFKA")
    assert frankfurt is not None
    assert new_york is not None

    assert distance_m(frankfurt, new_york) == pytest.approx(6_200_000, rel=0.01)
    assert distance_m(Place(90, 0), Place(-90, 77)) == pytest.approx(20_015_000, rel=0.001)


@pytest.mark.parametrize(
    ("country", "postcode", "matched", "nearest"),
    [
        ("DE", "60313", "60313", "DE60313"),
        ("DE", "60327", "603", "DE60313"),
        ("DE", "10", "10", "DE10115"),
        ("GB", "wc2n 4dl", "WC2N4DL", "GBWC2N"),
        ("GB", "M60 1AA", "M", "GBM1"),
        ("US", "10001-2062", "10001", "USNYCD"),
        ("CA", "M5V 2T6", "M5V", "CAM5V"),
        ("JP", "100-0005", "1000005", "JP100"),
    ],
)
def test_a_postcode_is_where_postcodes_like_it_are(
    country: str, postcode: str, matched: str, nearest: str
) -> None:
    """In any writing, whole or its beginning."""
    known = built_in()
    origin = known.origin_of(country, postcode)

    assert origin is not None
    assert origin.matched == matched
    assert known.nearest(origin.place, most=1)[0].facility_id == nearest


@pytest.mark.parametrize(
    ("country", "postcode"),
    [("US", "99501"), ("US", "1"), ("DE", "M5V"), ("GB", "ME14"), ("ZZ", "60313"), ("DE", "- ")],
)
def test_a_postcode_that_is_like_none_is_nowhere(country: str, postcode: str) -> None:
    """One digit is half a country, and M is not ME: nothing is guessed."""
    assert built_in().origin_of(country, postcode) is None


def test_the_middle_of_an_area_is_between_its_facilities() -> None:
    """Also over the date line."""
    known = Directory(
        [
            facility("W", 10, 179, postal_code="12345"),
            facility("E", 10, -179, postal_code="12399"),
        ]
    )
    origin = known.origin_of("DE", "12377")

    assert origin is not None
    assert (origin.matched, origin.facility_count) == ("123", 2)
    assert abs(origin.place.longitude) == pytest.approx(180)
