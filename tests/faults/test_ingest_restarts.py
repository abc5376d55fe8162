"""The server ends and comes back while scanners send, politely or at once: nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest.scanner import Scanner, ScannerSettings
from tests.faulty_log import FaultyLog
from tests.ingest_server import Served, faulty_log, records_of, serving
from tests.ingest_traffic import an_encoded_event
from tests.scale import scaled

pytestmark = pytest.mark.slow

SCANNERS = 4
RESTARTS = scaled(4, soak=200)
UP_S = 0.15
DRAIN_S = 5.0
FAST = ScannerSettings(batch_scans=20, backoff_first_s=0.005, backoff_max_s=0.02)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log that outlives its servers."""
    async with faulty_log(tmp_path) as log:
        yield log


class Senders:
    """Scanners that record one scan after the other until they are told to stop."""

    def __init__(self) -> None:
        self.acknowledged: dict[bytes, bytes] = {}
        self.streams = 0
        self.news = asyncio.Event()
        """Set by each acknowledgement."""

        self.done = asyncio.Event()

    async def run(self, address: str) -> None:
        """Record until `done`."""
        await asyncio.gather(*(self._send(address, number) for number in range(SCANNERS)))

    async def _send(self, address: str, number: int) -> None:
        next_id = number << 32
        async with Scanner(address, source_id=f"gate-{number}", settings=FAST) as scanner:
            while not self.done.is_set():
                ids = range(next_id, next_id + 10)
                events = {n.to_bytes(16, "big"): an_encoded_event(n) for n in ids}
                await (await scanner.submit(list(events.values())))
                self.acknowledged.update(events)
                self.news.set()
                next_id += 10
        self.streams += scanner.counts.streams


async def restarts(log: FaultyLog, senders: Senders, *, drains: bool) -> None:
    """Run one server after the other on one port, and the senders all the while."""
    port = 0
    running: asyncio.Task[None] | None = None
    for _ in range(RESTARTS):
        async with serving(log, port=port) as served:
            running = running or asyncio.create_task(senders.run(served.address))
            port = int(served.address.rpartition(":")[2])
            await _until_more(senders)
            if drains:
                await _drain(served)
    async with serving(log, port=port):
        senders.done.set()
        assert running is not None
        await running


async def _until_more(senders: Senders) -> None:
    """Wait until scans were acknowledged since now, and a little longer."""
    senders.news.clear()
    await senders.news.wait()
    await asyncio.sleep(UP_S)


async def _drain(served: Served) -> None:
    async with asyncio.timeout(DRAIN_S / 2):
        await served.service.drain(DRAIN_S)


@pytest.mark.parametrize("drains", [False, True], ids=["cut off", "drained"])
async def test_restarts_lose_nothing(log: FaultyLog, *, drains: bool) -> None:
    """Every acknowledged event is in the log to the byte, and its copies are equal."""
    senders = Senders()
    async with asyncio.timeout(scaled(80, soak=3_600)):
        await restarts(log, senders, drains=drains)
    records = await records_of(log)
    recorded = {record.event_id: record.event for record in records}
    distinct = {(r.source_id, r.event_id, r.sequence, r.event) for r in records}

    assert senders.acknowledged.items() <= recorded.items()
    assert len(distinct) == len(recorded)
    assert senders.streams >= SCANNERS * RESTARTS
    if drains:
        assert len(records) == len(recorded)
