"""Refused scans are kept whole before anybody is told; a flood of them slows its source alone."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from ingest.limits import REFUSED_EVENT_BYTES_MAX, IngestLimits
from ingest.refusals import Refusals, _Minutes
from ledger.errors import Diverged, LedgerError
from ledger.numbers import partition_of
from ledger.v1.ingest_service_pb2 import (
    REFUSAL_REASON_PERSONAL_DATA_NOT_ACCEPTED,
    REFUSAL_REASON_TOO_LARGE,
    REFUSAL_REASON_UNDECODABLE,
    RESEND_REASON_BUSY,
    RESEND_REASON_UNCERTAIN,
)
from ledger.v1.raw_pb2 import RawScan
from ledger.v1.refused_scan_pb2 import RefusedScan
from tests.faulty_log import BUSY, UNCERTAIN, FaultyLog
from tests.ingest_server import (
    PARTITIONS,
    Caller,
    Served,
    again,
    details_of,
    durable,
    faulty_log,
    record_batch,
    records_of,
    serving,
    values_of,
)
from tests.ingest_traffic import SOURCE, SPOOL, a_batch, an_encoded_event

BAD = b"\xff no event"
SOURCES_PARTITION = partition_of(SOURCE.encode(), PARTITIONS)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log, and beside it the one of refusals."""
    async with faulty_log(tmp_path) as log:
        yield log


@pytest.fixture
def refusals(log: FaultyLog) -> FaultyLog:
    """The log of refusals."""
    return log.beside["refusals"]


@pytest.fixture
async def served(log: FaultyLog) -> AsyncIterator[Served]:
    """The door in, on these logs."""
    async with asyncio.timeout(30), serving(log) as door:
        yield door


async def kept(refusals: FaultyLog) -> list[RefusedScan]:
    """All refused scans of the source."""
    values = await values_of(refusals, SOURCES_PARTITION)
    return [RefusedScan.FromString(value) for value in values]


class TestKept:
    async def test_a_refused_scan_is_kept_whole(self, served: Served, refusals: FaultyLog) -> None:
        """Who, when, why and every byte of it are in the log when the result comes."""
        caller = Caller(served.channel)
        await caller.open()
        batch = a_batch([an_encoded_event(1), BAD, an_encoded_event(2)], first_sequence=41)
        await caller.send_batch(batch)
        result = await caller.result()
        [refused] = await kept(refusals)
        [refusal] = result.refusals

        assert durable(result) == [(0, 0), (2, 2)]
        assert (refused.source_id, refused.spool_id, refused.sequence) == (SOURCE, SPOOL, 42)
        assert (refused.event, refused.event_bytes) == (BAD, len(BAD))
        assert refused.event_sha256 == hashlib.sha256(BAD).digest()
        assert refused.reason == refusal.reason == REFUSAL_REASON_UNDECODABLE
        assert (refused.field, refused.message) == (refusal.field, refusal.message)
        assert refused.send_time_ns == batch.send_time.ToNanoseconds()
        assert refused.record_time_ns
        assert refused.principal == "anonymous"

    async def test_of_a_long_one_the_first_64_kib_are_kept(
        self, served: Served, refusals: FaultyLog
    ) -> None:
        """With its whole length and the hash of all of it."""
        event = bytes(range(256)) * 2_000
        result = (await record_batch(served.channel, a_batch([event]))).result
        [refused] = await kept(refusals)

        assert result.refusals[0].reason == REFUSAL_REASON_TOO_LARGE
        assert refused.event == event[:REFUSED_EVENT_BYTES_MAX]
        assert refused.event_bytes == len(event)
        assert refused.event_sha256 == hashlib.sha256(event).digest()

    async def test_personal_data_is_not_kept(self, served: Served, refusals: FaultyLog) -> None:
        """It cannot be sealed, so only its length is written down; the event is kept."""
        event = an_encoded_event(3)
        batch = a_batch([])
        batch.scans.append(RawScan(event=event, personal=b"a name"))
        result = (await record_batch(served.channel, batch)).result
        [value] = await values_of(refusals, SOURCES_PARTITION)

        assert result.refusals[0].reason == REFUSAL_REASON_PERSONAL_DATA_NOT_ACCEPTED
        assert RefusedScan.FromString(value).event == event
        assert RefusedScan.FromString(value).personal_bytes == 6
        assert b"a name" not in value

    async def test_the_largest_batch_of_bad_scans_is_kept(
        self, log: FaultyLog, refusals: FaultyLog
    ) -> None:
        """It becomes several appends, as its records are larger than it was."""
        limits = IngestLimits(refusals_per_minute_max=2_000)
        async with serving(log, limits=limits) as served:
            batch = a_batch([BAD * 40] * 2_000)
            result = (await record_batch(served.channel, batch)).result

        assert len(result.refusals) == 2_000
        assert [one.sequence for one in await kept(refusals)] == list(range(1, 2_001))

    async def test_a_check_keeps_nothing(self, served: Served, refusals: FaultyLog) -> None:
        """`validate_only` says what would be refused, and leaves nothing."""
        response = await record_batch(served.channel, a_batch([BAD]), validate_only=True)

        assert len(response.result.refusals) == 1
        assert refusals.appends == []

    async def test_nobody_is_told_before_it_is_kept(
        self, served: Served, log: FaultyLog, refusals: FaultyLog
    ) -> None:
        """The result waits for the log of refusals; the good scans of the batch do not."""
        refusals.gate.clear()
        caller = Caller(served.channel)
        await caller.open()
        await caller.send_batch(a_batch([an_encoded_event(1), BAD]))
        waiting = asyncio.create_task(caller.result())
        await refusals.wait_for_appends(1)

        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        assert len(await records_of(log)) == 1
        refusals.gate.set()
        result = await waiting
        assert durable(result) == [(0, 0)]
        assert len(result.refusals) == 1


class TestNotKept:
    @pytest.mark.parametrize(
        ("error", "reason", "copies"),
        [(BUSY, RESEND_REASON_BUSY, 1), (UNCERTAIN, RESEND_REASON_UNCERTAIN, 2)],
        ids=["before it is kept", "after it is kept"],
    )
    async def test_what_cannot_be_kept_is_sent_again(
        self, served: Served, log: FaultyLog, *, error: LedgerError, reason: int, copies: int
    ) -> None:
        """It is no refusal yet: the scan is asked for again, and refused when it is kept. Good
        scans of the batch are durable the first time.
        """
        refusals, faults = log.beside["refusals"], [error]
        fail = "fails_unwritten" if error is BUSY else "fails_written"
        setattr(refusals, fail, lambda _: faults.pop() if faults else None)
        caller = Caller(served.channel)
        await caller.open()
        await caller.send_batch(a_batch([BAD, an_encoded_event(1)]))
        first = await caller.result()
        await caller.send_batch(a_batch([BAD], batch_number=2))
        second = await caller.result()

        assert durable(first) == [(1, 1)]
        assert again(first) == [(0, 0, reason)]
        assert not first.refusals
        assert len(second.refusals) == 1
        assert [one.event for one in await kept(refusals)] == [BAD] * copies
        assert len(await records_of(log)) == 1

    async def test_a_log_that_fails_for_good_ends_the_door(
        self, log: FaultyLog, refusals: FaultyLog
    ) -> None:
        """Nothing is refused any more that nobody can keep: the process has to end."""
        refusals.fails_unwritten = lambda _: Diverged("The log is cut.", reason="TEST")
        keeper = Refusals(refusals, IngestLimits(), monotonic=asyncio.get_running_loop().time)
        running = asyncio.create_task(keeper.run())
        async with serving(log) as served:
            batch = a_batch([BAD])
            checked = await record_batch(served.channel, batch, validate_only=True)
        promise = keeper.keep(batch, checked.result.refusals, now_ns=1, principal="anonymous")

        [outcome] = await promise.not_kept()
        assert outcome.indexes == [0]
        with pytest.raises(Diverged):
            await running


class TestFlood:
    async def test_more_than_a_minute_takes_is_sent_again_later(
        self, log: FaultyLog, refusals: FaultyLog
    ) -> None:
        """The first of a minute are kept; the rest are to be sent again after it. Good scans of the
        same batch, and other sources, are not touched.
        """
        limits = IngestLimits(refusals_per_minute_max=5)
        async with serving(log, limits=limits) as served:
            caller = Caller(served.channel)
            await caller.open()
            await caller.send_batch(a_batch([BAD] * 8 + [an_encoded_event(1)]))
            flood = await caller.result()
            other = a_batch([BAD], batch_number=2, source_id="gate-18")
            await caller.send_batch(other)
            others = await caller.result()

        assert [refusal.index for refusal in flood.refusals] == [0, 1, 2, 3, 4]
        assert again(flood) == [(5, 7, RESEND_REASON_BUSY)]
        assert 50 < flood.resend[0].delay.seconds <= 60
        assert durable(flood) == [(8, 8)]
        assert len(await kept(refusals)) >= 5
        assert len(others.refusals) == 1

    async def test_a_call_that_has_nothing_else_is_turned_away(self, log: FaultyLog) -> None:
        """The unary twin says RESOURCE_EXHAUSTED and when to try again."""
        async with serving(log, limits=IngestLimits(refusals_per_minute_max=2)) as served:
            await record_batch(served.channel, a_batch([BAD] * 2))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await record_batch(served.channel, a_batch([BAD] * 2))

        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details_of(caught.value) == ("REFUSALS_PER_MINUTE", "", True)

    def test_a_minute_begins_with_the_first(self) -> None:
        """And when it is over the source may have as many again."""
        now = 0.0
        minutes = _Minutes(10, 100, lambda: now)
        assert minutes.take("a", 7) == (7, 60.0)
        now = 20.0
        assert minutes.take("a", 7) == (3, 40.0)
        assert minutes.take("b", 7) == (7, 60.0)
        now = 59.9
        assert minutes.take("a", 1)[0] == 0
        now = 60.0
        assert minutes.take("a", 11) == (10, 60.0)

    def test_sources_that_were_quiet_are_forgotten(self) -> None:
        """What is remembered has a bound."""
        minutes = _Minutes(1, 3, lambda: 0.0)
        for source in "abcd":
            minutes.take(source, 1)

        assert list(minutes._taken) == ["b", "c", "d"]
        assert minutes.take("d", 1)[0] == 0
