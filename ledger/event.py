"""What a scan event is: its limits, its times, its names, and the order of a trail. Pure.

A trail is ordered by scan time, then event id, then position. "As recorded" is by position alone.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from ledger.v1.scan_event_pb2 import ScanEventType, UtcOffsetSource
from ledger.v1.trail_service_pb2 import ClockFlag

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from ledger.v1.scan_event_pb2 import ScanEvent

EVENT_BYTES_MAX = 8 << 10
"""Most bytes of an encoded scan event: three times the largest two-dimensional barcode, with its
fields.
"""

PERSONAL_BYTES_MAX = 4 << 10
"""Most bytes of encoded personal data: two parties with full addresses."""

EVENT_ID_BYTES = 16
"""Length of an event id: a UUID's, or half a SHA-256."""

SPOOL_ID_BYTES = 16
"""Length of a spool id."""

BATCH_SCANS_MAX = 2_000
"""Most scans in one batch: some 300 KiB of usual events; more gains nothing (the cost per message
is spread thin).
"""

BATCH_BYTES_MAX = 1 << 20
"""Most bytes of an encoded batch: the largest append of every log."""

SOURCE_ID_BYTES_MAX = 128
"""Most bytes of a source id."""

TIME_NS_MIN = 0
"""1970-01-01T00:00:00Z, the earliest time that is taken."""

TIME_NS_END = 7_258_118_400 * 1_000_000_000
"""2200-01-01T00:00:00Z: times are taken before it. It is also below the largest signed 64-bit
number.
"""

CLOCK_TOLERANCE_NS = 300 * 1_000_000_000
"""5 minutes: clocks of devices that are set by hand or once a day stay within it."""

LATE_AFTER_NS = 86_400 * 1_000_000_000
"""24 hours: a scanner that is emptied every day is not late."""

_DAY_NS = 86_400 * 1_000_000_000
_ORDER = struct.Struct(">q16sq")
PACK_ORDER = _ORDER.pack
"""`order_key` without the call of a function of ours: for loops over many records."""
_TYPE_PREFIX = "SCAN_EVENT_TYPE_"

# Looked up once: an attribute of a generated enum costs 0.5 µs each time.
_NEVER_SET = ClockFlag.CLOCK_FLAG_NEVER_SET
_AHEAD = ClockFlag.CLOCK_FLAG_AHEAD
_LATE = ClockFlag.CLOCK_FLAG_LATE
_SENDER_SKEWED = ClockFlag.CLOCK_FLAG_SENDER_SKEWED
_OFFSET_ASSUMED = ClockFlag.CLOCK_FLAG_OFFSET_ASSUMED
_OFFSET_NOT_KNOWN = frozenset(
    {
        UtcOffsetSource.UTC_OFFSET_SOURCE_UNSPECIFIED,
        UtcOffsetSource.UTC_OFFSET_SOURCE_UNKNOWN,
    }
)


class Order(NamedTuple):
    """Where a row stands in its trail. Compares as the trail is ordered."""

    scan_time_ns: int
    event_id: bytes
    position: int
    """As one number: see `ledger.position.pack_position`."""


def order_key(scan_time_ns: int, event_id: bytes, position: int) -> bytes:
    """Encode an order in 32 bytes that sort as bytes as the order does: no part of it is ever
    negative.
    """
    return _ORDER.pack(scan_time_ns, event_id, position)


def split_order(key: bytes) -> Order:
    """Undo `order_key`."""
    return Order(*_ORDER.unpack(key))


def order_from_time(time_ns: int) -> bytes:
    """Encode the least order of a scan time: a bound for reading by time."""
    return time_ns.to_bytes(8, "big")


def timestamp_ns(timestamp: Timestamp) -> int:
    """Give a protobuf time in nanoseconds since 1970-01-01T00:00:00Z."""
    return timestamp.seconds * 1_000_000_000 + timestamp.nanos


def filed_number(event: ScanEvent) -> str:
    """Give the number that an event is filed by: that of what it corrects, where it does."""
    corrects = event.HasField("correction")
    return event.correction.tracking_number if corrects else event.tracking_number


def event_type_name(value: int) -> str:
    """Give the canonical name, for example `DELIVERED`; an unknown value shows as `TYPE_99`."""
    if value in ScanEventType.values():
        return ScanEventType.Name(ScanEventType.ValueType(value)).removeprefix(_TYPE_PREFIX)
    return f"TYPE_{value}"


def clock_flags(
    event: ScanEvent, *, scan_time_ns: int, send_time_ns: int, record_time_ns: int
) -> list[ClockFlag.ValueType]:
    """Say what is odd about an event's times. They are kept and ordered as they are; a reader is
    told.
    """
    flags = []
    if scan_time_ns < _DAY_NS:
        flags.append(_NEVER_SET)
    elif scan_time_ns > record_time_ns + CLOCK_TOLERANCE_NS:
        flags.append(_AHEAD)
    elif scan_time_ns < record_time_ns - LATE_AFTER_NS:
        flags.append(_LATE)
    if abs(send_time_ns - record_time_ns) > CLOCK_TOLERANCE_NS:
        flags.append(_SENDER_SKEWED)
    if event.utc_offset_source in _OFFSET_NOT_KNOWN:
        flags.append(_OFFSET_ASSUMED)
    return flags
