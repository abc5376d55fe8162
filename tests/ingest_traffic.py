"""What the tests of ingest send: one good event, batches of them, and the clock they share."""

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from ingest.admission import Admitted, admit, check_batch
from ledger.numbers import compose_s10, partition_of
from ledger.v1.log_record_pb2 import LogRecord
from ledger.v1.raw_pb2 import RawBatch, RawScan
from ledger.v1.scan_event_pb2 import (
    CAPTURE_METHOD_BARCODE,
    SCAN_EVENT_TYPE_ARRIVED,
    SYMBOLOGY_CODE_128,
    UTC_OFFSET_SOURCE_DEVICE,
    ScanEvent,
)

NOW_NS = 1_790_000_000_000_000_000
SCAN_SECONDS = NOW_NS // 1_000_000_000 - 30
SOURCE = "gate-17"
SPOOL = bytes(range(16))
PARTITIONS = 32


def an_event(number: int = 1, **changes: object) -> ScanEvent:
    """A good event of the usual shape; its identity and its item follow from `number`."""
    event = ScanEvent(
        event_id=number.to_bytes(16, "big"),
        tracking_number=compose_s10("RR", number % 100_000_000, "DE"),
        type=SCAN_EVENT_TYPE_ARRIVED,
        scan_time=Timestamp(seconds=SCAN_SECONDS, nanos=250_000_000),
        utc_offset_minutes=120,
        utc_offset_source=UTC_OFFSET_SOURCE_DEVICE,
        facility="DEFRAA",
        device="handheld-0815",
        operator="op-77",
        capture_method=CAPTURE_METHOD_BARCODE,
        raw_barcode=b"RR123456785DE",
        symbology=SYMBOLOGY_CODE_128,
    )
    for name, value in changes.items():
        event.ClearField(name)  # type: ignore[arg-type] # Any field.
        if value is not None:
            event.MergeFrom(ScanEvent(**{name: value}))  # type: ignore[arg-type]
    return event


def an_encoded_event(number: int = 1, **changes: object) -> bytes:
    """The same as bytes."""
    return an_event(number, **changes).SerializeToString()


def a_batch(events: Sequence[bytes], **changes: object) -> RawBatch:
    """A good numbered batch of these events."""
    batch = RawBatch(
        batch_number=1,
        source_id=SOURCE,
        spool_id=SPOOL,
        first_sequence=1,
        scans=[RawScan(event=event) for event in events],
        send_time=Timestamp(seconds=NOW_NS // 1_000_000_000),
    )
    for name, value in changes.items():
        batch.ClearField(name)  # type: ignore[arg-type] # Any field.
        if value is not None:
            batch.MergeFrom(RawBatch(**{name: value}))  # type: ignore[arg-type]
    return batch


def admitted(*events: bytes, **changes: object) -> Admitted:
    """What admission says of a batch of these events."""
    batch = a_batch(events, **changes)
    check_batch(batch, batch.ByteSize())
    return admit(batch, partitions=PARTITIONS, now_ns=NOW_NS, principal="anonymous")


def record_of(event: bytes, **changes: object) -> LogRecord:
    """The log record of the one event, which is admitted."""
    result = admitted(event, **changes)

    assert not result.refusals
    ((partition, group),) = result.groups.items()
    record = LogRecord.FromString(group.records[0])
    assert (group.indexes, group.keys) == ([0], [record.tracking_key])
    assert partition == partition_of(record.tracking_key, PARTITIONS)
    return record
