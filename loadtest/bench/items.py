"""Reading items over gRPC beside their trails, in one run: one at a time, and a thousand at once.

Trails are read before and after, so that a machine that gets slower meanwhile flatters nobody.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, Final

import grpc.aio

from ledger.v1.item_service_pb2 import BatchGetItemsRequest, BatchGetItemsResponse, ItemLookUp
from ledger.v1.trail_service_pb2 import LookupStatus
from loadtest.bench.plan import CALLERS
from loadtest.bench.reads import ITEM, TRAIL, read_trails
from loadtest.bench.stats import around, percentiles
from loadtest.bench.traffic import number_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtest.bench.reads import Read

BATCH: Final = "/ledger.v1.ItemService/BatchGetItems"

BATCH_NUMBERS: Final = 1_000
"""Numbers of one look-up: as many as a server takes."""

_GOOD: Final = (LookupStatus.LOOKUP_STATUS_FOUND, LookupStatus.LOOKUP_STATUS_UNCHANGED)


def read_items(query: str, items: Sequence[int], *, calls: int) -> dict[str, Any]:
    """Read items and trails of the same numbers; give the figures of both."""
    trails: tuple[list[Read], list[Read]] = ([], [])
    found: tuple[list[Read], list[Read]] = ([], [])
    for _ in range(2):
        for asking, runs in ((TRAIL, trails), (ITEM, found)):
            for at_once, reads in zip((1, CALLERS), runs, strict=True):
                reads.append(
                    read_trails(query, items, calls=calls // 2, at_once=at_once, asking=asking)
                )
    (trails_single, trails_many), (single, many) = trails, found
    one_caller_per_s = around([one.per_s for one in single])
    per_s, trails_per_s = (around([one.per_s for one in runs]) for runs in (many, trails_many))
    batches = asyncio.run(_batches(query, items, max(1, calls // BATCH_NUMBERS)))
    return {
        "ms": percentiles([s for one in single for s in one.latencies_s]),
        "trail_ms": percentiles([s for one in trails_single for s in one.latencies_s]),
        "per_s": per_s,
        "trails_per_s": trails_per_s,
        "ratio": per_s / trails_per_s,
        "one_caller_per_s": one_caller_per_s,
        "batch_per_s": batches[0],
        "unchanged_per_s": batches[1],
        "batch_ratio": batches[0] / one_caller_per_s,
    }


async def _batches(query: str, items: Sequence[int], count: int) -> tuple[float, float]:
    """Look many items up, and again with their revisions: items a second of each."""
    choose = random.Random(4)
    taken_s = [0.0, 0.0]
    async with grpc.aio.insecure_channel(query) as channel:
        method: Any = channel.unary_stream(BATCH)  # Bytes to bytes.
        for _ in range(count):
            numbers = [number_of(item) for item in choose.choices(items, k=BATCH_NUMBERS)]
            revisions = [""] * BATCH_NUMBERS
            for again in range(2):
                request = BatchGetItemsRequest(
                    look_ups=[
                        ItemLookUp(tracking_number=number, revision=revision)
                        for number, revision in zip(numbers, revisions, strict=True)
                    ]
                ).SerializeToString()
                started_s = time.perf_counter()
                answers = [
                    one
                    async for raw in method(request)
                    for one in BatchGetItemsResponse.FromString(raw).answers
                ]
                taken_s[again] += time.perf_counter() - started_s
                revisions = [one.revision for one in answers]
                if len(answers) != BATCH_NUMBERS or any(
                    one.status != _GOOD[again] for one in answers
                ):
                    raise RuntimeError("items that were acknowledged are not in a look-up")
    everything = count * BATCH_NUMBERS
    return everything / taken_s[0], everything / taken_s[1]
