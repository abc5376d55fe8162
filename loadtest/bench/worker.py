"""One client process of the bench: runs its streams and reports what it was told."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from typing import TYPE_CHECKING, NamedTuple

import grpc.aio

from ledger.v1.trail_service_pb2 import ListScanEventsRequest
from loadtest.bench.client import Batch, Pace, Sent, run_stream
from loadtest.bench.patience import patient_aio
from loadtest.bench.plan import STREAMS
from loadtest.bench.readable import Sample, watch_backlog
from loadtest.bench.reads import LIST
from loadtest.bench.streams import batches, repeated
from loadtest.bench.traffic import BATCH_SCANS, number_of, templates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from ledger.v1.ingest_service_pb2 import BatchResult

START_TIME_NS = 1_767_225_600 * 1_000_000_000
"""2026-01-01T00:00:00Z: when the traffic's journeys begin."""

READ_BACK_PER_S = 16
"""Batches a second that are read back at once, to see when they have become readable."""

IN_FLIGHT = 6
"""Batches on their way on one stream in the closed loop: enough to hide the time of a commit."""


class Load(NamedTuple):
    """What a client process does.

    Attributes:
        ingest: where scans are sent.
        query: where trails are read.
        run: number of the run; part of every event id and number.
        seconds: how long.
        items_at_once: items on their way on each stream.
        in_flight: batches on their way on each stream in the closed loop.
        scans_max: it ends earlier when so many are acknowledged.
        scans_per_s: rate of the open loop; None is the closed loop.
        read_back: whether to measure when scans become readable.
        backlog_max: senders wait while more scans are unread than this; None: they never do.
        prepared: send the same batches again and again, which an empty server does not mind.
    """

    ingest: str
    query: str
    run: int
    seconds: float
    items_at_once: int
    in_flight: int = IN_FLIGHT
    scans_max: int | None = None
    scans_per_s: float | None = None
    read_back: bool = False
    backlog_max: int | None = None
    prepared: bool = False


class Report(NamedTuple):
    """What came of it.

    Attributes:
        sent: what was acknowledged.
        elapsed_s: until the last result.
        readable_s: of each batch that was read back, from when it was due.
        client_cpu_s: of this process, for the load alone.
        samples: how far it was in the course of time, where a backlog was watched.
    """

    sent: Sent
    elapsed_s: float
    readable_s: list[float]
    client_cpu_s: float
    samples: list[Sample]


def run_load(load: Load) -> Report:
    """Run a load in a process of its own. Raises RuntimeError where nothing was acknowledged."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(load, there))
    process.start()
    there.close()
    try:
        answer: Report = here.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"the client ended with exit code {process.exitcode}") from None
    process.join()
    if not answer.sent.acknowledged:
        raise RuntimeError(f"nothing was acknowledged; {answer.sent.refused:,} scans were refused")
    return answer


def work(load: Load, answer: Connection) -> None:
    """Run a load and send its report."""
    answer.send(asyncio.run(_run(load)))
    answer.close()


async def _run(load: Load) -> Report:
    made = _streams(load)  # Now: their cost is not part of the run.
    sent = Sent()
    readable_s: list[float] = []
    samples: list[Sample] = []
    may_send = asyncio.Event()
    may_send.set()
    interval_s = STREAMS * BATCH_SCANS / load.scans_per_s if load.scans_per_s else None
    async with (
        grpc.aio.insecure_channel(load.ingest) as ingest,
        grpc.aio.insecure_channel(load.query) as query,
        asyncio.TaskGroup() as others,
    ):
        started_s, cpu_s = time.monotonic(), time.process_time()
        watching = None
        if load.backlog_max is not None:
            watching = others.create_task(
                watch_backlog(query, sent, load.backlog_max, may_send, samples)
            )

        batches_per_s = (load.scans_per_s or 0.0) / BATCH_SCANS
        read_every = max(1, round(batches_per_s / READ_BACK_PER_S))

        def on_result(result: BatchResult, due_s: float) -> None:
            if load.read_back and len(sent.latencies_s) % read_every == 0:
                others.create_task(_readable(query, result, due_s, readable_s))

        async with asyncio.TaskGroup() as tasks:
            for number, stream in enumerate(made):
                pace = Pace(
                    until_s=started_s + load.seconds,
                    in_flight=load.in_flight,
                    interval_s=interval_s,
                    offset_s=(interval_s or 0.0) * number / STREAMS,
                    may_send=may_send,
                )
                limited = _limited(stream, sent, load.scans_max)
                tasks.create_task(run_stream(ingest, limited, pace, sent, on_result))
        elapsed_s, used_s = time.monotonic() - started_s, time.process_time() - cpu_s
        if watching:
            watching.cancel()
    return Report(sent, elapsed_s, readable_s, used_s, samples)


def _limited(stream: Iterator[Batch], sent: Sent, scans_max: int | None) -> Iterator[Batch]:
    """End a stream when enough is acknowledged."""
    for batch in stream:
        if scans_max is not None and sent.acknowledged >= scans_max:
            return
        yield batch


def _streams(load: Load) -> list[Iterator[Batch]]:
    rests = templates(7, START_TIME_NS)
    made = [
        batches(load.run, number, STREAMS, items_at_once=load.items_at_once, rests=rests)
        for number in range(STREAMS)
    ]
    return [repeated(each) for each in made] if load.prepared else made


async def _readable(
    channel: grpc.aio.Channel, result: BatchResult, due_s: float, readable_s: list[float]
) -> None:
    """Ask for a trail at a batch's positions, and note when the answer comes."""
    request = ListScanEventsRequest(
        tracking_number=number_of(0), at_least=result.highest_positions, page_size=1
    )
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(LIST)
    await patient_aio(method, request.SerializeToString())
    readable_s.append(time.monotonic() - due_s)
