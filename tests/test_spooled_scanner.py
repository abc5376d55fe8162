"""A scanner with a spool: SPOOLED is its own disk, and only a result takes a scan out of it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from ingest.scanner_settings import ScannerSettings
from ingest.spool_opening import open_spool
from ingest.spool_refused import read_refused
from ingest.spooled_scanner import SpooledScanner
from ledger.v1.ingest_service_pb2 import DURABILITY_SPOOLED
from tests.ingest_server import faulty_log, records_of, serving
from tests.ingest_traffic import an_encoded_event
from tests.scripted_server import once, resend, scripted, taken

if TYPE_CHECKING:
    from pathlib import Path

FAST = ScannerSettings(backoff_first_s=0.01, backoff_max_s=0.02, linger_s=0.0)
NOWHERE = "127.0.0.1:1"


async def test_a_scan_outlives_its_scanner(tmp_path: Path) -> None:
    """Recorded while no ledger is there, it is sent by the next one, with the same event id,
    sequence, spool and bytes; a refused one is listed.
    """
    events = [an_encoded_event(n) for n in range(300)]
    events[7] = an_encoded_event(7, tracking_number="---")
    async with (
        open_spool(tmp_path / "spool", source_id="gate-1") as spool,
        SpooledScanner(NOWHERE, source_id="gate-1", spool=spool, leave_s=0.1) as scanner,
    ):
        receipt = await scanner.record(events[0])
        first = await scanner.submit(events[1:])
        assert scanner.unsettled == 300
    async with (
        faulty_log(tmp_path) as log,
        serving(log) as ledger,
        open_spool(tmp_path / "spool", source_id="gate-1") as spool,
        SpooledScanner(ledger.address, source_id="gate-1", spool=spool) as scanner,
    ):
        async with asyncio.timeout(10):
            await scanner.flush()
        records = await records_of(log)
        spool_id = spool.spool_id
    [refused] = read_refused(tmp_path / "spool")

    assert receipt == (DURABILITY_SPOOLED, 1, ())
    assert first == 2
    wanted = {(n + 1, event) for n, event in enumerate(events) if n != 7}
    assert {(one.sequence, one.event) for one in records} == wanted
    assert len(records) == 299
    assert {(one.source_id, one.spool_id) for one in records} == {("gate-1", spool_id)}
    assert (refused.sequence, refused.reason) == (8, "UNFILABLE_NUMBER")
    assert refused.event == events[7]


async def test_only_a_result_takes_a_scan_out(tmp_path: Path) -> None:
    """What is to be sent again stays, and goes again with its sequence."""
    async with (
        scripted(once(lambda batch: resend(batch, (1, 2)))) as ledger,
        open_spool(tmp_path, source_id="gate-1") as spool,
        SpooledScanner(ledger.address, source_id="gate-1", spool=spool, settings=FAST) as scanner,
    ):
        await scanner.submit([an_encoded_event(n) for n in range(5)])
        await scanner.flush()

    sent = [(batch.first_sequence, len(batch.scans)) for batch in ledger.batches]
    assert sent == [(1, 5), (2, 2)]


async def test_what_it_tells_of_itself(tmp_path: Path) -> None:
    """On opening it says how far it has minted, and up to where all is settled."""
    async with (
        scripted(taken) as ledger,
        open_spool(tmp_path, source_id="gate-1") as spool,
    ):
        await spool.append([an_encoded_event(n) for n in range(9)])
        spool.settle(1, 4)
        async with SpooledScanner(
            ledger.address, source_id="gate-1", spool=spool, settings=FAST
        ) as scanner:
            await scanner.flush()
        [progress] = ledger.opens[0].sources

    assert (progress.minted_through, progress.acked_through) == (9, 3)
    assert progress.spool_id == spool.spool_id
    assert {batch.minted_through for batch in ledger.batches} == {9}
    assert ledger.batches[0].first_sequence == 4


@pytest.mark.slow
async def test_live_scans_are_quick_beside_a_backlog(tmp_path: Path) -> None:
    """On an uplink of 2,000 scans a second, live ones wait for what is on its way, and not for a
    backlog of 10,000.
    """
    waits_s: list[float] = []
    sent_s: dict[int, float] = {}
    async with open_spool(tmp_path, source_id="gate-1") as spool, scripted(taken) as ledger:
        for first in range(0, 10_000, 500):
            await spool.append([an_encoded_event(first + n) for n in range(500)])
        ledger.scans_per_s = 2_000
        async with SpooledScanner(
            ledger.address, source_id="gate-1", spool=spool, settings=FAST, leave_s=0.0
        ) as scanner:
            for n in range(100):
                sent_s[await scanner.submit([an_encoded_event(20_000 + n)])] = time.monotonic()
                await asyncio.sleep(0.02)
                waits_s += [
                    time.monotonic() - sent_s.pop(place)
                    for place in list(sent_s)
                    if not list(spool.unsettled_between(place, place + 1))
                ]
            backlog = spool.unsettled - len(sent_s)

    # The window of this server is half a second of its work.
    assert len(waits_s) >= 50
    assert max(waits_s) < 1.5
    assert 2_000 < backlog < 9_500
