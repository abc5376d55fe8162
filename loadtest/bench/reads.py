"""Reading single trails or items over gRPC, as fast as they come, or one after the other."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, NamedTuple

import grpc.aio

from ledger.v1.item_service_pb2 import GetItemRequest, GetItemResponse
from ledger.v1.trail_service_pb2 import ListScanEventsRequest, ListScanEventsResponse
from loadtest.bench.patience import patient_aio
from loadtest.bench.traffic import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LIST = "/ledger.v1.TrailService/ListScanEvents"
GET = "/ledger.v1.ItemService/GetItem"


class Asking(NamedTuple):
    """How one thing is asked for.

    Attributes:
        path: of the method.
        request: gives the bytes of a request for a number.
        read: parses the bytes of an answer, as whoever shows it has to; how much is in it.
    """

    path: str
    request: Callable[[str], bytes]
    read: Callable[[bytes], int]


TRAIL = Asking(
    LIST,
    lambda number: ListScanEventsRequest(tracking_number=number).SerializeToString(),
    lambda raw: len(ListScanEventsResponse.FromString(raw).entries),
)
ITEM = Asking(
    GET,
    lambda number: GetItemRequest(tracking_number=number).SerializeToString(),
    lambda raw: GetItemResponse.FromString(raw).answer.HasField("item"),
)


class Read(NamedTuple):
    """What came of reading trails.

    Attributes:
        latencies_s: of each read.
        per_s: reads a second.
        entries: entries, or items, that were read.
    """

    latencies_s: list[float]
    per_s: float
    entries: int


def read_trails(
    query: str, items: Sequence[int], *, calls: int, at_once: int, asking: Asking = TRAIL
) -> Read:
    """Read `calls` trails of these items, `at_once` at a time; or what else is asked for."""
    return asyncio.run(_read(query, items, calls // at_once, at_once, asking))


def fullest(steps: Mapping[int, int]) -> tuple[list[int], int]:
    """Give the items with the most acknowledged steps, and how many those are."""
    most = max(told.bit_count() for told in steps.values())
    return [item for item, told in steps.items() if told.bit_count() == most], most


async def _read(query: str, items: Sequence[int], calls: int, at_once: int, asking: Asking) -> Read:
    taken: list[float] = []
    entries = 0
    choose = random.Random(1)
    async with grpc.aio.insecure_channel(query) as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(asking.path)

        async def reader() -> None:
            nonlocal entries
            for _ in range(calls):
                request = asking.request(number_of(choose.choice(items)))
                started_s = time.perf_counter()
                raw = await patient_aio(method, request)
                found = asking.read(raw)
                taken.append(time.perf_counter() - started_s)
                entries += found

        began_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(reader())
        return Read(taken, len(taken) / (time.monotonic() - began_s), entries)
