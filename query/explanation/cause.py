"""Why an item is where it is, as far as its trail can tell: the likeliest cause, and no verdict."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.scan_event_pb2 import ScanEventType
from ledger.vocabulary import Milestone
from query.journey import Doubt, Flag, Presence
from query.journey.rules import CLOSED, ENDINGS

if TYPE_CHECKING:
    from query.explanation.silence import Silence
    from query.journey import Instance, Told


class Cause(StrEnum):
    """What explains best how long it takes."""

    NOTHING_KNOWN = "NOTHING_KNOWN"
    """Nobody has seen it, so nothing can be said."""
    NOTHING_UNUSUAL = "NOTHING_UNUSUAL"
    """It takes no longer than is usual here."""
    OVER = "OVER"
    """It has come to its end: nobody waits for a scan."""
    NOT_HANDED_IN = "NOT_HANDED_IN"
    """It was announced, and nobody of the carrier has scanned it."""
    WITH_PARTNER = "WITH_PARTNER"
    """A partner has it, who tells less."""
    REASON_GIVEN = "REASON_GIVEN"
    """A source gave the reason: that is said instead."""
    LATE_WITHOUT_REASON = "LATE_WITHOUT_REASON"
    """What was announced has passed, and nobody said why."""
    WAITS_FOR_SOMEBODY = "WAITS_FOR_SOMEBODY"
    """It waits until somebody outside the carrier acts."""
    WITH_CUSTOMS = "WITH_CUSTOMS"
    """Customs or security has it, which scans nothing."""
    MISSENT = "MISSENT"
    """It went a wrong way, and goes on from there."""
    IN_CONTAINER = "IN_CONTAINER"
    """It travels in a container, which is scanned instead."""
    BETWEEN_COUNTRIES = "BETWEEN_COUNTRIES"
    """It left for another country, and is not scanned until it is taken over there."""
    BETWEEN_PLACES = "BETWEEN_PLACES"
    """It left a place, and did not come to the next one in the usual time: late, or not scanned."""
    STILL_THERE = "STILL_THERE"
    """It was scanned in a place, and not again in the usual time: it lies, or left unscanned."""
    TOUR_WITHOUT_END = "TOUR_WITHOUT_END"
    """It went out for delivery, and how that ended was not scanned."""


class Found(NamedTuple):
    """A cause, and the event that gives it where one does."""

    cause: Cause
    by: Told | None = None


_DELAYED: Final = int(ScanEventType.SCAN_EVENT_TYPE_DELAYED)
_ABROAD: Final = frozenset({
    int(ScanEventType.SCAN_EVENT_TYPE_EXPORT_DEPARTED),
    int(ScanEventType.SCAN_EVENT_TYPE_TRANSIT_DEPARTED),
})  # fmt: skip
_RELEASED: Final = int(ScanEventType.SCAN_EVENT_TYPE_CUSTOMS_RELEASED)


def cause_of(instance: Instance, silence: Silence) -> Found:
    """Name the likeliest cause."""
    reason = reason_of(instance)
    if reason is not None:
        return Found(Cause.REASON_GIVEN, reason)
    if instance.milestone in CLOSED:
        return Found(Cause.OVER)
    said = _said(instance)
    if said is not None:
        return Found(said)
    if silence.silent_ns < 0:
        announced = instance.milestone is Milestone.PRE_SHIPMENT
        return Found(Cause.NOT_HANDED_IN if announced else Cause.NOTHING_KNOWN)
    if silence.is_long:
        return Found(_seen(instance))
    late = Flag.LATE in instance.flags
    return Found(Cause.LATE_WITHOUT_REASON if late else Cause.NOTHING_UNUSUAL)


def reason_of(instance: Instance) -> Told | None:
    """Give the event with the reason of what is now: of the one that says how far it is, else of
    the last delay that was told on this leg. An end that went well has none.
    """
    leg = instance.leg
    if instance.milestone in ENDINGS:
        return None
    if leg.by.says.reason:
        return leg.by
    if Flag.LATE not in instance.flags:
        return None
    for one in reversed(instance.events):
        if one.scan_time_ns < leg.began.scan_time_ns:
            break
        if one.type == _DELAYED:
            return one if one.says.reason else None
    return None


def _said(instance: Instance) -> Cause | None:
    """Give what the trail itself says."""
    flags = instance.flags
    if Flag.ACTION_REQUIRED in flags:
        return Cause.WAITS_FOR_SOMEBODY
    if instance.milestone is Milestone.CUSTOMS and instance.leg.by.type != _RELEASED:
        return Cause.WITH_CUSTOMS
    if Flag.MISSENT in flags:
        return Cause.MISSENT
    if instance.milestone is Milestone.PRE_SHIPMENT:
        with_partner = instance.where.presence is Presence.WITH_PARTNER
        return Cause.WITH_PARTNER if with_partner else Cause.NOT_HANDED_IN
    return None


def _seen(instance: Instance) -> Cause:
    """Give what explains a long silence, by where it was seen last."""
    where = instance.where
    if Doubt.IN_CONTAINER in instance.doubts:
        return Cause.IN_CONTAINER
    if where.presence is Presence.ON_TOUR:
        return Cause.TOUR_WITHOUT_END
    if where.presence is Presence.LEFT:
        abroad = where.seen is not None and where.seen.type in _ABROAD
        return Cause.BETWEEN_COUNTRIES if abroad else Cause.BETWEEN_PLACES
    if where.presence is Presence.AT:
        return Cause.STILL_THERE
    return Cause.NOTHING_KNOWN
