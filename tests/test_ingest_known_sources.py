"""What sources say of themselves, what they learn on coming back, and two senders of one spool."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest.limits import IngestLimits
from ledger.metrics import INGEST_SEQUENCE_CONFLICTS
from ledger.v1.ingest_service_pb2 import Heartbeat, SourceProgress, SourceState
from ledger.v1.raw_pb2 import RawRecordScansRequest
from ledger.v1.receipt_pb2 import RECEIPT_KIND_WORD
from tests.faulty_log import UNCERTAIN, FaultyLog
from tests.ingest_server import Caller, durable, faulty_log, record_batch, serving
from tests.ingest_traffic import SOURCE, a_batch, an_encoded_event
from tests.receipt_logs import QUICK, progress, spans, written

BAD = b"\xff no event"


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log, and beside it the one of receipts."""
    async with asyncio.timeout(30), faulty_log(tmp_path) as log:
        yield log


@pytest.fixture
def receipts(log: FaultyLog) -> FaultyLog:
    """The log of receipts."""
    return log.beside["receipts"]


class TestWords:
    async def test_what_a_source_says_is_written_down_once(
        self, log: FaultyLog, receipts: FaultyLog
    ) -> None:
        """On opening and in heartbeats; the same again only after a minute."""
        async with serving(log, limits=QUICK) as served:
            caller = Caller(served.channel)
            await caller.open([progress(9, 4)])
            for minted, acked in ((9, 4), (9, 4), (12, 4), (12, 7), (12, 7)):
                beat = Heartbeat(sources=[progress(minted, acked)])
                await caller.send(RawRecordScansRequest(heartbeat=beat))
            await caller.close()
            found = await written(receipts, 3)
            await asyncio.sleep(0.1)

        assert {one.kind for one in found} == {RECEIPT_KIND_WORD}
        assert [(one.minted_through, one.acked_through) for one in found] == [
            (9, 4),
            (12, 4),
            (12, 7),
        ]
        assert len(await written(receipts, 3)) == 3

    async def test_after_a_minute_the_same_is_worth_a_line(
        self, log: FaultyLog, receipts: FaultyLog
    ) -> None:
        """It shows that the source lives."""
        limits = IngestLimits(receipts_linger_s=0.01, word_s=0.05)
        async with serving(log, limits=limits) as served:
            caller = Caller(served.channel)
            await caller.open([progress(9, 4)])
            await written(receipts, 1)
            await asyncio.sleep(0.06)
            await caller.send(RawRecordScansRequest(heartbeat=Heartbeat(sources=[progress(9, 4)])))
            await written(receipts, 2)


class TestHints:
    async def test_who_comes_back_learns_what_is_known(self, log: FaultyLog) -> None:
        """A new stream of a source is told which sequences are durable and which refused, beyond
        what it says it knows.
        """
        async with serving(log, limits=QUICK) as served:
            events = [an_encoded_event(number) for number in range(6)]
            events[4] = BAD
            await record_batch(served.channel, a_batch(events, first_sequence=10))
            first = await state_of(Caller(served.channel), progress(20, 0))
            second = await state_of(Caller(served.channel), progress(20, 12))
            third = await state_of(Caller(served.channel), progress(20, 15))

        assert (spans(first.durable), spans(first.refused)) == ([(10, 13), (15, 15)], [(14, 14)])
        assert (spans(second.durable), spans(second.refused)) == ([(13, 13), (15, 15)], [(14, 14)])
        assert not third.durable
        assert not third.refused

    async def test_who_was_cut_off_learns_what_became_of_it(
        self, log: FaultyLog, receipts: FaultyLog
    ) -> None:
        """Batches without a result when the connection broke are known when the sender is back,
        the oldest of them too, and have their receipts.
        """
        async with serving(log, limits=QUICK) as served:
            caller = Caller(served.channel)
            await caller.open()
            log.gate.clear()
            for number in (1, 2, 3):
                events = [an_encoded_event(number), BAD]
                await caller.send_batch(
                    a_batch(events, batch_number=number, first_sequence=2 * number - 1)
                )
            await log.wait_for_appends(1)
            await asyncio.sleep(0.1)
            caller.call.cancel()
            await asyncio.sleep(0.1)
            log.gate.set()
            await written(receipts, 3)
            state = await state_of(Caller(served.channel), progress(6, 0))

        assert spans(state.durable) == [(1, 1), (3, 3), (5, 5)]
        assert spans(state.refused) == [(2, 2), (4, 4), (6, 6)]

    async def test_a_call_that_was_cut_off_is_known_too(
        self, log: FaultyLog, receipts: FaultyLog
    ) -> None:
        """The batch of the unary twin has its receipt though nobody waits for the answer."""
        async with serving(log, limits=QUICK) as served:
            log.gate.clear()
            calling = asyncio.create_task(
                record_batch(served.channel, a_batch([an_encoded_event(1)]))
            )
            await log.wait_for_appends(1)
            calling.cancel()
            await asyncio.wait([calling])
            await asyncio.sleep(0.1)
            log.gate.set()
            [receipt] = await written(receipts, 1)

        assert spans(receipt.durable) == [(1, 1)]

    async def test_nothing_is_said_of_what_was_to_be_sent_again(self, log: FaultyLog) -> None:
        """A hint is never more than what results said."""
        log.fails_written = lambda _: UNCERTAIN
        async with serving(log, limits=QUICK) as served:
            await record_batch(served.channel, a_batch([an_encoded_event(1)]))
            state = await state_of(Caller(served.channel), progress(1, 0))

        assert not state.durable


class TestTwoSenders:
    async def test_two_contents_of_a_sequence_are_reported(
        self, log: FaultyLog, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A retry is none of it, nor a good scan where one was refused; another event under a
        sequence that was there before is counted, with a line that names the source.
        """
        before = INGEST_SEQUENCE_CONFLICTS._value.get()
        events = [an_encoded_event(number) for number in range(10)]
        async with serving(log, limits=QUICK) as served:
            await record_batch(served.channel, a_batch(events))
            await record_batch(served.channel, a_batch(events[3:], first_sequence=4))
            mended, beside = an_encoded_event(50), an_encoded_event(51)
            await record_batch(served.channel, a_batch([b"\xff", beside], first_sequence=11))
            await record_batch(served.channel, a_batch([mended, beside], first_sequence=11))
            await asyncio.sleep(0.02)
            assert INGEST_SEQUENCE_CONFLICTS._value.get() == before
            others = [*events[5:7], an_encoded_event(100), an_encoded_event(101)]
            result = (await record_batch(served.channel, a_batch(others, first_sequence=6))).result
            await asyncio.sleep(0.05)

        assert durable(result) == [(0, 3)]  # It is kept all the same.
        assert INGEST_SEQUENCE_CONFLICTS._value.get() == before + 2
        [line] = [one for one in caplog.records if "two contents" in one.message]
        assert line.__dict__["source"] == SOURCE
        assert line.__dict__["first"] == 8


async def state_of(caller: Caller, source: SourceProgress) -> SourceState:
    """What a new stream is told of its source."""
    await caller.open([source])
    return (await caller.next()).source_state
