"""What the fold answers: plain values, which the wire's messages of an item can take one to one.

Where a trail cannot tell, there is a `Doubt` beside what it tells.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.vocabulary import Milestone
    from query.journey.told import Told


class LegKind(StrEnum):
    """Which way an item goes."""

    FORWARD = "FORWARD"
    REDIRECT = "REDIRECT"
    """To another address."""
    RETURN = "RETURN"
    """Back to the sender."""


class Flag(StrEnum):
    """What is to be known beside the milestone; none of these is ever a milestone."""

    LATE = "LATE"
    """A source said so, or what was announced for the next step has passed."""
    STALLED = "STALLED"
    """Nobody has seen it for longer than is usual where it is: a scan, or the item, is missing."""
    HELD = "HELD"
    MISSENT = "MISSENT"
    DISPUTED = "DISPUTED"
    """After it was delivered, something was said of it that no delivered item can suffer."""
    CORRECTED = "CORRECTED"
    CONFLICT = "CONFLICT"
    """One identity came with two contents; both are taken as said."""
    BAD_NUMBER = "BAD_NUMBER"
    ACTION_REQUIRED = "ACTION_REQUIRED"


class Doubt(StrEnum):
    """What the trail does not tell."""

    CLOCKS_DISAGREE = "CLOCKS_DISAGREE"
    """Two places, or a departure and an arrival, closer in time than clocks can be trusted: which
    of them was last is not certain.
    """
    CLOCK_NEVER_SET = "CLOCK_NEVER_SET"
    """An event has the time of a clock that was never set: when it was is not known."""
    CLOCK_AHEAD = "CLOCK_AHEAD"
    """An event's time is in the future."""
    SCAN_MISSING = "SCAN_MISSING"
    """How it came to where it is was not scanned: what was seen there tells nothing of before."""
    WAY_NOT_SEEN = "WAY_NOT_SEEN"
    """It went on though it could not be delivered, or back to where it had been, and no scan says
    why: it may be on its way back, or to another address.
    """
    IN_CONTAINER = "IN_CONTAINER"
    """It was last seen going into a container: the container's own scans tell more."""
    SCANNED_AFTER_END = "SCANNED_AFTER_END"
    """It was scanned after it had come to its end, without the beginning of another way."""
    RETURN_OR_REUSE = "RETURN_OR_REUSE"
    """It was accepted again after its end: a way back, or another item with the same number."""
    BEGINNING_NOT_SEEN = "BEGINNING_NOT_SEEN"
    """Nothing was seen of how it was handed in."""
    CUSTOMS_END_NOT_SEEN = "CUSTOMS_END_NOT_SEEN"
    """Customs held it, and it went on without a scan of how they gave it back: how long it was
    theirs is not known, and counts as the post's.
    """
    UNDATED_LEFT_OUT = "UNDATED_LEFT_OUT"
    """Events without a time could be of any of several items, and are counted for none."""


class Presence(StrEnum):
    """How an item is, or was last, at a place."""

    UNKNOWN = "UNKNOWN"
    """Nobody has seen it in a place."""
    WITH_PARTNER = "WITH_PARTNER"
    AT = "AT"
    LEFT = "LEFT"
    """It left the facility; where it was announced, it is on its way to the next one."""
    ON_TOUR = "ON_TOUR"
    """It is out with a tour of the facility."""
    HANDED_OVER = "HANDED_OVER"
    """It is no longer with the carrier."""


class Confidence(StrEnum):
    """How far a scan of a delivery can be trusted."""

    LOW = "LOW"
    FAIR = "FAIR"
    """Nothing speaks against it, and no position for it."""
    GOOD = "GOOD"


class Weakness(StrEnum):
    """What speaks against a scan of a delivery, or cannot speak for it."""

    AT_FACILITY = "AT_FACILITY"
    """Scanned where the facility is, though it says that it was brought to a door."""
    FAR_AWAY = "FAR_AWAY"
    """Scanned further from the facility than its tours go."""
    NO_POSITION = "NO_POSITION"
    """Without a position, or the facility's is not known."""
    BURST = "BURST"
    """Scanned in one go with the tour or an arrival."""
    NO_TOUR = "NO_TOUR"
    """At a door, and no tour before."""
    SCANNED_AFTERWARDS = "SCANNED_AFTERWARDS"
    """The carrier had it in hand afterwards."""
    TAKEN_BACK = "TAKEN_BACK"
    """Another scan of this delivery was withdrawn or corrected."""
    CONTRADICTED = "CONTRADICTED"
    """It is disputed, or came with two contents."""


class Whereabouts(NamedTuple):
    """Where an item is as far as anybody saw: nothing is known of the time since `at`."""

    presence: Presence
    facility: str
    next_facility: str
    """Where it goes next, where that was announced."""
    seen: Told | None
    """The scan that says so."""


class Proof(NamedTuple):
    """The proof of a delivery, and how far it can be trusted."""

    by: Told
    """The scan of the delivery; of several the first."""
    mode: int
    """`DeliveryMode` of the wire."""
    attachments: Sequence[tuple[int, bytes]]
    """`AttachmentKind` of the wire and SHA-256, of each document that lies elsewhere."""
    has_personal: bool
    """True: a signatory, or another personal datum, lies sealed beside it."""
    confidence: Confidence
    weaknesses: Sequence[Weakness]


class Accepted(NamedTuple):
    """Item Accepted."""

    by: Told
    office: str
    place: str
    """In words, where there is no code."""


class InTransit(NamedTuple):
    """In Transit."""

    by: Told
    """The last physical scan on the way."""
    location: str
    next_facility: str
    expected_from_ns: int
    """When it is expected there; 0 where nobody announced it."""
    expected_until_ns: int


class OutForDelivery(NamedTuple):
    """Out for Delivery."""

    by: Told
    facility: str
    area: str
    """Postal code area of the destination; empty where nobody announced it."""
    expected_from_ns: int
    expected_until_ns: int
    address: bytes
    """Sealed personal data with the address: empty where there is none. Only a caller that may
    unseal it can show it.
    """


class Delivered(NamedTuple):
    """Delivered."""

    by: Told
    facility: str
    place: str
    mode: int


class Stages(NamedTuple):
    """The four stages as users know them; None where one is not reached."""

    accepted: Accepted | None
    in_transit: InTransit | None
    out_for_delivery: OutForDelivery | None
    delivered: Delivered | None


class Correction(NamedTuple):
    """One correction: what it says, and what was said before; both stay visible."""

    by: Told
    corrected: Sequence[Told]
    """All versions of the event that it names; empty where that has not come (yet)."""
    in_effect: bool
    """False: it was itself corrected."""


class Leg(NamedTuple):
    """One way of an item: to its address, to another one, or back."""

    kind: LegKind
    milestone: Milestone
    since: Told
    """The event that brought it to this milestone."""
    by: Told
    """The last event that says so."""
    began: Told
    scans: int
    """Events of this leg where somebody had the item in hand."""
    notices: int
    """Events of this leg that nobody saw the item for."""
    missing: int
    """Scans that must have been missed, since what came after them was seen: at least so many."""


class Instance(NamedTuple):
    """One item that has, or had, the number."""

    events: Sequence[Told]
    """All that stands of what was told of it, in order."""
    legs: Sequence[Leg]
    """At least one; the last is the present one."""
    flags: frozenset[Flag]
    doubts: frozenset[Doubt]
    in_state_ns: int
    """How long it has had its milestone."""
    silent_ns: int
    """How long nobody has seen it; -1 where nobody ever has."""
    last_scan: Told | None
    """The last physical scan."""
    last_notice: Told | None
    """The last event that nobody saw the item for."""
    where: Whereabouts
    proof: Proof | None
    stages: Stages
    corrections: Sequence[Correction]
    conflicts: Sequence[Sequence[Told]]
    """For each identity that came with several contents, these."""
    next_change_ns: int
    """When time alone changes a flag or a doubt next; 0 where it never does."""

    @property
    def leg(self) -> Leg:
        """The present leg."""
        return self.legs[-1]

    @property
    def milestone(self) -> Milestone:
        """How far it is."""
        return self.legs[-1].milestone

    @property
    def carriers(self) -> Sequence[str]:
        """Who told of it, as far as they gave a carrier's name."""
        return carriers_of(self.events)


class Beside(NamedTuple):
    """Another item that had the number: what is said of it beside the newest."""

    carriers: Sequence[str]
    milestone: Milestone
    first_ns: int
    last_ns: int


class Item(NamedTuple):
    """What a number stands for."""

    instance: Instance
    """The newest item with the number."""
    others: Sequence[Beside]
    """Earlier ones, and those of other carriers, by their beginnings."""


def carriers_of(events: Sequence[Told]) -> Sequence[str]:
    """Give the carriers that events name."""
    return sorted({one.event.carrier for one in events} - {""})
