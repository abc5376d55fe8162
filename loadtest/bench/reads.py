"""Reading trails back: how fast, and whether each acknowledged scan is there exactly once."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, NamedTuple

import grpc.aio

from ledger.v1.trail_service_pb2 import (
    BatchGetTrailsRequest,
    BatchGetTrailsResponse,
    ListScanEventsRequest,
    ListScanEventsResponse,
)
from loadtest.bench.traffic import event_id, number_of

if TYPE_CHECKING:
    from collections.abc import Sequence

LIST = "/ledger.v1.TrailService/ListScanEvents"
BATCH = "/ledger.v1.TrailService/BatchGetTrails"
LOOKUP_ITEMS = 500
"""Items of one look-up while counting."""


class Counted(NamedTuple):
    """What the trails hold of what was acknowledged."""

    expected: int
    found: int
    lost: int
    doubled: int
    conflicts: int


async def latencies(target: str, items: Sequence[int], *, calls: int, at_once: int) -> list[float]:
    """Seconds of `calls` reads of single trails, `at_once` at a time."""
    taken: list[float] = []
    choose = random.Random(1)
    async with grpc.aio.insecure_channel(target) as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(LIST)

        async def reader(count: int) -> None:
            for _ in range(count):
                request = ListScanEventsRequest(tracking_number=number_of(choose.choice(items)))
                started_s = time.perf_counter()
                ListScanEventsResponse.FromString(await method(request.SerializeToString()))
                taken.append(time.perf_counter() - started_s)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(reader(calls // at_once))
    return taken


async def count(target: str, run: int, steps: dict[int, int]) -> Counted:
    """Look every item up, and compare its trail with the steps that were acknowledged."""
    items = sorted(steps)
    expected = found = lost = doubled = conflicts = 0
    async with grpc.aio.insecure_channel(
        target, options=[("grpc.max_receive_message_length", 8 << 20)]
    ) as channel:
        method = channel.unary_stream(
            BATCH,
            request_serializer=BatchGetTrailsRequest.SerializeToString,
            response_deserializer=BatchGetTrailsResponse.FromString,
        )
        for first in range(0, len(items), LOOKUP_ITEMS):
            chunk = items[first : first + LOOKUP_ITEMS]
            request = BatchGetTrailsRequest(tracking_numbers=[number_of(item) for item in chunk])
            async for answer in method(request):
                item = chunk[answer.index]
                want = {event_id(run, item, step) for step in range(steps[item])}
                seen = [entry.event.event_id for entry in answer.entries]
                expected += len(want)
                found += len(want.intersection(seen))
                lost += len(want.difference(seen))
                doubled += len(seen) - len(set(seen))
                conflicts += sum(entry.marks.conflict for entry in answer.entries)
    return Counted(expected, found, lost, doubled, conflicts)
