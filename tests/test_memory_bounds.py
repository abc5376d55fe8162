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
from tests.ingest_server import record_bytes
from tests.ingest_traffic import a_batch
from tests.test_cli_up import Up

PEAK_MB_MAX = 200
"""A process without data takes 61 MB, and the places of a service 32; the rest is for what Python
and its allocator keep. The whole must stay below 300 MB.
"""

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
