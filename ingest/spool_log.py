"""A gateway's spool as the log of its door in: the same door takes scans, and answers SPOOLED.

What is spooled is the log record that the door makes, so source, spool id, sequence and the bytes
of the event stay as they came; what the ledger records later is its own record of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from ingest.spool_lanes import Outbound
from ingest.spool_segments import damaged
from ledger.position import SCANS_LOG
from ledger.scan_log import LogIdentity
from ledger.v1.ingest_service_pb2 import DURABILITY_SPOOLED
from ledger.v1.log_record_pb2 import LogRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.spool import Spool

IDENTITY: Final = LogIdentity(
    name=SCANS_LOG, generation=0, partitions=1, durability=DURABILITY_SPOOLED
)
"""Generation 0 is none: places in a spool are no positions, and no trail knows them."""


class SpoolLog:
    """What the door in needs of a log."""

    identity = IDENTITY

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    async def append(self, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> int:
        """As in ScanLog."""
        del partition, keys  # There is but one, and the ledger makes keys of its own.
        return await self._spool.append(values)


def read_spooled(value: bytes, place: int) -> Outbound:
    """Read what the door has spooled. Raises Diverged for bytes that are no record."""
    try:
        record = LogRecord.FromString(value)
    except DecodeError as error:
        raise damaged(f"(scan {place})", 0, "it is no record") from error
    skew_ns = record.send_time_ns - record.record_time_ns
    return Outbound(record.source_id, record.spool_id, record.sequence, skew_ns, record.event)
