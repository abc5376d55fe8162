"""What the tests of receipts share: reading them back, and what sources say."""

import asyncio
from collections.abc import Sequence

from ingest.limits import IngestLimits
from ledger.numbers import partition_of
from ledger.v1.ingest_service_pb2 import SequenceRange, SourceProgress
from ledger.v1.receipt_pb2 import Receipt, ReceiptGroup
from tests.faulty_log import FaultyLog
from tests.ingest_server import PARTITIONS, values_of
from tests.ingest_traffic import SOURCE, SPOOL

QUICK = IngestLimits(receipts_linger_s=0.02, receipts_rest_s=0.02)
PLACE = partition_of(SOURCE.encode(), PARTITIONS)
"""The partition of the source's receipts."""


async def groups(receipts: FaultyLog) -> list[list[Receipt]]:
    """What stands in each record of the source's partition."""
    values = await values_of(receipts, PLACE)
    return [list(ReceiptGroup.FromString(value).receipts) for value in values]


async def written(receipts: FaultyLog, count: int) -> list[Receipt]:
    """Wait until so many receipts are there, and give them."""
    while True:
        found = [one for group in await groups(receipts) for one in group]
        if len(found) >= count:
            return found
        await asyncio.sleep(0.01)


def spans(parts: Sequence[SequenceRange]) -> list[tuple[int, int]]:
    """Ranges as pairs."""
    return [(part.first, part.last) for part in parts]


def progress(minted: int, acked: int) -> SourceProgress:
    """What the source says."""
    return SourceProgress(
        source_id=SOURCE, spool_id=SPOOL, minted_through=minted, acked_through=acked
    )
