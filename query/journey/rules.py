"""What each event does to an item: how far it brings it, and where the item then is.

Milestone, flag and whether somebody had the item are the vocabulary's (`ledger.vocabulary`); the
ranks and places beside them are the fold's own.
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.scan_event_pb2 import EventAction, EventReason, ScanEventType
from ledger.vocabulary import CANONICAL, Milestone

if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND_NS: Final = 1_000_000_000
HOUR_NS: Final = 3_600 * SECOND_NS
DAY_NS: Final = 24 * HOUR_NS

CLOCK_DOUBT_NS: Final = 65 * 60 * SECOND_NS
"""Two scans of different devices that are closer may stand in the wrong order: a clock that missed
a change to or from summer time is an hour off, and those that are right are minutes off.
"""

REUSE_NS: Final = 120 * DAY_NS
"""So long after its last event an item that begins is another one. USPS keeps a number's data for
120 days and posts use one again after 12 months at the earliest; returns come within 100 days.
"""

SILENT_REUSE_NS: Final = 365 * DAY_NS
"""After so long without a word any scan is one of another item, also where its beginning was not
seen: no item lies somewhere for a year and goes on.
"""

AHEAD_NS: Final = 300 * SECOND_NS
"""5 minutes: what is further in the future comes from a clock that is wrong."""

UNDATED_NS: Final = DAY_NS
"""Events before 1970-01-02 have the time of a clock that was never set."""

DOOR_RANK: Final = 3
"""From this rank on an event is about the end of a leg, from the tour on."""

END_RANK: Final = 8
"""From this rank on nothing but another leg changes the milestone."""


class Rank(IntEnum):
    """How far along a leg an event is. Within the doubt of clocks the higher one stands."""

    NONE = -1
    """It changes no milestone."""
    ANNOUNCED = 0
    ACCEPTED = 1
    MOVING = 2
    TOUR = DOOR_RANK
    TRIED = 4
    GIVEN_UP = 5
    OVER = 7
    """Lost, seized, cancelled: until somebody has it in hand again."""
    ENDED = END_RANK


class Place(IntEnum):
    """What an event says of the place of an item."""

    NONE = 0
    PARTNER = 1
    COMES = 2
    """It has come to the facility."""
    IS = 3
    """It is in the facility: it must have come before."""
    LEAVES = 4
    TOUR = 5
    GONE = 6


class Rule(NamedTuple):
    """What one event type does."""

    milestone: Milestone
    rank: int
    place: int
    is_physical: bool
    flag: str
    """The vocabulary's: late, held, missent; empty for none."""
    begins: bool
    """An item begins with it."""


_P: Final = "SCAN_EVENT_TYPE_"
_RANKS: Final = {
    Rank.ANNOUNCED: "LABEL_CREATED PARTNER_PICKED_UP",
    Rank.ACCEPTED: "ACCEPTED",
    Rank.TOUR: "OUT_FOR_DELIVERY",
    Rank.TRIED: "DELIVERY_ATTEMPTED READY_FOR_PICKUP",
    Rank.GIVEN_UP: "UNDELIVERABLE",
    Rank.OVER: "LOST SEIZED CANCELLED",
    Rank.ENDED: "DELIVERED RETURNED DISPOSED",
}
_PLACES: Final = {
    Place.PARTNER: "PARTNER_PICKED_UP",
    Place.COMES: "ACCEPTED ARRIVED UNLOADED MISSENT EXPORT_ARRIVED TRANSIT_ARRIVED IMPORT_ARRIVED "
    "READY_FOR_PICKUP UNDELIVERABLE RETURN_STARTED",
    Place.IS: "SORTED LOADED CONTAINERED UNCONTAINERED CUSTOMS_PRESENTED CUSTOMS_RELEASED HELD "
    "DAMAGED",
    Place.LEAVES: "DEPARTED EXPORT_DEPARTED TRANSIT_DEPARTED IMPORT_DEPARTED",
    Place.TOUR: "OUT_FOR_DELIVERY DELIVERY_ATTEMPTED",
    Place.GONE: "DELIVERED RETURNED DISPOSED",
}


def _by_type(groups: Mapping[Rank, str] | Mapping[Place, str]) -> dict[str, int]:
    return {name: int(group) for group, names in groups.items() for name in names.split()}


def _rules() -> Mapping[int, Rule]:
    ranks, places = _by_type(_RANKS), _by_type(_PLACES)
    return {
        int(number): Rule(
            event.milestone,
            ranks.get(event.name, Rank.MOVING) if event.milestone else int(Rank.NONE),
            places.get(event.name, int(Place.NONE)),
            event.is_physical,
            event.flag,
            event.name in {"LABEL_CREATED", "PARTNER_PICKED_UP", "ACCEPTED"},
        )
        for number, event in CANONICAL.items()
    }


RULES: Final = _rules()
"""What each type does; nobody changes it. (A proxy would cost more than looking it up.)"""

NOTHING: Final = Rule(Milestone.NONE, Rank.NONE, Place.NONE, False, "", False)
"""What a type of a newer wire does."""

ENDINGS: Final = frozenset({Milestone.DELIVERED, Milestone.RETURNED, Milestone.DISPOSED})
"""Milestones that only another leg changes."""

CLOSED: Final = ENDINGS | {Milestone.LOST, Milestone.SEIZED, Milestone.CANCELLED}
"""Milestones after which nobody waits for a scan."""

USUAL_SILENCE: Final[Mapping[Milestone, int]] = MappingProxyType({
    Milestone.ACCEPTED: 3 * DAY_NS,
    Milestone.IN_TRANSIT: 7 * DAY_NS,
    Milestone.CUSTOMS: 14 * DAY_NS,
    Milestone.HELD: 14 * DAY_NS,
    Milestone.OUT_FOR_DELIVERY: DAY_NS,
    Milestone.ATTEMPTED: 3 * DAY_NS,
    Milestone.READY_FOR_PICKUP: 16 * DAY_NS,
    Milestone.EXCEPTION: 7 * DAY_NS,
    Milestone.RETURNING: 10 * DAY_NS,
})  # fmt: skip
"""How long nobody sees an item where all is well: posts look for an item after a week without a
scan, a shelf keeps one for two weeks. A caller that knows the lane better gives its own.
"""

ASKING_ACTIONS: Final = frozenset({
    EventAction.EVENT_ACTION_HELD_FOR_PICKUP,
    EventAction.EVENT_ACTION_RECIPIENT_CONTACTED,
    EventAction.EVENT_ACTION_SENDER_CONTACTED,
})  # fmt: skip
"""Somebody outside is to act."""

ASKING_REASONS: Final = frozenset({
    EventReason.EVENT_REASON_INSUFFICIENT_ADDRESS,
    EventReason.EVENT_REASON_INCORRECT_ADDRESS,
    EventReason.EVENT_REASON_CUSTOMS_DOCUMENTS,
    EventReason.EVENT_REASON_CUSTOMS_DUTY,
    EventReason.EVENT_REASON_PAYMENT_DUE,
    EventReason.EVENT_REASON_IDENTITY_NOT_SHOWN,
})  # fmt: skip
"""Nothing goes on until somebody outside acts."""

CUSTOMS_HELD: Final = int(ScanEventType.SCAN_EVENT_TYPE_CUSTOMS_HELD)

CUSTOMS_ENDS: Final = frozenset(
    ScanEventType.Value(f"{_P}{name}")
    for name in ("CUSTOMS_RELEASED", "EXPORT_DEPARTED", "IMPORT_DEPARTED")
)
"""One of these has to follow where customs held an item (of UPU's codes EXC, EDC, EMC or EMF), or
the time is the post's.
"""

_ON_THE_WAY: Final = (
    "ARRIVED DEPARTED OUT_FOR_DELIVERY DELIVERY_ATTEMPTED READY_FOR_PICKUP DELIVERED"
)
PAST_CUSTOMS: Final = frozenset(ScanEventType.Value(f"{_P}{name}") for name in _ON_THE_WAY.split())
"""Where one of these is scanned, customs have given it back."""


class Types:
    """The event types that the fold names, as plain numbers."""

    LABEL_CREATED = int(ScanEventType.SCAN_EVENT_TYPE_LABEL_CREATED)
    ACCEPTED = int(ScanEventType.SCAN_EVENT_TYPE_ACCEPTED)
    OUT_FOR_DELIVERY = int(ScanEventType.SCAN_EVENT_TYPE_OUT_FOR_DELIVERY)
    ATTEMPTED = int(ScanEventType.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED)
    DELIVERED = int(ScanEventType.SCAN_EVENT_TYPE_DELIVERED)
    REDIRECTED = int(ScanEventType.SCAN_EVENT_TYPE_REDIRECTED)
    UNDELIVERABLE = int(ScanEventType.SCAN_EVENT_TYPE_UNDELIVERABLE)
    RETURN_STARTED = int(ScanEventType.SCAN_EVENT_TYPE_RETURN_STARTED)
    RETURNED = int(ScanEventType.SCAN_EVENT_TYPE_RETURNED)
    DAMAGED = int(ScanEventType.SCAN_EVENT_TYPE_DAMAGED)
    LOST = int(ScanEventType.SCAN_EVENT_TYPE_LOST)
    READY_FOR_PICKUP = int(ScanEventType.SCAN_EVENT_TYPE_READY_FOR_PICKUP)
    CORRECTION = int(ScanEventType.SCAN_EVENT_TYPE_CORRECTION)
