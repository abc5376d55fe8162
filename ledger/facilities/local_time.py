"""Local times and their instants: in one zone, on the two days a year on which that is no matter of
course too. Pure but for the time zones themselves.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from datetime import tzinfo

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


class Doubt(StrEnum):
    """Why a local time names no single instant."""

    NONE = ""
    AMBIGUOUS = "AMBIGUOUS"
    """Clocks went back: it was twice. The first of the two is taken."""
    SKIPPED = "SKIPPED"
    """Clocks went forward: it never was. It is read as if they had not, and so lies that much
    later.
    """


class Resolved(NamedTuple):
    """The instant that a local time names."""

    seconds: int
    """Since 1970-01-01T00:00:00Z."""
    offset_minutes: int
    """Local time minus UTC at that instant."""
    doubt: Doubt


def zone_of(key: str) -> ZoneInfo:
    """Give an IANA time zone. Raises ValueError for what is none on every machine."""
    if key != "UTC" and "/" not in key:
        raise ValueError(key)
    try:
        return ZoneInfo(key)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise ValueError(key) from error


def resolve(local: datetime, zone: tzinfo) -> Resolved:
    """Give the instant of a local time, which has no zone and whole seconds."""
    first, second = (_offset(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    seconds = (local.replace(tzinfo=UTC) - _EPOCH) // _SECOND - first
    if first == second:
        return Resolved(seconds, first // 60, Doubt.NONE)
    if first > second:
        return Resolved(seconds, first // 60, Doubt.AMBIGUOUS)
    return Resolved(seconds, second // 60, Doubt.SKIPPED)


def last_instant(local: datetime, zone: tzinfo) -> int:
    """Give the last instant at which it is a local time, in seconds since 1970."""
    first, second = (_offset(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    # Of a time that never was both readings are the one after the clocks went forward.
    return (local.replace(tzinfo=UTC) - _EPOCH) // _SECOND - min(first, second)


def local_at(seconds: int, zone: tzinfo) -> datetime:
    """Give the local time at an instant, with its zone."""
    return (_EPOCH + timedelta(seconds=seconds)).astimezone(zone)


def offset_minutes_at(seconds: int, zone: tzinfo) -> int:
    """Give local time minus UTC at an instant, in minutes."""
    return _offset(local_at(seconds, zone)) // 60


def _offset(moment: datetime) -> int:
    offset = moment.utcoffset()
    assert offset is not None
    return offset // _SECOND
