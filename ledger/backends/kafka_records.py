"""Record batches: what Kafka keeps, and what one append becomes.

Reading checks that every index is there, once: anything else means that the topic is not what was
appended to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from ledger.errors import Diverged
from ledger.scan_log import APPEND_BYTES_MAX, APPEND_RECORDS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAGIC: Final = 2
"""The format of record batches since Kafka 0.11, the only one that brokers write today."""

BATCH_HEAD_BYTES: Final = 61
"""What a batch takes beside its records."""

COUNT_AT: Final = 57
"""Where a batch says how many records it has, in four bytes."""

RECORD_HEAD_BYTES: Final = 21
"""Most that a record takes beside its key and value."""

BATCH_BYTES_MAX: Final = (
    BATCH_HEAD_BYTES + APPEND_BYTES_MAX + APPEND_RECORDS_MAX * RECORD_HEAD_BYTES
)
"""Most bytes of one batch: the largest append. Topics must take it."""

NO_HEADERS: Final[list[tuple[str, bytes | None]]] = []

SEQUENCES: Final = 1 << 31
"""Sequence numbers of a producer begin anew here."""


class BatchBuilder:
    """Takes records, and gives them as one batch."""

    __slots__ = ("_builder", "bytes", "count")

    def __init__(self) -> None:
        self._builder = DefaultRecordBatchBuilder(MAGIC, 0, 0, -1, -1, 0, BATCH_BYTES_MAX)
        self.count = 0
        self.bytes = 0

    def has_room(self, count: int, size: int) -> bool:
        """Tell whether that many records of so many bytes of keys and values still go in."""
        return self.count + count <= APPEND_RECORDS_MAX and self.bytes + size <= APPEND_BYTES_MAX

    def add(self, keys: Sequence[bytes], values: Sequence[bytes], size: int) -> int:
        """Add records with keys and values of `size` bytes; return which record is the first."""
        first = self.count
        append = self._builder.append
        for offset, key, value in zip(range(first, first + len(keys)), keys, values, strict=True):
            # No time of ours: the topic takes the broker's.
            append(offset, None, key, value, NO_HEADERS)
        self.count += len(keys)
        self.bytes += size
        return first

    def build(self, producer_id: int, epoch: int, sequence: int) -> bytearray:
        """Give the batch, with the numbers by which the broker knows it from its repeats."""
        self._builder.set_producer_state(producer_id, epoch, sequence)
        batch: bytearray = self._builder.build()
        # The builder leaves out what it has no room for, without an error.
        assert int.from_bytes(batch[COUNT_AT:BATCH_HEAD_BYTES], "big") == self.count
        return batch


def read_batches(data: bytes, partition: int, index: int) -> Iterator[list[bytes]]:
    """Give the values from `index` on, batch by batch. A batch that is cut off is left out.

    Raises Diverged where a record is not there, naming it. What another program wrote is given as
    it is, of whatever length: one such record must not stop a reader for ever.
    """
    records = MemoryRecords(data)
    while records.has_next():
        try:
            batch = records.next_batch()
            first, end = batch.base_offset, batch.next_offset
            whole = batch.validate_crc()
            marker = batch.is_control_batch
            values = [record.value for record in batch] if whole and not marker else None
        except (KafkaError, AssertionError, AttributeError, ValueError, IndexError) as error:
            raise unreadable(
                partition, index, f"its batch cannot be decoded ({error!r})"
            ) from error
        if first > index:
            raise hole(partition, index, first)
        if not whole:
            raise unreadable(partition, first, "its batch has another checksum than it says")
        if values is None:
            raise hole(partition, max(index, first), end)
        if len(values) != end - first:
            raise hole(partition, *_first_missing(data, first, end))
        values = values[index - first :]
        if None in values:  # Another program's deletion mark; nothing is deleted by it.
            values = [b"" if value is None else value for value in values]
        index += len(values)
        yield values


def _first_missing(data: bytes, first: int, end: int) -> tuple[int, int]:
    """Find the first gap in a batch that lost records, as the index missing and the next there."""
    records = MemoryRecords(data)
    while records.has_next():
        batch = records.next_batch()
        if batch.base_offset != first:
            continue
        expected = first
        for record in batch:
            if record.offset != expected:
                return expected, record.offset
            expected += 1
        return expected, end
    return first, end


def hole(partition: int, index: int, found: int) -> Diverged:
    """Say that an index has no record though later ones have."""
    return Diverged(
        f"The log has a hole: partition {partition} has no records {index} to {found - 1}, but "
        f"goes on after them. The topic was compacted, written in transactions, or copied. Nothing "
        f"more is read. Restore it from its replicas or a backup.",
        reason="LOG_HAS_HOLE",
        metadata={"partition": str(partition), "index": str(index), "found": str(found)},
    )


def unreadable(partition: int, index: int, why: str) -> Diverged:
    """Say that a record is not one that was appended here."""
    return Diverged(
        f"Record {index} of partition {partition} of the log cannot be read: {why}. Nothing more "
        f"is read.",
        reason="LOG_DAMAGED",
        metadata={"partition": str(partition), "index": str(index)},
    )
