"""The load: streams of batches from one process, closed loop for throughput, open loop for latency.

It speaks bytes, so that it takes as little as it can of the machine that it shares with the server.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc.aio

from ledger.v1.ingest_service_pb2 import Open, RecordScansRequest, RecordScansResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtest.bench.traffic import Wave

METHOD = "/ledger.v1.IngestService/RecordScans"

OPEN_LOOP_BATCHES_MAX = 100
"""Batches on their way on one stream in the open loop: the window that a server gives to a stream.
What is due and has to wait for it counts from when it was due."""


@dataclass(slots=True)
class Sent:
    """What one client process sent and was told.

    Attributes:
        acknowledged: scans listed as durable.
        refused: scans refused or to be sent again; a bench expects none.
        steps: for each item, which of its steps were acknowledged: bit n is step n.
        latencies_s: from when a batch was due to its result.
        highest: per partition, the highest index that was told.
    """

    acknowledged: int = 0
    refused: int = 0
    steps: dict[int, int] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    highest: dict[int, int] = field(default_factory=dict)


class Batch(NamedTuple):
    """One request, and what is in it: a step of all items of a wave."""

    wave: Wave
    step: int
    request: bytes


class Pace(NamedTuple):
    """How one stream sends.

    Attributes:
        until_s: of the monotonic clock: nothing is sent after it.
        in_flight: most batches on their way; only the closed loop has such a limit.
        interval_s: a batch is due so often in the open loop; None is the closed loop.
        offset_s: the first of them is due so much later: scanners do not scan in step.
        may_send: is awaited before each batch.
    """

    until_s: float
    in_flight: int
    interval_s: float | None
    offset_s: float
    may_send: asyncio.Event


class _Flying(NamedTuple):
    batch: Batch
    due_s: float


async def run_stream(
    channel: grpc.aio.Channel,
    batches: Iterator[Batch],
    pace: Pace,
    sent: Sent,
    on_result: Callable[[Any, float], None],
) -> None:
    """Send until it is time, then wait for all results."""
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(METHOD)
    call = method()
    opening = RecordScansRequest(open=Open(client="bench", version="1"))
    await call.write(opening.SerializeToString())
    flying: asyncio.Queue[_Flying | None] = asyncio.Queue()
    closed = pace.interval_s is None
    room = asyncio.Semaphore(pace.in_flight if closed else OPEN_LOOP_BATCHES_MAX)

    async def write() -> None:
        due_s = time.monotonic() + pace.offset_s
        for batch in batches:
            if pace.interval_s is not None:
                due_s += pace.interval_s
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await room.acquire()
            await pace.may_send.wait()
            if closed:
                due_s = time.monotonic()
            if due_s >= pace.until_s:
                break
            flying.put_nowait(_Flying(batch, due_s))
            await call.write(batch.request)
        flying.put_nowait(None)

    async def read() -> None:
        while (one := await flying.get()) is not None:
            result = await _next_result(call)
            now_s = time.monotonic()
            room.release()
            _count(sent, one, result, now_s)
            on_result(result, one.due_s)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        tasks.create_task(read())
    await call.done_writing()
    while await call.read() is not grpc.aio.EOF:
        pass


async def _next_result(call: Any) -> Any:  # noqa: ANN401 - grpc's own type.
    while True:
        raw = await call.read()
        if raw is grpc.aio.EOF:
            raise RuntimeError(
                f"the server ended the stream: {await call.code()} {await call.details()}"
            )
        response = RecordScansResponse.FromString(raw)
        if response.WhichOneof("message") == "result":
            return response.result


def _count(sent: Sent, one: _Flying, result: Any, now_s: float) -> None:  # noqa: ANN401
    wave, step, _ = one.batch
    sent.latencies_s.append(now_s - one.due_s)
    bit, steps, durable = 1 << step, sent.steps, 0
    for part in result.durable:
        durable += part.last - part.first + 1
        for item in range(wave.first_item + part.first, wave.first_item + part.last + 1):
            steps[item] = steps.get(item, 0) | bit
    sent.acknowledged += durable
    sent.refused += wave.items - durable
    for position in result.highest_positions:
        if position.index > sent.highest.get(position.partition, -1):
            sent.highest[position.partition] = position.index
