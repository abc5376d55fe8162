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
    from collections.abc import Callable, Sequence

    from loadtest.bench.reads import Read

BATCH: Final = "/ledger.v1.ItemService/BatchGetItems"

BATCH_NUMBERS: Final = 1_000
"""Numbers of one look-up: as many as a server takes."""

_GOOD: Final = (LookupStatus.LOOKUP_STATUS_FOUND, LookupStatus.LOOKUP_STATUS_UNCHANGED)


def read_items(
    query: str, items: Sequence[int], *, calls: int, cpu_s: Callable[[], float]
) -> dict[str, Any]:
    """Read items and trails of the same numbers; give the figures of both. `cpu_s` gives what the
    server has taken so far: it tells more than the clock where the machine is busy.
    """
    trails: tuple[list[Read], list[Read]] = ([], [])
    found: tuple[list[Read], list[Read]] = ([], [])
    taken_s = {"a trail": 0.0, "an item": 0.0}
    for _ in range(2):
        for name, asking, runs in (("a trail", TRAIL, trails), ("an item", ITEM, found)):
            before_s = cpu_s()
            for at_once, reads in zip((1, CALLERS), runs, strict=True):
                reads.append(
                    read_trails(query, items, calls=calls // 2, at_once=at_once, asking=asking)
                )
            taken_s[name] += cpu_s() - before_s
    (trails_single, trails_many), (single, many) = trails, found
    one_by_one = sum(len(one.latencies_s) for one in (*single, *many))
    one_caller_per_s = around([one.per_s for one in single])
    per_s, trails_per_s = (around([one.per_s for one in runs]) for runs in (many, trails_many))
    batches = asyncio.run(_batches(query, items, max(1, calls // BATCH_NUMBERS), cpu_s))
    return {
        "ms": percentiles([s for one in single for s in one.latencies_s]),
        "trail_ms": percentiles([s for one in trails_single for s in one.latencies_s]),
        "per_s": per_s,
        "trails_per_s": trails_per_s,
        "ratio": per_s / trails_per_s,
        "one_caller_per_s": one_caller_per_s,
        "batch_per_s": batches[0].per_s,
        "unchanged_per_s": batches[1].per_s,
        "batch_ratio": batches[0].per_s / one_caller_per_s,
        "cpu_us": {
            **{name: seconds / one_by_one * 1e6 for name, seconds in taken_s.items()},
            "one of 1,000": batches[0].cpu_us,
            "unchanged": batches[1].cpu_us,
        },
    }


class _Batch:
    """What look-ups of one kind have taken."""

    def __init__(self) -> None:
        self.items = 0
        self.elapsed_s = self.cpu_s = 0.0

    @property
    def per_s(self) -> float:
        return self.items / self.elapsed_s

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.items * 1e6


async def _batches(
    query: str, items: Sequence[int], count: int, cpu_s: Callable[[], float]
) -> tuple[_Batch, _Batch]:
    """Look many items up, and again with their revisions."""
    choose = random.Random(4)
    taken = _Batch(), _Batch()
    async with grpc.aio.insecure_channel(query) as channel:
        method: Any = channel.unary_stream(BATCH)  # Bytes to bytes.
        for _ in range(count):
            numbers = [number_of(item) for item in choose.choices(items, k=BATCH_NUMBERS)]
            revisions = [""] * BATCH_NUMBERS
            for one, status in zip(taken, _GOOD, strict=True):
                request = BatchGetItemsRequest(
                    look_ups=[
                        ItemLookUp(tracking_number=number, revision=revision)
                        for number, revision in zip(numbers, revisions, strict=True)
                    ]
                ).SerializeToString()
                started_s, before_s = time.perf_counter(), cpu_s()
                answers = [
                    answer
                    async for raw in method(request)
                    for answer in BatchGetItemsResponse.FromString(raw).answers
                ]
                one.elapsed_s += time.perf_counter() - started_s
                one.cpu_s += cpu_s() - before_s
                one.items += len(answers)
                revisions = [answer.revision for answer in answers]
                if len(answers) != BATCH_NUMBERS or {answer.status for answer in answers} != {
                    status
                }:
                    raise RuntimeError("items that were acknowledged are not in a look-up")
    return taken
