"""A small ledger whose every record is known, so that a test can say what is missing."""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from ledger.backends.rocksdb_folder import Folder
from ledger.codec import RecordMaker, containment_suffix, read_record
from ledger.contents import contents_key
from ledger.marks import TRAIL_READER, encode_mark
from ledger.numbers import KEY_FORM, partition_of
from ledger.position import pack_position
from ledger.scan_log import ScanLog
from ledger.trail_store import ProgressCell, TrailStore
from ledger.v1.scan_event_pb2 import ScanEvent
from tests.rows import rows_of_one

SCAN_TIME_NS = 1_790_000_000 * 1_000_000_000

BAGS = [b"BAG%d" % number for number in range(3)]
"""Containers that known items go into."""

BAGGED_EVERY = 5
"""One of so many records says that its item went into a container: it has two rows."""


class Known(NamedTuple):
    """One record and where it belongs."""

    partition: int
    key: bytes
    value: bytes


def known(number: int, *, partitions: int, padding: int = 40) -> Known:
    """The record of a number: the same number always gives the same bytes."""
    key = b"RX%09dDE" % (number % 7)
    event_id = hashlib.sha256(b"event %d" % number).digest()[:16]
    maker = RecordMaker(
        source_id="faults",
        spool_id=bytes(16),
        key_form=KEY_FORM,
        send_time_ns=SCAN_TIME_NS,
        record_time_ns=SCAN_TIME_NS + number,
        principal="anonymous",
    )
    event = ScanEvent(raw_barcode=b"event %d " % number + b"." * padding).SerializeToString()
    bag = containment_suffix(BAGS[number % 3], KEY_FORM, 1) if is_bagged(number) else b""
    value = maker.one(event, key, SCAN_TIME_NS + number // 3, event_id, number + 1, bag)
    return Known(partition_of(key, partitions), key, value)


def is_bagged(number: int) -> bool:
    """Whether the record of a number has two rows."""
    return number % BAGGED_EVERY == BAGGED_EVERY - 1


def rows_in_all(numbers: Iterable[int]) -> int:
    """How many rows the records of these numbers have."""
    return sum(1 + is_bagged(number) for number in numbers)


async def append(log: ScanLog, one: Known) -> tuple[int, int]:
    """Append a record; return its partition and index."""
    return one.partition, await log.append(one.partition, [one.key], [one.value])


async def contents(log: ScanLog) -> dict[tuple[int, int], bytes]:
    """Every record of a small log."""
    found = {}
    for partition in range(log.identity.partitions):
        first, end = await log.bounds(partition)
        while first < end:
            for value in await log.read(partition, first, 1_000):
                found[partition, first] = value
                first += 1
    return found


async def keep_rows(folder: Folder, records: Iterable[tuple[int, int, bytes]]) -> None:
    """Do what the writer does with records: rows, then the mark behind each."""
    for partition, index, value in records:
        position = pack_position(1, partition, index)
        await folder.store.put(rows_of_one(read_record(value), value, position))
        mark = encode_mark(
            folder.log.identity,
            partition,
            next_index=index + 1,
            last_record=value,
            last_record_time_ns=read_record(value).record_time_ns,
        )
        await folder.store.put_marks(TRAIL_READER, [mark])


async def unmarked_rows(folder: Folder) -> list[tuple[int, int]]:
    """The positions below a mark whose rows are missing: there must be none, ever."""
    records = await contents(folder.log)
    trails = await all_rows(folder.store)
    missing = []
    for cell in await folder.store.marks(TRAIL_READER):
        for index in range(cell.next_index):
            value = records[cell.partition, index]
            position = pack_position(1, cell.partition, index)
            rows = rows_of_one(read_record(value), value, position)
            if any((row.tracking_key, row.order, value) not in trails for row in rows):
                missing.append((cell.partition, index))
    return missing


async def all_rows(store: TrailStore) -> set[tuple[bytes, bytes, bytes]]:
    """Every row of the known keys, and of what is in containers."""
    rows = set()
    keys = [b"RX%09dDE" % number for number in range(7)]
    for key in [*keys, *(contents_key(bag) for bag in BAGS)]:
        slice_ = await store.read(key, max_rows=1_000_000, max_bytes=1 << 30)
        found = [(key, row.order, row.record) for row in slice_.rows]
        assert len(set(found)) == len(found)
        rows |= set(found)
    return rows


def entry(number: int) -> ProgressCell:
    """An entry of the progress history."""
    return ProgressCell(number, SCAN_TIME_NS + number * 1_000_000_000, b"entry %d" % number)
