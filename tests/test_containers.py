"""What is inherited of containers: each rule of when something lies in one, and of what counts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from query.containers import Ending, Known, carried, stays_of
from query.containers.inheriting import STAYS_MAX
from query.journey import Asked, Doubt, Presence, fold
from query.journey.rules import HOUR_NS
from query.journey.standing import standing
from tests.bags import carried_of, empty, put_in, said, see, take_out, trails_of
from tests.tellers import START_NS, WITHDRAWN, correct, notice

if TYPE_CHECKING:
    from query.journey import Told

WAY = [
    see("BAG", "DEPARTED", 2, "A", next_facility="B"),
    see("BAG", "ARRIVED", 9, "B"),
    see("BAG", "SORTED", 11, "C"),
]
"""A bag's own way."""


def endings(told: list[Told]) -> list[tuple[float, Ending]]:
    """When the stays of ITEM ended, and why."""
    return [
        ((one.end_ns - START_NS) / 3_600e9, one.stay.ending)
        for one in carried_of("ITEM", told).lain
    ]


def test_a_scan_of_the_container_counts_for_what_is_inside() -> None:
    """From when it went in; not what happened to the container before."""
    story = [see("BAG", "ARRIVED", 0.5, "Z"), put_in("ITEM", "BAG", 1), *WAY]

    assert said(carried_of("ITEM", story)) == [(2, "BAG", "A"), (9, "BAG", "B"), (11, "BAG", "C")]


@pytest.mark.parametrize(
    ("end", "ending"),
    [
        (take_out("ITEM", "BAG", 10, "B"), Ending.OUT),
        (put_in("ITEM", "OTHER", 10, "B"), Ending.MOVED),
        (put_in("ITEM", "BAG", 10, "A"), Ending.MOVED),
        (empty("BAG", 10, "B"), Ending.EMPTIED),
        (see("ITEM", "SORTED", 10, "B"), Ending.SEEN_ELSEWHERE),
        (see("ITEM", "DELIVERED", 10, "A"), Ending.SEEN_ELSEWHERE),
    ],
    ids=["out", "in another", "in again", "emptied", "seen elsewhere", "handed over"],
)
def test_a_stay_ends_by_what_comes_first(end: Told, ending: Ending) -> None:
    """And what the container does later is not inherited; what emptied it is."""
    found = carried_of("ITEM", [put_in("ITEM", "BAG", 1), *WAY, end])

    stay = found.lain[0].stay
    assert ((stay.end_ns - START_NS) / 3_600e9, stay.ending) == (10, ending)
    emptied = [(10, "BAG", "B")] if ending is Ending.EMPTIED else []
    again = [(11, "BAG", "C")] if end.container == b"BAG" and ending is Ending.MOVED else []
    assert said(found) == [(2, "BAG", "A"), (9, "BAG", "B"), *emptied, *again]


@pytest.mark.parametrize(
    "other",
    [
        see("ITEM", "SORTED", 10, "A"),
        see("ITEM", "SORTED", 10),
        take_out("ITEM", "OTHER", 10, "A"),
        notice("IN_TRANSIT_NOTICE", 10, "B", tracking_number="ITEM")._replace(key=b"ITEM"),
        empty("OTHER", 10, "B"),
        empty("BAG", 0.5),
    ],
    ids=["seen there", "seen nowhere", "out of another", "a notice", "another", "emptied before"],
)
def test_what_says_nothing_ends_nothing(other: Told) -> None:
    """A scan beside the dock, a notice, and what happens to another container."""
    assert len(said(carried_of("ITEM", [put_in("ITEM", "BAG", 1), *WAY, other]))) == 3


def test_a_stay_ends_after_thirty_days() -> None:
    """A bag that nobody emptied takes nothing along for ever."""
    story = [
        put_in("ITEM", "BAG", 0),
        see("BAG", "ARRIVED", 719, "B"),
        see("BAG", "ARRIVED", 720, "C"),
    ]

    found = carried_of("ITEM", story)

    assert said(found) == [(719, "BAG", "B")]
    assert endings(story) == [(720, Ending.TIME)]


def test_containers_lie_in_one_another() -> None:
    """Four deep; while the one lay in the other, and the item in it."""
    story = [
        put_in("TRAY", "PALLET", 0),
        put_in("ITEM", "TRAY", 1),
        put_in("PALLET", "TRUCK", 2),
        put_in("TRUCK", "SHIP", 3),
        see("TRUCK", "ARRIVED", 2.5, "X"),
        see("SHIP", "ARRIVED", 5, "Y"),
        take_out("TRUCK", "SHIP", 6, "Y"),
        see("SHIP", "ARRIVED", 7, "Z"),
        take_out("PALLET", "TRUCK", 8, "Y"),
        see("TRUCK", "ARRIVED", 9, "Z"),
    ]

    found = carried_of("ITEM", story)

    assert said(found) == [
        (2, "PALLET", "A"),
        (2.5, "TRUCK", "X"),
        (3, "TRUCK", "A"),
        (5, "SHIP", "Y"),
        (6, "TRUCK", "Y"),
        (8, "PALLET", "Y"),
    ]
    assert found.lain[-1].path == (b"TRAY", b"PALLET", b"TRUCK", b"SHIP")
    assert not found.is_truncated


@pytest.mark.parametrize("hours", [0, 5])
def test_what_was_emptied_before_holds_nothing_that_came_later(hours: int) -> None:
    """The tray was out of the bag when the item came into the tray, and no scan of it says so."""
    found = carried_of(
        "ITEM",
        [
            put_in("TRAY", "BAG", 0),
            empty("BAG", 3),
            put_in("ITEM", "TRAY", 3 + hours),
            see("BAG", "ARRIVED", 9, "C"),
            see("TRAY", "ARRIVED", 10, "B"),
        ],
    )

    assert [one.path for one in found.lain] == [(b"TRAY",)]
    assert [one.told.path for one in found.scans] == [(b"TRAY",)]


def test_what_emptied_it_as_something_was_put_in_counts_once() -> None:
    """It emptied the tray of the bag that the item lay in until then; the item came in after."""
    found = carried_of(
        "ITEM",
        [
            put_in("ITEM", "BAG", 0),
            put_in("BAG", "TRAY", 0),
            put_in("ITEM", "TRAY", 5),
            empty("TRAY", 5),
            see("TRAY", "ARRIVED", 9, "C"),
        ],
    )

    assert [(one.told.path, one.told.scan_time_ns - START_NS) for one in found.scans] == [
        ((b"BAG",), 0),
        ((b"BAG", b"TRAY"), 5 * HOUR_NS),
        ((b"TRAY",), 9 * HOUR_NS),
    ]


def test_what_is_too_deep_is_said() -> None:
    """A fifth container is not followed, and the answer says so."""
    names = ["ITEM", "C1", "C2", "C3", "C4", "C5"]
    story = [put_in(inner, outer, hour) for hour, (inner, outer) in enumerate(pairwise(names))]

    found = carried_of("ITEM", [*story, see("C5", "ARRIVED", 9, "B")])

    assert found.is_truncated
    assert {one[1] for one in said(found)} == {"C1", "C2", "C3", "C4"}


def test_what_is_too_often_is_said() -> None:
    """Of many stays the newest are followed."""
    story = [put_in("ITEM", f"BAG{number}", number) for number in range(STAYS_MAX + 3)]

    found = carried_of("ITEM", story)

    assert found.is_truncated
    assert len(found.lain) == STAYS_MAX
    assert found.lain[0].path == (b"BAG3",)


def test_circles_end() -> None:
    """A in B in A is a mistake of somebody: each is followed once."""
    story = [
        put_in("ITEM", "A", 0),
        put_in("A", "B", 1),
        put_in("B", "A", 2),
        put_in("B", "ITEM", 3),
        see("B", "ARRIVED", 5, "Z"),
    ]

    found = carried_of("ITEM", story)

    assert [one.path for one in found.lain] == [(b"A",), (b"A", b"B")]
    assert (5, "B", "Z") in said(found)


def test_what_is_withdrawn_was_none() -> None:
    """Of the item's way in, and of the container's scans."""
    into = put_in("ITEM", "BAG", 1)
    wrong = see("BAG", "ARRIVED", 5, "X")
    undo = correct(wrong, WITHDRAWN, "CORRECTION", 6)._replace(key=b"BAG")

    assert said(carried_of("ITEM", [into, wrong, undo, *WAY])) == [
        (2, "BAG", "A"), (9, "BAG", "B"), (11, "BAG", "C"),
    ]  # fmt: skip
    undo = correct(into, WITHDRAWN, "CORRECTION", 6)._replace(key=b"ITEM")
    assert said(carried_of("ITEM", [into, undo, *WAY])) == []


def test_no_end_is_inherited() -> None:
    """A bag that was delivered, lost, or announced says nothing of what is inside."""
    ends = [see("BAG", what, 3, "B") for what in ("DELIVERED", "LOST", "LABEL_CREATED", "DISPOSED")]

    assert said(carried_of("ITEM", [put_in("ITEM", "BAG", 1), *ends])) == []


def test_trails_that_are_not_known_are_asked_for() -> None:
    """First the nearest, then what lay around it; one that cannot be read truncates."""
    story = trails_of([put_in("ITEM", "BAG", 1), put_in("BAG", "TRUCK", 2)])
    own = standing(story[b"ITEM"]).events
    known: dict[bytes, Known | None] = {}

    _, [first] = carried([b"ITEM"], own, known)
    known[first.container] = Known(story[b"BAG"])
    _, [second] = carried([b"ITEM"], own, known)
    known[second.container] = None
    found, needs = carried([b"ITEM"], own, known)

    assert [first.container, second.container] == [b"BAG", b"TRUCK"]
    assert not needs
    assert found.is_truncated
    assert said(found) == [(2, "BAG", "A")]


def test_no_two_stays_overlap() -> None:
    """Whatever it was put into at one moment, the last by the order of the trail is what counts."""
    events = standing([put_in("ITEM", "B1", 1), put_in("ITEM", "B2", 1), put_in("ITEM", "B3", 2)])

    stays = stays_of(events.events)

    assert len(stays) == 2
    assert stays[0].end_ns == stays[1].begin_ns


def test_the_place_is_the_containers() -> None:
    """The fold says where the container is, without a doubt, as far as all scans are known."""
    own = [see("ITEM", "ACCEPTED", 0, "A"), put_in("ITEM", "BAG", 1)]
    inherited = carried_of("ITEM", [*own, *WAY[:2]])
    asked = Asked(START_NS + 10 * 3_600 * 10**9)

    alone, with_bag = fold(own, asked), fold(own, asked, inherited)
    cut = fold(own, asked, inherited._replace(is_truncated=True))

    assert alone
    assert with_bag
    assert cut
    assert Doubt.IN_CONTAINER in alone.instance.doubts
    where = with_bag.instance.where
    assert (where.presence, where.facility) == (Presence.AT, "B")
    assert with_bag.instance.doubts == frozenset()
    assert Doubt.IN_CONTAINER not in cut.instance.doubts  # It was seen where the bag arrived.
    assert [one.path for one in with_bag.instance.events] == [(), (), (b"BAG",), (b"BAG",)]
    assert with_bag.instance.leg.scans == alone.instance.leg.scans == 2
    assert not with_bag.instance.corrections


def test_an_earlier_item_with_the_number_keeps_what_it_inherited() -> None:
    """A number that is used again is another item, which never lay in that bag."""
    old = [see("ITEM", "ACCEPTED", 0, "A"), put_in("ITEM", "BAG", 1)]
    new = [see("ITEM", "ACCEPTED", 9_000, "X"), see("ITEM", "DEPARTED", 9_001, "X")]
    asked = Asked(START_NS + 9_002 * 3_600 * 10**9)

    both = fold([*old, *new], asked, carried_of("ITEM", [*old, *new, *WAY]))
    alone = fold(new, asked)

    assert both
    assert alone
    assert both.others
    assert both.instance.events == alone.instance.events
