"""Receipts as messages: of one batch, of a source's word, and several made into one. Pure."""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from ledger.ranges import Ranges
from ledger.v1.log_record_pb2 import CheckedLogRecord
from ledger.v1.receipt_pb2 import (
    RECEIPT_KIND_BATCH,
    RECEIPT_KIND_MERGED,
    RECEIPT_KIND_WORD,
    Receipt,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

    from ingest.admission import Admitted
    from ledger.v1.ingest_service_pb2 import BatchResult, SequenceRange, SourceProgress

RANGES_MAX = 2_000
"""Most ranges of one receipt: what the largest batch has, if each second scan is refused."""

_LEAF = b"\0"


class Numbered(NamedTuple):
    """What is kept of a numbered batch until its receipt is made."""

    source_id: str
    spool_id: bytes
    first_sequence: int
    scans: int
    minted_through: int
    records: Sequence[bytes]
    """As in Admitted."""
    contents: array[int]
    """Of each scan a checksum of its event; 0 where it is refused."""
    principal: str


def checksums(admitted: Admitted) -> array[int]:
    """Give the contents of a batch: 0.1 µs a scan, so that its events need not be kept."""
    contents = array("I", map(crc32, admitted.events))
    for refusal in admitted.refusals:
        contents[refusal.index] = 0
    return contents


def receipt_of(batch: Numbered, result: BatchResult, *, now_ns: int) -> Receipt:
    """Make the receipt of one batch."""
    first = batch.first_sequence
    receipt = Receipt(
        kind=RECEIPT_KIND_BATCH,
        source_id=batch.source_id,
        spool_id=batch.spool_id,
        minted_through=batch.minted_through,
        digest=_digest(batch, result),
        time_ns=now_ns,
        principal=batch.principal,
    )
    for part in result.durable:
        receipt.durable.add(first=first + part.first, last=first + part.last)
    if result.durable:
        receipt.facility = _facility_at(batch, result.durable[-1].last)
    refused = Ranges((refusal.sequence, refusal.sequence) for refusal in result.refusals)
    _set_ranges(receipt.refused, refused)
    return receipt


def word_of(source: SourceProgress, *, now_ns: int, principal: str) -> Receipt:
    """Make the receipt of what a source says of itself."""
    return Receipt(
        kind=RECEIPT_KIND_WORD,
        source_id=source.source_id,
        spool_id=source.spool_id,
        minted_through=source.minted_through,
        acked_through=source.acked_through,
        time_ns=now_ns,
        principal=principal,
    )


def merged(receipts: Iterable[Receipt]) -> list[Receipt]:
    """Make fewer of them that say the same: one for each source, spool and principal, and one more
    for its word. In the order in which these were first named.
    """
    groups: dict[tuple[str, bytes, str, bool], list[Receipt]] = {}
    for receipt in receipts:
        is_word = receipt.kind == RECEIPT_KIND_WORD
        who = (receipt.source_id, receipt.spool_id, receipt.principal, is_word)
        groups.setdefault(who, []).append(receipt)
    return [group[0] if len(group) == 1 else _merge(group) for group in groups.values()]


def _merge(receipts: Sequence[Receipt]) -> Receipt:
    newest = receipts[-1]
    one = Receipt(
        kind=RECEIPT_KIND_WORD if newest.kind == RECEIPT_KIND_WORD else RECEIPT_KIND_MERGED,
        source_id=newest.source_id,
        spool_id=newest.spool_id,
        minted_through=max(receipt.minted_through for receipt in receipts),
        acked_through=max(receipt.acked_through for receipt in receipts),
        time_ns=newest.time_ns,
        principal=newest.principal,
        facility=next((one.facility for one in reversed(receipts) if one.facility), ""),
    )
    for name in ("durable", "refused"):
        ranges = Ranges(
            (part.first, part.last) for receipt in receipts for part in getattr(receipt, name)
        )
        # What is left out is unconfirmed: the records tell it all the same.
        ranges.keep_highest(RANGES_MAX // 2)
        _set_ranges(getattr(one, name), ranges)
    return one


def _facility_at(batch: Numbered, index: int) -> str:
    """Read where one scan was made: 3 µs a batch. It is the record before a gap, if there is one
    behind the batch, and tells where that gap was made.
    """
    return CheckedLogRecord.FromString(batch.records[index]).event.facility


def _digest(batch: Numbered, result: BatchResult) -> bytes:
    """Hash the leaf hashes of what is durable, in the order of the batch: 0.8 µs a record."""
    if not result.durable:
        return b""
    sha256 = hashlib.sha256
    leaves = [sha256(_LEAF + record).digest() if record else b"" for record in batch.records]
    for again in result.resend:
        first, last = again.range.first, again.range.last
        leaves[first : last + 1] = [b""] * (last + 1 - first)
    return sha256(b"".join(leaves)).digest()


def _set_ranges(field: RepeatedCompositeFieldContainer[SequenceRange], ranges: Ranges) -> None:
    for first, last in ranges:
        field.add(first=first, last=last)
