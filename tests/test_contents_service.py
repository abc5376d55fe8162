"""Containers over gRPC: what lies in one, and what an item inherits of those that it lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.v1.item_service_pb2 import (
    ListContentsRequest,
)
from ledger.v1.trail_service_pb2 import LookupStatus
from query import contents as listing
from tests.bags import empty, put_in, see, take_out
from tests.item_doors import hour, put
from tests.tellers import WITHDRAWN, correct
from tests.trails import Arrival, timestamp

pytestmark = pytest.mark.usefixtures("clock")  # The door has it.

if TYPE_CHECKING:
    from ledger.v1.item_service_pb2 import ListContentsResponse
    from tests.asking import Asked

BAG, TRUCK = "BAG1", "TRUCK1"
UNCHANGED = LookupStatus.LOOKUP_STATUS_UNCHANGED


async def inside(door: Asked, **fields: object) -> list[str]:
    """Name what lies in the bag, all pages of it."""
    found: list[str] = []
    token = ""
    while True:
        page = await list_page(door, page_token=token, **fields)
        found += [one.tracking_key for one in page.items]
        token = page.next_page_token
        if not token:
            return found


async def list_page(door: Asked, **fields: object) -> ListContentsResponse:
    """Give one page."""
    request = ListContentsRequest(**{"tracking_number": BAG, **fields})  # type: ignore[arg-type]
    return await door.items.ListContents(request)


def at(number: float) -> dict[str, object]:
    """Ask for an hour of the story."""
    return {"at_time": timestamp(hour(number) * 10**9)}


STORY = [
    put_in("A1", BAG, 1),
    put_in("A2", BAG, 2),
    put_in("A3", BAG, 3),
    put_in("A4", "OTHER", 3),
    take_out("A2", BAG, 4),
    see("A3", "SORTED", 6, "B"),
    put_in("A2", BAG, 7),
    empty(BAG, 9, "B"),
]


@pytest.mark.parametrize(
    ("moment", "names"),
    [
        (0.5, []),
        (1, ["A1"]),
        (3.5, ["A1", "A2", "A3"]),
        (4, ["A1", "A3"]),
        (6, ["A1"]),
        (8, ["A1", "A2"]),
        (9, []),
    ],
)
@pytest.mark.parametrize("page_size", [0, 1])
async def test_what_lies_in_a_container_at_a_moment(
    door: Asked, moment: float, names: list[str], page_size: int
) -> None:
    """By when it was put in; each once, also where it was put in twice, page by page."""
    await put(door, [*STORY, STORY[0]])

    assert await inside(door, page_size=page_size, **at(moment)) == names


async def test_an_item_is_listed_with_what_put_it_in(door: Asked) -> None:
    """Now is the moment where none is asked for; the container is found in any writing."""
    await put(door, STORY[:1])

    page = await list_page(door, tracking_number="bag-1")

    [item] = page.items
    assert item.put_in.event.facility == "A"
    assert item.put_in.event.scan_time.seconds == hour(1)
    assert page.status == LookupStatus.LOOKUP_STATUS_FOUND
    assert list(page.tracking_keys) == [BAG]
    assert page.answer_time.seconds == hour(40)


async def test_a_container_that_nobody_knows(door: Asked) -> None:
    """It is possible, and empty as far as anybody said."""
    page = await list_page(door)

    assert page.status == LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
    assert not page.items


async def test_what_was_withdrawn_or_is_not_readable_is_not_inside(door: Asked) -> None:
    """A correction counts for every moment; what the writer has not marked, for none."""
    await put(door, STORY[:3])
    undo = correct(STORY[1], WITHDRAWN, "CORRECTION", 5, tracking_number="A2")
    await put(door, [undo], "A2")
    late = put_in("A5", BAG, 3)
    await door.shelf.put(Arrival(late.event, late.source_id), readable=False)

    assert await inside(door, **at(3.5)) == ["A1", "A3"]


async def test_as_of_a_moment_of_the_ledger(door: Asked) -> None:
    """What the ledger could not have shown then is not in the answer, whenever it was scanned."""
    door.shelf.now_ns = hour(5) * 10**9
    await put(door, STORY[:1])
    then_ns = await door.shelf.settle()
    await put(door, STORY[1:3])

    now = await inside(door, **at(3.5))
    then = await inside(door, as_of_time=timestamp(then_ns))

    assert now == ["A1", "A2", "A3"]
    assert then == ["A1"]


async def test_a_container_with_two_numbers_is_one(door: Asked) -> None:
    """What was put in under either is listed under both, and taken out by either emptying."""
    await put(door, [put_in("A1", BAG, 1), put_in("A2", "SEAL9", 2)])
    await door.shelf.alias(BAG, "SEAL9")

    both = await inside(door)
    other = await inside(door, tracking_number="SEAL9")
    await put(door, [empty("SEAL9", 5)])

    assert both == other == ["A1", "A2"]
    assert await inside(door) == []


async def test_many_that_are_gone_end_a_page_early(
    door: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page looks on where it finds nothing; one that looked at so much is empty, and goes on."""
    gone = [
        one for n in range(8) for one in (put_in(f"G{n}", BAG, n / 10), take_out(f"G{n}", BAG, 1))
    ]
    await put(door, [*gone, put_in("LAST", BAG, 2)])

    found = await list_page(door, page_size=4)
    monkeypatch.setattr(listing, "STRETCHES_MAX", 2)
    first = await list_page(door, page_size=2)

    assert [one.tracking_key for one in found.items] == ["LAST"]
    assert not first.items
    assert first.next_page_token
    assert await inside(door, page_size=2) == ["LAST"]


@pytest.mark.parametrize(
    "fields",
    [{"tracking_number": ""}, {"page_size": -1}, {"page_token": "odd"}],
)
async def test_what_cannot_be_answered_is_refused(door: Asked, fields: dict[str, object]) -> None:
    """It is the caller's fault, and said to be."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await list_page(door, **fields)

    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_token_belongs_to_its_request(door: Asked) -> None:
    """Another container's page cannot be asked for with it."""
    await put(door, STORY[:3])
    token = (await list_page(door, page_size=1, **at(3.5))).next_page_token

    with pytest.raises(grpc.aio.AioRpcError):
        await list_page(door, tracking_number="OTHER", page_token=token, **at(3.5))
