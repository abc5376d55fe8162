"""Watches of items: a message for each change of the status, and none for other scans."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.v1 import item_pb2 as pb
from ledger.v1.item_service_pb2 import WatchItemRequest
from ledger.v1.item_service_pb2_grpc import ItemServiceStub
from ledger.v1.trail_service_pb2 import LookupStatus
from query import watches
from query.containers.stays import STAY_NS_MAX
from query.journey.rules import DAY_NS, HOUR_NS
from query.reading import WHOLE_ROWS_MAX
from query.watches import WATCH_INTERVAL_S
from tests.asking import failing, served
from tests.bags import put_in, see
from tests.item_doors import OTHER, Clock, put
from tests.tellers import START_NS, say, usual
from tests.trails import NUMBER, PARTITIONS, scan

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("clock")]  # The door has it.

if TYPE_CHECKING:
    from ledger.v1.item_service_pb2 import ItemAnswer, WatchItemResponse
    from tests.asking import Asked

SILENT_S = 3 * WATCH_INTERVAL_S
"""A watch that has not spoken for so long has nothing to say."""


class Watch:
    """One watch, and what it was sent last."""

    def __init__(self, door: Asked, resume_after: str = "", **fields: object) -> None:
        request = WatchItemRequest(
            **{"tracking_number": NUMBER, "resume_after": resume_after, **fields}  # type: ignore[arg-type]
        )
        self._call = door.items.WatchItem(request)
        self.cursor = ""

    async def next(self) -> ItemAnswer:
        """Wait for the next message."""
        message: WatchItemResponse = await self._call.read()  # type: ignore[assignment]
        self.cursor = message.cursor
        return message.answer

    async def is_silent(self) -> bool:
        """Wait, and say whether nothing came. It is of no use afterwards."""
        try:
            async with asyncio.timeout(SILENT_S):
                await self._call.read()
        except TimeoutError:
            return True
        return False

    def end(self) -> None:
        """Hang up."""
        self._call.cancel()


async def test_it_tells_changes_of_the_status(door: Asked) -> None:
    """Not yet seen, accepted, in transit, and then out for delivery: three scans between are not
    told.
    """
    story = usual()
    watch = Watch(door)
    first = await watch.next()
    told: list[pb.Milestone.ValueType] = []
    for one in story[1:]:
        await put(door, [one])
        if len(told) < 2 or one is story[-1]:
            told.append((await watch.next()).item.milestone)
        else:
            await asyncio.sleep(2 * WATCH_INTERVAL_S)

    assert first.status == LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
    assert told == [
        pb.MILESTONE_ACCEPTED,
        pb.MILESTONE_IN_TRANSIT,
        pb.MILESTONE_OUT_FOR_DELIVERY,
    ]


async def test_time_alone_changes_a_status(door: Asked, clock: Clock) -> None:
    """A tour of which nobody hears any more is stalled after a day, and that is told then."""
    await put(door, usual())
    due_ns = START_NS + 33 * HOUR_NS + DAY_NS
    clock.ns = due_ns - 500_000_000
    watch = Watch(door)
    first = await watch.next()
    clock.ns = due_ns + 1

    second = await watch.next()

    assert not first.item.flags
    assert list(second.item.flags) == [pb.ITEM_FLAG_STALLED]


async def test_the_end_of_a_stay_by_time_is_told(door: Asked, clock: Clock) -> None:
    """30 days after it went into a bag nobody knows whether it is still there: that is told then,
    once, and nothing else has changed.
    """
    await put(door, [say("ACCEPTED", 1, "A"), put_in(NUMBER, "BAG1", 2)])
    end_ns = START_NS + 2 * HOUR_NS + STAY_NS_MAX
    clock.ns = end_ns - 500_000_000
    watch = Watch(door)
    first = await watch.next()
    clock.ns = end_ns

    second = await watch.next()
    silent = await Watch(door, watch.cursor).is_silent()

    assert [one.tracking_key for one in first.item.containers] == ["BAG1"]
    assert not second.item.containers
    assert second.item.milestone == first.item.milestone
    assert second.item.flags == first.item.flags
    assert silent


async def test_a_scan_of_its_container_is_told(door: Asked) -> None:
    """A van goes out with it: its own trail says nothing of that."""
    await put(door, [say("ACCEPTED", 1, "A"), put_in(NUMBER, "VAN1", 2)])
    watch = Watch(door)
    first = await watch.next()

    await put(door, [see("VAN1", "OUT_FOR_DELIVERY", 3, "A")])

    assert first.item.milestone == pb.MILESTONE_IN_TRANSIT
    assert (await watch.next()).item.milestone == pb.MILESTONE_OUT_FOR_DELIVERY


async def test_a_scan_under_another_key_is_told(door: Asked) -> None:
    """Also where the item gets that key while it is watched."""
    await put(door, usual())
    watch = Watch(door)
    await watch.next()

    await door.shelf.alias(NUMBER, OTHER)
    await put(door, [say("DELIVERED", 36, "DU")], OTHER)

    assert (await watch.next()).item.milestone == pb.MILESTONE_DELIVERED


async def test_it_goes_on_anywhere(door: Asked) -> None:
    """With the cursor of the last message, on another process: silent until there is news."""
    await put(door, usual())
    watch = Watch(door)
    await watch.next()
    watch.end()

    async with (
        served(door.shelf.store, {1: PARTITIONS}, now_ns=Clock()) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        other = door._replace(items=ItemServiceStub(channel))
        silent = await Watch(other, watch.cursor).is_silent()
        again = Watch(other, watch.cursor)
        await put(door, [say("DELIVERED", 36, "DU")])
        news = await again.next()

    assert silent
    assert news.item.milestone == pb.MILESTONE_DELIVERED


async def test_bad_questions_and_oversized_trails_end_it(door: Asked) -> None:
    """With a reason; also when the trail becomes too long while it is watched."""
    reasons = []
    for fields in ({"tracking_number": ""}, {"view": 9}):
        with failing() as failures:
            await Watch(door, **fields).next()
        reasons.append(failures[0].reason)
    await door.shelf.put(*(scan(i, minute=i) for i in range(WHOLE_ROWS_MAX)))
    watch = Watch(door)
    await watch.next()
    await door.shelf.put(scan("one more"))
    with failing() as failures:
        await watch.next()
    with failing() as at_once:
        await Watch(door).next()

    assert at_once[0].reason == failures[0].reason
    assert reasons == ["INVALID_NUMBER", "ENUM_UNKNOWN"]
    assert failures[0].code is grpc.StatusCode.FAILED_PRECONDITION
    assert failures[0].reason == "TRAIL_OVERSIZED"


async def test_watches_are_limited(door: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many, of items and trails together, is told when to come again."""
    monkeypatch.setattr(watches, "WATCHES_MAX", 1)
    watch = Watch(door)
    await watch.next()

    with failing() as failures:
        await Watch(door).next()
    watch.end()

    assert failures[0].code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failures[0].reason == "TOO_MANY_WATCHES"
    assert failures[0].retry
