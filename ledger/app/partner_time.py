"""The times of partners' lists: mostly local, mostly without an offset, and twice a year in doubt.

A local time gets its instant by the zone of its facility, or by a rule of the partner's format. The
event says where its offset comes from, and a time that was twice or never is marked in it.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from ledger.app.event_fields import Moment, parse_time
from ledger.errors import Refused
from ledger.facilities import Directory, Doubt, resolve
from ledger.facilities.local_time import offset_minutes_at
from ledger.v1.scan_event_pb2 import ScanEvent, UtcOffsetSource

LOCAL_TIME: Final = "local_time"
"""Attribute of an event whose local time is in doubt: the time as the partner wrote it."""

LOCAL_TIME_DOUBT: Final = "local_time_doubt"
"""Attribute beside it: AMBIGUOUS or SKIPPED."""

SECONDS_END: Final = 7_258_118_400
"""2200-01-01T00:00:00Z: the ledger takes no time from then on, and none before 1970."""

_EPOCH: Final = datetime(1970, 1, 1)
_DAY_S: Final = 86_400
_DEVICE: Final = UtcOffsetSource.UTC_OFFSET_SOURCE_DEVICE
_FACILITY: Final = UtcOffsetSource.UTC_OFFSET_SOURCE_FACILITY
_INFERRED: Final = UtcOffsetSource.UTC_OFFSET_SOURCE_INFERRED
_UNKNOWN: Final = UtcOffsetSource.UTC_OFFSET_SOURCE_UNKNOWN


class TimeRule(NamedTuple):
    """How a partner writes times."""

    form: str = ""
    """As strptime takes it; empty: RFC 3339, with or without an offset."""
    zone: tzinfo | None = None
    """The zone of times without an offset; None: that of the facility."""
    otherwise: tzinfo | None = None
    """The zone of a facility that is not known; None: such a time is refused."""


class _Read(NamedTuple):
    zone: tzinfo
    source: UtcOffsetSource.ValueType


def put_scan_time(event: ScanEvent, text: str, rule: TimeRule, facilities: Directory) -> None:
    """Set the time of an event whose facility is set. Raises Refused."""
    moment = _moment(text, rule.form)
    # A day more: which one it is, only its zone says, and the ledger itself refuses the rest.
    if not -_DAY_S <= moment.seconds < SECONDS_END + _DAY_S:
        raise Refused(
            f"`scan_time` is `{text[:60]}`, which is outside of 1970 to 2199.",
            reason="OUT_OF_RANGE",
            field="scan_time",
        )
    here = _here(event, rule, facilities)
    seconds, offset = moment.seconds, moment.offset_minutes
    if moment.is_utc:
        event.utc_offset_source = _DEVICE
    else:
        read = here if rule.zone is None else _Read(rule.zone, _INFERRED)
        if read is None:
            raise Refused(
                f"The time `{text}` is local, and nobody says where: the facility "
                f"`{event.facility}` is not known, and the format has no zone for that.",
                reason="ZONE_UNKNOWN",
                field="facility",
            )
        found = resolve(_EPOCH + timedelta(seconds=moment.seconds), read.zone)
        if moment.date_only:
            # The date of where it was read: midnight there, whatever the clocks did at that hour.
            seconds, offset = moment.seconds - found.offset_minutes * 60, found.offset_minutes
            event.utc_offset_source = _UNKNOWN if read.zone is UTC else read.source
        else:
            seconds = found.seconds
            _mark(event, text, found.doubt)
            here = here or (None if read.zone is UTC else read)
    if offset is None:
        if here is None:
            event.utc_offset_source = _UNKNOWN
        else:
            offset = offset_minutes_at(seconds, here.zone)
            event.utc_offset_source = here.source
    event.scan_time.seconds, event.scan_time.nanos = seconds, moment.nanos
    event.utc_offset_minutes = offset or 0
    event.date_only = moment.date_only


def _here(event: ScanEvent, rule: TimeRule, facilities: Directory) -> _Read | None:
    """Give the zone of where it was."""
    facility = facilities.get(event.facility)
    if facility is not None:
        return _Read(facility.zone, _FACILITY)
    return None if rule.otherwise is None else _Read(rule.otherwise, _INFERRED)


def _mark(event: ScanEvent, text: str, doubt: Doubt) -> None:
    if doubt is not Doubt.NONE:
        event.attributes.add(name=LOCAL_TIME, value=text)
        event.attributes.add(name=LOCAL_TIME_DOUBT, value=doubt)


def _moment(text: str, form: str) -> Moment:
    if not form:
        return parse_time("scan_time", text)
    try:
        read = datetime.strptime(text, form)
    except ValueError:
        raise Refused(
            f"`scan_time` is `{text[:60]}`; it is a time of the form `{form}`.",
            reason="MALFORMED",
            field="scan_time",
        ) from None
    offset = read.utcoffset()
    seconds = calendar.timegm(read.replace(tzinfo=None).timetuple())
    # Z says which instant it is, and nothing about the clocks of the place.
    is_known = offset is not None and not text.rstrip().endswith(("Z", "z"))
    minutes = offset // timedelta(minutes=1) if offset is not None and is_known else None
    return Moment(
        seconds=seconds - (0 if offset is None else offset // timedelta(seconds=1)),
        nanos=read.microsecond * 1_000,
        offset_minutes=minutes,
        is_utc=offset is not None,
        date_only=not has_hour(form),
    )


def has_hour(form: str) -> bool:
    """Whether times of a form have an hour, and are no dates alone."""
    return any(directive in form for directive in ("%H", "%I", "%X", "%c"))
