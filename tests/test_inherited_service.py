"""Items in containers over gRPC: what they inherit of what they lie in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.v1 import item_pb2 as pb
from ledger.v1.item_service_pb2 import (
    BatchGetItemsRequest,
    ItemLookUp,
    ItemView,
    ListContentsRequest,
)
from ledger.v1.trail_service_pb2 import LookupStatus
from query import reading
from query.containers import reading as container_reading
from tests.bags import put_in, see, take_out
from tests.item_doors import Clock, hour, put
from tests.trails import NUMBER

pytestmark = pytest.mark.usefixtures("clock")  # The door has it.

if TYPE_CHECKING:
    from ledger.v1.item_service_pb2 import ItemAnswer
    from query.journey import Told
    from tests.asking import Asked

BAG, TRUCK = "BAG1", "TRUCK1"
UNCHANGED = LookupStatus.LOOKUP_STATUS_UNCHANGED


async def get_many(door: Asked, *numbers: str, revision: str = "") -> list[ItemAnswer]:
    """Answer for several numbers."""
    request = BatchGetItemsRequest(
        look_ups=[ItemLookUp(tracking_number=one, revision=revision) for one in numbers],
        view=ItemView.ITEM_VIEW_TIMELINE,
    )
    return [answer async for part in door.items.BatchGetItems(request) for answer in part.answers]


WAY = [
    see(NUMBER, "ACCEPTED", 1, "A"),
    put_in(NUMBER, BAG, 2),
    put_in(BAG, TRUCK, 3),
    see(TRUCK, "DEPARTED", 4, "A", next_facility="B"),
    see(TRUCK, "ARRIVED", 8, "B"),
]


async def test_an_item_inherits_the_scans_of_its_containers(door: Asked) -> None:
    """Its place is the truck's, each inherited event says through what, and the doubt is gone."""
    await put(door, WAY)

    [answer] = await get_many(door, NUMBER)

    item = answer.item
    assert (item.place.presence, item.place.facility) == (pb.PRESENCE_AT, "B")
    assert list(item.doubts) == []
    assert [one.tracking_key for one in item.containers] == [BAG, TRUCK]
    assert [list(one.container_keys) for one in item.events] == [
        [], [], [BAG], [BAG, TRUCK], [BAG, TRUCK],
    ]  # fmt: skip
    assert list(answer.tracking_keys) == [NUMBER]
    assert not item.containers_truncated


async def test_a_revision_knows_of_containers(door: Asked) -> None:
    """It stands while nothing happened to any of them, and changes with what is inherited."""
    await put(door, WAY[:4])
    [before] = await get_many(door, NUMBER)
    [same] = await get_many(door, NUMBER, revision=before.revision)
    await put(door, WAY[4:])

    [after] = await get_many(door, NUMBER, revision=before.revision)

    assert same.status == UNCHANGED
    assert after.status != UNCHANGED
    assert after.item.place.facility == "B"


async def test_a_revision_ends_with_a_stay(door: Asked, clock: Clock) -> None:
    """Thirty days later nobody knows whether it still lies there, though nothing was recorded."""
    await put(door, [see(NUMBER, "ACCEPTED", 1, "A"), put_in(NUMBER, BAG, 2)])
    clock.ns = hour(2 + 719) * 10**9
    [before] = await get_many(door, NUMBER)
    [same] = await get_many(door, NUMBER, revision=before.revision)
    clock.ns = hour(2 + 720) * 10**9

    [after] = await get_many(door, NUMBER, revision=before.revision)

    assert [one.tracking_key for one in before.item.containers] == [BAG]
    assert same.status == UNCHANGED
    assert after.status != UNCHANGED
    assert not after.item.containers


async def test_a_batch_reads_each_container_once(
    door: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty items in one bag in one truck cost its trail once, and all say the same."""
    numbers = [f"N{number}" for number in range(40)]
    story: list[Told] = [put_in(number, BAG, 2) for number in numbers]
    await put(door, [*story, *WAY[2:]])
    read: list[bytes] = []
    store = door.shelf.store
    plain = type(store).read_many

    async def count(self: object, keys: list[bytes], **limits: int) -> object:
        read.extend(keys)
        return await plain(self, keys, **limits)  # type: ignore[arg-type]

    monkeypatch.setattr(type(store), "read_many", count)

    answers = await get_many(door, *numbers)

    assert {answer.item.place.facility for answer in answers} == {"B"}
    assert read.count(BAG.encode()) == read.count(TRUCK.encode()) == 1


async def test_of_a_long_trail_the_time_that_matters_is_read(
    door: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A truck that drives for years: around each stay, also where two items rode it at different
    times; and where that is too much it is said, and the doubt stays.
    """
    monkeypatch.setattr(reading, "WHOLE_ROWS_MAX", 6)
    rides = [see(TRUCK, "ARRIVED", 24.0 * day, f"P{day}") for day in range(-60, 90, 3)]
    later = put_in("LATER", TRUCK, 24 * 80, "A")
    await put(door, [put_in(NUMBER, TRUCK, 1), take_out(NUMBER, TRUCK, 100, "B"), later, *rides])

    both = await get_many(door, NUMBER, "LATER")
    monkeypatch.setattr(container_reading, "WINDOW_EVENTS_MAX", 3)
    [cut] = await get_many(door, NUMBER)

    inherited = [
        [one.event.facility for one in answer.item.events if one.container_keys] for answer in both
    ]
    assert inherited == [["P3"], ["P81", "P84", "P87"]]
    assert not any(answer.item.containers_truncated for answer in both)
    assert cut.item.containers_truncated
    contents = await door.items.ListContents(ListContentsRequest(tracking_number=TRUCK))
    assert [one.tracking_key for one in contents.items] == [NUMBER]


async def test_too_many_containers_for_one_request_are_said(
    door: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not read is marked, and nothing else fails."""
    monkeypatch.setattr(container_reading, "CONTAINERS_MAX", 1)
    await put(door, [put_in("A1", BAG, 1), put_in("A2", "OTHER", 1)])

    answers = await get_many(door, "A1", "A2")

    assert sorted(answer.item.containers_truncated for answer in answers) == [False, True]
    cut = max(answers, key=lambda answer: answer.item.containers_truncated)
    assert list(cut.item.doubts)[:1] == [pb.ITEM_DOUBT_IN_CONTAINER]
