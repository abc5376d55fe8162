"""The bounds of an item's answer: questions that are refused, and trails that are too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.v1.item_service_pb2 import ItemView
from ledger.v1.scan_event_pb2 import (
    Attribute,
)
from ledger.v1.trail_service_pb2 import LookupStatus
from query.answers import ITEM_BYTES_MAX, ITEM_ENTRIES_MAX
from query.item_answers import CHANGES_MAX, LEGS_MAX
from query.reading import WHOLE_ROWS_MAX
from tests.asking import failing
from tests.item_doors import get, hour, put
from tests.tellers import WITHDRAWN, correct, say
from tests.trails import scan

pytestmark = pytest.mark.usefixtures("clock")  # The door has it.

if TYPE_CHECKING:
    from tests.asking import Asked

FOUND = LookupStatus.LOOKUP_STATUS_FOUND
TIMELINE = ItemView.ITEM_VIEW_TIMELINE


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"tracking_number": ""}, "INVALID_NUMBER", "tracking_number"),
        ({"tracking_number": "X" * 129}, "INVALID_NUMBER", "tracking_number"),
        ({"view": 9}, "ENUM_UNKNOWN", "view"),
    ],
)
async def test_bad_questions_are_refused(
    door: Asked, fields: dict[str, object], reason: str, field: str
) -> None:
    """With the field and a reason."""
    with failing() as failures:
        await get(door, **fields)

    assert failures[0].code is grpc.StatusCode.INVALID_ARGUMENT
    assert (failures[0].reason, failures[0].field) == (reason, field)


async def test_an_oversized_trail_is_not_folded(door: Asked) -> None:
    """It is there, and said to be too long."""
    await door.shelf.put(*(scan(i, minute=i) for i in range(WHOLE_ROWS_MAX + 1)))

    answer = await get(door)

    assert (answer.status, answer.oversized) == (FOUND, True)
    assert not answer.HasField("item")
    assert not answer.revision


async def test_the_longest_item_fits_into_an_answer(door: Asked) -> None:
    """Of endlessly many legs, corrections and events the last ones are shown, within bounds."""
    text = [Attribute(name=str(i), value="x" * 1_000) for i in range(7)]
    told = []
    for i in range(LEGS_MAX + 2):
        told.append(say("REDIRECTED", i * 2, "A", attributes=text))
        told.append(say("ARRIVED", i * 2 + 1, "B", attributes=text))
    wrong = [
        say("INFO", i, "C", name=("wrong", i), attributes=text) for i in range(CHANGES_MAX + 1)
    ]
    told += wrong
    told += [correct(one, WITHDRAWN, "CORRECTION", 200 + i) for i, one in enumerate(wrong)]
    await put(door, told)

    answer = await get(door, view=TIMELINE)

    assert len(answer.item.legs) == LEGS_MAX
    assert 1 <= len(answer.item.corrections) <= CHANGES_MAX
    assert answer.item.has_more
    assert 0.8 * ITEM_BYTES_MAX < answer.ByteSize() <= 1.1 * ITEM_BYTES_MAX
    assert answer.item.events[-1].event == told[2 * LEGS_MAX + 3].event


async def test_a_timeline_has_its_last_events(door: Asked) -> None:
    """At most 200, in order."""
    await put(door, [say("SORTED", i, "A", name=i) for i in range(ITEM_ENTRIES_MAX + 5)])

    item = (await get(door, view=TIMELINE)).item

    assert item.has_more
    assert [one.event.scan_time.seconds for one in item.events] == [
        hour(i) for i in range(5, ITEM_ENTRIES_MAX + 5)
    ]
