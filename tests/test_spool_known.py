"""What the ledger says on opening that it has: it saves sending again, and loses nothing when it is
another sender's.
"""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from ingest.scanner_settings import ScannerSettings
from ingest.spool_opening import open_spool
from ingest.spooled_scanner import SpooledScanner
from ledger.v1.ingest_service_pb2 import (
    SOURCE_STATUS_OPEN,
    EventChecksums,
    SequenceRange,
    SourceState,
)
from tests.ingest_server import faulty_log, records_of, serving
from tests.ingest_traffic import an_encoded_event
from tests.scripted_server import scripted, taken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SOURCE = "gate-1"
FAST = ScannerSettings(backoff_first_s=0.01, backoff_max_s=0.02, linger_s=0.0)
NOWHERE = "127.0.0.1:1"
EVENTS = [an_encoded_event(number) for number in range(1, 301)]


async def spooled(folder: Path, events: Sequence[bytes]) -> bytes:
    """Put scans into a spool while no ledger is there; give its id."""
    async with (
        open_spool(folder, source_id=SOURCE) as spool,
        SpooledScanner(NOWHERE, source_id=SOURCE, spool=spool, leave_s=0.0) as scanner,
    ):
        if events:
            await scanner.submit(events)
        return spool.spool_id


async def forwarded(folder: Path, address: str) -> tuple[int, int, int]:
    """Send what is in a spool; give how many scans went out, how many were known, and how many
    became durable.
    """
    async with (
        open_spool(folder, source_id=SOURCE) as spool,
        SpooledScanner(address, source_id=SOURCE, spool=spool, settings=FAST) as scanner,
    ):
        async with asyncio.timeout(10):
            await scanner.flush()
        return scanner.counts.sent, scanner.counts.known, scanner.counts.durable


async def test_a_scanner_that_lost_its_notes_sends_nothing_again(tmp_path: Path) -> None:
    """A device that died before it wrote down what is durable learns it from the server: the log
    gets no copies.
    """
    await spooled(tmp_path / "spool", EVENTS)
    shutil.copytree(tmp_path / "spool", tmp_path / "before")
    async with faulty_log(tmp_path) as log, serving(log) as ledger:
        first = await forwarded(tmp_path / "spool", ledger.address)
        second = await forwarded(tmp_path / "before", ledger.address)
        records = await records_of(log)

    assert first == (300, 0, 300)
    assert second == (0, 300, 300)
    assert len(records) == 300


async def test_another_sender_of_the_spool_does_not_settle_our_scans(tmp_path: Path) -> None:
    """Two devices with one spool number their scans alike. What the other one sent is durable under
    our sequences, and ours are sent all the same.
    """
    await spooled(tmp_path / "one", [])
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    others = [an_encoded_event(number) for number in range(1_001, 1_301)]
    others[100] = EVENTS[100]  # But for one, which is the same to the byte.
    await spooled(tmp_path / "one", EVENTS)
    await spooled(tmp_path / "two", others)
    async with faulty_log(tmp_path) as log, serving(log) as ledger:
        await forwarded(tmp_path / "one", ledger.address)
        told = await forwarded(tmp_path / "two", ledger.address)
        records = await records_of(log)

    assert told == (299, 1, 300)
    assert {one.event for one in records} == {*EVENTS, *others}


def state(spool_id: bytes, checksums: Sequence[int], first: int = 1) -> SourceState:
    """The server's word: these sequences are durable, and of these contents."""
    return SourceState(
        source_id=SOURCE,
        spool_id=spool_id,
        status=SOURCE_STATUS_OPEN,
        durable=[SequenceRange(first=1, last=1_000)],
        contents=[EventChecksums(first=first, crc32=checksums)] if checksums else [],
    )


@pytest.mark.parametrize(
    ("checksums", "first", "sent"),
    [
        ([], 1, [(1, 6)]),  # That they are durable proves nothing.
        ([0, 0, 0, 0, 0, 0], 1, [(1, 6)]),
        ([crc32(event) ^ 1 for event in EVENTS[:6]], 1, [(1, 6)]),
        ([crc32(event) for event in EVENTS[:6]], 2, [(1, 6)]),
        ([crc32(event) for event in EVENTS[2:4]], 3, [(1, 2), (5, 2)]),
        ([crc32(EVENTS[0]), 7, crc32(EVENTS[2])], 1, [(2, 1), (4, 3)]),
        ([crc32(event) for event in EVENTS[:9]], 1, []),
    ],
)
async def test_only_what_matches_is_not_sent(
    tmp_path: Path, checksums: list[int], first: int, sent: list[tuple[int, int]]
) -> None:
    """To the checksum, at its sequence; the rest goes out as it would have, and all is settled."""
    spool_id = await spooled(tmp_path, EVENTS[:6])
    async with scripted(taken) as ledger:
        ledger.states = [state(spool_id, checksums, first)]
        _, known, durable = await forwarded(tmp_path, ledger.address)

    assert [(batch.first_sequence, len(batch.scans)) for batch in ledger.batches] == sent
    assert (known, durable) == (6 - sum(scans for _, scans in sent), 6)


async def test_a_server_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    """Its contract is older: the scans go out a moment later."""
    await spooled(tmp_path, EVENTS)
    async with scripted(taken) as ledger, asyncio.timeout(5):
        assert await forwarded(tmp_path, ledger.address) == (300, 0, 300)
