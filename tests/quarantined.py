"""Records that no trail can take, one of each kind, and what is said of them afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger.position import pack_position
from ledger.quarantine.items import Items
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.quarantine_pb2 import QuarantineReason
from tests.faults.known import known
from tests.folders import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.backends.rocksdb_folder import Folder
    from ledger.quarantine.items import Item
    from ledger.scan_log import ScanLog
    from ledger.trail_store import Row, TrailStore


class Bad(NamedTuple):
    """A record and where somebody put it."""

    partition: int
    key: bytes
    value: bytes
    reason: str
    trail: bytes
    """The key in whose trail its stub stands; empty where none does."""


def altered(number: int, **fields: object) -> tuple[int, bytes, bytes]:
    """A known record with something else in it."""
    one = known(number, partitions=PARTITIONS)
    record = LogRecord.FromString(one.value)
    for name, field in fields.items():
        setattr(record, name, field)
    return one.partition, one.key, record.SerializeToString()


def garbage(number: int) -> Bad:
    """Bytes that are no record."""
    one = known(number, partitions=PARTITIONS)
    return Bad(one.partition, b"K", b"\xff garbage %d" % number, "UNREADABLE", b"")


def bad_event(number: int) -> Bad:
    """A record whose event cannot be read; who and where is known."""
    partition, key, value = altered(number, event=b"\x0a\xff no event %d" % number)
    return Bad(partition, key, value, "UNREADABLE", key)


def no_id(number: int) -> Bad:
    """A record without an event id."""
    partition, key, value = altered(number, event_id=b"")
    return Bad(partition, key, value, "INCOMPLETE", key)


def no_key(number: int) -> Bad:
    """A record without a tracking key."""
    partition, key, value = altered(number, tracking_key=b"")
    return Bad(partition, key, value, "INCOMPLETE", b"")


def odd_time(number: int) -> Bad:
    """A record from before 1970."""
    partition, key, value = altered(number, scan_time_ns=-5)
    return Bad(partition, key, value, "INVALID", key)


def astray(number: int) -> Bad:
    """A good record in the wrong partition."""
    one = known(number, partitions=PARTITIONS)
    wrong = (one.partition + 1) % PARTITIONS
    return Bad(wrong, one.key, one.value, "WRONG_PARTITION", one.key)


KINDS: tuple[Callable[[int], Bad], ...] = (garbage, bad_event, no_id, no_key, odd_time, astray)
"""All that the record itself shows."""


async def put(log: ScanLog, bad: Bad) -> int:
    """Append it where it does not belong; return its position."""
    index = await log.append(bad.partition, [bad.key], [bad.value])
    return pack_position(1, bad.partition, index)


async def items_of(ledger: Folder) -> dict[int, Item]:
    """All that is in quarantine, by position."""
    items = Items(ledger.quarantine)
    await items.catch_up()
    return {item.position: item for item in items.all()}


def reason_of(item: Item) -> str:
    """The reason as the tests name it."""
    return QuarantineReason.Name(item.reason).removeprefix("QUARANTINE_REASON_")


async def stubs_of(store: TrailStore, key: bytes) -> list[LogRecord]:
    """The stubs in a trail, as rows."""
    found = await store.read(key, max_rows=100_000, max_bytes=1 << 30)
    records = [LogRecord.FromString(row.record) for row in found.rows]
    return [record for record in records if record.HasField("quarantined")]


def is_stub(row: Row) -> bool:
    """Whether a row is a stub."""
    return LogRecord.FromString(row.record).HasField("quarantined")
