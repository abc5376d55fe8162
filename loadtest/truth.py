"""The truth about the fleet's traffic, as JSON lines: what was to happen, and what was sent.

It comes from the plans alone and from nothing that a ledger says, so that a ledger can be judged by
it. The format is described in docs/fleet.md, and has a version.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from ledger.v1 import scan_event_pb2 as pb
from loadtest.fleet import VERSION, Fleet
from loadtest.network import distance_km
from loadtest.world.calendar import DAY_MS, is_delivered
from loadtest.world.encoding import sent_number
from loadtest.world.journey import Journey
from loadtest.world.sendings import REFUSED, Sending
from loadtest.world.timetable import Closure

FORMAT: Final = "parcel-ledger-truth/1"
"""Name and version of the format. A reader refuses another version."""

_STANDARD_DAYS = ((300.0, 2), (1_500.0, 3), (float("inf"), 5))
_STANDARD_DAYS_ABROAD = 12
_ENUMS = {
    "reason": ("EVENT_REASON_", pb.EventReason),
    "action": ("EVENT_ACTION_", pb.EventAction),
    "mode": ("DELIVERY_MODE_", pb.DeliveryMode),
    "border": ("CUSTOMS_DIRECTION_", pb.CustomsDirection),
}
# In which state an item is from a step on. What is not here changes nothing.
_STATES: Final = {
    "LABEL_CREATED": "PRE_SHIPMENT",
    "PARTNER_PICKED_UP": "PRE_SHIPMENT",
    "ACCEPTED": "ACCEPTED",
    "ARRIVED": "IN_TRANSIT",
    "SORTED": "IN_TRANSIT",
    "DEPARTED": "IN_TRANSIT",
    "CONTAINERED": "IN_TRANSIT",
    "MISSENT": "IN_TRANSIT",
    "EXPORT_ARRIVED": "IN_TRANSIT",
    "EXPORT_DEPARTED": "IN_TRANSIT",
    "TRANSIT_ARRIVED": "IN_TRANSIT",
    "TRANSIT_DEPARTED": "IN_TRANSIT",
    "IMPORT_ARRIVED": "IN_TRANSIT",
    "IMPORT_DEPARTED": "IN_TRANSIT",
    "REDIRECTED": "IN_TRANSIT",
    "CUSTOMS_PRESENTED": "CUSTOMS",
    "CUSTOMS_HELD": "CUSTOMS",
    "CUSTOMS_RELEASED": "CUSTOMS",
    "HELD": "HELD",
    "OUT_FOR_DELIVERY": "OUT_FOR_DELIVERY",
    "DELIVERY_ATTEMPTED": "ATTEMPTED",
    "READY_FOR_PICKUP": "READY_FOR_PICKUP",
    "DELIVERED": "DELIVERED",
    "UNDELIVERABLE": "EXCEPTION",
    "RETURN_STARTED": "RETURNING",
    "RETURNED": "RETURNED",
    "DAMAGED": "EXCEPTION",
    "LOST": "LOST",
    "SEIZED": "SEIZED",
    "DISPOSED": "DISPOSED",
    "CANCELLED": "CANCELLED",
}


class TruthWriter:
    """Writes the truth, line by line."""

    def __init__(self, file: TextIO, fleet: Fleet) -> None:
        self._file = file
        self._fleet = fleet
        self._write(header(fleet))

    def add(self, plan: Journey) -> None:
        """Write what there is to know of an item, a bag or a trip."""
        self._write(record(self._fleet, plan))

    def add_closure(self, facility: str, closure: Closure) -> None:
        """Write that a facility was closed."""
        self._write(
            {
                "kind": "closure",
                "facility": facility,
                "from": _time(closure.start_ms),
                "until": _time(closure.end_ms),
                "reason": closure.reason,
            }
        )

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def read_truth(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Read the truth; the header comes first. Raises ValueError for another format."""
    for number, line in enumerate(lines):
        found: dict[str, Any] = json.loads(line)
        if not number and found.get("format") != FORMAT:
            raise ValueError(f"this is no {FORMAT}, but {found.get('format')!r}")
        yield found


def header(fleet: Fleet) -> dict[str, Any]:
    """Say what the fleet is: with the same values it can be made again."""
    return {
        "kind": "header",
        "format": FORMAT,
        "fleet_version": VERSION,
        "seed": fleet.seed,
        "scanners": fleet.scanners,
        "start_time_ns": fleet.start_time_ns,
        "journeys_per_day": fleet.journeys_per_day,
        "fates": asdict(fleet.fates),
        "oddities": asdict(fleet.oddities),
    }


def record(fleet: Fleet, plan: Journey) -> dict[str, Any]:
    """Give what there is to know of an item, a bag or a trip."""
    steps = [_step(fleet, plan, step) for step in range(len(plan.steps)) if plan.happens(step)]
    if not plan.is_item:
        kind = plan.steps[0][1].detail.container_kind.lower()
        return {"kind": kind, "number": plan.number, "steps": steps}
    assert plan.lane
    reused = fleet.reuse_of(plan.index)
    found: dict[str, Any] = {
        "kind": "item",
        "item": plan.index,
        "number": plan.number,
        "service": plan.lane.service,
        "origin": plan.lane.origin.facility.id,
        "destination": plan.lane.destination.facility.id,
        "outcome": plan.outcome,
        "steps": steps,
    }
    promised_ms = promise_ms(plan)
    if promised_ms:
        found["promised"] = _time(promised_ms)
    if reused is not None:
        found["number_was_of_item"] = reused
    if plan.held_up:
        found["waited_for"] = [
            {"facility": one.facility, "from": _time(one.closure.start_ms)} for one in plan.held_up
        ]
    return found


def promise_ms(plan: Journey) -> int:
    """Give until when the sender was told that an item is delivered; 0 where it was never posted.

    The end of a day of delivery at the destination: so many after the day on which it was accepted.
    """
    accepted = [t for t, post, _ in plan.steps if post.type == pb.SCAN_EVENT_TYPE_ACCEPTED]
    if not accepted or not plan.lane:
        return 0
    lane, end = plan.lane, plan.lane.destination
    days = _STANDARD_DAYS_ABROAD
    if lane.is_domestic:
        distance = distance_km(lane.origin.facility, end.facility)
        days = next(days for km, days in _STANDARD_DAYS if distance <= km)
    day = (accepted[0] + end.zone.offset_ms(accepted[0])) // DAY_MS
    while days:
        day += 1
        days -= is_delivered(end.facility.country, day)
    return end.zone.moment(day + 1, 0)


def _step(fleet: Fleet, plan: Journey, step: int) -> dict[str, Any]:
    time_ms, post, _ = plan.steps[step]
    detail = post.detail
    found: dict[str, Any] = {
        "type": post.name,
        "time": _time(time_ms),
        "facility": post.device.stop.facility.id,
        "seen_by": _seen_by(fleet, plan, step),
    }
    state = _STATES.get(post.name)
    if plan.is_item and state:
        found["state"] = state
    if detail.towards:
        found["next_facility"] = detail.towards
    if container := plan.container(step):
        found["container"] = container
    for name, (prefix, enum) in _ENUMS.items():
        if value := getattr(detail, name):
            found[name] = enum.Name(value).removeprefix(prefix)
    events = [_event(fleet, sending) for sending in fleet.odds.of_step(plan, step)]
    if events:
        found["events"] = events
    return found


def _seen_by(fleet: Fleet, plan: Journey, step: int) -> str:
    if plan.is_carried(step):
        return "CONTAINER"
    if plan.steps[step][1].is_notice:
        return "SYSTEM"
    return "NOBODY" if fleet.odds.is_missed(plan, step) else "SCANNER"


def _event(fleet: Fleet, sending: Sending) -> dict[str, Any]:
    send_ms, event_id, kind, scan_ms, plan, step = sending
    post = plan.steps[step][1]
    found: dict[str, Any] = {
        "id": event_id.hex(),
        "source": fleet.source_id(post.scanner),
        "device": post.device.name,
        "kind": kind.name,
        "scan_time": _time(scan_ms),
        "sent": _time(send_ms),
    }
    number = sent_number(kind, plan, step)
    if number != plan.number:
        found["sent_number"] = number
    if kind in REFUSED:
        found["refused"] = True
    return found


def _time(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1_000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1_000:03d}Z"
