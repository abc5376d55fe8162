"""Stands between a load and a ledger, and does what a ledger must never do: a faulty ledger, seen
from outside.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc.aio
from google.protobuf.message import DecodeError

from ledger.numbers import UnfilableNumber, filing_key
from ledger.v1.ingest_service_pb2 import BatchResult, IndexRange, RecordScansResponse
from ledger.v1.raw_pb2 import (
    RawBatch,
    RawBatchGetTrailsResponse,
    RawRecordScansRequest,
    RawTrailEntry,
)
from ledger.v1.scan_event_pb2 import ScanEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

INGEST: Final = "ledger.v1.IngestService"
TRAILS: Final = "ledger.v1.TrailService"
PROGRESS: Final = "ledger.v1.ProgressService"

ENTRIES_MIN: Final = 4
"""Only trails of so many entries are tampered with: every fault shows on them."""


class InFlight(NamedTuple):
    """A batch that has no result yet."""

    number: int
    """As the sender knows it."""

    scans: int
    is_swallowed: bool


class Proxy:
    """Hands everything on, but for what a test wants otherwise."""

    def __init__(self, target: str) -> None:
        self.address = ""
        self.swallows_after = -1
        """So many batches are handed on, and the next good one is acknowledged and dropped; -1 is
        never.
        """

        self.tricks: list[Callable[[list[RawTrailEntry]], None]] = []
        """What is done to trails, to one item each."""

        self.tricked: list[str] = []
        """The items, in the order of the tricks."""

        self._batches = 0
        self._dropped: set[bytes] = set()
        self._recorded: set[bytes] = set()
        self._channel = grpc.aio.insecure_channel(target)

    @property
    def swallowed(self) -> set[bytes]:
        """The ids of the events that were acknowledged, and that the ledger has never seen."""
        return self._dropped - self._recorded

    async def record_scans(self, _: AsyncIterator[bytes], context: Any) -> None:  # noqa: ANN401
        """Hand a stream of batches on, under numbers without gaps."""
        call: Any = self._channel.stream_stream(f"/{INGEST}/RecordScans")()
        in_flight: deque[InFlight] = deque()
        await call.write(await context.read())
        await context.write(await call.read())

        async def results() -> None:
            while isinstance(message := await call.read(), bytes):
                response = RecordScansResponse.FromString(message)
                if response.WhichOneof("message") == "result":
                    response.result.batch_number = in_flight.popleft().number
                await context.write(response.SerializeToString())
                await self._pretend(in_flight, context)

        reader = asyncio.create_task(results())
        number = 0
        while isinstance(message := await context.read(), bytes):
            request = RawRecordScansRequest.FromString(message)
            batch = request.batch
            self._batches += 1
            ids = good_ids(batch)
            is_turn = 0 <= self.swallows_after < self._batches and not self._dropped
            dropped = is_turn and len(ids) == len(batch.scans)
            in_flight.append(InFlight(batch.batch_number, len(batch.scans), dropped))
            (self._dropped if dropped else self._recorded).update(ids)
            if dropped:
                await self._pretend(in_flight, context)
            else:
                number += 1
                batch.batch_number = number
                await call.write(request.SerializeToString())
        await call.done_writing()
        await reader

    async def _pretend(self, in_flight: deque[InFlight], context: Any) -> None:  # noqa: ANN401
        """Acknowledge what was dropped, when its turn comes."""
        while in_flight and in_flight[0].is_swallowed:
            number, scans, _ = in_flight.popleft()
            durable = [IndexRange(last=scans - 1)]
            result = BatchResult(batch_number=number, durable=durable)
            await context.write(RecordScansResponse(result=result).SerializeToString())

    async def close(self) -> None:
        """End all calls."""
        await self._channel.close()

    async def batch_get(self, request: bytes, _: object) -> AsyncIterator[bytes]:
        """Hand look-ups on."""
        async for message in self._stream(f"/{TRAILS}/BatchGetTrails", request):
            answer = RawBatchGetTrailsResponse.FromString(message)
            self._trick(answer.tracking_number, answer)
            yield answer.SerializeToString()

    async def list_events(self, request: bytes, _: object) -> bytes:
        """Hand a page on."""
        call: Any = self._channel.unary_unary(f"/{TRAILS}/ListScanEvents")
        page: bytes = await call(request)
        return page

    def hand_on(self, method: str) -> Callable[[bytes, object], AsyncIterator[bytes]]:
        """Hand the answers of any other method on."""

        async def answers(request: bytes, _: object) -> AsyncIterator[bytes]:
            async for message in self._stream(method, request):
                yield message

        return answers

    async def _stream(self, method: str, request: bytes) -> AsyncIterator[bytes]:
        call: Any = self._channel.unary_stream(method)
        async for message in call(request):
            yield message

    def _trick(self, item: str, answer: RawBatchGetTrailsResponse) -> None:
        if item not in self.tricked:
            if len(self.tricked) == len(self.tricks) or len(answer.entries) < ENTRIES_MIN:
                return
            self.tricked.append(item)
        entries = list(answer.entries)
        self.tricks[self.tricked.index(item)](entries)
        del answer.entries[:]
        answer.entries.extend(entries)


def good_ids(batch: RawBatch) -> set[bytes]:
    """Give the ids of the events that a ledger takes, as far as it can be told by their numbers."""
    ids = set()
    for scan in batch.scans:
        with suppress(DecodeError, UnfilableNumber):
            event = ScanEvent.FromString(scan.event)
            filing_key(event.tracking_number)
            ids.add(event.event_id)
    return ids


def drop(entries: list[RawTrailEntry]) -> None:
    """Leave one out."""
    del entries[1]


def double(entries: list[RawTrailEntry]) -> None:
    """Show one twice, the second time under another position."""
    twin = RawTrailEntry()
    twin.CopyFrom(entries[1])
    twin.position.index += 1
    entries.insert(2, twin)


def alter(entries: list[RawTrailEntry]) -> None:
    """Show one as it was never sent."""
    event = ScanEvent.FromString(entries[1].event)
    event.device += "X"
    changed = RawTrailEntry()
    changed.CopyFrom(entries[1])
    changed.event = event.SerializeToString()
    entries[1] = changed


def swap(entries: list[RawTrailEntry]) -> None:
    """Show two in the wrong order."""
    entries[1], entries[2] = entries[2], entries[1]


@asynccontextmanager
async def proxy_to(target: str) -> AsyncIterator[Proxy]:
    """Stand in front of a ledger."""
    proxy = Proxy(target)
    server = grpc.aio.server()
    stream, unary = grpc.unary_stream_rpc_method_handler, grpc.unary_unary_rpc_method_handler
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                INGEST, {"RecordScans": grpc.stream_stream_rpc_method_handler(proxy.record_scans)}
            ),
            grpc.method_handlers_generic_handler(
                TRAILS,
                {
                    "BatchGetTrails": stream(proxy.batch_get),
                    "ListScanEvents": unary(proxy.list_events),
                    "WatchTrail": stream(proxy.hand_on(f"/{TRAILS}/WatchTrail")),
                },
            ),
            grpc.method_handlers_generic_handler(
                PROGRESS, {"WatchProgress": stream(proxy.hand_on(f"/{PROGRESS}/WatchProgress"))}
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    proxy.address = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield proxy
    finally:
        await server.stop(None)
        await proxy.close()
