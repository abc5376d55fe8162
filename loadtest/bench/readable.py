"""How far trails follow the log, as the ledger itself says: sampled, kept up with, waited for."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc.aio

from ledger.v1.progress_service_pb2 import GetProgressRequest, GetProgressResponse
from ledger.v1.progress_service_pb2_grpc import ProgressServiceStub
from loadtest.bench.patience import patient, patient_aio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadtest.bench.client import Sent

PROGRESS: Final = "/ledger.v1.ProgressService/GetProgress"

LOOK_EVERY_S: Final = 0.25
"""How often the backlog is looked at: often enough that it moves by a few thousand scans."""

STUCK_S: Final = 120.0
"""A ledger that makes nothing readable for so long is stuck."""


class Sample(NamedTuple):
    """How far a run was at a time.

    Attributes:
        at_s: seconds since it began.
        acknowledged: scans, of this run.
        readable: scans, of this run.
    """

    at_s: float
    acknowledged: int
    readable: int


async def watch_backlog(
    query: grpc.aio.Channel,
    sent: Sent,
    backlog_max: int,
    may_send: asyncio.Event,
    samples: list[Sample],
) -> None:
    """Hold senders back while more than `backlog_max` scans are unread; sample all the time."""
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = query.unary_unary(PROGRESS)
    request = GetProgressRequest().SerializeToString()
    started_s, before = time.monotonic(), -1
    while True:
        answer = GetProgressResponse.FromString(await patient_aio(method, request))
        readable = sum(part.readable_index for part in answer.partitions)
        before = readable if before < 0 else before
        samples.append(Sample(time.monotonic() - started_s, sent.acknowledged, readable - before))
        if sent.acknowledged - (readable - before) > backlog_max:
            may_send.clear()
        else:
            may_send.set()
        await asyncio.sleep(LOOK_EVERY_S)


def wait_readable(
    query: str,
    highest: Mapping[int, int],
    *,
    on_sample: Callable[[float, int], None] = lambda _at_s, _rows: None,
    every_s: float = 0.02,
) -> float:
    """Wait until all that was acknowledged is readable, and say how many seconds that took.

    `on_sample` is told the monotonic time and how many records are readable in all. Raises
    RuntimeError where nothing becomes readable for a long time.
    """
    started_s = moved_s = time.monotonic()
    rows = -1
    with grpc.insecure_channel(query) as channel:
        stub = ProgressServiceStub(channel)
        while True:
            progress = patient(stub.GetProgress, GetProgressRequest())
            now_s = time.monotonic()
            readable = {part.partition: part.readable_index for part in progress.partitions}
            if (total := sum(readable.values())) > rows:
                rows, moved_s = total, now_s
            on_sample(now_s, total)
            if all(readable.get(part, 0) > index for part, index in highest.items()):
                return now_s - started_s
            if now_s - moved_s > STUCK_S:
                raise RuntimeError(f"nothing became readable for {STUCK_S:.0f} s")
            time.sleep(every_s)
