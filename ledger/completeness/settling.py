"""An operator's word that nobody waits for some sequences any more: what a lost device had not sent
would ring for good. It lies in the log `receipts`, beside what sources said themselves, and hides
nothing: findings show it with who said it and why, and whatever becomes known goes before.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NoReturn

from ledger.completeness.findings import parts_of
from ledger.errors import NotPossibleNow
from ledger.numbers import partition_of
from ledger.ranges import Ranges
from ledger.v1.receipt_pb2 import RECEIPT_KIND_SETTLED, Receipt, ReceiptGroup

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from ledger.completeness.sources import Settlement, Source, SourceKey, Sources
    from ledger.scan_log import ScanLog


class Settling:
    """Takes the word of operators. One at a time."""

    def __init__(
        self,
        receipts: ScanLog,
        sources: Sources,
        caught_up: Callable[[], AbstractAsyncContextManager[object]],
    ) -> None:
        """`caught_up` folds what there is to know of `sources`; inside of it nobody does."""
        self._receipts = receipts
        self._sources = sources
        self._caught_up = caught_up

    async def settle(self, key: SourceKey, word: Settlement) -> int:
        """Write a word down; return how many sequences nobody waits for any more by it.

        Raises NotPossibleNow where it says nothing. Raises Busy or Uncertain where an engine is
        away: saying it again is safe.
        """
        async with self._caught_up():
            source = self._sources.get(key)
            if source is None:
                _refuse("NO_SUCH_SPOOL", "spool_id", "Nothing was heard of this source and spool.")
            through = source.heard.through
            if word.last > through:
                _refuse(
                    "SEQUENCES_NOT_MINTED",
                    "last_sequence",
                    f"The source is known to have minted {through:,} scans; what it may mint "
                    f"later cannot be settled.",
                )
            if not self._sources.has_room_to_settle(source):
                _refuse(
                    "SETTLED_TOO_OFTEN",
                    "source_id",
                    "Too many ranges are settled, of this source or of all. Settle fewer, longer "
                    "ones.",
                )
            count = _waited_for(source, word)
            if not count:
                _refuse(
                    "NOTHING_TO_SETTLE",
                    "first_sequence",
                    "All of these have an outcome, or are settled.",
                )
            receipt = _receipt(key, word)
            partition = partition_of(key.source_id.encode(), self._receipts.identity.partitions)
            value = ReceiptGroup(receipts=[receipt]).SerializeToString()
            await self._receipts.append(partition, [key.source_id.encode()], [value])
            # If we crash here, the word is in the log, and whoever says it again is told so.
            self._sources.take_receipt(receipt)
            return count


def _waited_for(source: Source, word: Settlement) -> int:
    """Count the sequences without outcome or record that are not settled."""
    waiting = Ranges()
    for first, last in chain(source.open_ranges(), source.unrecorded):
        begin, end = max(first, word.first), min(last, word.last)
        if begin <= end:
            waiting.add(begin, end)
    return sum(
        last - first + 1
        for part in waiting
        for first, last, said in parts_of(part, source.settled)
        if said is None
    )


def _receipt(key: SourceKey, word: Settlement) -> Receipt:
    receipt = Receipt(
        kind=RECEIPT_KIND_SETTLED,
        source_id=key.source_id,
        spool_id=key.spool_id,
        time_ns=word.time_ns,
        principal="anonymous",
        by=word.by,
        why=word.why,
    )
    receipt.settled.add(first=word.first, last=word.last)
    return receipt


def _refuse(reason: str, field: str, message: str) -> NoReturn:
    raise NotPossibleNow(message, reason=reason, field=field)
