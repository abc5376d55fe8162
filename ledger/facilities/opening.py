"""Whether a facility is open at an instant, and when that changes. Pure.

Opening hours are wall-clock times: on the days on which clocks change, an office opens the first
time that its clock shows the hour, and closes the last time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.facilities.local_time import last_instant, local_at, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from ledger.facilities.hours import Hours

LOOK_AHEAD_DAYS: Final = 14
"""Days ahead in which the next change is looked for: longer holidays are no opening hours."""


class State(StrEnum):
    """Whether a facility is open, by the names of the wire."""

    UNKNOWN = "UNSPECIFIED"
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    NOT_PUBLIC = "NOT_PUBLIC"


class Opening(NamedTuple):
    """Whether it is open, and the instant at which that changes, in seconds since 1970."""

    state: State
    changes: int | None = None
    """None: not within LOOK_AHEAD_DAYS."""


def opening_at(hours: Hours | None, zone: tzinfo, seconds: int) -> Opening:
    """Say whether it is open at an instant, and when that changes."""
    if hours is None:
        return Opening(State.UNKNOWN)
    if hours.is_off:
        return Opening(State.NOT_PUBLIC)
    end = seconds + LOOK_AHEAD_DAYS * 86_400
    for begin, until in _joined(_spans(hours, zone, seconds)):
        if until <= seconds:
            continue
        if begin <= seconds:
            return Opening(State.OPEN, until if until <= end else None)
        return Opening(State.CLOSED, begin if begin <= end else None)
    return Opening(State.CLOSED)


def _spans(hours: Hours, zone: tzinfo, seconds: int) -> Iterator[tuple[int, int]]:
    """Give when it is open, from the day before (a night may go on) until behind the last day."""
    today = local_at(seconds, zone).date()
    for ahead in range(-1, LOOK_AHEAD_DAYS + 2):
        day = today + timedelta(days=ahead)
        midnight = datetime(day.year, day.month, day.day)
        for begin, until in hours.spans_of(day):
            yield (
                resolve(midnight + timedelta(minutes=begin), zone).seconds,
                last_instant(midnight + timedelta(minutes=until), zone),
            )


def _joined(spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join spans without a time between them: who is open day and night never closes."""
    last: tuple[int, int] | None = None
    for span in spans:
        if last is not None and span[0] <= last[1]:
            last = (last[0], max(last[1], span[1]))
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last
