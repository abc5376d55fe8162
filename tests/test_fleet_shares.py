"""How often things happen in the fleet: as often as it is said, and at the hours that are usual."""

import math
from collections import Counter
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from loadtest.fleet import Fleet, Kind, Oddities
from loadtest.journeys import SPAN_NS
from loadtest.world.calendar import DAY_MS, posted, season
from tests.test_fleet_plans import EPOCH, START_NS, names, plans


def test_numbers_are_used_again_after_long() -> None:
    """An S10 number comes back after more than a year, on the same lane, when the first is over."""
    fleet = Fleet(5, 3, start_time_ns=START_NS, journeys_per_day=64)
    items = 500 * fleet.lanes
    again = [(item, fleet.reuse_of(item)) for item in range(items)]
    pairs = [(item, earlier) for item, earlier in again if earlier is not None]

    assert 40 < len(pairs) < 160  # A hundredth of the last hundred days, where they are S10.
    for item, earlier in pairs:
        new, old = fleet.plan(item), fleet.plan(earlier)
        assert new.number == old.number
        assert 366 * DAY_MS < new.steps[0][0] - old.steps[-1][0] + SPAN_NS // 10**6 < 560 * DAY_MS
        assert old.steps[-1][0] < new.steps[0][0]
    numbers = Counter(fleet.item_number(item) for item in range(items))
    assert sum(count - 1 for count in numbers.values()) == len(pairs)


def test_the_year_has_its_peak_and_the_week_its_monday() -> None:
    """Before Christmas twice as much is posted as in summer; on Sundays little; the mean is 1."""

    def day(year: int, month: int, day_: int) -> int:
        return (date(year, month, day_) - EPOCH).days

    assert season(day(2025, 12, 16)) > 2 * season(day(2025, 7, 15))
    assert posted(day(2025, 12, 15)) > 4 * posted(day(2025, 12, 21))
    year = [posted(day(2025, 1, 1) + n) for n in range(364)]
    assert sum(year) / len(year) == pytest.approx(1_000, rel=0.01)


def test_the_day_has_its_rush_hours() -> None:
    """By local time, most is scanned in the morning and in the evening; at noon there is less."""
    hours: Counter[int] = Counter()
    fleet = Fleet(2, 20, start_time_ns=START_NS)
    for plan in plans(fleet, 1_500):
        for step, (time_ms, post, _) in enumerate(plan.steps):
            if plan.is_scanned(step):
                zone = ZoneInfo(post.device.stop.facility.zone)
                hours[datetime.fromtimestamp(time_ms / 1_000, zone).hour] += 1
    morning, noon, evening = hours[8] + hours[9], hours[12] + hours[13], hours[18] + hours[19]
    assert morning > 1.3 * noon
    assert evening > 1.2 * noon


def near(count: int, of: int, share: float) -> bool:
    """Whether a count is as chance has it: within five standard deviations, doubled for items that
    travel together.
    """
    return abs(count - of * share) < 10 * math.sqrt(of * share * (1 - share)) + 1


@pytest.mark.slow
def test_shares_come_out_as_stated() -> None:
    """Oddities and fates are about as often as they are said to be."""
    fleet = Fleet(11, 20, start_time_ns=START_NS, journeys_per_day=640)
    odd, fates = fleet.oddities, fleet.fates
    kinds: Counter[Kind] = Counter()
    scans = missed = early = 0
    items = plans(fleet, 6_000)
    for plan in items:
        for step, (_, post, _) in enumerate(plan.steps):
            if plan.is_scanned(step) and not post.is_notice:
                scans += 1
                missed += fleet.odds.is_missed(plan, step)
                early += post.may_be_early
                kinds.update(sending[2] for sending in fleet.odds.of_step(plan, step))
    assert near(missed, scans, odd.missed)
    assert near(kinds[Kind.COPY], scans, odd.copied)
    assert near(kinds[Kind.DOUBLE], scans, odd.doubled)
    assert near(kinds[Kind.PREMATURE], early, odd.premature)
    bad = (Kind.CHECK_DIGIT, Kind.LATIN1, Kind.BROKEN, Kind.TWO_LABELS)
    assert near(sum(kinds[kind] for kind in bad), scans, odd.bad_label)
    assert all(kinds[kind] for kind in bad)
    happened = Counter(name for plan in items for name in set(names(plan)))
    assert near(happened["LABEL_CREATED"], len(items), fates.announced)
    toured = happened["OUT_FOR_DELIVERY"]
    assert near(happened["DELIVERY_ATTEMPTED"], toured, fates.attempted + fates.refused)
    outcomes = Counter(plan.outcome for plan in items)
    assert near(outcomes["LOST"], len(items), fates.lost)
    assert outcomes["DELIVERED"] > 0.95 * len(items)


def test_clocks_are_off_by_seconds_and_a_few_by_more() -> None:
    """Nearly all devices are within half a minute of the truth, and drift; some are far off."""
    oddities = Oddities(wrong_clock=0.05)
    fleet = Fleet(13, 60, start_time_ns=START_NS, oddities=oddities)
    skews: dict[str, int] = {}
    drifts = 0
    for plan in plans(fleet, 6_000):
        for sending in fleet.sendings_of(plan):
            time_ms, post, _ = plan.steps[sending[5]]
            if sending[2] is Kind.SCAN and not post.is_notice:
                skew = sending[3] - time_ms
                drifts += skews.setdefault(post.device.name, skew) != skew
    off = sorted(abs(skew) for skew in skews.values())
    assert drifts > 1_000
    assert 100 < off[len(off) // 2] < 10_000
    far = [skew for skew in off if skew > 30_000]
    assert 0.01 * len(off) < len(far) < 0.12 * len(off)


def test_what_is_scanned_offline_comes_late_and_in_order() -> None:
    """Up to nine hours later, and one behind the other; most is sent within five seconds."""
    fleet = Fleet(13, 20, start_time_ns=START_NS)
    late = scans = 0
    by_device: dict[str, list[tuple[int, int]]] = {}
    for plan in plans(fleet, 3_000):
        for sending in fleet.sendings_of(plan):
            time_ms, post, _ = plan.steps[sending[5]]
            if sending[2] is Kind.SCAN:
                scans += 1
                assert (
                    0 < sending[0] - time_ms < timedelta(hours=9, minutes=1).total_seconds() * 1e3
                )
                if sending[0] - time_ms > 60_000:
                    late += 1
                    by_device.setdefault(post.device.name, []).append((time_ms, sending[0]))
    assert 0.002 * scans < late < 0.05 * scans
    for pairs in by_device.values():
        assert [sent for _, sent in sorted(pairs)] == sorted(sent for _, sent in pairs)
