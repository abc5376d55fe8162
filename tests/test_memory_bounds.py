"""The memory of a whole `up` process while senders do their worst."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc
import pytest

from ledger.v1.raw_pb2 import RawRecordScanBatchRequest
from tests.ingest_server import Caller, record_bytes
from tests.ingest_traffic import a_batch, an_encoded_event
from tests.test_cli_up import Up

PEAK_MB_MAX = 200
"""A process without data takes 61 MB, and the places of a service 32; the rest is for what Python
and its allocator keep. The whole must stay below 300 MB.
"""

IDLE_STREAMS = 10_000
IDLE_CONNECTIONS = 100
IDLE_KB_MAX = 60
"""What an idle stream may cost; 28 KB were seen, nearly all of them gRPC's."""

AT_ONCE = 100
"""Streams that are opened at once: each goes to a connection of its own."""

pytestmark = pytest.mark.slow


@contextmanager
def running(folder: Path) -> Iterator[Up]:
    """`up` with four partitions."""
    up = Up(folder, "--partitions", "4")
    try:
        up.said()
        yield up
    finally:
        up.end()


@asynccontextmanager
async def connections(up: Up, count: int) -> AsyncIterator[list[grpc.aio.Channel]]:
    """So many connections of their own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [
        grpc.aio.insecure_channel(f"127.0.0.1:{up.port}", options=options) for _ in range(count)
    ]
    try:
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        yield channels
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


def peak_mb(up: Up) -> int:
    """The most memory that the process ever had."""
    status = Path(f"/proc/{up.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) // 1024


async def test_large_messages_of_many_calls_are_not_kept(tmp_path: Path) -> None:
    """120 calls send 3.8 MB each at once: 456 MB, of which a few are in memory at a time."""
    message = RawRecordScanBatchRequest(batch=a_batch([bytes(3_800_000)])).SerializeToString()
    said: Counter[grpc.StatusCode] = Counter()

    async def send(channel: grpc.aio.Channel) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await record_bytes(channel, message)
        said[caught.value.code()] += 1

    with running(tmp_path) as up:
        async with connections(up, 8) as channels:
            await asyncio.gather(*(send(channels[number % 8]) for number in range(120)))
        peak = peak_mb(up)

    assert set(said) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert peak < PEAK_MB_MAX


def own_kb(up: Up) -> int:
    """The memory that the process has now, with its share of what it has in common with others."""
    rollup = Path(f"/proc/{up.process.pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found
    return int(found[1])


async def test_idle_streams_cost_little(tmp_path: Path) -> None:
    """10,000 scanners on 100 connections, each with a source and a scan that was recorded, fall
    silent: a stream costs 60 KB at most, and whoever scans next is answered.
    """
    callers: list[Caller] = []

    async def scan(number: int, batch: int) -> None:
        event = an_encoded_event(number)
        source, spool = f"gate-{number}", number.to_bytes(16, "big")
        await callers[number].send_batch(
            a_batch([event], source_id=source, spool_id=spool, batch_number=batch)
        )
        assert (await callers[number].result()).durable

    with running(tmp_path) as up:
        async with connections(up, IDLE_CONNECTIONS) as channels:
            before = own_kb(up)
            for first in range(0, IDLE_STREAMS, AT_ONCE):
                numbers = range(first, first + AT_ONCE)
                callers += [Caller(channels[number % IDLE_CONNECTIONS]) for number in numbers]
                await asyncio.gather(*(callers[number].open() for number in numbers))
                await asyncio.gather(*(scan(number, 1) for number in numbers))
            await asyncio.sleep(1)
            each_kb = (own_kb(up) - before) / IDLE_STREAMS
            await scan(IDLE_STREAMS // 2, 2)

    print(f"{each_kb:.1f} KB for each idle stream")  # noqa: T201
    assert each_kb < IDLE_KB_MAX
