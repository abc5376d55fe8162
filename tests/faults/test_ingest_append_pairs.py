"""Appends that fail before or after they are written, while scanners send: nothing acknowledged is
lost, what is doubled in the log is equal, and every sender comes to an end.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ingest.limits import IngestLimits
from ingest.scanner import Scanner, ScannerSettings
from ledger.errors import LedgerError
from tests.faulty_log import BUSY, UNCERTAIN, FaultyLog
from tests.ingest_server import faulty_log, records_of, serving
from tests.ingest_traffic import an_encoded_event
from tests.scale import scaled

pytestmark = pytest.mark.slow

SCANNERS = 4
SCANS_EACH = scaled(400, soak=20_000)
SEED = 20_261_121
FAST = ScannerSettings(batch_scans=20, backoff_first_s=0.001, backoff_max_s=0.01, linger_s=0.0)


class Fault(NamedTuple):
    """What an append does now and then, and what must follow from it."""

    name: str
    error: LedgerError
    written: bool
    """Whether the records are in the log all the same."""


FAULTS = [
    Fault("busy, unwritten", BUSY, written=False),
    Fault("uncertain, unwritten", UNCERTAIN, written=False),
    Fault("uncertain, written", UNCERTAIN, written=True),
]


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log whose appends can be made to fail."""
    async with faulty_log(tmp_path) as log:
        yield log


async def send(address: str, number: int) -> dict[bytes, bytes]:
    """Record many scans as one scanner; return what was acknowledged: event id and event."""
    source = f"gate-{number}"
    acknowledged = {}
    async with Scanner(address, source_id=source, settings=FAST) as scanner:
        for start in range(0, SCANS_EACH, 50):
            events = {
                n.to_bytes(16, "big"): an_encoded_event(n)
                for n in range(number * SCANS_EACH + start, number * SCANS_EACH + start + 50)
            }
            outcome = await (await scanner.submit(list(events.values())))
            assert not outcome.refusals
            acknowledged.update(events)
    return acknowledged


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_around_an_append_loses_and_doubles_nothing(
    log: FaultyLog, fault: Fault
) -> None:
    """A third of all appends fail. Every acknowledged event is in the log; its copies are equal in
    identity, number and bytes, so that a reader shows one; and there are copies exactly where
    records were written before the failure.
    """
    source = random.Random(SEED)

    def fails(_: int) -> LedgerError | None:
        return fault.error if source.random() < 1 / 3 else None

    if fault.written:
        log.fails_written = fails
    else:
        log.fails_unwritten = fails
    async with (
        asyncio.timeout(scaled(80, soak=3_600)),
        serving(log, limits=IngestLimits(linger_s=0.001)) as served,
    ):
        sent = await asyncio.gather(*(send(served.address, n) for n in range(SCANNERS)))
    acknowledged = {key: event for each in sent for key, event in each.items()}
    records = await records_of(log)
    copies = Counter((record.source_id, record.event_id) for record in records)
    distinct = {(r.source_id, r.event_id, r.sequence, r.event) for r in records}

    assert len(acknowledged) == SCANNERS * SCANS_EACH
    assert {record.event_id: record.event for record in records} == acknowledged
    assert len(distinct) == len(copies) == len(acknowledged)
    assert (max(copies.values()) > 1) is fault.written
