"""Journeys of items: what is to happen to each, from its announcement to its end.

The grammar: announced or not, accepted, carried along the lane's chain with all that may befall it
there (`world.plan`), then delivered or sent home (`world.delivery`).
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from ledger.v1 import scan_event_pb2 as pb
from loadtest.world.book import Book
from loadtest.world.calendar import DAY_MS, HOUR_MS
from loadtest.world.delivery import deliver
from loadtest.world.devices import COUNTER
from loadtest.world.dice import Dice, Weighted, share
from loadtest.world.plan import Plan
from loadtest.world.shares import Fates

__all__ = ["DAY_NS", "SPAN_DAYS", "SPAN_NS", "chances_of", "plan_beside", "plan_item"]

DAY_NS: Final = DAY_MS * 1_000_000

SPAN_DAYS: Final = 120
SPAN_NS: Final = SPAN_DAYS * DAY_NS
"""No item travels longer, from its first step to its last (a test looks at many)."""

# At which hour items are posted: a small rush in the morning, a large one before the last truck.
_POSTING = Weighted((
    *((9, 9), (10, 14), (11, 12), (12, 8), (13, 7)),
    *((14, 8), (15, 10), (16, 14), (17, 16)),
))  # fmt: skip
_BESIDE_MS = 1_500  # At least, and twice that at most, between two items of one sender.
_ANNOUNCED_FROM_MS = 6 * HOUR_MS
_ANNOUNCED_UNTIL_MS = 23 * HOUR_MS


def chances_of(fates: Fates) -> Mapping[str, int]:
    """Give the shares of fates as dice take them."""
    return {one.name: share(getattr(fates, one.name)) for one in fields(fates)}


def plan_item(book: Book, day: int, dice: Dice, chances: Mapping[str, int]) -> Plan:
    """Plan the journey of an item that begins on a day; nothing of it is before that day."""
    plan = Plan(book, dice, chances)
    _post(plan, day)
    if not plan.outcome:
        if plan.falls("lost"):
            plan.lost_leg = dice.pick(book.legs).number
        plan.travel(book.legs)
    plan.shared = len(plan.steps)
    plan.shared_held_up = len(plan.held_up)
    plan.ended_on_the_way = bool(plan.outcome)
    if not plan.outcome:
        deliver(plan)
    return plan


def plan_beside(lead: Plan, dice: Dice) -> Plan:
    """Plan the journey of an item that is posted together with another.

    What its sender and the road do to one, they do to both; at the door each has its own fate.
    """
    plan = Plan(lead.book, dice, lead.chances)
    later_ms = _BESIDE_MS + (dice.word() * _BESIDE_MS >> 16)
    plan.steps = [
        (time_ms + later_ms, post, leg) for time_ms, post, leg in lead.steps[: lead.shared]
    ]
    plan.trips = lead.trips
    plan.held_up = lead.held_up[: lead.shared_held_up]
    plan.now_ms = plan.steps[-1][0]
    if lead.ended_on_the_way:
        plan.outcome = lead.outcome
    else:
        deliver(plan)
    return plan


def _post(plan: Plan, day: int) -> None:
    """Announce an item or not, and hand it in."""
    origin, dice = plan.book.lane.origin, plan.dice
    if plan.falls("announced"):
        of_day_ms = dice.between(_ANNOUNCED_FROM_MS, _ANNOUNCED_UNTIL_MS)
        plan.now_ms = origin.zone.moment(day, of_day_ms)
        plan.notice(pb.SCAN_EVENT_TYPE_LABEL_CREATED)
        if plan.falls("cancelled"):
            plan.wait(DAY_MS, 5 * DAY_MS)
            plan.notice(pb.SCAN_EVENT_TYPE_CANCELLED)
            plan.outcome = "CANCELLED"
            return
        plan.wait(HOUR_MS, 30 * HOUR_MS)
        plan.now_ms = origin.next_open(plan.now_ms, _posting_ms(dice))
        if plan.falls("partner"):
            plan.notice(pb.SCAN_EVENT_TYPE_PARTNER_PICKED_UP)
            plan.wait(HOUR_MS, 5 * HOUR_MS)
            plan.now_ms = origin.next_open(plan.now_ms)
    else:
        posting_ms = _posting_ms(dice)
        plan.now_ms = origin.next_open(origin.zone.moment(day, posting_ms), posting_ms)
    plan.add(pb.SCAN_EVENT_TYPE_ACCEPTED, origin, COUNTER)


def _posting_ms(dice: Dice) -> int:
    hour = dice.weighted(_POSTING)
    return hour * HOUR_MS + dice.between(0, HOUR_MS)
