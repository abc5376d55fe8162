"""Reading single trails over gRPC, as fast as they come, or one after the other."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, NamedTuple

import grpc.aio

from ledger.v1.trail_service_pb2 import ListScanEventsRequest, ListScanEventsResponse
from loadtest.bench.patience import patient_aio
from loadtest.bench.traffic import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIST = "/ledger.v1.TrailService/ListScanEvents"


class Read(NamedTuple):
    """What came of reading trails.

    Attributes:
        latencies_s: of each read.
        per_s: reads a second.
        entries: entries that were read.
    """

    latencies_s: list[float]
    per_s: float
    entries: int


def read_trails(query: str, items: Sequence[int], *, calls: int, at_once: int) -> Read:
    """Read `calls` trails of these items, `at_once` at a time."""
    return asyncio.run(_read(query, items, calls // at_once, at_once))


def fullest(steps: Mapping[int, int]) -> tuple[list[int], int]:
    """Give the items with the most acknowledged steps, and how many those are."""
    most = max(told.bit_count() for told in steps.values())
    return [item for item, told in steps.items() if told.bit_count() == most], most


async def _read(query: str, items: Sequence[int], calls: int, at_once: int) -> Read:
    taken: list[float] = []
    entries = 0
    choose = random.Random(1)
    async with grpc.aio.insecure_channel(query) as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(LIST)

        async def reader() -> None:
            nonlocal entries
            for _ in range(calls):
                request = ListScanEventsRequest(tracking_number=number_of(choose.choice(items)))
                started_s = time.perf_counter()
                raw = await patient_aio(method, request.SerializeToString())
                answer = ListScanEventsResponse.FromString(raw)
                taken.append(time.perf_counter() - started_s)
                entries += len(answer.entries)

        began_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(reader())
        return Read(taken, len(taken) / (time.monotonic() - began_s), entries)
