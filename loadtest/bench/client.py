"""The load: streams of batches from one process, closed loop for throughput, open loop for latency.

It speaks bytes, so that it takes as little as it can of the machine that it shares with the server.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc.aio

from ledger.v1.ingest_service_pb2 import (
    Open,
    RecordScansRequest,
    RecordScansResponse,
)
from loadtest.bench.traffic import STEPS, Wave, number_of, scans_of, varint, waves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

METHOD = "/ledger.v1.IngestService/RecordScans"

IN_FLIGHT = 6
"""Batches on their way on one stream in the closed loop: enough to hide the time of a commit."""


@dataclass(slots=True)
class Sent:
    """What one client process sent and was told.

    Attributes:
        acknowledged: scans listed as durable.
        refused: scans refused or to be sent again; a bench expects none.
        steps: for each item, how many of its steps were acknowledged, counted from the first.
        latencies_s: from when a batch was due to its result.
        highest: per partition, the highest index that was told.
    """

    acknowledged: int = 0
    refused: int = 0
    steps: dict[int, int] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    highest: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    waves: Wave
    due_s: float


class Stream:
    """One stream of one source."""

    def __init__(self, number: int, streams: int, *, run: int, rests: list[bytes]) -> None:
        self._number = number
        self._streams = streams
        self._run = run
        self._rests = rests
        self._spool = os.urandom(16)
        self._sequence = 1
        self._batches = 0

    def batches(self, items_at_once: int) -> Iterator[tuple[Wave, bytes]]:
        """Encoded requests, without end, each with its wave."""
        for group in waves(self._number, self._streams, items_at_once):
            numbers = [
                [number_of(wave.first_item + n).encode() for n in range(wave.items)]
                for wave in group
            ]
            for step in range(STEPS):
                for wave, of_wave in zip(group, numbers, strict=True):
                    yield wave, self._encode(wave, step, of_wave)

    def _encode(self, wave: Wave, step: int, numbers: list[bytes]) -> bytes:
        self._batches += 1
        source = f"bench-{self._number:02d}".encode()
        seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
        sent = b"\x08" + varint(seconds) + b"\x10" + varint(nanos)
        batch = b"".join(
            (
                b"\x08" + varint(self._batches),
                b"\x12" + varint(len(source)) + source,
                b"\x1a\x10" + self._spool,
                b"\x20" + varint(self._sequence),
                scans_of(wave, step, run=self._run, numbers=numbers, rests=self._rests),
                b"\x3a" + varint(len(sent)) + sent,
            )
        )
        self._sequence += wave.items
        return b"\x12" + varint(len(batch)) + batch


async def run_stream(
    channel: grpc.aio.Channel,
    stream: Stream,
    *,
    until_s: float,
    items_at_once: int,
    interval_s: float | None,
    offset_s: float,
    sent: Sent,
    on_result: Callable[[Any, float], None] | None = None,
) -> None:
    """Send until the monotonic clock says `until_s`, then wait for all results.

    Without `interval_s` at most IN_FLIGHT batches are on their way; with it a batch is due every
    `interval_s` seconds, whether or not results have come, the first of them `offset_s` later:
    scanners do not scan in step.
    """
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(METHOD)
    call = method()
    opening = RecordScansRequest(open=Open(client="bench", version="1"))
    await call.write(opening.SerializeToString())
    flying: asyncio.Queue[_Batch | None] = asyncio.Queue()
    room = asyncio.Semaphore(IN_FLIGHT if interval_s is None else 10_000)

    async def write() -> None:
        due_s = time.monotonic() + offset_s
        for wave, request in stream.batches(items_at_once):
            if interval_s is not None:
                due_s += interval_s
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await room.acquire()
            if interval_s is None:
                due_s = time.monotonic()
            if due_s >= until_s:
                break
            flying.put_nowait(_Batch(wave, due_s))
            await call.write(request)
        flying.put_nowait(None)

    async def read() -> None:
        while (batch := await flying.get()) is not None:
            result = await _next_result(call)
            now_s = time.monotonic()
            room.release()
            _count(sent, batch, result, now_s)
            if on_result:
                on_result(result, batch.due_s)

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


def _count(sent: Sent, batch: _Batch, result: Any, now_s: float) -> None:  # noqa: ANN401
    durable = sum(part.last - part.first + 1 for part in result.durable)
    sent.acknowledged += durable
    sent.refused += batch.waves.items - durable
    sent.latencies_s.append(now_s - batch.due_s)
    wave = batch.waves
    if durable == wave.items:
        steps = sent.steps
        for item in range(wave.first_item, wave.first_item + wave.items):
            steps[item] = steps.get(item, 0) + 1
    for position in result.highest_positions:
        if position.index > sent.highest.get(position.partition, -1):
            sent.highest[position.partition] = position.index
