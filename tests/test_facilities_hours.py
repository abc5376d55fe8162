"""Local times on every day of the year, and opening hours in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.facilities import Doubt, Opening, State, opening_at, parse_hours, resolve
from ledger.facilities.local_time import local_at, offset_minutes_at
from tests.scale import scaled

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = "Mo-Fr 09:00-12:00,13:00-18:00; Sa 09:00-13:00; Dec 24-26 off; 2026 Dec 24 09:00-12:00"
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo")


def at(text: str, zone: ZoneInfo = BERLIN) -> int:
    """Give the instant of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


@pytest.mark.parametrize(
    ("zone", "local", "utc", "minutes", "doubt"),
    [
        ("Europe/Berlin", "2026-07-01T12:00", "2026-07-01T10:00", 120, Doubt.NONE),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30", 120, Doubt.AMBIGUOUS),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00", 60, Doubt.NONE),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:30", 120, Doubt.SKIPPED),
        ("Europe/Berlin", "2026-03-29T01:59", "2026-03-29T00:59", 60, Doubt.NONE),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30", -240, Doubt.AMBIGUOUS),
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:30", -240, Doubt.SKIPPED),
        ("Asia/Kolkata", "2026-10-25T02:30", "2026-10-24T21:00", 330, Doubt.NONE),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45", 660, Doubt.AMBIGUOUS),
    ],
)
def test_a_local_time_names_an_instant(
    zone: str, local: str, utc: str, minutes: int, doubt: Doubt
) -> None:
    """Twice a year it names two or none: one is taken, and it is said."""
    found = resolve(datetime.fromisoformat(local), ZoneInfo(zone))

    assert datetime.fromtimestamp(found.seconds, UTC) == datetime.fromisoformat(utc + "+00:00")
    assert (found.offset_minutes, found.doubt) == (minutes, doubt)


@given(st.integers(0, 4_102_444_799), st.sampled_from(ZONES))
def test_every_instant_comes_back_from_its_local_time(seconds: int, key: str) -> None:
    """Where a local time is unambiguous it gives its instant; of two it gives the first one, so
    never a later one, and it is never said to have been skipped.
    """
    zone = ZoneInfo(key)
    found = resolve(local_at(seconds, zone).replace(tzinfo=None, fold=0), zone)

    assert found.doubt is not Doubt.SKIPPED
    assert found.seconds <= seconds
    assert (found.seconds == seconds) or found.doubt is Doubt.AMBIGUOUS
    assert found.offset_minutes == offset_minutes_at(found.seconds, zone)


@pytest.mark.parametrize(
    ("now", "state", "changes"),
    [
        ("2026-11-27T08:59:59", State.CLOSED, "2026-11-27T09:00"),
        ("2026-11-27T09:00", State.OPEN, "2026-11-27T12:00"),
        ("2026-11-27T12:00", State.CLOSED, "2026-11-27T13:00"),
        ("2026-11-27T18:00", State.CLOSED, "2026-11-28T09:00"),
        ("2026-11-28T12:59", State.OPEN, "2026-11-28T13:00"),
        ("2026-11-29T10:00", State.CLOSED, "2026-11-30T09:00"),
        ("2026-12-24T10:00", State.OPEN, "2026-12-24T12:00"),
        ("2027-12-24T10:00", State.CLOSED, "2027-12-27T09:00"),
    ],
)
def test_an_office_is_open_or_opens_next(now: str, state: State, changes: str) -> None:
    """By rules for days of the week, for dates of every year, and for one date; the last stands."""
    assert opening_at(parse_hours(OFFICE), BERLIN, at(now)) == Opening(state, at(changes))


@pytest.mark.parametrize(
    ("now", "changes"),
    [
        ("2026-03-28T14:00", "2026-03-30T07:00:00+00:00"),
        ("2026-10-24T14:00", "2026-10-26T08:00:00+00:00"),
    ],
)
def test_the_next_opening_is_by_the_clocks_of_then(now: str, changes: str) -> None:
    """Over the night in which clocks change 09:00 is another instant than the day before."""
    _, opens = opening_at(parse_hours("Mo-Fr 09:00-18:00"), BERLIN, at(now))

    assert opens is not None
    assert datetime.fromtimestamp(opens, UTC) == datetime.fromisoformat(changes)


@pytest.mark.parametrize(
    ("hours", "now", "wanted"),
    [
        ("24/7", "2026-03-29T02:59", Opening(State.OPEN)),
        ("off", "2026-03-29T02:59", Opening(State.NOT_PUBLIC)),
        ("2027 Jan 04 10:00-12:00", "2026-11-27T10:00", Opening(State.CLOSED)),
        ("22:00-06:00", "2026-03-29T00:30", Opening(State.OPEN, at("2026-03-29T06:00"))),
        ("00:00-24:00; Su off", "2026-11-27T10:00", Opening(State.OPEN, at("2026-11-29T00:00"))),
        ("Sa-Mo 10:00-11:00", "2026-11-27T10:00", Opening(State.CLOSED, at("2026-11-28T10:00"))),
    ],
)
def test_nights_and_whole_days_are_joined(hours: str, now: str, wanted: Opening) -> None:
    """Who never closes has no time of closing, and a night belongs to the day it began on."""
    assert opening_at(parse_hours(hours), BERLIN, at(now)) == wanted


@pytest.mark.parametrize(
    ("hours", "opens", "closes"),
    [
        ("Su 02:10-02:40", "2026-10-25T00:10", "2026-10-25T01:40"),
        ("Su 02:10-06:00", "2026-10-25T00:10", "2026-10-25T05:00"),
        ("Su 00:00-02:40", "2026-10-24T22:00", "2026-10-25T01:40"),
    ],
)
def test_in_the_hour_that_is_twice_it_opens_first_and_closes_last(
    hours: str, opens: str, closes: str
) -> None:
    """Nobody who comes within the hours by either clock finds it closed."""
    begin, end = at(opens, ZoneInfo("UTC")), at(closes, ZoneInfo("UTC"))

    assert opening_at(parse_hours(hours), BERLIN, begin - 1) == Opening(State.CLOSED, begin)
    assert opening_at(parse_hours(hours), BERLIN, begin) == Opening(State.OPEN, end)
    assert opening_at(parse_hours(hours), BERLIN, end).state is State.CLOSED


def test_unknown_hours_are_not_closed() -> None:
    """Nothing is said of a facility whose hours are not known."""
    assert opening_at(None, BERLIN, 0) == Opening(State.UNKNOWN)


@given(
    st.integers(1_600_000_000, 1_900_000_000),
    st.sampled_from(ZONES),
    st.sampled_from(["Mo-Fr 09:00-18:00", OFFICE, "Tu,Th 06:15-08:45; Su 20:00-23:30"]),
)
def test_the_sign_on_the_door_is_right(seconds: int, key: str, text: str) -> None:
    """It is open exactly while the clock on the wall is within the hours of that day, it stays so
    until the change that is named, and is otherwise then.
    """
    zone, hours = ZoneInfo(key), parse_hours(text)

    def by_the_wall(instant: int) -> bool:
        local = local_at(instant, zone)
        minute = local.hour * 60 + local.minute
        return any(begin <= minute < end for begin, end in hours.spans_of(local.date()))

    found = opening_at(hours, zone, seconds)

    assert (found.state is State.OPEN) == by_the_wall(seconds)
    if found.changes is not None:
        assert found.changes > seconds
        assert by_the_wall(found.changes - 1) == by_the_wall(seconds)
        assert by_the_wall(found.changes) != by_the_wall(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "Mo-Fr",
        "Mo-Fr 9:00-18:00",
        "Mo-Fr 09:00-18:60",
        "Mo-Fr 09:00-09:00",
        "Mo-Fr 24:00-25:00",
        "Mo-Fr 13:00-18:00,09:00-12:00",
        "Mo-Fr 09:00-13:00,12:00-18:00",
        "Mn 09:00-18:00",
        "PH off",
        "Feb 30 off",
        "2027 Feb 29 off",
        "Dec 26-24 off",
        "Foo 12 off",
        "off 09:00-12:00",
        "x" * 513,
    ],
)
def test_what_is_no_opening_hours_is_said(text: str) -> None:
    """In words for the author of the file."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_hours(text)


def test_a_year_of_changes_costs_little() -> None:
    """A page of a hundred offices is made in milliseconds: one office takes less than one."""
    hours, start = parse_hours(OFFICE), at("2026-01-01T00:00")
    for day in range(scaled(365, soak=365 * 20)):
        moment = start + day * 86_400 + timedelta(hours=day % 24).seconds
        assert opening_at(hours, BERLIN, moment).changes is not None
