"""Containers against the plans of the fleet, which has bags in trucks: who lies in which bag, and
where items are while nobody scans them. The plans come from no code of the ledger.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from ledger.numbers import filing_key
from ledger.v1.item_service_pb2 import ListContentsRequest
from loadtest.fleet import Fleet, Oddities
from query.containers import Known, carried
from query.containers.stays import is_seen
from query.journey import Asked, Doubt, fold
from query.journey.standing import standing
from tests.item_doors import Clock, item_door
from tests.journeys import judged, tellings, told_of_step
from tests.scale import scaled
from tests.trails import Arrival, timestamp

if TYPE_CHECKING:
    from pathlib import Path

    from loadtest.world.journey import Journey
    from query.journey import Told

START_NS = int(datetime(2025, 10, 24, tzinfo=UTC).timestamp()) * 10**9
ITEMS = scaled(200, soak=2_000)
NOTHING_ODD = Oddities(*[0.0] * 8)
MS = 1_000_000
CLOCKS_MS = 60_000
"""Devices' clocks are some seconds off."""

HARMLESS = frozenset({Doubt.BEGINNING_NOT_SEEN, Doubt.CLOCK_AHEAD})
"""Doubts that excuse no wrong milestone, leg or place."""


def bags_of(fleet: Fleet, plan: Journey) -> list[Journey]:
    """The plans of the bags that an item goes into."""
    assert plan.lane
    numbers = set(plan.bags.values())
    cohort = fleet.cohort(plan.lane.number, plan.day)
    return [bag for bag in cohort.bags if bag.number in numbers]


def container_trails(fleet: Fleet, plan: Journey, now_ns: int) -> dict[bytes, Known | None]:
    """What was told by then of the bags of an item, and of their trucks."""
    known: dict[bytes, Known | None] = {}
    for bag in bags_of(fleet, plan):
        for container in (bag, fleet.trip_of(bag)):
            told: list[Told] = []
            for step, (time_ms, _, _) in enumerate(container.steps):
                if time_ms * MS <= now_ns:
                    told += told_of_step(fleet, container, step)
            known[filing_key(container.number)] = Known(standing(told).events)
    return known


@pytest.mark.slow
@pytest.mark.timeout(scaled(180, soak=3_600))
def test_what_is_said_of_items_in_bags_agrees_with_the_plans() -> None:
    """With what they inherit, milestone, leg, place and flags are those of the plan at every moment
    at which an item was scanned itself, or the answer has a doubt; and doubts are fewer than
    without, since a container is none.
    """
    fleet = Fleet(7, 20, start_time_ns=START_NS)
    moments = inherited = before = after = 0
    for item in range(ITEMS):
        plan = fleet.plan(item)
        key = filing_key(plan.number)
        for telling in tellings(fleet, item):
            if not is_seen(telling.told[-1]):
                continue  # The truth of a notice leaves out what only containers tell.
            known = container_trails(fleet, plan, telling.now_ns)
            own = standing(telling.told).events
            found, needs = carried([key], own, known)
            assert not found.is_truncated
            assert not needs or plan.number not in {one.container.decode() for one in needs}
            asked = Asked(telling.now_ns)
            alone, both = fold(telling.told, asked), fold(telling.told, asked, found)
            assert alone
            assert both
            doubts = both.instance.doubts - HARMLESS
            assert Doubt.IN_CONTAINER not in doubts
            assert judged(both) == telling.truth or doubts, (item, judged(both), telling.truth)
            moments += 1
            inherited += bool(found.scans)
            before += bool(alone.instance.doubts - HARMLESS)
            after += bool(doubts)
    assert inherited > moments / 6
    assert after < 0.8 * before


@pytest.mark.slow
async def test_who_lies_in_a_bag_is_the_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the last one is in, on the way, and after it was emptied; of every bag of some lanes."""
    fleet = Fleet(7, 20, start_time_ns=START_NS, oddities=NOTHING_ODD)
    plan = next(plan for plan in map(fleet.plan, range(1_000)) if len(plan.bags) > 1)
    assert plan.lane
    cohort = fleet.cohort(plan.lane.number, plan.day)
    trucks = {fleet.trip_of(bag).number: fleet.trip_of(bag) for bag in cohort.bags}
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        for each in [*cohort.items, *cohort.bags, *trucks.values()]:
            told = [
                one for step in range(len(each.steps)) for one in told_of_step(fleet, each, step)
            ]
            await door.shelf.put(*(Arrival(one.event, one.source_id) for one in told))
        for bag in cohort.bags:
            went_in = {
                item.number: step[0]
                for item in cohort.items
                for step in item.steps
                if item.bags.get(step[2]) == bag.number and step[1].bag_only
            }
            loaded_ms, _, emptied_ms = (step[0] for step in bag.steps)
            assert went_in
            moments = (
                *(min(went_in.values()) - CLOCKS_MS, loaded_ms),
                *(emptied_ms - CLOCKS_MS, emptied_ms + CLOCKS_MS),
            )
            for at_ms in moments:
                request = ListContentsRequest(
                    tracking_number=bag.number, at_time=timestamp(at_ms * MS)
                )
                page = await door.items.ListContents(request)
                wanted = {number for number, ms in went_in.items() if ms <= at_ms < emptied_ms}
                assert {one.tracking_key for one in page.items} == wanted
