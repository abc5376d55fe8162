"""When an answer is from: at least some positions, or as of a time, over gRPC."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.v1.trail_service_pb2 import LookupStatus
from query.progress_view import MARKS_AGE_MAX_S
from tests.asking import failing
from tests.trails import SECOND, names, scan, timestamp, wire_position

if TYPE_CHECKING:
    from tests.asking import Asked

FOUND = LookupStatus.LOOKUP_STATUS_FOUND
NOT_YET_SEEN = LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN


class TestAtLeast:
    async def test_it_waits_until_they_are_readable(self, door: Asked) -> None:
        """Who asks for at least a position gets an answer that has it."""
        [position] = await door.shelf.put(scan("a"), readable=False)

        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(door.list(at_least=[wire_position(position)]))
            await asyncio.sleep(0.1)
            waited = not asking.done()
            await door.shelf.mark()

        assert waited
        assert names(asking.result().entries, "a") == ["a"]

    async def test_it_says_how_far_it_is(self, door: Asked) -> None:
        """When the time is over, the answer says how far the partitions are."""
        [position] = await door.shelf.put(scan("a"))
        beyond = wire_position(replace(position, index=7))

        with failing() as failures:
            await door.list(at_least=[beyond], at_least_timeout=Duration(nanos=50_000_000))

        assert failures[0].code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert failures[0].reason == "NOT_READABLE_IN_TIME"
        assert failures[0].metadata == {f"readable_g1_p{position.partition}": "1"}

    async def test_no_time_at_all_is_one_look(self, door: Asked) -> None:
        """A timeout of zero looks once, at marks that are read for this request."""
        await door.list()  # Marks are known now, and are not old.
        [position] = await door.shelf.put(scan("a"))

        answer = await door.list(at_least=[wire_position(position)], at_least_timeout=Duration())

        assert len(answer.entries) == 1


async def test_a_plain_read_is_hardly_behind(door: Asked) -> None:
    """Without `at_least` an answer may be as old as the marks that were last read, no more."""
    await door.list()
    await door.shelf.put(scan("a"))

    await asyncio.sleep(MARKS_AGE_MAX_S)

    assert len((await door.list()).entries) == 1


class TestAsOf:
    async def test_it_shows_what_was_settled_then(self, door: Asked) -> None:
        """As of a time the trail is what it was, with the marks of that time."""
        before = door.shelf.now_ns
        await door.shelf.put(scan("a"))
        first = await door.shelf.settle()
        await door.shelf.put(scan("a"), scan("b", minute=1))
        await door.shelf.settle()

        answers = [
            await door.list(as_of_time=timestamp(time_ns))
            for time_ns in (before, first - 1, first, first + SECOND, door.shelf.now_ns)
        ]

        assert [answer.status for answer in answers] == [NOT_YET_SEEN] * 2 + [FOUND] * 3
        assert [names(answer.entries, "ab") for answer in answers] == [
            [],
            [],
            ["a"],
            ["a"],
            ["a", "b"],
        ]
        assert [a.entries[0].marks.duplicate_count for a in answers[2:]] == [0, 0, 1]

    async def test_what_is_readable_is_not_settled(self, door: Asked) -> None:
        """Rows that a power cut could still take are not in a past answer."""
        await door.shelf.put(scan("a"))
        await door.shelf.settle()
        await door.shelf.put(scan("b"))

        answer = await door.list(as_of_time=timestamp(door.shelf.now_ns - SECOND))

        assert names(answer.entries, "ab") == ["a"]

    async def test_a_time_after_the_history_is_refused(self, door: Asked) -> None:
        """What is not known yet is not answered; the error names the last time that is."""
        await door.shelf.put(scan("a"))
        last = await door.shelf.settle()

        with failing() as failures:
            await door.list(as_of_time=timestamp(last + 1))

        named = Timestamp()
        named.FromJsonString(failures[0].metadata["history_time"])
        assert failures[0].code is grpc.StatusCode.FAILED_PRECONDITION
        assert failures[0].reason == "AS_OF_AFTER_HISTORY"
        assert named.ToNanoseconds() == last

    async def test_without_a_history_nothing_is_known(self, door: Asked) -> None:
        """Before the first entry of the history no past can be asked for."""
        with failing() as failures:
            await door.list(as_of_time=timestamp(1))

        assert failures[0].reason == "AS_OF_AFTER_HISTORY"
        assert not failures[0].metadata
