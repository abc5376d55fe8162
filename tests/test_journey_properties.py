"""The fold is a function of a trail's events alone: not of their order, copies or positions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.v1.scan_event_pb2 import ScanEventType
from ledger.vocabulary import CANONICAL, Milestone, built_in
from query.journey import Asked, Flag, Told, fold, told_of
from query.journey.rules import DAY_NS, HOUR_NS
from tests.scale import scaled
from tests.tellers import START_NS, WITHDRAWN, WRONG_DATA, correct, other_content, read, say
from tests.test_trail import trail
from tests.trails import Arrival, timestamp

if TYPE_CHECKING:
    import random

NAMES = sorted(one.name for one in CANONICAL.values() if one.name != "CORRECTION")
# Days, months and a year apart; and some at the same moment.
HOURS = st.one_of(
    st.integers(0, 6), st.floats(0, 3, width=16), st.sampled_from([30, 200, 3_000, 9_600, 9_601])
)
MANY = settings(max_examples=scaled(200, soak=10_000), deadline=None)


@st.composite
def event(draw: st.DrawFn) -> Told:
    """Draw an event of a small world, in which ids, moments and places meet all the time."""
    return say(
        draw(st.sampled_from(NAMES)),
        draw(HOURS),
        draw(st.sampled_from(["", "A", "B", "C"])),
        name=draw(st.integers(0, 12)),
        source=draw(st.sampled_from(["s1", "s2"])),
        carrier=draw(st.sampled_from(["", "", "X", "Y"])),
        next_facility=draw(st.sampled_from(["", "A", "B"])),
        device=draw(st.sampled_from(["", "d1"])),
    )


@st.composite
def story(draw: st.DrawFn) -> list[Told]:
    """Draw what is told of an item: events, conflicts, corrections and their corrections."""
    told = draw(st.lists(event(), max_size=12))
    for _ in range(draw(st.integers(0, 3))):
        if told:
            target = draw(st.sampled_from(told))
            choice = draw(st.integers(0, 2))
            hour = draw(st.integers(0, 9))
            if choice == 0:
                told.append(correct(target, WITHDRAWN, "CORRECTION", hour))
            elif choice == 1:
                told.append(correct(target, WRONG_DATA, draw(st.sampled_from(NAMES)), hour))
            else:
                told.append(other_content(target, operator=draw(st.sampled_from("pq"))))
    return told


ASKED = st.builds(
    Asked,
    st.sampled_from([START_NS, START_NS + 9 * DAY_NS, START_NS + 500 * DAY_NS]),
    st.sampled_from([None, None, START_NS + 3 * HOUR_NS]),
    shared=st.booleans(),
)


@MANY
@given(story(), ASKED, st.randoms(use_true_random=False))
def test_no_order_of_arrival_and_no_copy_changes_the_answer(
    told: list[Told], asked: Asked, shuffle: random.Random
) -> None:
    """Permutations and copies of the same events, conflicts and corrections among them, are one
    answer, in every part of it.
    """
    again = told + shuffle.sample(told, len(told) // 2)
    shuffle.shuffle(again)

    assert fold(again, asked) == fold(told, asked)


@MANY
@given(story(), st.randoms(use_true_random=False))
def test_positions_and_record_times_change_nothing(
    told: list[Told], shuffle: random.Random
) -> None:
    """Events that the ledger took in another order, and so at other positions and record times,
    are one answer when they are read from rows.
    """

    def of_rows(arrived: list[Told]) -> object:
        rows = trail(*(Arrival(one.event, one.source_id) for one in arrived))
        return fold(told_of(rows, built_in()), Asked(START_NS + DAY_NS))

    assert of_rows(shuffle.sample(told, len(told))) == of_rows(told)


ON_THE_WAY = [
    one.name
    for one in CANONICAL.values()
    if one.name not in {"RETURN_STARTED", "RETURNED", "ACCEPTED", "CORRECTION", "REDIRECTED"}
]


@MANY
@given(
    st.lists(st.tuples(st.sampled_from(ON_THE_WAY), st.integers(0, 2_000)), max_size=10),
    st.integers(0, 2_000),
)
def test_no_late_or_early_scan_undoes_a_delivery(others: list[tuple[str, int]], hour: int) -> None:
    """Whatever else is scanned on a leg, before or after: once delivered it is delivered; only
    what was disposed of before cannot be.
    """
    told = [say(name, at, "A", name=(name, at)) for name, at in others]
    found = read([*told, say("DELIVERED", hour, "B")])

    disposed = any(name == "DISPOSED" and at <= hour for name, at in others)
    assert found.milestone is Milestone.DELIVERED or disposed
    assert Flag.STALLED not in found.flags


@given(st.sampled_from(["a", "b"]), st.permutations(range(4)))
def test_ties_go_by_source_and_then_by_the_hash_of_the_event(source: str, order: list[int]) -> None:
    """Events of one moment are in the order of their sources, then of SHA-256 of their bytes."""
    told = [
        say("ARRIVED", 1, facility, name=facility, source=who)
        for who, facility in [("a", "X"), ("b", "Y"), (source, "Z"), (source, "W")]
    ]
    found = read([told[at] for at in order])
    ranks = [(one.source_id, hashlib.sha256(one.data).digest()) for one in found.events]

    assert ranks == sorted(ranks)
    assert found.where.facility == found.events[-1].event.facility


@MANY
@given(story(), ASKED)
def test_every_answer_holds_together(told: list[Told], asked: Asked) -> None:
    """Legs are there; every event of an item is counted on one of them; durations are not
    negative; nothing is folded that was corrected; flags of what goes on end with the journey.
    """
    found = fold(told, asked)
    if found is None:
        return
    item = found.instance
    assert sum(leg.scans + leg.notices for leg in item.legs) == len(item.events)
    assert item.in_state_ns >= 0
    assert item.silent_ns >= -1
    assert (item.last_scan is None) == (item.silent_ns == -1)
    void = [old for one in item.corrections if one.in_effect for old in one.corrected]
    assert not any(one is old for one in item.events for old in void)
    if item.milestone in {Milestone.DELIVERED, Milestone.RETURNED}:
        assert not item.flags & {Flag.LATE, Flag.STALLED, Flag.HELD, Flag.ACTION_REQUIRED}
        assert item.proof is not None
    assert ScanEventType.SCAN_EVENT_TYPE_CORRECTION not in {one.type for one in item.events} or all(
        one.type == ScanEventType.SCAN_EVENT_TYPE_CORRECTION for one in item.events
    )


@MANY
@given(
    story(),
    st.sampled_from([0, 9, 40, 400]),
    st.integers(1, 900),
    st.one_of(st.none(), st.tuples(st.integers(0, 6), st.integers(7, 5_000))),
)
def test_between_now_and_the_next_change_nothing_changes(
    told: list[Told], day: int, later: int, announced: tuple[int, int] | None
) -> None:
    """As long as nothing comes, flags and doubts are the same until the moment that the fold names,
    and from then on it names a later one: so an answer can be known to be still the same.
    """
    now_ns = START_NS + day * DAY_NS
    if announced is not None:
        until = timestamp(START_NS + announced[1] * HOUR_NS)
        told = [*told, say("DEPARTED", announced[0], "A", expected_until_time=until)]
    found = fold(told, Asked(now_ns))
    if found is None:
        return
    one = found.instance
    last_ns = one.next_change_ns - 1 if one.next_change_ns else now_ns + later * DAY_NS
    still = fold(told, Asked(last_ns))

    assert one.next_change_ns == 0 or one.next_change_ns > now_ns
    assert still
    assert still.instance.flags == one.flags
    assert still.instance.doubts == one.doubts
    assert still.instance.legs == one.legs
    assert still.instance.next_change_ns == one.next_change_ns
