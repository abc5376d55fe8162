"""Many trails in one look-up: each number answered in its turn, whatever happens to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.errors import NotPossibleNow
from ledger.trail_store import READ_MANY_KEYS_MAX
from ledger.v1.scan_event_pb2 import Attribute
from ledger.v1.trail_service_pb2 import (
    BatchGetTrailsRequest,
    BatchGetTrailsResponse,
    LookupStatus,
    TrailOrder,
    TrailView,
)
from query.answers import ITEM_BYTES_MAX, ITEM_ENTRIES_MAX
from query.reading import WHOLE_ROWS_MAX
from query.requests import BATCH_NUMBERS_MAX, refuse_inherited
from tests.asking import failing
from tests.trails import names, scan, timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.asking import Asked

FOUND = LookupStatus.LOOKUP_STATUS_FOUND
NOT_YET_SEEN = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
INVALID_NUMBER = LookupStatus.LOOKUP_STATUS_INVALID_NUMBER
FAILED_RETRY = LookupStatus.LOOKUP_STATUS_FAILED_RETRY
RECORDED = TrailOrder.TRAIL_ORDER_RECORDED


async def look_up(
    door: Asked, numbers: Sequence[str], **fields: object
) -> list[BatchGetTrailsResponse]:
    """Look many numbers up."""
    request = BatchGetTrailsRequest(tracking_numbers=numbers, **fields)  # type: ignore[arg-type]
    return [answer async for answer in door.trails.BatchGetTrails(request)]


async def test_each_number_is_answered_in_its_turn(door: Asked) -> None:
    """Known, unknown, impossible, in another writing and twice: one message for each, in order."""
    await door.shelf.put(scan("a", number="AB1"), scan("b", number="AB2"))
    numbers = ["AB2", "AB9", "", "ab-1", "AB2", "A\0"]

    answers = await look_up(door, numbers)

    assert [answer.index for answer in answers] == list(range(6))
    assert [answer.tracking_number for answer in answers] == numbers
    assert [answer.status for answer in answers] == [
        FOUND,
        NOT_YET_SEEN,
        INVALID_NUMBER,
        FOUND,
        FOUND,
        INVALID_NUMBER,
    ]
    assert [names(answer.entries, "ab") for answer in answers] == [["b"], [], [], ["a"], ["b"], []]
    assert [bool(answer.message) for answer in answers] == [False, False, True, False, False, True]
    assert answers[3].tracking_keys == ["AB1"]


async def test_the_largest_look_up(door: Asked) -> None:
    """1,000 numbers are answered in their order, over all partitions."""
    count = BATCH_NUMBERS_MAX
    await door.shelf.put(*(scan(i, number=f"AB{i}") for i in range(0, count, 2)))

    answers = await look_up(door, [f"AB{i}" for i in range(count)])

    assert [answer.index for answer in answers] == list(range(count))
    assert [answer.status for answer in answers] == [FOUND, NOT_YET_SEEN] * (count // 2)
    assert [names(a.entries, [i])[0] for i, a in enumerate(answers) if a.entries] == list(
        range(0, count, 2)
    )


@pytest.mark.parametrize("count", [0, BATCH_NUMBERS_MAX + 1])
async def test_no_numbers_or_too_many_are_refused(door: Asked, count: int) -> None:
    """The number of numbers is limited, and the limit is named."""
    with failing() as failures:
        await look_up(door, ["AB1"] * count)

    assert failures[0].code is grpc.StatusCode.INVALID_ARGUMENT
    assert failures[0].field == "tracking_numbers"
    assert failures[0].reason == "NUMBERS_OUT_OF_RANGE"
    assert BATCH_NUMBERS_MAX <= READ_MANY_KEYS_MAX


async def test_inherited_scans_are_refused(door: Asked) -> None:
    """A trail is not pretended to have them, and who asks is told where they are."""
    with pytest.raises(NotPossibleNow, match="ItemService/GetItem"):
        refuse_inherited(include_inherited=True)
    with failing() as failures:
        await look_up(door, ["AB1"], include_inherited=True)

    assert failures[0].reason == "INHERITED_NOT_AVAILABLE"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"order": RECORDED, "descending": True},
        {"descending": True, "view": TrailView.TRAIL_VIEW_FULL},
    ],
)
async def test_a_long_trail_goes_on_with_a_listing(door: Asked, fields: dict[str, object]) -> None:
    """200 entries, and then a token for a listing of the same; the two join to the whole."""
    await door.shelf.put(*(scan(i, number="AB1", minute=i) for i in range(450)))

    [_, answer, _] = await look_up(door, ["AB0", "AB1", "AB2"], **fields)
    await door.shelf.put(scan("later", number="AB1", minute=7))
    listed = await door.list(
        tracking_number="AB1", page_token=answer.next_page_token, page_size=1_000, **fields
    )

    whole = names([*answer.entries, *listed.entries], range(450))
    assert len(answer.entries) == ITEM_ENTRIES_MAX
    assert whole == sorted(range(450), reverse="descending" in fields)


async def test_an_item_ends_early_at_1_mib(door: Asked) -> None:
    """One item's message is bounded in bytes too."""
    text = [Attribute(name=str(i), value="x" * 1_000) for i in range(7)]
    await door.shelf.put(
        *(scan(i, number="AB1", minute=i, attributes=text) for i in range(ITEM_ENTRIES_MAX))
    )

    [answer] = await look_up(door, ["AB1"])

    assert 0.9 * ITEM_BYTES_MAX < answer.ByteSize() <= ITEM_BYTES_MAX
    assert answer.next_page_token


async def test_as_of_a_time(door: Asked) -> None:
    """All items are shown as of the same moment, and go on as of it."""
    await door.shelf.put(*(scan(i, number="AB1", minute=i) for i in range(201)))
    then = timestamp(await door.shelf.settle())
    await door.shelf.put(scan("b", number="AB2"), scan("new", number="AB1", minute=-1))
    await door.shelf.settle()

    [first, second] = await look_up(door, ["AB1", "AB2"], as_of_time=then)
    listed = await door.list(
        tracking_number="AB1", as_of_time=then, page_token=first.next_page_token
    )

    assert names(first.entries, range(201)) == list(range(200))
    assert names(listed.entries, range(201)) == [200]
    assert second.status == NOT_YET_SEEN


async def test_an_oversized_trail_does_not_stop_the_others(door: Asked) -> None:
    """It is begun by scan time, and only named where it was asked for as recorded."""
    await door.shelf.put(
        *(scan(i, number="AB1", minute=i) for i in range(WHOLE_ROWS_MAX + 1)),
        scan("b", number="AB2"),
    )

    by_time = await look_up(door, ["AB1", "AB2"])
    recorded = await look_up(door, ["AB1", "AB2"], order=RECORDED)

    assert [answer.oversized for answer in by_time] == [True, False]
    assert names(by_time[0].entries, range(300)) == list(range(200))
    assert [answer.oversized for answer in recorded] == [True, False]
    assert [answer.status for answer in recorded] == [FOUND, FOUND]
    assert [len(answer.entries) for answer in recorded] == [0, 1]
    assert "scan time" in recorded[0].message
    listed = await door.list(tracking_number="AB1", page_token=by_time[0].next_page_token)
    assert names(listed.entries, range(300)) == list(range(200, 300))
