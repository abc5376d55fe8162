"""Items at moments: as of a time, at a time, and whether an answer is still the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.v1 import item_pb2 as pb
from ledger.v1.item_service_pb2 import ItemView
from ledger.v1.trail_service_pb2 import LookupStatus
from query.journey.rules import AHEAD_NS, DAY_NS, HOUR_NS
from tests.asking import failing
from tests.item_doors import OTHER, Clock, get, put
from tests.tellers import START_NS, say, usual
from tests.trails import NUMBER, timestamp

pytestmark = pytest.mark.usefixtures("clock")  # The door has it.

if TYPE_CHECKING:
    from query.journey import Told
    from tests.asking import Asked

FOUND = LookupStatus.LOOKUP_STATUS_FOUND
NOT_YET_SEEN = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
UNCHANGED = LookupStatus.LOOKUP_STATUS_UNCHANGED
TIMELINE = ItemView.ITEM_VIEW_TIMELINE


async def test_as_of_a_time_it_is_as_it_was_known_then(door: Asked, clock: Clock) -> None:
    """What was recorded later is not in it, and its flags are those of then."""
    await put(door, usual()[:4])
    then = await door.shelf.settle()
    await put(door, usual()[4:])
    clock.ns = START_NS + 30 * DAY_NS

    past, present = await get(door, as_of_time=timestamp(then)), await get(door)

    assert past.item.milestone == pb.MILESTONE_IN_TRANSIT
    assert past.item.place.facility == "SC"
    assert past.answer_time == timestamp(then)
    assert pb.ITEM_FLAG_STALLED not in past.item.flags
    assert present.item.milestone == pb.MILESTONE_OUT_FOR_DELIVERY
    assert pb.ITEM_FLAG_STALLED in present.item.flags
    with failing() as failures:
        await get(door, as_of_time=timestamp(then + 1))
    assert failures[0].reason == "AS_OF_AFTER_HISTORY"


async def test_at_a_time_it_is_what_had_happened_by_then(door: Asked) -> None:
    """With what was told of it since; before its first event it was not seen."""
    await put(door, usual())

    at = await get(door, at_time=timestamp(START_NS + 15 * HOUR_NS))
    before = await get(door, at_time=timestamp(START_NS - HOUR_NS))
    later = await get(door, at_time=timestamp(START_NS + 900 * DAY_NS))

    assert at.item.milestone == pb.MILESTONE_IN_TRANSIT
    assert at.item.place.facility == "SC"
    assert at.answer_time == timestamp(START_NS + 15 * HOUR_NS)
    assert before.status == NOT_YET_SEEN
    assert later.answer_time == timestamp(START_NS + 40 * HOUR_NS)
    assert later.item.milestone == pb.MILESTONE_OUT_FOR_DELIVERY


async def test_a_revision_stands_for_the_answer(door: Asked) -> None:
    """With it an equal answer is UNCHANGED; a new scan, also a mere copy, makes another one."""
    await put(door, usual())
    first = await get(door)

    same = await get(door, revision=first.revision)
    await put(door, [say("DELIVERED", 36, "DU")])
    changed = await get(door, revision=first.revision)

    assert (same.status, same.revision) == (UNCHANGED, first.revision)
    assert not same.HasField("item")
    assert changed.status == FOUND
    assert changed.item.milestone == pb.MILESTONE_DELIVERED
    assert changed.revision != first.revision


async def test_a_revision_changes_by_an_alias(door: Asked) -> None:
    """Both when the alias comes, and when something comes under the other key."""
    await put(door, usual())
    first = await get(door)
    await door.shelf.alias(NUMBER, OTHER)
    joined = await get(door, revision=first.revision)
    await put(door, [say("DELIVERED", 36, "DU")], OTHER)
    delivered = await get(door, revision=joined.revision)

    assert joined.status == delivered.status == FOUND
    assert len({first.revision, joined.revision, delivered.revision}) == 3
    assert delivered.item.milestone == pb.MILESTONE_DELIVERED
    assert (await get(door, revision=delivered.revision)).status == UNCHANGED


UNTIL_NS = START_NS + 50 * HOUR_NS
ANNOUNCED = say("DEPARTED", 34, "DU", next_facility="X", expected_until_time=timestamp(UNTIL_NS))


@pytest.mark.parametrize(
    ("last", "due_ns", "flags", "ahead"),
    [
        # A tour that is silent for more than a day; a step that was announced; a clock ahead.
        (None, START_NS + 33 * HOUR_NS + DAY_NS + 1, [pb.ITEM_FLAG_STALLED], False),
        (ANNOUNCED, UNTIL_NS + 1, [pb.ITEM_FLAG_LATE], False),
        (say("INFO", 45, "DU"), START_NS + 45 * HOUR_NS - AHEAD_NS, [], True),
    ],
)
async def test_a_revision_changes_by_time_alone(
    door: Asked,
    clock: Clock,
    last: Told | None,
    due_ns: int,
    flags: list[int],
    *,
    ahead: bool,
) -> None:
    """Just when a flag or a doubt does, and not before."""
    await put(door, [*usual(), *filter(None, [last])])
    first = await get(door)

    clock.ns = due_ns - 1
    still = await get(door, revision=first.revision)
    clock.ns = due_ns
    due = await get(door, revision=first.revision)

    assert not first.item.flags
    assert still.status == UNCHANGED
    assert due.status == FOUND
    assert list(due.item.flags) == flags
    assert (pb.ITEM_DOUBT_CLOCK_AHEAD in first.item.doubts) == ahead
    assert pb.ITEM_DOUBT_CLOCK_AHEAD not in due.item.doubts


async def test_a_revision_of_what_time_cannot_change_holds(door: Asked, clock: Clock) -> None:
    """Years later a delivered item is unchanged."""
    await put(door, [*usual(), say("DELIVERED", 36, "DU")])
    first = await get(door)
    clock.ns += 900 * DAY_NS

    assert (await get(door, revision=first.revision)).status == UNCHANGED


async def test_a_revision_belongs_to_its_question(door: Asked, clock: Clock) -> None:
    """Another view, number or moment, and any other text, are answered as without one."""
    await put(door, usual())
    then = timestamp(await door.shelf.settle())
    revision = (await get(door)).revision
    past = (await get(door, as_of_time=then)).revision

    for fields in (
        {"view": TIMELINE},
        {"tracking_number": "RR 123456785 CH"},
        {"as_of_time": then},
        {"at_time": timestamp(START_NS + 39 * HOUR_NS)},
    ):
        assert (await get(door, **fields, revision=revision)).status == FOUND
    for text in ("x", "é", revision[:-4], "A" * 10_000):
        assert (await get(door, revision=text)).status == FOUND
    clock.ns += 900 * DAY_NS
    assert (await get(door, as_of_time=then, revision=past)).status == UNCHANGED
