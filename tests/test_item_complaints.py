"""What users of known trackers complain about where the service is concerned, case by case."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ledger.v1 import item_pb2 as pb
from ledger.v1.item_service_pb2 import BatchGetItemsRequest, ItemLookUp, WatchItemRequest
from ledger.v1.trail_service_pb2 import LookupStatus
from tests.asking import failing
from tests.item_doors import OTHER, get, put
from tests.tellers import notice, say, usual
from tests.trails import NUMBER

pytestmark = pytest.mark.usefixtures("clock")  # The door has it.

if TYPE_CHECKING:
    from tests.asking import Asked


async def test_a_label_is_found_at_once_and_a_number_not_seen_is_not_a_wrong_one(
    door: Asked,
) -> None:
    """'The label exists, and the tracker says not found': announced is an answer as soon as it is
    kept; not yet seen is one as well, and only what can be no number is refused.
    """
    early = await get(door)
    await put(door, [notice("LABEL_CREATED", 0)])
    made = await get(door)
    with failing() as failures:
        await get(door, tracking_number=" - ")

    assert early.status == LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
    assert made.status == LookupStatus.LOOKUP_STATUS_FOUND
    assert made.item.milestone == pb.MILESTONE_PRE_SHIPMENT
    assert failures[0].reason == "INVALID_NUMBER"


async def test_a_bulk_look_up_answers_every_number(door: Asked) -> None:
    """'A bulk look-up returns one': as many answers as numbers, in their order, each with its own
    status, also for one that is asked for twice.
    """
    await put(door, usual())
    await put(door, [say("DELIVERED", 3, "DU")], OTHER)
    asked = [OTHER, NUMBER, "", "NEW1", NUMBER]
    request = BatchGetItemsRequest(look_ups=[ItemLookUp(tracking_number=one) for one in asked])

    answers = [one async for part in door.items.BatchGetItems(request) for one in part.answers]

    assert [(one.index, one.tracking_number) for one in answers] == list(enumerate(asked))
    assert [LookupStatus.Name(one.status).removeprefix("LOOKUP_STATUS_") for one in answers] == [
        "FOUND", "FOUND", "INVALID_NUMBER", "NOT_YET_SEEN", "FOUND",
    ]  # fmt: skip


async def test_news_come_without_being_asked_for(door: Asked) -> None:
    """'The tracker is hours late, since it polls': who watches is told when it is kept."""
    await put(door, usual())
    async with asyncio.timeout(60):
        watch = door.items.WatchItem(WatchItemRequest(tracking_number=NUMBER))
        messages = aiter(watch)
        before = (await anext(messages)).answer.item.milestone
        await put(door, [say("DELIVERED", 36, "DU")])
        after = (await anext(messages)).answer.item.milestone
    watch.cancel()

    assert (before, after) == (pb.MILESTONE_OUT_FOR_DELIVERY, pb.MILESTONE_DELIVERED)
