"""Look-ups of many items: in the order of the input, each answered for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.v1 import item_pb2 as pb
from ledger.v1.item_service_pb2 import BatchGetItemsRequest, ItemLookUp
from ledger.v1.scan_event_pb2 import Attribute
from ledger.v1.trail_service_pb2 import LookupStatus
from query.chunks import CHUNK_NUMBERS
from query.reading import WHOLE_ROWS_MAX
from query.requests import BATCH_NUMBERS_MAX
from tests.asking import failing
from tests.item_doors import OTHER, get, put
from tests.tellers import say, usual
from tests.trails import NUMBER, scan, timestamp

pytestmark = pytest.mark.usefixtures("clock")  # The door has it.

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.v1.item_service_pb2 import BatchGetItemsResponse, ItemAnswer
    from tests.asking import Asked

FOUND = LookupStatus.LOOKUP_STATUS_FOUND
NOT_YET_SEEN = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
INVALID = LookupStatus.LOOKUP_STATUS_INVALID_NUMBER
FAILED_RETRY = LookupStatus.LOOKUP_STATUS_FAILED_RETRY
UNCHANGED = LookupStatus.LOOKUP_STATUS_UNCHANGED
MESSAGE_BYTES_MAX = 4 << 20
"""The largest message that gRPC clients take by default."""


async def messages(
    door: Asked, numbers: Iterable[str | ItemLookUp], **fields: object
) -> list[BatchGetItemsResponse]:
    """Ask for many items."""
    look_ups = [ItemLookUp(tracking_number=one) if isinstance(one, str) else one for one in numbers]
    request = BatchGetItemsRequest(look_ups=look_ups, **fields)  # type: ignore[arg-type]
    return [message async for message in door.items.BatchGetItems(request)]


async def look_up(
    door: Asked, numbers: Iterable[str | ItemLookUp], **fields: object
) -> list[ItemAnswer]:
    """Give all answers."""
    return [one for message in await messages(door, numbers, **fields) for one in message.answers]


async def test_each_number_has_its_answer_in_its_place(door: Asked) -> None:
    """Seen, not yet seen, impossible, and one that stands twice; as each would be alone."""
    await put(door, usual())
    await put(door, [say("DELIVERED", 3, "DE60313")], OTHER)

    answers = await look_up(door, [NUMBER, "NEW1", "", OTHER, NUMBER])

    assert [one.index for one in answers] == list(range(5))
    assert [one.tracking_number for one in answers] == [NUMBER, "NEW1", "", OTHER, NUMBER]
    assert [one.status for one in answers] == [FOUND, NOT_YET_SEEN, INVALID, FOUND, FOUND]
    assert "number" in answers[2].message
    for answer, number in ((answers[0], NUMBER), (answers[3], OTHER)):
        alone = await get(door, tracking_number=number)
        assert answer.item == alone.item
        assert answer.revision == alone.revision


async def test_a_thousand_come_some_in_a_message(door: Asked) -> None:
    """In order, and each message names its own facilities once."""
    numbers = [f"AB{i}" for i in range(BATCH_NUMBERS_MAX)]
    await door.shelf.put(
        *(scan(i, number=one, facility="DE60313") for i, one in enumerate(numbers))
    )

    got = await messages(door, numbers)

    assert {len(message.answers) for message in got[:-1]} == {CHUNK_NUMBERS}
    assert [one.index for message in got for one in message.answers] == list(range(1_000))
    assert all(one.status == FOUND for message in got for one in message.answers)
    assert {tuple(one.facility_id for one in message.facilities) for message in got} == {
        ("DE60313",)
    }


async def test_only_what_has_changed_is_sent(door: Asked) -> None:
    """With revisions, the others are UNCHANGED, and nothing is said of their facilities."""
    await put(door, usual())
    await put(door, [say("ARRIVED", 3, "DE60313")], OTHER)
    known = {one.tracking_number: one.revision for one in await look_up(door, [NUMBER, OTHER, "N"])}
    await put(door, [say("DELIVERED", 36, "DU")])

    [message] = await messages(
        door, [ItemLookUp(tracking_number=one, revision=known[one]) for one in known]
    )

    assert [one.status for one in message.answers] == [FOUND, UNCHANGED, UNCHANGED]
    assert message.answers[0].item.milestone == pb.MILESTONE_DELIVERED
    assert [one.revision for one in message.answers[1:]] == [known[OTHER], known["N"]]
    assert not message.facilities


async def test_all_are_as_of_one_moment(door: Asked) -> None:
    """What was recorded since is in none of them."""
    await put(door, usual())
    then = timestamp(await door.shelf.settle())
    await put(door, [say("DELIVERED", 36, "DU")])
    await put(door, usual(), OTHER)

    past = await look_up(door, [NUMBER, OTHER], as_of_time=then)

    assert [one.status for one in past] == [FOUND, NOT_YET_SEEN]
    assert past[0].item.milestone == pb.MILESTONE_OUT_FOR_DELIVERY


async def test_large_items_are_spread_over_messages(door: Asked) -> None:
    """No message is larger than clients take, however large its items."""
    text = [Attribute(name=str(i), value="x" * 1_000) for i in range(7)]
    numbers = [f"AB{i}" for i in range(CHUNK_NUMBERS)]
    for number in numbers[:6]:
        await door.shelf.put(
            *(scan(i, number=number, minute=i, attributes=text) for i in range(120))
        )

    got = await messages(door, numbers, view=2)

    assert len(got) >= 5
    assert max(message.ByteSize() for message in got) < MESSAGE_BYTES_MAX
    assert [one.index for message in got for one in message.answers] == list(range(CHUNK_NUMBERS))
    assert [len(one.item.events) > 100 for message in got for one in message.answers] == (
        [True] * 6 + [False] * (CHUNK_NUMBERS - 6)
    )


async def test_an_oversized_trail_does_not_stop_the_others(door: Asked) -> None:
    """It is named as such."""
    await door.shelf.put(*(scan(i, number="AB1", minute=i) for i in range(WHOLE_ROWS_MAX + 1)))
    await put(door, usual())

    first, second = await look_up(door, ["AB1", NUMBER])

    assert (first.status, first.oversized, first.HasField("item")) == (FOUND, True, False)
    assert second.item.milestone == pb.MILESTONE_OUT_FOR_DELIVERY


@pytest.mark.parametrize("count", [0, BATCH_NUMBERS_MAX + 1])
async def test_none_and_too_many_are_refused(door: Asked, count: int) -> None:
    """With the field and a reason."""
    with failing() as failures:
        await look_up(door, ["AB1"] * count)

    assert failures[0].code is grpc.StatusCode.INVALID_ARGUMENT
    assert (failures[0].reason, failures[0].field) == ("NUMBERS_OUT_OF_RANGE", "look_ups")
