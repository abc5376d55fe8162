"""Opening hours as text, in the part of OpenStreetMap's notation that offices need. Pure.

`Mo-Fr 09:00-12:00,13:00-18:00; Sa 09:00-13:00; Dec 25 off; 2027 Jan 04 10:00-12:00`, `24/7`, `off`.
Of the rules for a day the last one stands.
"""

from __future__ import annotations

import re
from calendar import monthrange
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

TEXT_BYTES_MAX: Final = 512
"""Most bytes of a text: a year's holidays fit."""

DAY_MINUTES: Final = 24 * 60

_DAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_DATE: Final = re.compile(r"(?:(\d{4}) )?([A-Z][a-z]{2}) (\d{1,2})(?:-(\d{1,2}))?")
_SPAN: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_RULE: Final = re.compile(r"(?:(?P<days>[A-Z0-9].*?) )?(?P<times>off|[\d:,-]+)")
_LEAP_YEAR: Final = 2024

Span = tuple[int, int]
"""From and until, in minutes of a day; until may lie in the next day."""


class _Dates(NamedTuple):
    year: int | None
    month: int
    first: int
    last: int


class _Rule(NamedTuple):
    weekdays: frozenset[int]
    dates: Sequence[_Dates]
    spans: Sequence[Span]

    def holds(self, day: date) -> bool:
        return day.weekday() in self.weekdays or any(
            one.year in {None, day.year}
            and one.month == day.month
            and one.first <= day.day <= one.last
            for one in self.dates
        )


class Hours(NamedTuple):
    """When a facility is open."""

    text: str
    rules: Sequence[_Rule]

    @property
    def is_off(self) -> bool:
        """Whether it is never open: it does not serve the public."""
        return not any(rule.spans for rule in self.rules)

    def spans_of(self, day: date) -> Sequence[Span]:
        """Give when it is open on a day."""
        return next((rule.spans for rule in reversed(self.rules) if rule.holds(day)), ())


def parse_hours(text: str) -> Hours:
    """Read opening hours. Raises ValueError with what is wrong, in plain words."""
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise ValueError(f"it has more than {TEXT_BYTES_MAX} bytes")
    return Hours(text, tuple(_rule(part.strip()) for part in text.split(";") if part.strip()))


def _rule(text: str) -> _Rule:
    if text == "24/7":
        return _Rule(frozenset(range(7)), (), ((0, DAY_MINUTES),))
    match = _RULE.fullmatch(text)
    if not match:
        raise ValueError(
            f"`{text}` is no rule; it reads `Mo-Fr 09:00-18:00`, `Dec 25 off`, `24/7` or `off`"
        )
    days, times = match.group("days", "times")
    spans = () if times == "off" else tuple(_span(part) for part in times.split(","))
    if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
        raise ValueError(f"`{times}` has times that overlap or are not in their order")
    if not days:
        return _Rule(frozenset(range(7)), (), spans)
    weekdays: set[int] = set()
    dates: list[_Dates] = []
    for part in days.split(","):
        if match := _DATE.fullmatch(part.strip()):
            dates.append(_dates(part.strip(), *match.groups()))
        else:
            weekdays |= _weekdays(part.strip())
    return _Rule(frozenset(weekdays), tuple(dates), spans)


def _weekdays(text: str) -> set[int]:
    first, dash, last = text.partition("-")
    if first not in _DAYS or (dash and last not in _DAYS):
        known = ", ".join(_DAYS)
        raise ValueError(
            f"`{text}` is no day; there are {known}, and dates such as `Dec 25` or `2027 Mar 29`"
        )
    start = _DAYS.index(first)
    count = (_DAYS.index(last) - start) % 7 if dash else 0
    return {(start + i) % 7 for i in range(count + 1)}


def _dates(text: str, year: str | None, month: str, first: str, last: str | None) -> _Dates:
    if month not in _MONTHS:
        raise ValueError(f"`{text}` has no month; they are {', '.join(_MONTHS)}")
    number = _MONTHS.index(month) + 1
    found = _Dates(int(year) if year else None, number, int(first), int(last or first))
    days = monthrange(found.year or _LEAP_YEAR, number)[1]
    if not 1 <= found.first <= found.last <= days:
        raise ValueError(f"`{text}` is no date")
    return found


def _span(text: str) -> Span:
    match = _SPAN.fullmatch(text)
    hour, minute, until_hour, until_minute = map(int, match.groups()) if match else (25, 0, 25, 0)
    begin, end = hour * 60 + minute, until_hour * 60 + until_minute
    if not match or max(minute, until_minute) > 59 or begin >= DAY_MINUTES or end > DAY_MINUTES:
        raise ValueError(f"`{text}` is no time; it reads `09:00-18:00`, from 00:00 to 24:00")
    if begin == end:
        raise ValueError(f"`{text}` has no length; the whole day is `00:00-24:00`")
    return (begin, end) if end > begin else (begin, end + DAY_MINUTES)
