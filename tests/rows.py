"""The rows of a record, said in the plainest way: what the codec's quick loop has to equal."""

from ledger.event import order_key
from ledger.trail_store import Row
from ledger.v1.log_record_pb2 import LogRecord


def row_of(record: LogRecord, value: bytes, position: int) -> Row:
    """Give the row of a record (`value` are its bytes) at a position (as one number)."""
    return Row(
        record.tracking_key,
        order_key(record.scan_time_ns, record.event_id, position),
        value,
        record.record_time_ns // 1_000,
    )


def rows_of_one(record: LogRecord, value: bytes, position: int) -> list[Row]:
    """Give all rows of a record: that of its trail, and what it says of a container's contents."""
    row = row_of(record, value, position)
    if not record.container_key:
        return [row]
    return [row, row._replace(tracking_key=b"\xff" + record.container_key)]
