"""Watching an item that has several keys, or gets one: what comes is sent once, and all of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from ledger.numbers import filing_key, partition_of
from ledger.v1.trail_service_pb2 import WatchTrailRequest
from tests.trails import PARTITIONS, Arrival, event_id, names, scan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from ledger.v1.trail_service_pb2 import TrailEntry
    from tests.asking import Asked

A, B, C = "RR473124829GB", "9400111206206406260787", "1Z5R89390357567127"
ALL = ["a", "b", "c", "d"]


@asynccontextmanager
async def watching(
    door: Asked, number: str, cursor: str = ""
) -> AsyncIterator[Callable[[int], Awaitable[tuple[list[TrailEntry], str]]]]:
    """Watch a number; gives what waits for so many more entries, and returns them and the cursor.

    A watch may begin with marks that are some milliseconds old, so one message is not all.
    """
    request = WatchTrailRequest(tracking_number=number, resume_after=cursor)
    watch = door.trails.WatchTrail(request)

    async def entries(count: int) -> tuple[list[TrailEntry], str]:
        found: list[TrailEntry] = []
        async for answer in watch:
            found += answer.entries
            if len(found) >= count:
                return found, answer.cursor
        raise AssertionError("the watch has ended")

    try:
        yield entries
    finally:
        watch.cancel()


def same_partition(number: str) -> str:
    """Another number whose key lies in the same partition."""
    home = partition_of(filing_key(number), PARTITIONS)
    return next(
        other
        for other in (f"ITEM{i}" for i in range(100))
        if partition_of(filing_key(other), PARTITIONS) == home
    )


def other_partition(number: str) -> str:
    home = partition_of(filing_key(number), PARTITIONS)
    return next(
        other
        for other in (f"ITEM{i}" for i in range(100))
        if partition_of(filing_key(other), PARTITIONS) != home
    )


@pytest.mark.parametrize("place", [same_partition, other_partition])
async def test_a_key_that_comes_later_brings_all_of_its_events(
    door: Asked, place: Callable[[str], str]
) -> None:
    """Also those that lie below what was sent; then what comes, once; and after a break."""
    other = place(A)
    await door.shelf.put(scan("b", number=other), scan("a", minute=1, number=A))
    async with watching(door, A) as watch:
        first, _ = await watch(1)
        await door.shelf.alias(A, other)
        second, _ = await watch(1)
        await door.shelf.put(scan("c", minute=2, number=other), scan("b", number=other))
        third, cursor = await watch(1)
    await door.shelf.put(scan("d", minute=3, number=other))
    async with watching(door, A, cursor) as watch:
        fourth, _ = await watch(1)

    sent = [names(one, ALL) for one in (first, second, third, fourth)]
    assert sent == [["a"], ["b"], ["c"], ["d"]]
    assert [one.tracking_key for one in fourth] == [other]


async def test_a_copy_under_a_further_key_is_not_news(door: Asked) -> None:
    """Whichever of the two lies at the lower position."""
    for known, (sent_by, other) in zip((1, 3), ((A, B), (C, A)), strict=True):
        event = scan(("copy", other), number=sent_by)
        await door.shelf.put(Arrival(event, number=sent_by))
        async with watching(door, sent_by) as watch:
            await watch(1)
            await door.shelf.put(Arrival(event, number=other))
            await door.shelf.alias(sent_by, other)
            await door.shelf.put(scan(("news", other), minute=5, number=sent_by))
            news, _ = await watch(known)

        assert event_id(("copy", other)) not in [one.event.event_id for one in news]
