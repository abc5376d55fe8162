"""The ingest service over real gRPC: streams, results, windows, sources, and the unary twin."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from ingest.limits import BATCHES_PER_STREAM_MAX, MESSAGE_BYTES_MAX
from ledger.app import rpc
from ledger.metrics import INGEST_STREAMS
from ledger.v1.ingest_service_pb2 import (
    DURABILITY_SYNCED,
    RESEND_REASON_BUSY,
    RESEND_REASON_SOURCE_NOT_OPEN,
    RESEND_REASON_UNCERTAIN,
    SOURCE_STATUS_OPEN,
    SOURCE_STATUS_TAKEN_OVER,
    Heartbeat,
    SourceProgress,
)
from ledger.v1.raw_pb2 import RawRecordScansRequest
from tests.faulty_log import BUSY, UNCERTAIN, FaultyLog
from tests.ingest_server import (
    PARTITIONS,
    Caller,
    Served,
    again,
    durable,
    faulty_log,
    records_of,
    serving,
)
from tests.ingest_traffic import SOURCE, SPOOL, a_batch, an_encoded_event

SHORT_S = 5.0


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


class TestStream:
    async def test_the_first_response_says_the_limits(self, served: Served) -> None:
        """Limits, window, durability and the server's clock are known before anything is sent."""
        opened = await Caller(served.channel).open()

        assert opened.durability == DURABILITY_SYNCED
        assert opened.limits.batch_scans_max == 2_000
        assert opened.limits.message_bytes_max == MESSAGE_BYTES_MAX == rpc.MESSAGE_BYTES_MAX
        assert opened.window.window_events > 0
        assert opened.window.window_bytes > 0
        assert opened.HasField("server_time")

    async def test_a_result_says_what_is_durable_and_where(
        self, served: Served, log: FaultyLog
    ) -> None:
        """The records are in the log when the result comes, up to the positions that it names."""
        caller = Caller(served.channel)
        await caller.open()
        events = [an_encoded_event(number) for number in range(50)]
        await caller.send_batch(a_batch(events))
        result = await caller.result()

        assert (result.batch_number, durable(result)) == (1, [(0, 49)])
        assert {p.partition: p.index + 1 for p in result.highest_positions} == {
            partition: (await log.bounds(partition)).next for partition in range(PARTITIONS)
        }
        assert {(p.log, p.generation) for p in result.highest_positions} == {("scans", 1)}
        records = sorted(await records_of(log), key=lambda record: record.sequence)
        assert [record.event for record in records] == events
        assert [record.sequence for record in records] == list(range(1, 51))

    async def test_results_come_in_batch_order(self, served: Served, log: FaultyLog) -> None:
        """Also where a later batch would be known earlier."""
        caller = Caller(served.channel)
        await caller.open()
        log.gate.clear()
        for number in (1, 2, 3):
            event = an_encoded_event(number) if number < 3 else b"no event"
            await caller.send_batch(a_batch([event], batch_number=number))
        await log.wait_for_appends(1)
        log.gate.set()

        assert [(await caller.result()).batch_number for _ in range(3)] == [1, 2, 3]

    async def test_one_stream_carries_many_sources(self, served: Served, log: FaultyLog) -> None:
        """Each is told OPEN once, at its first mention: in the opening, a heartbeat or a batch."""
        sources = [SourceProgress(source_id=f"gate-{n}", spool_id=SPOOL) for n in range(3)]
        caller = Caller(served.channel)
        await caller.open(sources[:1])
        heartbeat = Heartbeat(sources=sources[:2])
        await caller.send(RawRecordScansRequest(heartbeat=heartbeat))
        for number, source in enumerate([*sources, *sources], start=1):
            event = an_encoded_event(number)
            batch = a_batch([event], batch_number=number, source_id=source.source_id)
            await caller.send_batch(batch)
        states = [
            response.source_state
            for response in await caller.close()
            if response.WhichOneof("message") == "source_state"
        ]

        assert [state.source_id for state in states] == ["gate-0", "gate-1", "gate-2"]
        assert {state.status for state in states} == {SOURCE_STATUS_OPEN}
        assert len(await records_of(log)) == 6

    async def test_closing_asks_for_what_is_outstanding(
        self, served: Served, log: FaultyLog
    ) -> None:
        """All results come, and then the stream ends with OK."""
        caller = Caller(served.channel)
        await caller.open()
        log.gate.clear()
        for number in range(1, 6):
            await caller.send_batch(a_batch([an_encoded_event(number)], batch_number=number))
        closing = asyncio.create_task(caller.close())
        await log.wait_for_appends(1)
        log.gate.set()
        numbers = [r.result.batch_number for r in await closing if r.HasField("result")]

        assert numbers == [1, 2, 3, 4, 5]
        assert await caller.call.code() is grpc.StatusCode.OK

    async def test_a_stream_without_a_message_ends_well(self, served: Served) -> None:
        """Who opens and closes at once has done nothing wrong."""
        caller = Caller(served.channel)

        assert await caller.close() == []
        assert await caller.call.code() is grpc.StatusCode.OK

    async def test_refusals_and_ranges_name_every_scan_once(
        self, served: Served, log: FaultyLog
    ) -> None:
        """Bad scans among good ones, with a log that is busy in one partition and unsure in
        another: every index has exactly one fate, and the durable ones are in the log.
        """
        log.fails_unwritten = lambda partition: (BUSY, UNCERTAIN, None, None)[partition]
        caller = Caller(served.channel)
        await caller.open()
        events = [an_encoded_event(n) if n % 5 else b"no event" for n in range(100)]
        await caller.send_batch(a_batch(events, first_sequence=1_001))
        result = await caller.result()
        kept = [i for first, last in durable(result) for i in range(first, last + 1)]
        resent = [i for first, last, _ in again(result) for i in range(first, last + 1)]
        refused = [refusal.index for refusal in result.refusals]

        assert sorted(kept + resent + refused) == list(range(100))
        assert refused == list(range(0, 100, 5))
        assert [refusal.sequence - refusal.index for refusal in result.refusals] == [1_001] * 20
        assert {reason for _, _, reason in again(result)} == {
            RESEND_REASON_BUSY,
            RESEND_REASON_UNCERTAIN,
        }
        assert all(part.HasField("delay") for part in result.resend)
        assert sorted(record.sequence - 1_001 for record in await records_of(log)) == kept
        assert {position.partition for position in result.highest_positions} == {2, 3}

    async def test_a_sender_that_reads_no_results_is_not_read_either(
        self, served: Served, log: FaultyLog
    ) -> None:
        """What it can keep in the server is bounded; when it reads, everything comes."""
        caller = Caller(served.channel)
        await caller.open()
        log.gate.clear()
        total = 3 * BATCHES_PER_STREAM_MAX
        for number in range(1, total + 1):
            await caller.send_batch(a_batch([an_encoded_event(number)], batch_number=number))
        await log.wait_for_appends(1)
        await asyncio.sleep(0.1)
        log.gate.set()
        results = [await caller.result() for _ in range(total)]

        assert max(count for _, count in log.appends) <= BATCHES_PER_STREAM_MAX
        assert all(durable(result) == [(0, 0)] for result in results)

    async def test_a_sender_that_is_gone_harms_nobody(self, served: Served, log: FaultyLog) -> None:
        """Its batch is recorded all the same, and others are served."""
        gone = Caller(served.channel)
        await gone.open()
        log.gate.clear()
        await gone.send_batch(a_batch([an_encoded_event(1)]))
        await log.wait_for_appends(1)
        gone.call.cancel()
        there = Caller(served.channel)
        await there.open()
        await there.send_batch(a_batch([an_encoded_event(2)], source_id="gate-18"))
        log.gate.set()

        assert durable(await there.result()) == [(0, 0)]
        assert len(await records_of(log)) == 2

    async def test_senders_that_vanish_leave_no_trace(
        self, served: Served, log: FaultyLog, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Connections that break while results are on their way are no errors of the server."""
        for number in range(20):
            async with grpc.aio.insecure_channel(served.address) as channel:
                callers = [Caller(channel) for _ in range(5)]
                for index, caller in enumerate(callers):
                    await caller.open()
                    event = an_encoded_event(number * 5 + index)
                    batch = a_batch([event], source_id=f"gate-{index}", first_sequence=number + 1)
                    await caller.send_batch(batch)
                await log.wait_for_appends(number + 1)
        await served.service.drain(SHORT_S)

        assert caplog.records == []
        assert next(iter(INGEST_STREAMS.collect())).samples[0].value == 0


class TestSources:
    async def test_a_newer_stream_takes_a_source_over(self, served: Served, log: FaultyLog) -> None:
        """The older stream is told for that source alone; its batches are to be sent elsewhere."""
        older, newer = Caller(served.channel), Caller(served.channel)
        await older.open()
        await newer.open()
        await older.send_batch(a_batch([an_encoded_event(1)]))
        assert durable(await older.result()) == [(0, 0)]
        await newer.send_batch(a_batch([an_encoded_event(2)]))
        assert durable(await newer.result()) == [(0, 0)]
        state = (await older.next()).source_state
        await older.send_batch(a_batch([an_encoded_event(3)], batch_number=2))
        await older.send_batch(a_batch([an_encoded_event(4)], batch_number=3, source_id="gate-18"))

        assert (state.source_id, state.spool_id) == (SOURCE, SPOOL)
        assert state.status == SOURCE_STATUS_TAKEN_OVER
        assert state.reason
        assert again(await older.result()) == [(0, 0, RESEND_REASON_SOURCE_NOT_OPEN)]
        assert durable(await older.result()) == [(0, 0)]
        assert len(await records_of(log)) == 3

    async def test_an_unnumbered_source_is_shared(self, served: Served) -> None:
        """Without a spool any number of streams may speak for a source."""
        callers = [Caller(served.channel) for _ in range(2)]
        for caller in callers:
            await caller.open()
        for number in (1, 2):
            for caller in callers:
                batch = a_batch(
                    [an_encoded_event(number)],
                    batch_number=number,
                    first_sequence=None,
                    spool_id=None,
                )
                await caller.send_batch(batch)

                assert durable(await caller.result()) == [(0, 0)]

    async def test_a_source_that_left_may_come_back(self, served: Served) -> None:
        """A stream that ended speaks for nobody: the next one is not told of it."""
        for _ in range(2):
            caller = Caller(served.channel)
            await caller.open()
            await caller.send_batch(a_batch([an_encoded_event()]))
            states = [r for r in await caller.close() if r.WhichOneof("message") == "source_state"]

            assert [r.source_state.status for r in states] == [SOURCE_STATUS_OPEN]
