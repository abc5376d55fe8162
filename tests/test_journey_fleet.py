"""The fold of trails against the plans of the fleet: what is said is true, or said to be doubtful.

The plans are the truth and come from no code of the ledger; see `tests.journeys`.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from loadtest.fleet import Fleet, Kind, Oddities
from loadtest.network import facilities
from query.journey import Asked, Confidence, Doubt, Flag, Item, LegKind, Weakness, asked_of, fold
from query.journey.rules import CLOSED, DAY_NS
from tests.journeys import Telling, judged, tell, tellings
from tests.scale import scaled

if TYPE_CHECKING:
    from loadtest.world.journey import Journey

START_NS = int(datetime(2025, 10, 24, tzinfo=UTC).timestamp()) * 10**9
JOURNEYS = scaled(1_000, soak=10_000)
MANY_ODD = Oddities(0.05, 0.05, 0.05, 0.05, 0.02, 0.1, 0.1, 0.0)
FOLD_US_MAX = 50.0
PLACES = {one.id: (one.latitude, one.longitude) for one in facilities()}

HARMLESS = frozenset({
    Doubt.BEGINNING_NOT_SEEN, Doubt.CLOCK_AHEAD, Doubt.CUSTOMS_END_NOT_SEEN,
})  # fmt: skip
"""Doubts that excuse no wrong milestone, leg or place."""


def folded(telling: Telling) -> Item:
    item = fold(telling.told, Asked(telling.now_ns))
    assert item is not None
    return item


def compare(fleet: Fleet, item: int, shuffle: random.Random) -> tuple[int, int, int]:
    """Fold an item at every moment, in an order of arrival of its own. Returns how many moments
    there were, in how many there was a doubt, and in how many that was needed.
    """
    moments = doubted = needed = 0
    for telling in tellings(fleet, item):
        shuffle.shuffle(telling.told)
        found = folded(telling)
        doubts = found.instance.doubts - HARMLESS
        agrees = judged(found) == telling.truth
        assert agrees or doubts, (item, judged(found), telling.truth)
        assert not found.others
        moments += 1
        doubted += bool(doubts)
        needed += not agrees
    return moments, doubted, needed


@pytest.mark.slow
@pytest.mark.timeout(scaled(120, soak=3_600))
def test_what_is_said_agrees_with_the_plans() -> None:
    """Milestone, leg, place and flags are those of the plan at every moment of every journey, in
    any order of arrival; else the answer says what it cannot know, and that is seldom.
    """
    fleet = Fleet(7, 20, start_time_ns=START_NS)
    shuffle = random.Random(7)
    counts = [compare(fleet, item, shuffle) for item in range(JOURNEYS)]
    moments, doubted, needed = (sum(count) for count in zip(*counts, strict=True))

    assert moments > 10 * JOURNEYS
    assert doubted < 0.12 * moments  # Most of them lie in a bag.
    assert needed < 0.005 * moments


@pytest.mark.slow
@pytest.mark.timeout(scaled(120, soak=3_600))
def test_it_says_so_where_scanners_do_much_wrong() -> None:
    """With scans missed, made too early, doubled, and with wrong clocks, several times as often as
    in a bad year, nothing wrong is said without a doubt.
    """
    fleet = Fleet(11, 20, start_time_ns=START_NS, oddities=MANY_ODD)
    shuffle = random.Random(11)
    counts = [compare(fleet, item, shuffle) for item in range(JOURNEYS // 2)]
    moments, _, needed = (sum(count) for count in zip(*counts, strict=True))

    assert 0 < needed < 0.03 * moments


def test_silence_is_told_from_an_end() -> None:
    """Long after, an item that has not come to an end is stalled, and one that has is not: so an
    item whose delivery was not scanned is never said to be on its tour without that flag.
    """
    fleet = Fleet(7, 20, start_time_ns=START_NS)
    kinds = set()
    for item in range(200):
        *_, last = tellings(fleet, item)
        found = fold(last.told, Asked(last.now_ns + 60 * DAY_NS))
        assert found
        over = found.instance.milestone in CLOSED
        announced = found.instance.silent_ns < 0
        assert (Flag.STALLED in found.instance.flags) == (not over and not announced), item
        kinds.add(over)
    assert kinds == {True, False}


def test_a_number_that_is_used_again_is_another_item() -> None:
    """Of two items with one number, a year apart, the newest is answered as if it were alone, and
    that there was another one is said, with how it ended.
    """
    fleet = Fleet(5, 20, start_time_ns=START_NS, journeys_per_day=1, oddities=Oddities(reused=1.0))
    seen = 0
    for item in range(384, 384 + 64):
        earlier = fleet.reuse_of(item)
        if earlier is None:
            continue
        *_, old = tellings(fleet, earlier)
        *_, new = tellings(fleet, item)
        both = Telling(new.now_ns, [*new.told, *old.told], new.truth)
        found = folded(both)
        assert found.instance == folded(new).instance
        (other,) = found.others
        assert str(other.milestone) == old.truth.milestone
        seen += 1
    assert seen > 10


def is_premature_delivery(fleet: Fleet, plan: Journey) -> bool:
    last = len(plan.steps) - 1
    return any(one[2] is Kind.PREMATURE for one in fleet.odds.of_step(plan, last))


def test_a_delivery_that_was_scanned_at_the_depot_is_not_trusted() -> None:
    """Deliveries to doors that were scanned before they happened have the depot's position, and
    are low in confidence for that; all others at doors are not.
    """
    fleet = Fleet(3, 20, start_time_ns=START_NS, oddities=Oddities(premature=0.2, missed=0.0))
    judged_as: set[tuple[bool, bool]] = set()
    for item in range(150):
        plan = fleet.plan(item)
        *_, last = tellings(fleet, item)
        found = fold(last.told, Asked(last.now_ns, coordinates=PLACES.get))
        assert found
        proof = found.instance.proof
        if plan.outcome != "DELIVERED" or proof is None:
            continue
        early = is_premature_delivery(fleet, plan)
        assert (Weakness.AT_FACILITY in proof.weaknesses) == early, item
        assert (proof.confidence is Confidence.LOW) == early, (item, proof)
        judged_as.add((early, proof.confidence is Confidence.LOW))
    assert judged_as == {(True, True), (False, False)}


def test_a_misread_number_is_said_to_be_bad() -> None:
    """A scan that lies under a number with a wrong check digit is one of a bad number."""
    assert asked_of("RR123456785CH", now_ns=0).bad_number is False
    asked = asked_of("RR123456786CH", now_ns=0)
    assert asked.bad_number
    fleet = Fleet(7, 20, start_time_ns=START_NS)
    first, *_ = tellings(fleet, 0)
    found = fold(first.told, asked)
    assert found
    assert Flag.BAD_NUMBER in found.instance.flags


def test_each_leg_is_told() -> None:
    """Ways back and ways to other addresses are legs of their own, with the scans of each."""
    fleet = Fleet(7, 20, start_time_ns=START_NS)
    kinds = set()
    for item in range(400):
        *_, last = tellings(fleet, item)
        legs = folded(last).instance.legs
        kinds.add(tuple(leg.kind for leg in legs))
        assert sum(leg.scans + leg.notices for leg in legs) == len({e.identity for e in last.told})
    forward, redirect, back = LegKind.FORWARD, LegKind.REDIRECT, LegKind.RETURN
    assert {(forward,), (forward, redirect), (forward, back)} <= kinds


def test_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    """Folding 20 parsed events; the goal is 50 µs at the median on a machine that does only this.

    What else runs here makes medians longer, so what is judged is the best time of each trail.
    """
    fleet = Fleet(7, 20, start_time_ns=START_NS)
    trails = [last for item in range(200) for *_, last in [tellings(fleet, item)]]
    trails = [one for one in trails if len({e.identity for e in one.told}) == 20]
    medians, bests = [], []
    for one in trails:
        again = [tell(e.event, e.source_id, e.key) for e in one.told]
        times = []
        for _ in range(40):
            start = time.perf_counter_ns()
            fold(again, Asked(one.now_ns))
            times.append((time.perf_counter_ns() - start) / 1_000)
        medians.append(statistics.median(times))
        bests.append(min(times))
    median_us, best_us = statistics.median(medians), statistics.median(bests)
    with capsys.disabled():
        sys.stdout.write(f"\nfold of 20 events: median {median_us:.1f} µs, best {best_us:.1f} µs\n")

    assert len(trails) > 10
    assert best_us < 3 * FOLD_US_MAX  # Machines differ.
