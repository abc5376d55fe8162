"""A gateway between scanners and a ledger: what it keeps as it is, and what it does in bad days."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ingest import spool_outgoing
from ingest.scanner import Scanner, ScannerSettings, ScanRefused
from ingest.spool_limits import SpoolLimits
from ingest.spool_refused import read_refused
from ledger.app.exits import DONE
from ledger.v1.ingest_service_pb2 import (
    DURABILITY_SPOOLED,
    REFUSAL_REASON_NOT_ALLOWED,
    RESEND_REASON_BUSY,
    SOURCE_STATUS_TAKEN_OVER,
    BatchResult,
    IndexRange,
    Refusal,
    SourceState,
)
from tests.gateways import FAST, gateway
from tests.ingest_server import again, faulty_log, record_batch, records_of, serving
from tests.ingest_traffic import a_batch, an_encoded_event
from tests.scripted_server import response, scripted, taken
from tests.shells import typed

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.v1.log_record_pb2 import LogRecord
    from ledger.v1.raw_pb2 import RawBatch
    from tests.scripted_server import Answer

SENDS_AT_ONCE = ScannerSettings(backoff_first_s=0.01, backoff_max_s=0.02)


def nowhere() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


def told(record: LogRecord) -> tuple[str, bytes, int, bytes]:
    """What a source has said of a scan."""
    return record.source_id, record.spool_id, record.sequence, record.event


async def test_a_scan_keeps_what_its_source_gave_it(tmp_path: Path) -> None:
    """Source, spool, sequence and bytes reach the ledger as they came; a receipt says SPOOLED, and
    names no position, since a spool has none.
    """
    async with (
        faulty_log(tmp_path) as log,
        serving(log) as ledger,
        gateway(tmp_path, ledger.address) as between,
        Scanner(between.address, source_id="gate-1") as one,
        Scanner(between.address, source_id="gate-2") as two,
    ):
        receipts = [await one.record(an_encoded_event(n)) for n in range(3)]
        outcome = await (await two.submit([an_encoded_event(n) for n in range(10, 500)]))
        await between.forwarded()
        records = await records_of(log)

    wanted = [("gate-1", one.spool_id, n + 1, an_encoded_event(n)) for n in range(3)]
    wanted += [("gate-2", two.spool_id, n - 9, an_encoded_event(n)) for n in range(10, 500)]
    assert sorted(map(told, records)) == sorted(wanted)
    assert {receipt.durability for receipt in receipts} == {DURABILITY_SPOOLED}
    assert not outcome.positions


async def test_unnumbered_scans_go_through(tmp_path: Path) -> None:
    """Also by the call for one batch."""
    async with (
        faulty_log(tmp_path) as log,
        serving(log) as ledger,
        gateway(tmp_path, ledger.address) as between,
    ):
        batch = a_batch([an_encoded_event(n) for n in range(5)], spool_id=None, first_sequence=None)
        answer = await record_batch(between.served.channel, batch)
        await between.forwarded()
        records = await records_of(log)

    assert answer.durability == DURABILITY_SPOOLED
    assert [(one.first, one.last) for one in answer.result.durable] == [(0, 4)]
    assert {(one.spool_id, one.sequence) for one in records} == {(b"", 0)}
    assert len(records) == 5


async def test_a_bad_scan_is_refused_at_the_gateway(tmp_path: Path) -> None:
    """At once, with its reason, while no ledger is there; it is spooled as its neighbours are."""
    async with (
        gateway(tmp_path, nowhere()) as between,
        Scanner(between.address, source_id="gate-1") as scanner,
    ):
        with pytest.raises(ScanRefused, match="tracking_number"):
            await scanner.record(an_encoded_event(1, tracking_number=None))
        await scanner.record(an_encoded_event(2))
        assert between.spool.unsettled == 2


async def test_the_ledger_may_be_away(tmp_path: Path) -> None:
    """Scans are taken meanwhile, outlive the gateway, and arrive once each when it is back."""
    address = nowhere()
    events = [an_encoded_event(n) for n in range(100)]
    async with (
        gateway(tmp_path, address) as between,
        Scanner(between.address, source_id="gate-1") as scanner,
    ):
        await (await scanner.submit(events))
    async with faulty_log(tmp_path) as log, gateway(tmp_path, address) as between:
        assert between.spool.unsettled == 100
        async with serving(log, port=int(address.rpartition(":")[2])):
            await between.forwarded()
            records = await records_of(log)

    assert [told(one)[2:] for one in sorted(records, key=lambda one: one.sequence)] == [
        (n + 1, event) for n, event in enumerate(events)
    ]


async def test_later_refusals_stand_in_the_list(tmp_path: Path) -> None:
    """Whole, with the ledger's reason, and are not sent again; the command shows them."""

    def refuses(batch: RawBatch) -> Answer:
        odd = [n for n, scan in enumerate(batch.scans) if batch.first_sequence + n == 3]
        refusals = [
            Refusal(
                index=n, field="event.facility", reason=REFUSAL_REASON_NOT_ALLOWED, message="no"
            )
            for n in odd
        ]
        kept = [IndexRange(first=n, last=n) for n in range(len(batch.scans)) if n not in odd]
        result = BatchResult(batch_number=batch.batch_number, durable=kept, refusals=refusals)
        return [response(result=result)]

    async with (
        scripted(refuses) as ledger,
        gateway(tmp_path, ledger.address) as between,
        Scanner(between.address, source_id="gate-1") as scanner,
    ):
        await (await scanner.submit([an_encoded_event(n) for n in range(1, 6)]))
        await between.forwarded()
        await asyncio.sleep(0.1)
        sent = sum(len(batch) for batch in ledger.events())
    listed = list(read_refused(tmp_path / "gateway"))
    table = typed("gateway", "refusals", "--data", tmp_path)
    lines = typed("gateway", "refusals", "--data", tmp_path, "--json")

    assert [(one.source_id, one.sequence, one.event) for one in listed] == [
        ("gate-1", 3, an_encoded_event(3))
    ]
    assert (listed[0].reason, listed[0].field) == ("NOT_ALLOWED", "event.facility")
    assert sent == 5
    assert table.code == lines.code == DONE
    assert "NOT_ALLOWED" in table.answer
    assert lines.answer.count("\n") == 1


async def test_a_full_spool_turns_away_and_drops_nothing(tmp_path: Path) -> None:
    """It says BUSY with a wait; when the ledger is back it takes scans again."""
    address = nowhere()
    limits = SpoolLimits(bytes_max=100_000)
    async with (
        faulty_log(tmp_path) as log,
        gateway(tmp_path, address, limits=limits) as between,
    ):
        told_busy = []
        for first in range(1, 1_000, 50):
            batch = a_batch([an_encoded_event(first + n) for n in range(50)], first_sequence=first)
            answer = await record_batch(between.served.channel, batch)
            told_busy.append(bool(answer.result.resend))
            if answer.result.resend:
                assert {reason for _, _, reason in again(answer.result)} == {RESEND_REASON_BUSY}
                assert answer.result.resend[0].delay.seconds >= 1
        taken_scans = between.spool.unsettled
        assert between.spool.is_full
        async with serving(log, port=int(address.rpartition(":")[2])):
            await between.forwarded()
            records = await records_of(log)
        batch = a_batch([an_encoded_event(5_000)], first_sequence=5_000)
        async with asyncio.timeout(10):
            while (await record_batch(between.served.channel, batch)).result.resend:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    assert told_busy == sorted(told_busy)
    assert any(told_busy)
    assert {one.sequence for one in records} == set(range(1, taken_scans + 1))
    assert taken_scans == 50 * told_busy.count(False)


async def test_a_ledger_that_falls_silent_is_left(tmp_path: Path) -> None:
    """Half open, it owes answers; the gateway goes on taking, with little in memory, and sends all
    of it again on another stream.
    """
    silent = [True]

    def script(batch: RawBatch) -> Answer:
        return [] if silent[0] else taken(batch)

    settings = ScannerSettings(backoff_first_s=0.01, backoff_max_s=0.02, result_deadline_s=0.3)
    async with (
        scripted(script) as ledger,
        gateway(tmp_path, ledger.address, settings=settings) as between,
        Scanner(between.address, source_id="gate-1") as scanner,
    ):
        for first in range(0, 5_000, 500):
            await (await scanner.submit([an_encoded_event(first + n) for n in range(500)]))
        async with asyncio.timeout(10):
            while ledger.streams < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        in_flight = 1_000  # The script's window.
        assert between.spool.unsettled == 5_000
        assert len(ledger.batches[0].scans) <= in_flight
        silent[0] = False
        await between.forwarded()
    arrived = {event for batch in ledger.events() for event in batch}

    assert arrived == {an_encoded_event(n) for n in range(5_000)}


async def test_a_source_that_is_not_taken_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scans stay in the spool, the others go on, and after a while it is tried again."""
    monkeypatch.setattr(spool_outgoing, "HOLD_S", 1.0)
    lost = [True]

    def script(batch: RawBatch) -> Answer:
        if batch.source_id == "gate-1" and lost[0]:
            state = SourceState(
                source_id="gate-1",
                spool_id=batch.spool_id,
                status=SOURCE_STATUS_TAKEN_OVER,
                reason="another one",
            )
            answer = BatchResult(batch_number=batch.batch_number)
            resend = answer.resend.add()
            resend.range.last = len(batch.scans) - 1
            return [response(source_state=state), response(result=answer)]
        return taken(batch)

    async with (
        scripted(script) as ledger,
        gateway(tmp_path, ledger.address) as between,
        Scanner(between.address, source_id="gate-1") as one,
        Scanner(between.address, source_id="gate-2") as two,
    ):
        await (await one.submit([an_encoded_event(n) for n in range(20)]))
        for n in range(20, 40):
            await two.record(an_encoded_event(n))
            await one.record(an_encoded_event(n + 100))
        async with asyncio.timeout(10):
            while between.spool.unsettled > 40:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        held = between.forwarder.held_back
        lost[0] = False
        await between.forwarded()
    last = {batch.source_id: batch for batch in ledger.batches}

    assert held == 1
    assert ledger.streams >= 2
    assert last.keys() == {"gate-1", "gate-2"}


async def test_the_sources_clock_stays_what_it_was(tmp_path: Path) -> None:
    """The time of sending is the source's clock at that moment: a wrong one shows, and the time
    that a scan lay in the spool does not look like one.
    """
    address = nowhere()
    ahead_s = 3_600
    async with faulty_log(tmp_path) as log, gateway(tmp_path, address) as between:
        now = Timestamp()
        now.GetCurrentTime()
        batch = a_batch([an_encoded_event(1)], send_time=Timestamp(seconds=now.seconds + ahead_s))
        await record_batch(between.served.channel, batch)
        await asyncio.sleep(2.0)
        async with serving(log, port=int(address.rpartition(":")[2])):
            await between.forwarded()
        [record] = await records_of(log)

    skew_s = (record.send_time_ns - record.record_time_ns) / 1e9
    assert abs(skew_s - ahead_s) < 1.5


async def test_a_scanner_need_not_know_who_is_behind(tmp_path: Path) -> None:
    """Gateways may stand behind each other."""
    async with (
        faulty_log(tmp_path) as log,
        serving(log) as ledger,
        gateway(tmp_path / "far", ledger.address) as far,
        gateway(tmp_path / "near", far.address, settings=FAST) as near,
        Scanner(near.address, source_id="gate-1", settings=SENDS_AT_ONCE) as scanner,
    ):
        await (await scanner.submit([an_encoded_event(n) for n in range(50)]))
        await near.forwarded()
        await far.forwarded()
        records = await records_of(log)

    assert {one.sequence for one in records} == set(range(1, 51))
