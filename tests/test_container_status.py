"""A container's own status: it is no posted item, and nobody misses how it was handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.v1 import item_pb2 as pb
from ledger.v1.item_service_pb2 import BatchGetItemsRequest, ItemLookUp
from ledger.v1.trail_service_pb2 import LookupStatus
from query.journey import Asked, Doubt, asked_of, fold
from tests.bags import empty, put_in, see
from tests.item_doors import get, put
from tests.tellers import START_NS
from tests.trails import NUMBER, timestamp

if TYPE_CHECKING:
    from tests.asking import Asked as Door

RECEPTACLE = "DEFRAAUSJFKAAUN50123001000123"
MOVED = [
    see("BAG7", "DEPARTED", 2, "A", next_facility="B"),
    see("BAG7", "ARRIVED", 9, "B"),
]
UNBEGUN = pb.ITEM_DOUBT_BEGINNING_NOT_SEEN


pytestmark = pytest.mark.usefixtures("clock")  # The door has it.


async def test_what_things_were_put_into_needs_no_beginning(door: Door) -> None:
    """Before anything is, it may be an item like any other, and after that it is none: then an
    answer from before does not hold. As of then it is said as it was.
    """
    await put(door, MOVED)
    before = await get(door, tracking_number="BAG7")
    same = await get(door, tracking_number="BAG7", revision=before.revision)
    then = timestamp(await door.shelf.settle())
    await put(door, [put_in(NUMBER, "BAG7", 1)])
    after = await get(door, tracking_number="BAG7", revision=before.revision)
    again = await get(door, tracking_number="BAG7", revision=after.revision)
    past = await get(door, tracking_number="BAG7", as_of_time=then)

    assert list(before.item.doubts) == [UNBEGUN]
    assert same.status == LookupStatus.LOOKUP_STATUS_UNCHANGED
    assert after.status == LookupStatus.LOOKUP_STATUS_FOUND
    assert list(after.item.doubts) == []
    assert after.item.place.facility == "B"
    assert again.status == LookupStatus.LOOKUP_STATUS_UNCHANGED
    assert UNBEGUN in past.item.doubts


async def test_what_lies_in_it_has_a_beginning_to_miss(door: Door) -> None:
    """An item in a bag is an item, and so is one beside it, in one look-up."""
    await put(door, [*MOVED, put_in(NUMBER, "BAG7", 1), see("AB1", "SORTED", 3, "A")])
    request = BatchGetItemsRequest(
        look_ups=[ItemLookUp(tracking_number=one) for one in ("BAG7", NUMBER, "AB1", "BAG7")]
    )
    answers = [
        one async for message in door.items.BatchGetItems(request) for one in message.answers
    ]

    assert [UNBEGUN in one.item.doubts for one in answers] == [False, True, True, False]


def test_what_says_itself_that_it_is_a_container_is_one() -> None:
    """By a scan that emptied it, or by its number; not by one that emptied what it lay in."""
    now_ns = START_NS + 40 * 3_600 * 1_000_000_000
    emptied = empty("BAG7", 12, "B")

    def doubts(asked: Asked, *told: object) -> frozenset[Doubt]:
        found = fold([*MOVED, *told], asked)  # type: ignore[list-item]
        assert found
        return found.instance.doubts

    assert doubts(Asked(now_ns)) == {Doubt.BEGINNING_NOT_SEEN}
    assert doubts(Asked(now_ns), emptied) == frozenset()
    assert doubts(Asked(now_ns), emptied._replace(path=(b"BAG9",))) == {Doubt.BEGINNING_NOT_SEEN}
    assert doubts(asked_of(RECEPTACLE, now_ns=now_ns)) == frozenset()
    assert doubts(asked_of("195210328588902409", now_ns=now_ns)) == {Doubt.BEGINNING_NOT_SEEN}
