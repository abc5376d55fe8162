"""How far the ledger is, over gRPC."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ledger.numbers import filing_key, partition_of
from ledger.trail_store import MarkKind
from ledger.v1.progress_service_pb2 import (
    GetProgressRequest,
    PartitionProgress,
    WatchProgressRequest,
    WatchProgressResponse,
)
from query import watches
from query.watches import WATCH_INTERVAL_S
from tests.asking import failing
from tests.trails import PARTITIONS, scan, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    import grpc
    import pytest

    from tests.asking import Asked

NUMBERS = {partition_of(filing_key(f"AB{i}"), PARTITIONS): f"AB{i}" for i in range(99)}
"""A number of each partition."""


def indexes(partitions: Iterable[PartitionProgress]) -> list[tuple[int, int, int]]:
    """Give partition, readable and settled index."""
    return [(one.partition, one.readable_index, one.settled_index) for one in partitions]


async def test_an_empty_ledger_is_nowhere(door: Asked) -> None:
    """No marks and no history give an empty answer."""
    progress = await door.progress.GetProgress(GetProgressRequest())

    assert not progress.partitions
    assert not progress.HasField("history_time")


async def test_it_says_what_is_readable_and_what_is_settled(door: Asked) -> None:
    """Each partition with a mark is told, in order, and the time of the last history entry."""
    await door.shelf.put(scan(0, number=NUMBERS[2]), scan(1, number=NUMBERS[0]))
    settled_ns = await door.shelf.settle()
    await door.shelf.put(scan(2, number=NUMBERS[2]))

    progress = await door.progress.GetProgress(GetProgressRequest())

    assert indexes(progress.partitions) == [(0, 1, 1), (2, 2, 1)]
    assert {(one.log, one.generation) for one in progress.partitions} == {("scans", 1)}
    assert progress.history_time.ToNanoseconds() == settled_ns
    assert progress.partitions[1].readable_record_time == timestamp(door.shelf.now_ns)


async def test_it_is_never_behind(door: Asked) -> None:
    """What was marked before the question is in the answer."""
    for count in range(1, 20):
        await door.shelf.put(scan(count, number=NUMBERS[1]))

        progress = await door.progress.GetProgress(GetProgressRequest())

        assert indexes(progress.partitions) == [(1, count, 0)]


async def test_what_is_settled_is_readable(door: Asked) -> None:
    """A readable mark that a power cut took away does not hide what is settled."""
    await door.shelf.put(scan(0, number=NUMBERS[1]), readable=False)
    await door.shelf.mark(MarkKind.SETTLED)

    progress = await door.progress.GetProgress(GetProgressRequest())
    answer = await door.list(tracking_number=NUMBERS[1])

    assert indexes(progress.partitions) == [(1, 1, 1)]
    assert len(answer.entries) == 1


async def read(
    call: grpc.aio.UnaryStreamCall[WatchProgressRequest, WatchProgressResponse],
) -> WatchProgressResponse:
    """Wait for the next message."""
    async with asyncio.timeout(10):
        message = await call.read()
    assert isinstance(message, WatchProgressResponse)
    return message


async def test_a_watch_sends_all_and_then_what_changed(door: Asked) -> None:
    """Partitions that did not move are not sent again."""
    await door.shelf.put(scan(0, number=NUMBERS[0]), scan(1, number=NUMBERS[3]))
    call = door.progress.WatchProgress(WatchProgressRequest())

    first = await read(call)
    await door.shelf.put(scan(2, number=NUMBERS[3]))
    second = await read(call)
    settled_ns = await door.shelf.settle()
    third = await read(call)
    last = third if third.HasField("history_time") else await read(call)

    assert indexes(first.partitions) == [(0, 1, 0), (3, 1, 0)]
    assert indexes(second.partitions) == [(3, 2, 0)]
    assert indexes(third.partitions) == [(0, 1, 1), (3, 2, 2)]
    assert last.history_time.ToNanoseconds() == settled_ns


async def test_a_watch_speaks_at_once_and_not_often(door: Asked) -> None:
    """The first message comes also when there is nothing, and then at most four a second."""
    call = door.progress.WatchProgress(WatchProgressRequest())
    first = await read(call)
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    messages = 0

    async def write() -> None:
        for count in range(1_000):
            await door.shelf.put(scan(count, number=NUMBERS[0]))
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(write())
        for _ in range(5):
            await read(call)
            messages += 1
        writing.cancel()

    assert not first.partitions
    assert loop.time() - started_s > (messages - 1) * WATCH_INTERVAL_S * 0.9


async def test_watches_of_progress_are_limited(
    door: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They count among the watches of the process."""
    monkeypatch.setattr(watches, "WATCHES_MAX", 1)
    first = door.progress.WatchProgress(WatchProgressRequest())
    await read(first)

    with failing() as failures:
        await read(door.progress.WatchProgress(WatchProgressRequest()))

    assert failures[0].reason == "TOO_MANY_WATCHES"
    assert failures[0].retry
