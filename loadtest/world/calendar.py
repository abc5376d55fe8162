"""When a post works: local times, weekdays, holidays, and how much is posted on which day.

Times are milliseconds since 1970 in UTC, days are numbers since 1970 in the time of a place. The
year has a quiet summer and a peak before Christmas; a week its Monday; holidays are those that
stand on the same date every year.
"""

from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

AHEAD_MS = 14 * HOUR_MS
"""No place is further ahead of UTC: a local day never begins earlier before the day in UTC."""

USUAL = 1_000
"""Weight of an average day."""

_EPOCH = date(1970, 1, 1).toordinal()
_MONDAY_TO_FRIDAY = frozenset(range(5))
_MONDAY_TO_SATURDAY = frozenset(range(6))
_ALL_DAYS = frozenset(range(7))
_SUNDAY = 6
_CHRISTMAS = ((12, 25), (12, 26))

_WEEK = (1_250, 1_130, 1_080, 1_080, 1_200, 900, 360)
"""What is posted on each weekday, from Monday; parts of an average day."""

# Month, day, and what is posted then; straight lines between. Its mean over a year is USUAL.
_YEAR = (
    *((1, 1, 850), (1, 20, 900), (3, 1, 940), (5, 15, 950), (7, 15, 860), (8, 20, 880)),
    *((10, 1, 960), (11, 10, 1_080), (11, 24, 1_420), (12, 1, 1_650), (12, 16, 1_950)),
    *((12, 22, 1_500), (12, 26, 700), (12, 31, 820)),
)
_DAYS_KEPT = 2_048


class Country(NamedTuple):
    """How the post of a country works."""

    volume: int
    """How much of all is posted there, as a weight."""

    delivers: frozenset[int]
    """Weekdays on which items are brought; Monday is 0."""

    holidays: frozenset[tuple[int, int]]
    """Months and days on which nothing is brought and no post office is open."""


COUNTRIES = {
    "AU": Country(5, _MONDAY_TO_FRIDAY, frozenset({(1, 1), (1, 26), (4, 25), *_CHRISTMAS})),
    "BR": Country(
        6,
        _MONDAY_TO_FRIDAY,
        frozenset({(1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (12, 25)}),
    ),
    "CA": Country(6, _MONDAY_TO_FRIDAY, frozenset({(1, 1), (7, 1), *_CHRISTMAS})),
    "CH": Country(3, _MONDAY_TO_SATURDAY, frozenset({(1, 1), (8, 1), *_CHRISTMAS})),
    "DE": Country(14, _MONDAY_TO_SATURDAY, frozenset({(1, 1), (5, 1), (10, 3), *_CHRISTMAS})),
    "FR": Country(
        10,
        _MONDAY_TO_SATURDAY,
        frozenset(
            {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)},
        ),
    ),
    "GB": Country(11, _MONDAY_TO_SATURDAY, frozenset({(1, 1), *_CHRISTMAS})),
    "IN": Country(8, _MONDAY_TO_SATURDAY, frozenset({(1, 26), (8, 15), (10, 2), (12, 25)})),
    "JP": Country(11, _ALL_DAYS, frozenset({(1, 2)})),
    "NL": Country(5, _MONDAY_TO_SATURDAY, frozenset({(1, 1), (4, 27), *_CHRISTMAS})),
    "NZ": Country(2, _MONDAY_TO_SATURDAY, frozenset({(1, 1), (1, 2), (2, 6), *_CHRISTMAS})),
    "SG": Country(3, _MONDAY_TO_SATURDAY, frozenset({(1, 1), (5, 1), (8, 9), (12, 25)})),
    "US": Country(
        26,
        _MONDAY_TO_SATURDAY,
        frozenset({(1, 1), (6, 19), (7, 4), (11, 11), (12, 25)}),
    ),
}

CUSTOMS_UNION = frozenset({"DE", "FR", "NL"})
"""Between these nothing is presented to customs."""


class Zone:
    """One time zone.

    Attributes:
        name: by IANA.
    """

    __slots__ = ("_days", "_info", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._info = ZoneInfo(name)
        self._days: dict[int, int | None] = {}

    def offset_ms(self, time_ms: int) -> int:
        """Local time minus UTC at a moment."""
        offset = self.of_day(time_ms // DAY_MS)
        return self._exact(time_ms) if offset is None else offset

    def of_day(self, day: int) -> int | None:
        """Local time minus UTC on a whole day (UTC); None where clocks change on it."""
        try:
            return self._days[day]
        except KeyError:
            if len(self._days) >= _DAYS_KEPT:
                self._days.clear()
            begin, end = self._exact(day * DAY_MS), self._exact(day * DAY_MS + DAY_MS)
            self._days[day] = begin if begin == end else None
            return self._days[day]

    def moment(self, day: int, of_day_ms: int) -> int:
        """Give the moment at which clocks there show a time of a day."""
        shown = day * DAY_MS + of_day_ms
        guess = shown - self.offset_ms(shown)
        return shown - self.offset_ms(guess)  # Clocks may change between the two.

    def _exact(self, time_ms: int) -> int:
        offset = datetime.fromtimestamp(time_ms // 1_000, UTC).astimezone(self._info).utcoffset()
        assert offset is not None
        return int(offset.total_seconds()) * SECOND_MS


@cache
def zone(name: str) -> Zone:
    """Give a time zone by its IANA name."""
    return Zone(name)


def weekday(day: int) -> int:
    """Give the weekday of a day; Monday is 0."""
    return (day + 3) % 7  # The first day of 1970 was a Thursday.


@lru_cache(_DAYS_KEPT)
def season(day: int) -> int:
    """Give how much is posted in that part of the year; `USUAL` is the mean of a year."""
    year, (first, *later) = date.fromordinal(_EPOCH + day).year, _YEAR
    before_day, before = _number(year, *first[:2]), first[2]
    for month, day_of_month, weight in later:
        after_day = _number(year, month, day_of_month)
        if day <= after_day:
            return before + (weight - before) * (day - before_day) // (after_day - before_day)
        before_day, before = after_day, weight
    raise AssertionError(day)


@lru_cache(_DAYS_KEPT)
def posted(day: int) -> int:
    """Give how much is posted on a day; `USUAL` is the mean."""
    return season(day) * _WEEK[weekday(day)] // 1_000


@lru_cache(_DAYS_KEPT)
def is_open(country: str, day: int) -> bool:
    """Tell whether post offices take items: from Monday to Saturday, but for holidays."""
    return weekday(day) != _SUNDAY and not _is_holiday(country, day)


@lru_cache(_DAYS_KEPT)
def is_delivered(country: str, day: int) -> bool:
    """Tell whether items are brought."""
    return weekday(day) in COUNTRIES[country].delivers and not _is_holiday(country, day)


def runs(day: int) -> bool:
    """Tell whether trucks drive between a post office or delivery unit and its sorting centre."""
    return weekday(day) != _SUNDAY


def year_digit(day: int) -> int:
    """Give the last digit of the year, as it stands in a receptacle's id."""
    return date.fromordinal(_EPOCH + day).year % 10


@lru_cache(_DAYS_KEPT)
def date_digits(day: int) -> str:
    """Give a day as YYMMDD."""
    return date.fromordinal(_EPOCH + day).strftime("%y%m%d")


def _is_holiday(country: str, day: int) -> bool:
    then = date.fromordinal(_EPOCH + day)
    return (then.month, then.day) in COUNTRIES[country].holidays


def _number(year: int, month: int, day: int) -> int:
    return date(year, month, day).toordinal() - _EPOCH
