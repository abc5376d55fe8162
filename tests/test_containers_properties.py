"""What is inherited is a function of the events alone, within its bounds, whatever they say."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from query.containers.inheriting import DEPTH_MAX, STAYS_MAX
from query.containers.stays import STAY_NS_MAX
from query.journey import Asked, Doubt, fold
from tests.bags import carried_of, empty, put_in, see, take_out
from tests.scale import scaled
from tests.tellers import START_NS, WITHDRAWN, correct

if TYPE_CHECKING:
    import random

    from query.journey import Told

NAMES = ["ITEM", "BAG", "TRAY", "TRUCK", "SHIP", "DEPOT"]
PLACES = ["A", "B", "C", ""]
MANY = settings(max_examples=scaled(200, soak=10_000), deadline=None)


@st.composite
def event(draw: st.DrawFn) -> Told:
    """Draw an event of a small world, in which everything may lie in everything."""
    who, other = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    hour = draw(st.one_of(st.integers(0, 12), st.sampled_from([719, 720, 721])))
    place = draw(st.sampled_from(PLACES))
    match draw(st.integers(0, 5)):
        case 0 | 1:
            return put_in(who, other, hour, place)
        case 2:
            return take_out(who, other, hour, place)
        case 3:
            return empty(who, hour, place)
        case 4:
            what = draw(st.sampled_from(["DELIVERED", "LOST", "OUT_FOR_DELIVERY", "INFO"]))
            return see(who, what, hour, place)
    one = see(who, "ARRIVED", hour, place)
    if draw(st.booleans()):
        return one
    return correct(one, WITHDRAWN, "CORRECTION", hour)._replace(key=one.key)


STORIES = st.lists(event(), min_size=1, max_size=30)


@MANY
@given(told=STORIES, shuffle=st.randoms(use_true_random=False))
def test_no_order_of_arrival_and_no_copy_changes_what_is_inherited(
    told: list[Told], shuffle: random.Random
) -> None:
    """Nor what the fold makes of it."""
    once = carried_of("ITEM", told)
    again = [*told, *told[: len(told) // 2]]
    shuffle.shuffle(again)

    other = carried_of("ITEM", again)

    assert other == once
    own, own_again = ([one for one in some if one.key == b"ITEM"] for some in (told, again))
    asked = Asked(START_NS + 10**15)
    assert fold(own_again, asked, other) == fold(own, asked, once)


@MANY
@given(told=STORIES)
def test_what_is_inherited_keeps_within_its_bounds(told: list[Told]) -> None:
    """Circles end; depth, number and length of stays are bounded; nothing lies in itself, nor in
    two containers of one depth at a time; each scan is inherited once, while it lay there.
    """
    found = carried_of("ITEM", told)

    assert len(found.lain) <= STAYS_MAX
    for one in found.lain:
        assert 1 <= len(one.path) <= DEPTH_MAX
        assert len({b"ITEM", *one.path}) == len(one.path) + 1
        assert one.stay.begin_ns <= one.begin_ns <= one.end_ns <= one.stay.end_ns
        assert one.stay.end_ns - one.stay.begin_ns <= STAY_NS_MAX
    for depth in range(1, DEPTH_MAX + 1):
        spans = sorted((one.begin_ns, one.end_ns) for one in found.lain if len(one.path) == depth)
        for (_, end_ns), (begin_ns, _) in pairwise(spans):
            assert end_ns <= begin_ns
    keys = [(one.told.identity, one.told.data) for one in found.scans]
    assert len(set(keys)) == len(keys)
    for scan in found.scans:
        assert any(
            one.path == scan.told.path and one.begin_ns <= scan.told.scan_time_ns <= one.end_ns
            for one in found.lain
        )
        assert scan.told.key == scan.told.path[-1] != b"ITEM"


@MANY
@given(told=STORIES)
def test_containers_take_nothing_away_from_an_item(told: list[Told]) -> None:
    """Its own events stand and its end stays; where all is known no container is a doubt."""
    own = [one for one in told if one.key == b"ITEM"]
    found = carried_of("ITEM", told)
    asked = Asked(START_NS + 10**15)

    alone, both = fold(own, asked), fold(own, asked, found)

    assert (alone is None) == (both is None)
    if alone is None or both is None:
        return
    assert [one for one in both.instance.events if not one.path] == list(alone.instance.events)
    assert both.others == alone.others
    assert both.instance.corrections == alone.instance.corrections
    if not found.is_truncated:
        assert Doubt.IN_CONTAINER not in both.instance.doubts
    if both.instance.stages.delivered:
        assert alone.instance.stages.delivered == both.instance.stages.delivered
