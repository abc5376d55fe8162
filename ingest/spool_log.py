"""A gateway's spool as the log of its door in: the same door takes scans, and answers SPOOLED.

What is spooled is the log record that the door makes, so source, spool id, sequence and the bytes
of the event stay as they came; what the ledger records later is its own record of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from ingest.spool_lanes import Outbound
from ingest.spool_limits import SCAN_BYTES_MAX
from ingest.spool_segments import damaged
from ledger.position import REFUSALS_LOG, SCANS_LOG
from ledger.scan_log import LogIdentity
from ledger.v1.ingest_service_pb2 import DURABILITY_SPOOLED
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.refused_scan_pb2 import RefusedScan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.spool import Spool

IDENTITY: Final = LogIdentity(
    name=SCANS_LOG, generation=0, partitions=1, durability=DURABILITY_SPOOLED
)
"""Generation 0 is none: places in a spool are no positions, and no trail knows them."""


REFUSALS_IDENTITY: Final = IDENTITY._replace(name=REFUSALS_LOG)

REFUSED_BYTES_MAX: Final = SCAN_BYTES_MAX - (1 << 10)
"""Most bytes of a refused event that are spooled: a scan's, less what is said of it besides."""

UNREADABLE: Final = b"\x07"
"""A tag that no message has. It makes of a scan that was refused for its personal data, which is
not kept, one that the ledger refuses, too.
"""


class SpoolLog:
    """What the door in needs of a log."""

    identity = IDENTITY

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    async def append(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> int:
        """As in ScanLog."""
        del partition, keys  # There is but one, and the ledger makes keys of its own.
        return await self._spool.append(values)


class SpooledRefusals:
    """What the door in needs of a log of refused scans: they are spooled as the others are. So the
    ledger refuses and keeps them, too, and none of their sequences is missing there.
    """

    identity = REFUSALS_IDENTITY

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    async def append(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> int:
        """As in ScanLog."""
        del partition, keys
        return await self._spool.append([_spooled(value) for value in values])


def _spooled(value: bytes) -> bytes:
    """Make a record without an event id, which good ones have."""
    refused = RefusedScan.FromString(value)
    # What does not fit is longer than any event may be, and is refused for that again.
    event = refused.event[:REFUSED_BYTES_MAX]
    return LogRecord(
        source_id=refused.source_id,
        spool_id=refused.spool_id,
        sequence=refused.sequence,
        send_time_ns=refused.send_time_ns,
        record_time_ns=refused.record_time_ns,
        event=event + UNREADABLE if refused.personal_bytes else event,
    ).SerializeToString()


def read_spooled(value: bytes, place: int) -> Outbound:
    """Read what the door has spooled. Raises Diverged for bytes that are no record."""
    try:
        record = LogRecord.FromString(value)
    except DecodeError as error:
        raise damaged(f"(scan {place})", 0, "it is no record") from error
    skew_ns = record.send_time_ns - record.record_time_ns
    return Outbound(
        record.source_id,
        record.spool_id,
        record.sequence,
        skew_ns,
        record.event,
        was_refused=not record.event_id,
    )
