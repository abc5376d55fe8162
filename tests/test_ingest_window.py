"""The ingest service over real gRPC: the window, and the unary twin."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from ingest.limits import IngestLimits
from ledger.v1.ingest_service_pb2 import DURABILITY_SYNCED, Heartbeat, SourceProgress
from ledger.v1.raw_pb2 import RawRecordScansRequest
from tests.faulty_log import FaultyLog
from tests.ingest_server import (
    Caller,
    Served,
    details_of,
    durable,
    faulty_log,
    record_batch,
    records_of,
    serving,
)
from tests.ingest_traffic import a_batch, an_encoded_event

GOOD = an_encoded_event(99)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log whose appends can be held up and made to fail."""
    async with faulty_log(tmp_path) as log:
        yield log


@pytest.fixture
async def served(log: FaultyLog) -> AsyncIterator[Served]:
    """The door in, on that log."""
    async with asyncio.timeout(30), serving(log) as door:
        yield door


class TestWindow:
    async def test_more_than_the_window_ends_the_stream_in_order(self, log: FaultyLog) -> None:
        """RESOURCE_EXHAUSTED with RetryInfo, after the results of the batches before."""
        async with asyncio.timeout(30), serving(log, limits=IngestLimits(window_scans=3)) as served:
            caller = Caller(served.channel)
            await caller.open()
            log.gate.clear()
            events = [an_encoded_event(number) for number in range(2)]
            await caller.send_batch(a_batch(events))
            await caller.send_batch(a_batch(events, batch_number=2))
            await log.wait_for_appends(1)
            log.gate.set()

            assert durable(await caller.result()) == [(0, 1)]
            error = await caller.error()
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert details_of(error) == ("WINDOW_EXCEEDED", "", True)
        assert len(await records_of(log)) == 2

    async def test_one_batch_may_always_be_on_its_way(self, log: FaultyLog) -> None:
        """A batch larger than the window is taken when nothing else is in flight."""
        async with asyncio.timeout(30), serving(log, limits=IngestLimits(window_scans=3)) as served:
            caller = Caller(served.channel)
            await caller.open()
            for number in (1, 2):
                events = [an_encoded_event(number * 10 + n) for n in range(10)]
                await caller.send_batch(a_batch(events, batch_number=number))

                assert durable(await caller.result()) == [(0, 9)]


class TestSources:
    async def test_a_sender_that_reads_no_answers_is_not_read(self, log: FaultyLog) -> None:
        """Its sources stay few, however many it names; once it reads, it gets all of them."""
        limits = IngestLimits(states_waiting_max=100)
        async with asyncio.timeout(30), serving(log, limits=limits) as served:
            # With the probe the windows of this side grow by as much as the other side sends.
            options = [("grpc.http2.bdp_probe", 0)]
            async with grpc.aio.insecure_channel(served.address, options=options) as channel:
                caller = Caller(channel)
                await caller.open()
                sending = asyncio.create_task(send_beats(caller))
                await asyncio.sleep(0.5)
                assert served.service.sources < 5_000  # gRPC has room for some states itself.

                for _ in range(10_000):
                    assert (await caller.next()).WhichOneof("message") == "source_state"
                await sending

    async def test_all_streams_together_have_so_many_sources(self, log: FaultyLog) -> None:
        """One stream too many is told to slow down; an ended one gives its sources back."""
        limits = IngestLimits(sources_max=3)
        async with asyncio.timeout(30), serving(log, limits=limits) as served:
            one, two = Caller(served.channel), Caller(served.channel)
            await one.open([a_source(1), a_source(2)])
            await two.open([a_source(3), a_source(4)])
            error = await two.error()
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert details_of(error) == ("SOURCES_BUSY", "", True)

            await one.close()
            three = Caller(served.channel)
            await three.open([a_source(number) for number in range(3)])
            assert len(await three.close()) == 3
            assert served.service.sources == 0


async def send_beats(caller: Caller) -> None:
    """Name 10,000 sources in heartbeats of 500."""
    for first in range(0, 10_000, 500):
        beat = Heartbeat(sources=[a_source(first + number) for number in range(500)])
        await caller.send(RawRecordScansRequest(heartbeat=beat))


def a_source(number: int) -> SourceProgress:
    """A numbered source, with a name as long as may be."""
    return SourceProgress(source_id=f"gate-{number:0120}", spool_id=bytes(16))


class TestUnary:
    async def test_a_batch_is_recorded(self, served: Served, log: FaultyLog) -> None:
        """As on a stream; the number of the batch is passed over."""
        response = await record_batch(served.channel, a_batch([an_encoded_event()], batch_number=7))

        assert response.durability == DURABILITY_SYNCED
        assert durable(response.result) == [(0, 0)]
        assert response.result.batch_number == 0
        assert len(await records_of(log)) == 1

    async def test_validation_records_nothing(self, served: Served, log: FaultyLog) -> None:
        """The refusals are listed, and nothing is durable."""
        for events, refused in (([GOOD, b"no event"], [1]), ([GOOD, GOOD], [])):
            response = await record_batch(served.channel, a_batch(events), validate_only=True)

            assert [refusal.index for refusal in response.result.refusals] == refused
            assert not response.result.durable
        assert await records_of(log) == []

    async def test_a_full_door_is_busy(self, log: FaultyLog) -> None:
        """Nothing happened, and the error says when to try again; streams wait instead."""
        limits = IngestLimits(pending_bytes_max=1)
        async with asyncio.timeout(30), serving(log, limits=limits) as served:
            caller = Caller(served.channel)
            await caller.open()
            log.gate.clear()
            first = asyncio.create_task(
                record_batch(served.channel, a_batch([an_encoded_event(1)]))
            )
            await log.wait_for_appends(1)
            await caller.send_batch(a_batch([an_encoded_event(2)]))
            with pytest.raises(grpc.aio.AioRpcError) as busy:
                await record_batch(served.channel, a_batch([an_encoded_event(3)]))
            log.gate.set()

            assert busy.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert details_of(busy.value) == ("INGEST_BUSY", "", True)
            assert durable((await first).result) == [(0, 0)]
            assert durable(await caller.result()) == [(0, 0)]
        assert len(await records_of(log)) == 2
