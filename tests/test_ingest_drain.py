"""Draining: senders are told, what was taken gets its result, and streams end in time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from ledger.v1.ingest_service_pb2 import RESEND_REASON_DRAINING
from tests.faulty_log import FaultyLog
from tests.ingest_server import (
    Caller,
    Served,
    again,
    details_of,
    durable,
    faulty_log,
    record_batch,
    records_of,
    serving,
)
from tests.ingest_traffic import a_batch, an_encoded_event

SHORT_S = 0.2
LONG_S = 20.0


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log whose appends can be held up."""
    async with faulty_log(tmp_path) as log:
        yield log


@pytest.fixture
async def served(log: FaultyLog) -> AsyncIterator[Served]:
    """The door in, on that log."""
    async with asyncio.timeout(30), serving(log) as door:
        yield door


class TestDrain:
    async def test_streams_are_told_and_finish(self, served: Served, log: FaultyLog) -> None:
        """What is in flight becomes durable, later batches are to be sent again, and the drain is
        over when the senders have closed, long before the grace is.
        """
        caller, idle = Caller(served.channel), Caller(served.channel)
        await caller.open()
        await idle.open()
        log.gate.clear()
        await caller.send_batch(a_batch([an_encoded_event(1)]))
        await log.wait_for_appends(1)
        draining = asyncio.create_task(served.service.drain(LONG_S))
        told = (await idle.next()).draining
        await caller.send_batch(a_batch([an_encoded_event(2)], batch_number=2, first_sequence=2))
        log.gate.set()

        assert told.HasField("finish_before_time")
        assert durable(await caller.result()) == [(0, 0)]
        assert again(await caller.result()) == [(0, 0, RESEND_REASON_DRAINING)]
        assert not draining.done()
        await caller.close()
        await idle.close()
        await draining
        assert await idle.call.code() is grpc.StatusCode.OK
        assert len(await records_of(log)) == 1

    async def test_streams_that_stay_are_ended(self, served: Served) -> None:
        """When the grace is over: UNAVAILABLE, and sending again is safe."""
        caller = Caller(served.channel)
        await caller.open()
        await served.service.drain(SHORT_S)
        error = await caller.error()

        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert details_of(error)[0] == "SERVER_ENDING"

    async def test_a_stuck_log_does_not_hold_the_drain(
        self, served: Served, log: FaultyLog
    ) -> None:
        """The grace bounds it, with a batch in flight too."""
        caller = Caller(served.channel)
        await caller.open()
        log.gate.clear()
        await caller.send_batch(a_batch([an_encoded_event(1)]))
        await log.wait_for_appends(1)
        await served.service.drain(SHORT_S)

        assert (await caller.error()).code() is grpc.StatusCode.UNAVAILABLE
        log.gate.set()

    async def test_new_streams_are_sent_away(self, served: Served) -> None:
        """UNAVAILABLE at once: another process may take them."""
        await served.service.drain(SHORT_S)
        caller = Caller(served.channel)

        assert (await caller.error()).code() is grpc.StatusCode.UNAVAILABLE

    async def test_a_call_is_answered(self, served: Served, log: FaultyLog) -> None:
        """A batch that was taken is waited for; a later one is to be sent again."""
        log.gate.clear()
        taken = asyncio.create_task(record_batch(served.channel, a_batch([an_encoded_event(1)])))
        await log.wait_for_appends(1)
        draining = asyncio.create_task(served.service.drain(LONG_S))
        await asyncio.sleep(0)
        later = await record_batch(served.channel, a_batch([an_encoded_event(2)]))
        assert not draining.done()
        log.gate.set()
        await draining

        assert durable((await taken).result) == [(0, 0)]
        assert again(later.result) == [(0, 0, RESEND_REASON_DRAINING)]

    async def test_a_quiet_door_drains_at_once(self, served: Served) -> None:
        """With nobody there is nothing to wait for."""
        await served.service.drain(LONG_S)
