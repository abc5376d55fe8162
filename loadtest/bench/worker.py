"""One client process of the bench: runs its streams and reports what it was told."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

import grpc.aio

from ledger.v1.trail_service_pb2 import ListScanEventsRequest
from loadtest.bench.client import Sent, Stream, run_stream
from loadtest.bench.reads import LIST
from loadtest.bench.traffic import number_of, templates

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from ledger.v1.ingest_service_pb2 import BatchResult

START_TIME_NS = 1_767_225_600 * 1_000_000_000
"""2026-01-01T00:00:00Z: when the traffic's journeys begin."""

READ_EVERY = 8
"""In the open loop every eighth batch is read back at once, to see when it has become readable."""


class Load(NamedTuple):
    """What a client process does.

    Attributes:
        target: the server.
        run: number of the run; part of every event id.
        seconds: how long.
        streams: at once, one source each.
        items_at_once: items on their way on each stream.
        first_stream: number of the first stream, so that runs share no item.
        scans_per_s: rate of the open loop; None is the closed loop.
        read_back: whether to measure when scans become readable.
    """

    target: str
    run: int
    seconds: float
    streams: int
    items_at_once: int
    first_stream: int
    scans_per_s: float | None
    read_back: bool


class Report(NamedTuple):
    """What came of it; `elapsed_s` until the last result, `readable_s` per batch read back."""

    sent: Sent
    elapsed_s: float
    readable_s: list[float]
    client_cpu_s: float


def work(load: Load, answer: Connection) -> None:
    """Run a load and send its report."""
    answer.send(asyncio.run(_run(load)))
    answer.close()


async def _run(load: Load) -> Report:
    rests = templates(7, START_TIME_NS)
    sent = Sent()
    readable_s: list[float] = []
    # Made now: their cost is not part of the run.
    streams = [
        Stream(load.first_stream + n, load.first_stream + load.streams, run=load.run, rests=rests)
        for n in range(load.streams)
    ]
    interval_s = load.streams * 200 / load.scans_per_s if load.scans_per_s else None
    async with grpc.aio.insecure_channel(load.target) as channel, asyncio.TaskGroup() as reads:
        started_s, cpu_s = time.monotonic(), time.process_time()

        def read_back(result: BatchResult, due_s: float) -> None:
            if load.read_back and len(sent.latencies_s) % READ_EVERY == 0:
                reads.create_task(_readable(channel, result, due_s, readable_s))

        async with asyncio.TaskGroup() as tasks:
            for number, stream in enumerate(streams):
                tasks.create_task(
                    run_stream(
                        channel,
                        stream,
                        until_s=started_s + load.seconds,
                        items_at_once=load.items_at_once,
                        interval_s=interval_s,
                        offset_s=(interval_s or 0.0) * number / load.streams,
                        sent=sent,
                        on_result=read_back,
                    )
                )
        elapsed_s, used_s = time.monotonic() - started_s, time.process_time() - cpu_s
    return Report(sent, elapsed_s, readable_s, used_s)


async def _readable(
    channel: grpc.aio.Channel, result: BatchResult, due_s: float, readable_s: list[float]
) -> None:
    """Ask for a trail at a batch's positions, and note when the answer comes."""
    request = ListScanEventsRequest(
        tracking_number=number_of(0), at_least=result.highest_positions, page_size=1
    )
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(LIST)
    await method(request.SerializeToString())
    readable_s.append(time.monotonic() - due_s)
