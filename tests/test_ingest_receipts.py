"""Receipts: what sources were told is written down, grouped, and never in anybody's way."""

import asyncio
import hashlib
from array import array
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ingest.limits import SEQUENCE_MAX, IngestLimits
from ingest.receipt_making import Numbered, merged, receipt_of
from ledger.metrics import INGEST_RECEIPTS_DROPPED
from ledger.position import RECEIPTS_LOG
from ledger.scan_log import RECORD_BYTES_MAX_OF
from ledger.v1.ingest_service_pb2 import BatchResult
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.receipt_pb2 import (
    RECEIPT_KIND_BATCH,
    RECEIPT_KIND_MERGED,
    ReceiptGroup,
)
from tests.faulty_log import BUSY, UNCERTAIN, FaultyLog
from tests.ingest_server import (
    PARTITIONS,
    Caller,
    again,
    durable,
    faulty_log,
    record_batch,
    serving,
    values_of,
)
from tests.ingest_traffic import NOW_NS, SOURCE, SPOOL, a_batch, an_encoded_event
from tests.receipt_logs import QUICK, groups, spans, written

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


async def digest_of(log: FaultyLog, sequences: Sequence[int]) -> bytes:
    """What RFC 6962 and the proto file say, from the records of the log."""
    by_sequence = {
        LogRecord.FromString(value).sequence: value
        for partition in range(PARTITIONS)
        for value in await values_of(log, partition)
    }
    leaves = [hashlib.sha256(b"\0" + by_sequence[sequence]).digest() for sequence in sequences]
    return hashlib.sha256(b"".join(leaves)).digest()


class TestOfBatches:
    async def test_one_says_what_the_sender_was_told(
        self, log: FaultyLog, receipts: FaultyLog
    ) -> None:
        """Sequences that are durable and refused, what was minted, and the digest of the records,
        in the order of the batch and not of their partitions.
        """
        events = [an_encoded_event(number) for number in range(30)]
        events[7] = events[8] = BAD
        async with serving(log, limits=QUICK) as served:
            batch = a_batch(events, first_sequence=101, minted_through=500)
            await record_batch(served.channel, batch)
            [receipt] = await written(receipts, 1)

        good = [*range(101, 108), *range(110, 131)]
        assert receipt.kind == RECEIPT_KIND_BATCH
        assert (receipt.source_id, receipt.spool_id) == (SOURCE, SPOOL)
        assert spans(receipt.durable) == [(101, 107), (110, 130)]
        assert spans(receipt.refused) == [(108, 109)]
        assert receipt.minted_through == 500
        assert receipt.digest == await digest_of(log, good)
        assert receipt.time_ns
        assert receipt.principal == "anonymous"

    async def test_what_failed_is_not_in_it(self, log: FaultyLog, receipts: FaultyLog) -> None:
        """Neither among what is durable nor in the digest; with the retry it comes."""
        failing = [BUSY]
        log.fails_unwritten = lambda place: failing.pop() if place == 2 and failing else None
        events = [an_encoded_event(number) for number in range(40)]
        async with serving(log, limits=QUICK) as served:
            result = (await record_batch(served.channel, a_batch(events))).result
            [receipt] = await written(receipts, 1)
        lost = {index + 1 for first, last, _ in again(result) for index in range(first, last + 1)}
        told = {n for first, last in spans(receipt.durable) for n in range(first, last + 1)}

        assert lost
        assert told == set(range(1, 41)) - lost
        assert receipt.digest == await digest_of(log, sorted(told))

    async def test_an_unnumbered_batch_has_none(self, log: FaultyLog, receipts: FaultyLog) -> None:
        """Nothing could be said of its sequences."""
        async with serving(log, limits=QUICK) as served:
            unnumbered = a_batch([an_encoded_event(1)], first_sequence=0, spool_id=b"")
            await record_batch(served.channel, unnumbered)
            await record_batch(served.channel, a_batch([an_encoded_event(2)]))
            await written(receipts, 1)

        assert [len(group) for group in await groups(receipts)] == [1]

    async def test_many_are_one_record(self, log: FaultyLog, receipts: FaultyLog) -> None:
        """Of a partition there is one record in each linger, however many batches there were."""
        async with serving(log, limits=IngestLimits(receipts_linger_s=0.5)) as served:
            caller = Caller(served.channel)
            await caller.open()
            for number in range(1, 41):
                batch = a_batch(
                    [an_encoded_event(number)], batch_number=number, first_sequence=number
                )
                await caller.send_batch(batch)
                await caller.result()
            found = await written(receipts, 40)

        assert [one.durable[0].first for one in found] == list(range(1, 41))
        assert len(receipts.appends) <= 3

    async def test_no_answer_waits_for_one(self, log: FaultyLog, receipts: FaultyLog) -> None:
        """While the log of receipts stands still, results come as always."""
        receipts.gate.clear()
        async with serving(log, limits=QUICK) as served:
            for number in range(1, 4):
                batch = a_batch([an_encoded_event(number)], first_sequence=number)
                assert durable((await record_batch(served.channel, batch)).result) == [(0, 0)]
                await receipts.wait_for_appends(1)
            receipts.gate.set()
            assert len(await written(receipts, 3)) == 3

    async def test_the_last_ones_are_written_on_draining(
        self, log: FaultyLog, receipts: FaultyLog
    ) -> None:
        """Also those of which no linger is over."""
        async with serving(log, limits=IngestLimits(receipts_linger_s=60)) as served:
            await record_batch(served.channel, a_batch([an_encoded_event(1)]))
            await served.service.drain(5)

        assert len(await groups(receipts)) == 1


class TestLargest:
    def test_the_worst_batch_fits_into_a_record(self) -> None:
        """Each second scan refused, and sequences as high as they go: also merged with others."""
        first = SEQUENCE_MAX - 4_001
        receipts = []
        for start in (first, first + 2_000):
            result = BatchResult()
            for index in range(0, 2_000, 2):
                result.durable.add(first=index, last=index)
                result.refusals.add(index=index + 1, sequence=start + index + 1)
            batch = Numbered(
                "s" * 128, SPOOL, start, 2_000, SEQUENCE_MAX, [b""] * 2_000, array("I"), "p" * 128
            )
            receipts.append(receipt_of(batch, result, now_ns=NOW_NS))
        [one] = merged(receipts)

        for receipt in (*receipts, one):
            group = ReceiptGroup(receipts=[receipt])
            assert len(receipt.durable) == len(receipt.refused) == 1_000
            assert group.ByteSize() < RECORD_BYTES_MAX_OF[RECEIPTS_LOG]
        assert one.durable[-1].first == first + 3_998  # The highest stay.


class TestFailing:
    @pytest.mark.parametrize("error", [BUSY, UNCERTAIN], ids=["unwritten", "written"])
    async def test_what_failed_is_made_into_one(
        self, log: FaultyLog, receipts: FaultyLog, error: Exception
    ) -> None:
        """Receipts that were not written, or perhaps, come later as one that says the same."""
        failing = [error]
        name = "fails_unwritten" if error is BUSY else "fails_written"
        setattr(receipts, name, lambda _: failing.pop() if failing else None)
        async with serving(log, limits=IngestLimits(receipts_linger_s=0.2)) as served:
            for first in (1, 2, 4):
                batch = a_batch([an_encoded_event(first), BAD][: first % 3], first_sequence=first)
                await record_batch(served.channel, batch)
            copies = 0 if error is BUSY else 3
            found = await written(receipts, copies + 1)

        assert [one.kind for one in found[:copies]] == [RECEIPT_KIND_BATCH] * copies
        merged = found[copies]
        assert merged.kind == RECEIPT_KIND_MERGED
        assert spans(merged.durable) == [(1, 2), (4, 4)]
        assert spans(merged.refused) == [(3, 3)]
        assert not merged.digest

    async def test_what_waits_has_a_bound(self, log: FaultyLog, receipts: FaultyLog) -> None:
        """A log of receipts that takes nothing costs a bound of memory, and it is counted."""
        receipts.fails_unwritten = lambda _: BUSY
        dropped = INGEST_RECEIPTS_DROPPED._value.get()
        limits = IngestLimits(receipts_linger_s=0.01, receipts_waiting_max=10)
        async with serving(log, limits=limits) as served:
            for number in range(1, 60):
                source = f"gate-{number % 25}"
                batch = a_batch([an_encoded_event(number)], first_sequence=number, source_id=source)
                await record_batch(served.channel, batch)
            keeper = served.service._receipts
            assert keeper is not None
            await asyncio.sleep(0.05)
            assert keeper._count == sum(map(len, keeper._waiting.values())) <= 10

        assert INGEST_RECEIPTS_DROPPED._value.get() > dropped

    async def test_results_without_a_receipt_have_a_bound(self, log: FaultyLog) -> None:
        """Records wait for their receipt in memory only up to a number of scans."""
        limits = IngestLimits(noted_scans_max=5)
        async with serving(log, limits=limits) as served:
            keeper = served.service._receipts
            assert keeper is not None
            keeper._make_all = lambda: asyncio.sleep(0)  # type: ignore[method-assign]
            for number in range(1, 30, 2):
                events = [an_encoded_event(number), an_encoded_event(number + 1)]
                await record_batch(served.channel, a_batch(events, first_sequence=number))
                assert keeper._noted_scans <= 5
