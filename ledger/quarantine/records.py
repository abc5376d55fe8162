"""What is written for a record in quarantine: the item, notes about it, and its stub in the trail.

Item and notes are records of the log `quarantine`. A stub is a log record of its own, and a
function of the record, its position and the reason: whoever writes it writes the same bytes.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from ledger.codec import Fault, is_key, is_time
from ledger.event import EVENT_ID_BYTES, order_key
from ledger.numbers import partition_of
from ledger.position import SCANS_LOG, pack_position, unpack_position
from ledger.trail_store import Row
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.position_pb2 import Position
from ledger.v1.quarantine_pb2 import (
    Quarantined,
    QuarantinedRecord,
    QuarantineNote,
    QuarantineRecord,
)

VALUE_BYTES_MAX: Final = 20 << 10
"""Most bytes of a record that are kept in quarantine: more than a record of ours has. What is
longer can never be replayed, lies in the log `scans` all the same, and has its digest here.
"""

TEXT_BYTES_MAX: Final = 1_024
"""Most bytes of the words that say why."""

SOURCE_BYTES_MAX: Final = 128
"""Most bytes of a source id that is shown; a longer one is not an id."""


class Unfit(NamedTuple):
    """A record that cannot be kept in a trail."""

    position: int
    """Where it lies in the log `scans`, as one number."""
    value: bytes
    fault: Fault


def item_of(unfit: Unfit, *, time_ns: int) -> bytes:
    """Make the record of the log `quarantine` for an unfit record."""
    record = _read(unfit.value)
    stands_for = stub_of(unfit)
    item = QuarantinedRecord(
        position=wire_position(unfit.position),
        reason=unfit.fault.reason,
        message=_cut(unfit.fault.message),
        value=unfit.value[:VALUE_BYTES_MAX],
        value_bytes=len(unfit.value),
        value_sha256=hashlib.sha256(unfit.value).digest(),
        tracking_key=record.tracking_key if stands_for else b"",
    )
    if len(record.source_id.encode()) <= SOURCE_BYTES_MAX:
        item.source_id = record.source_id
    if len(record.spool_id) == EVENT_ID_BYTES:
        item.spool_id, item.sequence = record.spool_id, record.sequence
    return QuarantineRecord(item=item, time_ns=time_ns).SerializeToString()


def note_of(note: QuarantineNote, *, time_ns: int) -> bytes:
    """Make the record of the log `quarantine` for what was done with an item."""
    return QuarantineRecord(note=note, time_ns=time_ns).SerializeToString()


class Said(NamedTuple):
    """What a record of the log `quarantine` says, and of which position."""

    position: int
    """As one number; 0 where it says nothing that is understood."""
    record: QuarantineRecord


def read_said(value: bytes) -> Said:
    """Read a record of the log `quarantine`. What somebody else wrote there is passed over: it must
    not stop a writer.
    """
    try:
        record = QuarantineRecord.FromString(value)
        body = record.note if record.HasField("note") else record.item
        return Said(packed_position(body.position), record)
    except (DecodeError, ValueError):
        return Said(0, QuarantineRecord())


def item_key(position: int) -> bytes:
    """Give the key under which all records about one item are filed, so that they stay in order."""
    at = unpack_position(position)
    return b"%s-g%d/%d/%d" % (SCANS_LOG.encode(), at.generation, at.partition, at.index)


def item_partition(position: int, partitions: int) -> int:
    """Give the partition of the log `quarantine` in which all records about one item lie."""
    return partition_of(item_key(position), partitions)


def stub_of(unfit: Unfit) -> LogRecord | None:
    """Make the stub that stands in the trail; None where the trail is not known."""
    record = _read(unfit.value)
    if not is_key(record.tracking_key):
        return None
    times = (record.scan_time_ns, record.record_time_ns, 0)
    stub = LogRecord(
        quarantined=Quarantined(
            position=wire_position(unfit.position),
            reason=unfit.fault.reason,
            record_bytes=len(unfit.value),
            record_sha256=hashlib.sha256(unfit.value).digest(),
        ),
        tracking_key=record.tracking_key,
        key_form=record.key_form,
        scan_time_ns=next(filter(is_time, times)),
        # Of its own: should the record's own row be there after all, neither hides the other.
        event_id=_stub_id(unfit.position),
        send_time_ns=record.send_time_ns,
        record_time_ns=record.record_time_ns,
    )
    if len(record.source_id.encode()) <= SOURCE_BYTES_MAX:
        stub.source_id = record.source_id
    if record.HasField("replayed_position"):  # Its notice takes the place of the earlier one.
        stub.replayed_position.CopyFrom(record.replayed_position)
    return stub


def stub_bytes(stub: LogRecord) -> bytes:
    """Encode a stub: the same one always gives the same bytes."""
    return stub.SerializeToString(deterministic=True)


def stub_row(stub: LogRecord, position: int) -> Row:
    """Give the row of a stub in its trail, at the position of the record that it stands for."""
    return Row(
        stub.tracking_key,
        order_key(stub.scan_time_ns, stub.event_id, position),
        stub_bytes(stub),
        stub.record_time_ns // 1_000,
    )


def replay_of(value: bytes, position: int) -> bytes:
    """Make the record that replays another: all of it as it was, and where that lies."""
    record = LogRecord.FromString(value)
    record.replayed_position.CopyFrom(wire_position(position))
    return record.SerializeToString(deterministic=True)


def record_time_of(value: bytes) -> int:
    """Give the record time of any bytes, in ns; 0 where they have none."""
    return _read(value).record_time_ns


def wire_position(position: int) -> Position:
    """Write a position of the log `scans` that is one number."""
    at = unpack_position(position)
    return Position(log=SCANS_LOG, generation=at.generation, partition=at.partition, index=at.index)


def packed_position(position: Position) -> int:
    """Read a position as one number. Raises ValueError where it is none."""
    return pack_position(position.generation, position.partition, position.index)


def _read(value: bytes) -> LogRecord:
    """Read what can be read: an empty record where nothing can."""
    try:
        return LogRecord.FromString(value)
    except DecodeError:
        return LogRecord()


def _stub_id(position: int) -> bytes:
    return hashlib.sha256(b"quarantined %d" % position).digest()[:EVENT_ID_BYTES]


def _cut(text: str) -> str:
    return text.encode()[:TEXT_BYTES_MAX].decode(errors="ignore")
