"""The end of an item's journey: tours, notices, post offices, other addresses, and the way home."""

from typing import Final

from ledger.v1 import scan_event_pb2 as pb
from loadtest.world.calendar import DAY_MS, HOUR_MS, MINUTE_MS
from loadtest.world.devices import COUNTER, DOCK, TOUR
from loadtest.world.dice import Weighted
from loadtest.world.plan import Plan
from loadtest.world.posts import Detail
from loadtest.world.timetable import Stop

KEPT_MS: Final = 14 * DAY_MS
"""How long an item waits at a post office to be fetched."""

_NOBODY = Weighted((
    (pb.EVENT_REASON_NOBODY_HOME, 60),
    (pb.EVENT_REASON_NO_SECURE_LOCATION, 12),
    (pb.EVENT_REASON_NO_ACCESS, 9),
    (pb.EVENT_REASON_BUSINESS_CLOSED, 9),
    (pb.EVENT_REASON_RECEPTACLE_FULL, 6),
    (pb.EVENT_REASON_WEATHER, 4),
))  # fmt: skip
_NEVER = Weighted((
    (pb.EVENT_REASON_REFUSED, 40),
    (pb.EVENT_REASON_RECIPIENT_UNKNOWN, 25),
    (pb.EVENT_REASON_MOVED, 20),
    (pb.EVENT_REASON_NO_SUCH_NUMBER, 15),
))  # fmt: skip
_MODES = Weighted((
    (pb.DELIVERY_MODE_MAILBOX, 38),
    (pb.DELIVERY_MODE_PERSON, 26),
    (pb.DELIVERY_MODE_PORCH, 16),
    (pb.DELIVERY_MODE_NEIGHBOUR, 9),
    (pb.DELIVERY_MODE_SAFE_PLACE, 5),
    (pb.DELIVERY_MODE_RECEPTION, 6),
))  # fmt: skip

_DELIVERED = {mode: Detail(mode=mode) for mode in pb.DeliveryMode.values()}


def deliver(plan: Plan) -> None:
    """Bring an item that is at its delivery unit, or send it home."""
    lane = plan.book.lane
    unit = lane.destination
    if lane.other and plan.falls("redirected"):
        detail = Detail(
            towards=lane.other.facility.id,
            reason=pb.EVENT_REASON_RECIPIENT_REQUEST,
            action=pb.EVENT_ACTION_FORWARDED,
        )
        plan.wait(10 * MINUTE_MS, 2 * HOUR_MS)
        plan.add(pb.SCAN_EVENT_TYPE_REDIRECTED, unit, DOCK, detail)
        plan.travel(plan.book.other_way)
        if plan.outcome:
            return
        unit = lane.other
    if plan.falls("requested_hold"):
        plan.wait(10 * MINUTE_MS, HOUR_MS)
        held = Detail(reason=pb.EVENT_REASON_RECIPIENT_REQUEST, action=pb.EVENT_ACTION_HELD)
        plan.add(pb.SCAN_EVENT_TYPE_HELD, unit, DOCK, held)
        plan.wait(2 * DAY_MS, 10 * DAY_MS)
    if plan.falls("straight_to_pickup"):
        _wait_to_be_fetched(plan, unit)
    elif plan.falls("refused"):
        reason = plan.dice.weighted(_NEVER)
        _try(plan, unit, Detail(reason=reason, action=pb.EVENT_ACTION_RETURN_TO_SENDER))
        _go_home(plan, unit, DOCK, reason)
    else:
        _tours(plan, unit)


def _tours(plan: Plan, unit: Stop) -> None:
    """Try at the door, twice at most."""
    for is_last in (False, True):
        if not plan.falls("attempted"):
            _load(plan, unit)
            mode = plan.dice.weighted(_MODES)
            plan.wait(25 * MINUTE_MS, 9 * HOUR_MS)
            plan.add(pb.SCAN_EVENT_TYPE_DELIVERED, unit, TOUR, _DELIVERED[mode])
            plan.outcome = "DELIVERED"
            return
        to_pickup = is_last or plan.falls("to_pickup")
        action = pb.EVENT_ACTION_HELD_FOR_PICKUP if to_pickup else pb.EVENT_ACTION_RETRY_DELIVERY
        _try(plan, unit, Detail(reason=plan.dice.weighted(_NOBODY), action=action))
        if to_pickup:
            _wait_to_be_fetched(plan, unit)
            return


def _load(plan: Plan, unit: Stop) -> None:
    """Go out with the next tour."""
    plan.now_ms = unit.next_tour(plan.now_ms + 20 * MINUTE_MS)
    plan.wait(0, 75 * MINUTE_MS)
    plan.add(pb.SCAN_EVENT_TYPE_OUT_FOR_DELIVERY, unit, TOUR)


def _try(plan: Plan, unit: Stop, why: Detail) -> None:
    _load(plan, unit)
    plan.wait(25 * MINUTE_MS, 9 * HOUR_MS)
    plan.add(pb.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED, unit, TOUR, why)


def _wait_to_be_fetched(plan: Plan, unit: Stop) -> None:
    """Lie at a post office, from the next morning on."""
    at = plan.book.lane.pickup if unit is plan.book.lane.destination else unit
    plan.wait(9 * HOUR_MS, 14 * HOUR_MS)
    plan.now_ms = at.next_open(plan.now_ms)
    plan.wait(0, 90 * MINUTE_MS)
    plan.add(pb.SCAN_EVENT_TYPE_READY_FOR_PICKUP, at, COUNTER)
    if plan.falls("unclaimed"):
        plan.now_ms = at.next_open(plan.now_ms + KEPT_MS)
        _go_home(plan, at, COUNTER, pb.EVENT_REASON_UNCLAIMED)
        return
    plan.wait(HOUR_MS, 6 * DAY_MS)
    plan.now_ms = at.next_open(plan.now_ms)
    plan.wait(0, 30 * MINUTE_MS)
    plan.add(pb.SCAN_EVENT_TYPE_DELIVERED, at, COUNTER, Detail(mode=pb.DELIVERY_MODE_COUNTER))
    plan.outcome = "DELIVERED"


def _go_home(plan: Plan, at: Stop, device: str, reason: pb.EventReason.ValueType) -> None:
    """Go back to the sender."""
    plan.wait(5 * MINUTE_MS, 3 * HOUR_MS)
    plan.add(pb.SCAN_EVENT_TYPE_UNDELIVERABLE, at, device, Detail(reason=reason))
    plan.wait(10 * MINUTE_MS, 20 * HOUR_MS)
    back = Detail(reason=reason, action=pb.EVENT_ACTION_RETURN_TO_SENDER)
    plan.add(pb.SCAN_EVENT_TYPE_RETURN_STARTED, at, device, back)
    plan.is_return = True
    plan.travel(plan.book.home(at))
    if plan.outcome:
        return
    plan.now_ms = plan.book.lane.origin.next_open(plan.now_ms)
    plan.wait(0, 5 * HOUR_MS)
    plan.add(pb.SCAN_EVENT_TYPE_RETURNED, plan.book.lane.origin, COUNTER)
    plan.outcome = "RETURNED"
