"""What a gateway refuses itself goes on to the ledger: which keeps it, and misses no sequence."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from ingest import spool_outgoing
from ingest.limits import REFUSED_EVENT_BYTES_MAX
from ingest.spool_lanes import Outbound, batches_of
from ingest.spool_limits import SpoolLimits
from ingest.spool_refused import read_refused
from ledger.event import EVENT_BYTES_MAX
from ledger.position import RECEIPTS_LOG, REFUSALS_LOG
from ledger.v1.ingest_service_pb2 import REFUSAL_REASON_NOT_ALLOWED, BatchResult, Refusal
from ledger.v1.raw_pb2 import RawScan
from ledger.v1.refused_scan_pb2 import RefusedScan
from tests.gateways import gateway
from tests.ingest_server import faulty_log, record_batch, records_of, serving, values_of
from tests.ingest_traffic import SOURCE, SPOOL, a_batch, an_encoded_event
from tests.receipt_logs import QUICK, spans, written
from tests.scripted_server import response, scripted

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from ledger.v1.raw_pb2 import RawBatch
    from tests.faulty_log import FaultyLog
    from tests.scripted_server import Answer

BAD = an_encoded_event(2, tracking_number=None)


async def kept(log: FaultyLog) -> list[RefusedScan]:
    """What the ledger keeps of refused scans, by sequence."""
    found = log.beside[REFUSALS_LOG]
    values = [
        one for place in range(found.identity.partitions) for one in await values_of(found, place)
    ]
    return sorted(map(RefusedScan.FromString, values), key=lambda one: one.sequence)


async def test_the_ledger_keeps_what_a_gateway_refused(tmp_path: Path) -> None:
    """Whole, with its sequence and the reason that its source was told; so receipts speak of all
    that the source has minted.
    """
    async with (
        faulty_log(tmp_path) as log,
        serving(log, limits=QUICK) as ledger,
        gateway(tmp_path, ledger.address) as between,
    ):
        events = [an_encoded_event(1), BAD, an_encoded_event(3)]
        told = (await record_batch(between.served.channel, a_batch(events))).result
        await between.forwarded()
        [refused] = await kept(log)
        assert between.spool.refused == 0  # Its source knows it: nobody has to see to it.
        said = spans(
            [
                part
                for one in await written(log.beside[RECEIPTS_LOG], 1)
                for part in (*one.durable, *one.refused)
            ]
        )
        records = await records_of(log)

    [refusal] = told.refusals
    assert (refused.source_id, refused.spool_id, refused.sequence) == (SOURCE, SPOOL, 2)
    assert refused.event == BAD
    assert (refused.field, refused.reason) == (refusal.field, refusal.reason)
    assert sorted(n for first, last in said for n in range(first, last + 1)) == [1, 2, 3]
    assert sorted(one.sequence for one in records) == [1, 3]


async def test_the_list_has_what_its_source_does_not_know(tmp_path: Path) -> None:
    """Where a ledger refuses more than the gateway did, somebody has to see to that alone."""

    def refuses(batch: RawBatch) -> Answer:
        refusals = [
            Refusal(index=n, field="event", reason=REFUSAL_REASON_NOT_ALLOWED, message="no")
            for n in range(len(batch.scans))
        ]
        result = BatchResult(batch_number=batch.batch_number, refusals=refusals)
        return [response(result=result)]

    async with scripted(refuses) as ledger, gateway(tmp_path, ledger.address) as between:
        events = [an_encoded_event(1), BAD, BAD, an_encoded_event(4)]
        await record_batch(between.served.channel, a_batch(events))
        await between.forwarded()

    listed = {one.sequence: one.event for one in read_refused(tmp_path / "gateway")}
    assert listed == {1: events[0], 4: events[3]}


def test_a_batch_knows_which_of_its_scans_were_refused() -> None:
    """Also where they lie side by side in the spool, and follow each other in their source's."""
    scans = [
        (n, Outbound(SOURCE, SPOOL, n, 0, b"event", was_refused=n in {2, 3})) for n in range(1, 5)
    ]
    [batch] = batches_of(scans, 100, 1 << 20)

    assert [(one.owner.first_place, one.scans, one.owner.was_refused) for one in batch.parts] == [
        (1, 1, False),
        (2, 2, True),
        (4, 1, False),
    ]


async def test_nothing_that_was_refused_gets_through(tmp_path: Path) -> None:
    """Not what was refused for the personal data that is not kept, and not the beginning of what
    was too long, with a sequence or without.
    """
    batches = [
        a_batch([b""]),
        a_batch([an_encoded_event(7)], source_id="gate-2"),
        a_batch([an_encoded_event(3) + bytes(2 * EVENT_BYTES_MAX)], source_id="gate-3"),
        a_batch([b"\x0a" * (REFUSED_EVENT_BYTES_MAX + 1)], source_id="gate-4"),
        a_batch([BAD], source_id="gate-5", first_sequence=0, spool_id=b""),
    ]
    batches[1].scans[0].CopyFrom(RawScan(event=an_encoded_event(7), personal=b"a name"))
    async with (
        faulty_log(tmp_path) as log,
        serving(log) as ledger,
        gateway(tmp_path, ledger.address) as between,
    ):
        for batch in batches:
            told = (await record_batch(between.served.channel, batch)).result
            assert len(told.refusals) == 1
        await between.forwarded()
        found = await kept(log)
        assert await records_of(log) == []

    assert {one.source_id for one in found} == {SOURCE, *(f"gate-{n}" for n in range(2, 6))}


async def test_what_cannot_be_spooled_is_not_refused_yet(tmp_path: Path) -> None:
    """A refusal is an outcome, and a scanner forgets it: so it is sent again until it is kept."""
    limits = SpoolLimits(bytes_max=20_000)
    async with gateway(tmp_path, "127.0.0.1:1", limits=limits) as between:
        channel, number = between.served.channel, 1
        while not between.spool.is_full:
            await record_batch(channel, a_batch([an_encoded_event(number)] * 10))
            number += 1
        result = (await record_batch(channel, a_batch([BAD] * 60))).result

    assert not result.refusals
    assert [(one.range.first, one.range.last) for one in result.resend] == [(0, 59)]


async def test_a_source_that_only_fails_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger takes so many refused scans of a source in a minute. The rest waits on the disk,
    and the scans of others go on, however few of those that wait have room in memory.
    """
    monkeypatch.setattr(spool_outgoing, "AGAIN_SCANS_MAX", 3)
    async with (
        faulty_log(tmp_path) as log,
        serving(log, limits=replace(QUICK, refusals_per_minute_max=2)) as ledger,
        gateway(tmp_path, ledger.address) as between,
    ):
        await record_batch(between.served.channel, a_batch([BAD] * 20))
        async with asyncio.timeout(10):
            while between.forwarder.held_back != 1:  # noqa: ASYNC110 - nothing tells.
                await asyncio.sleep(0.01)
        events = [an_encoded_event(n) for n in range(100, 200)]
        await record_batch(between.served.channel, a_batch(events, source_id="gate-2"))
        async with asyncio.timeout(10):
            while between.spool.unsettled > 18:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        records = await records_of(log)

    assert {(one.source_id, one.sequence) for one in records} == {
        ("gate-2", n) for n in range(1, 101)
    }
    assert between.forwarder.counts.streams == 1
