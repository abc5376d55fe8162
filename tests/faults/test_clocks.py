"""A device whose clock is wrong in every way: each of its scans is kept, flagged, and in order."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.v1.scan_event_pb2 import (
    UTC_OFFSET_SOURCE_DEVICE,
    UTC_OFFSET_SOURCE_UNKNOWN,
)
from ledger.v1.trail_service_pb2 import ClockFlag
from tests.ingest_server import durable, record_batch
from tests.ingest_traffic import a_batch, an_encoded_event
from tests.shells import entries_of, ledger_up

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = "RR123456785DE"
HOUR = 3_600
DAY = 24 * HOUR
LEAP_SECOND = 1_483_228_800
"""2016-12-31T23:59:60Z and 2017-01-01T00:00:00Z: one second since 1970 for both."""

IN_2100 = 4_102_444_800

pytestmark = pytest.mark.slow


async def test_a_clock_that_is_wrong_loses_no_scan(tmp_path: Path) -> None:
    """Hours ahead and behind, back by an hour in the middle, 1970, 2100, a leap second twice, and
    offsets from -12 to +14 hours: all are durable, flagged where they are odd, and the trail is by
    scan time, and by event id where that is the same.
    """
    now = int(time.time())
    scans = [  # In the order in which they are sent: seconds, offset in minutes, flags.
        (now, 120, []),
        (now + 5 * HOUR, 120, ["AHEAD"]),
        (now - HOUR, 120, []),
        (now - 5 * HOUR, -720, []),
        (0, 0, ["NEVER_SET"]),
        (IN_2100, 840, ["AHEAD"]),
        (LEAP_SECOND, 0, ["LATE"]),
        (LEAP_SECOND, 0, ["LATE"]),
        (now - 2 * DAY, None, ["LATE", "OFFSET_ASSUMED"]),
    ]
    events = [
        an_encoded_event(
            number,
            tracking_number=NUMBER,
            scan_time=Timestamp(seconds=seconds),
            utc_offset_minutes=offset or 0,
            utc_offset_source=(
                UTC_OFFSET_SOURCE_UNKNOWN if offset is None else UTC_OFFSET_SOURCE_DEVICE
            ),
        )
        for number, (seconds, offset, _) in enumerate(scans, start=1)
    ]
    with ledger_up(tmp_path) as ledger:
        async with grpc.aio.insecure_channel(ledger.address) as channel:
            batch = a_batch(events, send_time=Timestamp(seconds=now))
            result = (await record_batch(channel, batch)).result
        entries = await asyncio.to_thread(entries_of, ledger, NUMBER, at_least=len(scans))

    assert durable(result) == [(0, len(scans) - 1)]
    assert not result.refusals
    order = sorted(range(len(scans)), key=lambda place: (scans[place][0], place))
    assert [int.from_bytes(entry.event.event_id, "big") - 1 for entry in entries] == order
    flags = [[ClockFlag.Name(f)[11:] for f in entry.marks.clock_flags] for entry in entries]
    assert [sorted(found) for found in flags] == [sorted(scans[place][2]) for place in order]
    offsets = [entry.event.utc_offset_minutes for entry in entries]
    assert offsets == [scans[place][1] or 0 for place in order]
