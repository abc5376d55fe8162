"""What the fleet's plans say about an item at a moment, to hold the fold of its trail against.

It comes from the truth alone (`loadtest.truth`): a step that was missed or hidden by a bag has
happened here all the same. What was told of an item is what arrived under its number.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.numbers import UnfilableNumber, filing_key
from ledger.v1.scan_event_pb2 import ScanEvent
from loadtest.truth import record
from loadtest.world.encoding import upload
from loadtest.world.sendings import UNDECODABLE
from query.journey import Flag, LegKind, Presence, Told
from tests.trails import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtest.fleet import Fleet
    from query.journey import Item

Step = dict[str, Any]

_LEAVES = {"DEPARTED", "EXPORT_DEPARTED", "TRANSIT_DEPARTED", "IMPORT_DEPARTED"}
_TOUR = {"OUT_FOR_DELIVERY", "DELIVERY_ATTEMPTED"}
_GONE = {"DELIVERED", "RETURNED", "DISPOSED"}
# Nobody has the item in hand at these steps, whoever sends them.
_SAID = {
    "LABEL_CREATED",
    "IN_TRANSIT_NOTICE",
    "CUSTOMS_HELD",
    "REDIRECTED",
    "DELAYED",
    "LOST",
    "SEIZED",
    "CANCELLED",
}


class Truth(NamedTuple):
    """How an item is at a moment, by its plan."""

    milestone: str
    leg: LegKind
    presence: Presence
    facility: str
    flags: frozenset[Flag]


class Telling(NamedTuple):
    """A moment of a journey: what has been told by then, and what is true."""

    now_ns: int
    told: list[Told]
    truth: Truth


def told_of_step(fleet: Fleet, plan: Any, step: int) -> list[Told]:  # noqa: ANN401
    """Give what arrives about a step under the item's own number, copies included."""
    told = []
    key = filing_key(plan.number)
    for sending in fleet.odds.of_step(plan, step):
        one = upload(sending)
        if one.kind in UNDECODABLE:
            continue
        try:
            filed = filing_key(one.tracking_number)
        except UnfilableNumber:
            continue
        if filed == key:
            told.append(tell(ScanEvent.FromString(one.event), fleet.source_id(one.scanner), key))
    return told


def tell(event: ScanEvent, source: str = "scanner-1", key: bytes = b"K") -> Told:
    """Make an event one that the fold takes."""
    time_ns = event.scan_time.seconds * SECOND + event.scan_time.nanos
    number = event.containment.container_number
    container = filing_key(number) if number else b""
    return Told(
        time_ns, source, key, event.SerializeToString(), event, event.type, container=container
    )


def tellings(fleet: Fleet, item: int) -> Iterator[Telling]:
    """Give every moment at which something was told of an item, in true order."""
    plan = fleet.plan(item)
    told: list[Told] = []
    truth = Truth("", LegKind.FORWARD, Presence.UNKNOWN, "", frozenset())
    shown = truth
    at = -1
    for step in record(fleet, plan)["steps"]:
        at += 1
        while not plan.happens(at):
            at += 1
        truth = after(truth, step)
        new = told_of_step(fleet, plan, at)
        if not new:
            continue
        told = [*told, *new]
        # What was hidden counts where something that came after it was told.
        shown = _as_told(shown, truth, step)
        yield Telling(time_ns(step["time"]), told, shown)


def _as_told(before: Truth, truth: Truth, step: Step) -> Truth:
    """Keep of the truth what somebody could have told: places by those who had it in hand, and
    states by those who tell one.
    """
    if step["type"] in _SAID:
        truth = truth._replace(presence=before.presence, facility=before.facility)
    if "state" not in step:
        truth = truth._replace(milestone=before.milestone, leg=before.leg)
    return truth


def after(truth: Truth, step: Step) -> Truth:
    """Give how an item is after a step."""
    kind, leg, flags = step["type"], truth.leg, set(truth.flags)
    milestone = step.get("state", truth.milestone)
    if kind in {"RETURN_STARTED", "REDIRECTED"}:
        leg = LegKind.RETURN if kind == "RETURN_STARTED" else LegKind.REDIRECT
        flags.clear()
    if leg is LegKind.RETURN and milestone == "IN_TRANSIT":
        milestone = "RETURNING"
    if "state" in step:
        flags -= {Flag.HELD, Flag.ACTION_REQUIRED}
    if kind in {"HELD", "CUSTOMS_HELD"}:
        flags.add(Flag.HELD)
    if kind == "READY_FOR_PICKUP" or step.get("action") == "HELD_FOR_PICKUP":
        flags.add(Flag.ACTION_REQUIRED)
    if kind == "CUSTOMS_HELD" and step["reason"] in {"CUSTOMS_DOCUMENTS", "CUSTOMS_DUTY"}:
        flags.add(Flag.ACTION_REQUIRED)
    if kind == "DELAYED":
        flags.add(Flag.LATE)
    if kind in {"LOST", "SEIZED", "CANCELLED"}:
        flags -= {Flag.LATE, Flag.ACTION_REQUIRED}
    if kind in _GONE:
        flags.clear()
    flags -= {Flag.MISSENT} if kind in {"ARRIVED", "SORTED"} else set()
    if kind == "MISSENT":
        flags.add(Flag.MISSENT)
    return Truth(milestone, leg, *_place(truth, step), frozenset(flags))


def _place(truth: Truth, step: Step) -> tuple[Presence, str]:
    kind, facility = step["type"], step["facility"]
    if kind in _SAID:
        return truth.presence, truth.facility
    if kind in _LEAVES:
        return Presence.LEFT, facility
    if kind in _TOUR:
        return Presence.ON_TOUR, facility
    if kind in _GONE:
        return Presence.HANDED_OVER, facility
    if kind == "PARTNER_PICKED_UP":
        return Presence.WITH_PARTNER, facility
    return Presence.AT, facility


JUDGED = frozenset({Flag.LATE, Flag.HELD, Flag.MISSENT, Flag.ACTION_REQUIRED})
"""Flags of which the plan knows; the others come from the clock, or from what nobody planned."""


def judged(item: Item) -> Truth:
    """Give what the fold says, as the truth says it."""
    found = item.instance
    return Truth(
        str(found.milestone),
        found.leg.kind,
        found.where.presence,
        found.where.facility,
        found.flags & JUDGED,
    )


def time_ns(text: str) -> int:
    """Read a time of the truth."""
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * SECOND + moment.microsecond * 1_000
