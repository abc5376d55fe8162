"""What a look-up of many cannot read is said in its place, and stops and delays nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import grpc
import pytest

from ledger.contents import contents_key
from ledger.errors import Busy, Uncertain
from ledger.numbers import filing_key
from ledger.v1.item_service_pb2 import BatchGetItemsRequest, GetItemRequest, ItemLookUp
from ledger.v1.trail_service_pb2 import BatchGetTrailsRequest, LookupStatus
from query import chunks
from query.chunks import CHUNK_NUMBERS
from query.reading import SHORT_ROWS
from tests.asking import failing
from tests.bags import put_in, see
from tests.trails import Arrival, scan
from tests.troubled import troubled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from tests.asking import Asked

FOUND = LookupStatus.LOOKUP_STATUS_FOUND
FAILED_RETRY = LookupStatus.LOOKUP_STATUS_FAILED_RETRY
BUSY = Busy("busy", reason="STORE_BUSY", retry_after_s=1)
UNCERTAIN = Uncertain("unsure", reason="STORE_AWAY")


class Answer(NamedTuple):
    """What trails and items have in common."""

    place: int
    status: LookupStatus.ValueType
    message: str
    says_more: bool


async def of_trails(door: Asked, numbers: Sequence[str]) -> list[Answer]:
    """Look trails up."""
    request = BatchGetTrailsRequest(tracking_numbers=numbers)
    return [
        Answer(one.index, one.status, one.message, bool(one.entries or one.tracking_keys))
        async for one in door.trails.BatchGetTrails(request)
    ]


async def of_items(door: Asked, numbers: Sequence[str]) -> list[Answer]:
    """Look items up."""
    look_ups = [ItemLookUp(tracking_number=one) for one in numbers]
    return [
        Answer(one.index, one.status, one.message, one.HasField("item") or bool(one.tracking_keys))
        async for part in door.items.BatchGetItems(BatchGetItemsRequest(look_ups=look_ups))
        for one in part.answers
    ]


if TYPE_CHECKING:
    LookUp = Callable[[Asked, Sequence[str]], Awaitable[list[Answer]]]
of_both = pytest.mark.parametrize("look_up", [of_trails, of_items])


def failed(answers: Iterable[Answer]) -> list[int]:
    """Give the places of those that could not be read, of which nothing else is said."""
    some = [one for one in answers if one.status == FAILED_RETRY]
    assert all(one.message and not one.says_more for one in some)
    return [one.place for one in some]


@of_both
async def test_what_cannot_be_read_is_named_and_stops_nothing(
    door: Asked, monkeypatch: pytest.MonkeyPatch, look_up: LookUp
) -> None:
    """Items that are busy, unsure or hang are answered with FAILED_RETRY, in their places."""
    monkeypatch.setattr(chunks, "READ_TIMEOUT_S", 0.3)
    await door.shelf.put(*(scan(i, number=f"AB{i}") for i in range(100)))

    troubles = {"AB3": BUSY, "AB40": UNCERTAIN, "AB41": None}
    async with troubled(door, troubles) as (other, _):
        answers = await look_up(other, [f"AB{i}" for i in range(100)])

    assert failed(answers) == [3, 40, 41]
    assert [one.place for one in answers] == list(range(100))
    assert sum(one.status == FOUND for one in answers) == 97


@of_both
async def test_a_store_that_is_away_is_waited_for_once(
    door: Asked, monkeypatch: pytest.MonkeyPatch, look_up: LookUp
) -> None:
    """Where nothing of a chunk could be read, the rest of a look-up is told so without a read."""
    monkeypatch.setattr(chunks, "READ_TIMEOUT_S", 0.2)
    numbers = [f"AB{i}" for i in range(300)]

    async with troubled(door, dict.fromkeys(numbers)) as (other, store):
        answers = await look_up(other, numbers)

    assert failed(answers) == list(range(300))
    assert store.reads == 1 + CHUNK_NUMBERS  # One chunk, and each of its items, of ten chunks.


@of_both
async def test_a_chunk_of_invalid_numbers_says_nothing_of_the_store(
    door: Asked, look_up: LookUp
) -> None:
    """Nothing of it could be read, and what comes behind it is read all the same."""
    numbers = [""] * CHUNK_NUMBERS + ["AB1"]
    await door.shelf.put(scan(1, number="AB1"))

    answers = await look_up(door, numbers)

    assert [one.status for one in answers] == (
        [LookupStatus.LOOKUP_STATUS_INVALID_NUMBER] * CHUNK_NUMBERS + [FOUND]
    )


async def put_in_bags(door: Asked, bag_of: dict[str, str]) -> None:
    """Put items into bags, and see each bag somewhere."""
    told = [put_in(number, bag, 1) for number, bag in bag_of.items()]
    told += [see(bag, "ARRIVED", 2, "B") for bag in set(bag_of.values())]
    await door.shelf.put(*(Arrival(one.event, one.source_id) for one in told))


async def put_in_bags_with_a_bad_one(door: Asked, *, chunks: int) -> dict[str, str]:
    """Put each item into a bag of its own, and three into one that will have trouble."""
    bag_of = {f"AB{i}": f"BAG{i}" for i in range(chunks * CHUNK_NUMBERS)}
    bag_of |= dict.fromkeys(["AB3", "AB40", "AB41"], "BAD")
    await put_in_bags(door, bag_of)
    return bag_of


@pytest.mark.parametrize("trouble", [BUSY, UNCERTAIN, None])
async def test_a_bad_container_costs_only_what_lay_in_it(
    door: Asked, monkeypatch: pytest.MonkeyPatch, trouble: Exception | None
) -> None:
    """It is found with ten reads among 32 others, once for all chunks; nothing is read singly."""
    monkeypatch.setattr("query.item_batch.READ_TIMEOUT_S", 0.3)
    bag_of = await put_in_bags_with_a_bad_one(door, chunks=3)

    async with troubled(door, {"BAD": trouble}) as (other, store):
        answers = await of_items(other, list(bag_of))

    assert failed(answers) == [3, 40, 41]
    assert sum(one.status == FOUND for one in answers) == len(bag_of) - 3
    # Of items, whether they are containers, and their own containers.
    assert store.reads == 3 * 3 + 10


@pytest.mark.parametrize("trouble", [BUSY, None])
async def test_nor_does_one_whose_long_trail_cannot_be_read_to_its_end(
    door: Asked, monkeypatch: pytest.MonkeyPatch, trouble: Exception | None
) -> None:
    """Its beginning came with those of the others."""
    monkeypatch.setattr("query.item_batch.READ_TIMEOUT_S", 0.3)
    bag_of = await put_in_bags_with_a_bad_one(door, chunks=2)
    await door.shelf.put(*(scan(i, number="BAD", minute=i) for i in range(SHORT_ROWS)))

    async with troubled(door, {"BAD": trouble}, first_rows=True) as (other, store):
        answers = await of_items(other, list(bag_of))

    assert failed(answers) == [3, 40, 41]
    assert sum(one.status == FOUND for one in answers) == len(bag_of) - 3
    assert store.reads == 2 * 3 + 1


async def test_a_thousand_out_of_a_bad_truck_ask_for_it_once(door: Asked) -> None:
    """All of them are told so, and the next chunk does not ask for it again."""
    bag_of = dict.fromkeys((f"AB{i}" for i in range(10 * CHUNK_NUMBERS)), "BAD")
    await put_in_bags(door, bag_of)

    async with troubled(door, {"BAD": BUSY}) as (other, store):
        answers = await of_items(other, list(bag_of))

    assert failed(answers) == list(range(len(bag_of)))
    assert store.reads == 10 * 2 + 1


@pytest.mark.parametrize("trouble", [BUSY, None])
async def test_what_may_be_a_container_and_cannot_be_asked_stops_nothing(
    door: Asked, monkeypatch: pytest.MonkeyPatch, trouble: Exception | None
) -> None:
    """Whether anything was put into it has to be read where its beginning is missing."""
    monkeypatch.setattr("query.item_batch.READ_TIMEOUT_S", 0.3)
    numbers = [f"AB{i}" for i in range(2 * CHUNK_NUMBERS)]
    told = [see(number, "ARRIVED", 1, "B") for number in numbers]
    await door.shelf.put(*(Arrival(one.event, one.source_id) for one in told))

    async with troubled(door, {contents_key(filing_key("AB3")): trouble}) as (other, _):
        answers = await of_items(other, numbers)

    assert failed(answers) == [3]
    assert sum(one.status == FOUND for one in answers) == len(numbers) - 1


async def test_who_asks_for_one_item_is_told_why(door: Asked) -> None:
    """The error of the container that it lay in is that of the call."""
    await put_in_bags(door, {"AB1": "BAD"})

    async with troubled(door, {"BAD": BUSY}) as (other, _):
        with failing() as failures:
            await other.items.GetItem(GetItemRequest(tracking_number="AB1"))

    assert failures[0].code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failures[0].reason == "STORE_BUSY"
