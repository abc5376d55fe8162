"""What each value of an item is called, and how long something took. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from ledger.app.place_render import Known, facility_words
from ledger.app.render import printable
from ledger.v1 import item_pb2 as pb
from ledger.v1.scan_event_pb2 import DeliveryMode

MILESTONE_WORDS: Final[Mapping[int, str]] = {
    pb.MILESTONE_UNSPECIFIED: "nothing known about where it is",
    pb.MILESTONE_PRE_SHIPMENT: "announced by the sender",
    pb.MILESTONE_ACCEPTED: "accepted",
    pb.MILESTONE_IN_TRANSIT: "in transit",
    pb.MILESTONE_CUSTOMS: "with customs or security",
    pb.MILESTONE_HELD: "waiting",
    pb.MILESTONE_OUT_FOR_DELIVERY: "out for delivery",
    pb.MILESTONE_ATTEMPTED: "delivery tried without success",
    pb.MILESTONE_READY_FOR_PICKUP: "ready to be fetched",
    pb.MILESTONE_DELIVERED: "delivered",
    pb.MILESTONE_EXCEPTION: "there is a problem",
    pb.MILESTONE_RETURNING: "on its way back to the sender",
    pb.MILESTONE_RETURNED: "back at the sender",
    pb.MILESTONE_LOST: "reported lost",
    pb.MILESTONE_SEIZED: "taken by an authority",
    pb.MILESTONE_DISPOSED: "disposed of",
    pb.MILESTONE_CANCELLED: "cancelled",
}
"""How far an item is, in the words of explanations: an agent says what the customer reads."""

FLAG_WORDS: Final = {
    pb.ITEM_FLAG_LATE: "late",
    pb.ITEM_FLAG_STALLED: "no scan for longer than is usual",
    pb.ITEM_FLAG_HELD: "held",
    pb.ITEM_FLAG_MISSENT: "went the wrong way",
    pb.ITEM_FLAG_DISPUTED: "the delivery is in doubt",
    pb.ITEM_FLAG_CORRECTED: "an entry was corrected",
    pb.ITEM_FLAG_CONFLICT: "two versions of one entry",
    pb.ITEM_FLAG_BAD_NUMBER: "the number has a wrong check digit",
    pb.ITEM_FLAG_ACTION_REQUIRED: "somebody has to act",
}
"""What each flag says, in the words of explanations."""

DOUBT_WORDS: Final = {
    pb.ITEM_DOUBT_CLOCKS_DISAGREE: "two scans are so close that their clocks may have changed "
    "their order",
    pb.ITEM_DOUBT_CLOCK_NEVER_SET: "the clock of a scan was never set: when it was is not known",
    pb.ITEM_DOUBT_CLOCK_AHEAD: "a scan has a time in the future",
    pb.ITEM_DOUBT_SCAN_MISSING: "how it came to where it is was not scanned",
    pb.ITEM_DOUBT_WAY_NOT_SEEN: "it may be on its way back, or to another address: no scan says so",
    pb.ITEM_DOUBT_IN_CONTAINER: "it lies in a container, whose own scans tell more",
    pb.ITEM_DOUBT_SCANNED_AFTER_END: "it was scanned after it had come to its end",
    pb.ITEM_DOUBT_RETURN_OR_REUSE: "it was accepted again: a way back, or another item with this "
    "number",
    pb.ITEM_DOUBT_BEGINNING_NOT_SEEN: "nobody scanned how it was handed in",
    pb.ITEM_DOUBT_CUSTOMS_END_NOT_SEEN: "customs held it, and nobody scanned how they gave it back",
    pb.ITEM_DOUBT_UNDATED_LEFT_OUT: "scans without a time may be of another item, and are left out",
}
"""What each doubt says."""

WEAKNESS_WORDS: Final = {
    pb.DELIVERY_WEAKNESS_AT_FACILITY: "scanned where the facility is",
    pb.DELIVERY_WEAKNESS_FAR_AWAY: "scanned further away than tours go",
    pb.DELIVERY_WEAKNESS_NO_POSITION: "no position to compare",
    pb.DELIVERY_WEAKNESS_BURST: "scanned in one go with the tour",
    pb.DELIVERY_WEAKNESS_MANY_BESIDE: "many deliveries scanned there at that moment",
    pb.DELIVERY_WEAKNESS_NO_TOUR: "no tour before",
    pb.DELIVERY_WEAKNESS_SCANNED_AFTERWARDS: "the carrier scanned it afterwards",
    pb.DELIVERY_WEAKNESS_TAKEN_BACK: "another scan of this delivery was withdrawn",
    pb.DELIVERY_WEAKNESS_CONTRADICTED: "contradicted by what else was said",
}
"""What each weakness of a delivery says."""

PRESENCE_WORDS: Final = {
    pb.PRESENCE_WITH_PARTNER: "with a partner at",
    pb.PRESENCE_AT: "at",
    pb.PRESENCE_LEFT: "left",
    pb.PRESENCE_ON_TOUR: "on a tour from",
    pb.PRESENCE_HANDED_OVER: "handed over by",
}
"""What stands before a place."""

STYLES: Final = {
    pb.MILESTONE_DELIVERED: "bold green",
    pb.MILESTONE_RETURNED: "bold green",
    pb.MILESTONE_ATTEMPTED: "bold yellow",
    pb.MILESTONE_HELD: "bold yellow",
    pb.MILESTONE_READY_FOR_PICKUP: "bold yellow",
    pb.MILESTONE_EXCEPTION: "bold red",
    pb.MILESTONE_LOST: "bold red",
    pb.MILESTONE_SEIZED: "bold red",
    pb.MILESTONE_DISPOSED: "bold red",
}
"""How milestones are shown; others are bold."""

_UNITS: Final = (
    (172_800, 86_400, "day", "days"),
    (7_200, 3_600, "hour", "hours"),
    (60, 60, "minute", "minutes"),
)
"""From how many seconds on a unit is said, its seconds and its names; as explanations do, up to two
of a unit are said in the smaller one.
"""


def milestone_words(milestone: int) -> str:
    """Say how far an item is."""
    return MILESTONE_WORDS.get(milestone, f"milestone {milestone}")


def leg_words(kind: int) -> str:
    """Say which way an item goes."""
    return _word(pb.LegKind, kind, "LEG_KIND_")


def confidence_words(confidence: int) -> str:
    """Say how far a delivery can be trusted."""
    return _word(pb.DeliveryConfidence, confidence, "DELIVERY_CONFIDENCE_")


def mode_words(mode: int) -> str:
    """Say how it was handed over."""
    return _word(DeliveryMode, mode, "DELIVERY_MODE_")


def duration_words(duration: Duration) -> str:
    """Say how long, in the largest unit that is not too coarse."""
    for least, seconds, one, many in _UNITS:
        if duration.seconds >= least:
            count = duration.seconds // seconds
            return f"{count:,} {one if count == 1 else many}"
    return "less than a minute"


def _word(enum: Any, number: int, prefix: str) -> str:  # noqa: ANN401 - any enum of the wire.
    if not number:
        return ""
    if number not in enum.values():
        return f"{prefix.rstrip('_').lower()} {number}"
    return str(enum.Name(number)).removeprefix(prefix).replace("_", " ").lower()


def inside_words(keys: Iterable[str]) -> str:
    """Say in what an item lies, the nearest first."""
    return f"Lies in {', which lies in '.join(map(printable, keys))}"


def scanned_words(container_keys: Sequence[str]) -> str:
    """Say which container was scanned, where it was not the item itself."""
    return f" (with {printable(container_keys[-1])})" if container_keys else ""


def where_words(facility: str, words: str, known: Known) -> str:
    """Say where something was: the facility by its code and name, else the place in words."""
    found = known.get(facility)
    said = words or (facility_words(found) if found is not None else "")
    return printable(" · ".join(filter(None, (facility, said))))
