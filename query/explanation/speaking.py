"""How places, times and durations are said in a language. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from ledger.facilities.local_time import offset_minutes_at
from ledger.v1.scan_event_pb2 import UtcOffsetSource
from query.journey.rules import SECOND_NS, UNDATED_NS

if TYPE_CHECKING:
    from ledger.facilities import Directory
    from query.journey import Told
    from query.texts import Language

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400

MINUTES_MAX: Final = 120
"""Up to two hours are said in minutes."""

HOURS_MAX: Final = 48
"""Up to two days are said in hours."""

_UNKNOWN_OFFSETS: Final = frozenset({
    UtcOffsetSource.UTC_OFFSET_SOURCE_UNSPECIFIED,
    UtcOffsetSource.UTC_OFFSET_SOURCE_UNKNOWN,
})  # fmt: skip


class Speaker:
    """Says things in one language. What is not known is said as an empty text."""

    def __init__(self, language: Language, directory: Directory) -> None:
        """`directory` knows the facilities."""
        self.language = language
        self._directory = directory

    def place(self, facility_id: str, words: str = "") -> str:
        """Say a place: the facility by its name, else the words of the source, else its code."""
        facility = self._directory.get(facility_id)
        if facility is None:
            return words or facility_id
        city = facility.city if facility.city not in facility.name else ""
        return ", ".join(filter(None, (facility.name, city, facility.country)))

    def place_of(self, one: Told) -> str:
        """Say where an event was."""
        return self.place(one.event.facility, one.words)

    def time_of(self, one: Told) -> str:
        """Say when an event was, by the clock on the wall there; where that is not known, in UTC,
        and said so. A clock that was never set says nothing.
        """
        if one.scan_time_ns < UNDATED_NS:
            return ""
        minutes = self._minutes_of(one)
        if one.event.date_only:
            return self._date(_local(one.scan_time_ns, minutes or 0))
        return self._moment(one.scan_time_ns, minutes)

    def instant(self, time_ns: int, facility_id: str = "") -> str:
        """Say an instant by the clock on the wall of a facility, else in UTC."""
        return self._moment(time_ns, self._zone_minutes(time_ns, facility_id))

    def window(self, from_ns: int, until_ns: int, facility_id: str) -> str:
        """Say from when until when something is expected; 0 is not said."""
        begin = self.instant(from_ns, facility_id) if from_ns else ""
        end = self.instant(until_ns, facility_id) if until_ns else ""
        if begin and end and begin != end:
            return self.language.fill("language", "window", {"from": begin, "until": end})
        return end or begin

    def duration(self, time_ns: int) -> str:
        """Say how long something takes, in whole units, never too much."""
        return duration_in(self.language, time_ns)

    def _minutes_of(self, one: Told) -> int | None:
        if one.event.utc_offset_source not in _UNKNOWN_OFFSETS:
            return one.event.utc_offset_minutes
        # A date is that of UTC then: another zone would make another date of it.
        if one.event.date_only:
            return None
        return self._zone_minutes(one.scan_time_ns, one.event.facility)

    def _zone_minutes(self, time_ns: int, facility_id: str) -> int | None:
        facility = self._directory.get(facility_id)
        if facility is None:
            return None
        return offset_minutes_at(time_ns // SECOND_NS, facility.zone)

    def _moment(self, time_ns: int, minutes: int | None) -> str:
        local = _local(time_ns, minutes or 0)
        return self.language.say(
            "language",
            "moment",
            date=self._date(local),
            clock=local.strftime("%H:%M"),
            offset="UTC" if minutes is None else "",
        )

    def _date(self, local: datetime) -> str:
        return self.language.say(
            "language",
            "date",
            day=f"{local.day}",
            month=self.language.months[local.month - 1],
            year=f"{local.year}",
        )


def duration_in(language: Language, time_ns: int) -> str:
    """Say in a language how long something takes, in whole units, never too much."""
    seconds = time_ns // SECOND_NS
    if seconds < _MINUTE_S:
        return language.say("unit", "moment")
    if seconds < MINUTES_MAX * _MINUTE_S:
        unit, count = "minute", seconds // _MINUTE_S
    elif seconds < HOURS_MAX * _HOUR_S:
        unit, count = "hour", seconds // _HOUR_S
    else:
        unit, count = "day", seconds // _DAY_S
    form = "one" if count == 1 else "other"
    return language.say("unit", f"{unit}_{form}", count=f"{count}")


def _local(time_ns: int, minutes: int) -> datetime:
    return _EPOCH + timedelta(seconds=time_ns // SECOND_NS, minutes=minutes)
